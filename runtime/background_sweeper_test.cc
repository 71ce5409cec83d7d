// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// When the background sweeper begins. What it does then: scavenge_test and the
// tests of the sweeper.

#include "tricolor/runtime/background_sweeper.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace tricolor::runtime {
namespace {

constexpr int64_t kStart = 1'000'000'000;
constexpr int64_t kNs = SweepHeadStart::kNs;
constexpr int64_t kLongest = SweepHeadStart::kLongestPutOffNs;

TEST(SweepHeadStartTest, LastsForItsTimeAfterACycle) {
  SweepHeadStart head_start;
  head_start.CycleEnded(kStart);
  EXPECT_EQ(head_start.Left(kStart), kNs);
  EXPECT_EQ(head_start.Left(kStart + kNs - 1), 1);
  EXPECT_EQ(head_start.Left(kStart + kNs), 0);
  EXPECT_EQ(head_start.Left(kStart + 1000 * kLongest), 0);
}

TEST(SweepHeadStartTest, EachCycleBeginsItAnew) {
  SweepHeadStart head_start;
  head_start.CycleEnded(kStart);
  EXPECT_EQ(head_start.Left(kStart + kNs - 1), 1);
  head_start.CycleEnded(kStart + kNs);
  EXPECT_EQ(head_start.Left(kStart + kNs), kNs);
}

// Looks after each of a row of cycles, until the sweeper may begin: how long
// after the first look.
int64_t PutOff(SweepHeadStart& head_start, int64_t now) {
  const int64_t first = now;
  for (head_start.CycleEnded(now); head_start.Left(now) > 0;) {
    now += kNs / 2;
    head_start.CycleEnded(now);
    if (now - first > 10 * kLongest) break;
  }
  return now - first;
}

TEST(SweepHeadStartTest, FastCyclesDoNotPutTheSweeperOffForEver) {
  SweepHeadStart head_start;
  EXPECT_EQ(PutOff(head_start, kStart), kLongest);
  // Until it has swept all.
  EXPECT_EQ(PutOff(head_start, kStart + 2 * kLongest), 0);
  head_start.SweepDone();
  EXPECT_EQ(PutOff(head_start, kStart + 3 * kLongest), kLongest);
}

TEST(SweepHeadStartTest, WhatWasSweptBeforeDoesNotCount) {
  SweepHeadStart head_start;
  head_start.CycleEnded(kStart);
  EXPECT_EQ(head_start.Left(kStart), kNs);
  EXPECT_EQ(head_start.Left(kStart + kNs), 0);
  head_start.SweepDone();
  EXPECT_EQ(PutOff(head_start, kStart + kNs), kLongest);
}

}  // namespace
}  // namespace tricolor::runtime
