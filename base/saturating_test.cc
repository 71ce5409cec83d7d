// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/saturating.h"

#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace tricolor {
namespace {

constexpr uint64_t kMax = UINT64_MAX;

TEST(SaturatingTest, AddsUpToTheLargestNumber) {
  EXPECT_EQ(SaturatingAdd(1, 2), 3U);
  EXPECT_EQ(SaturatingAdd(kMax - 1, 1), kMax);
  EXPECT_EQ(SaturatingAdd(kMax, 1), kMax);
  EXPECT_EQ(SaturatingAdd(kMax, kMax), kMax);
}

TEST(SaturatingTest, SubtractsDownToZero) {
  EXPECT_EQ(SaturatingSub(3, 2), 1U);
  EXPECT_EQ(SaturatingSub(2, 2), 0U);
  EXPECT_EQ(SaturatingSub(2, 3), 0U);
  EXPECT_EQ(SaturatingSub(0, kMax), 0U);
}

TEST(SaturatingTest, MultipliesUpToTheLargestNumber) {
  EXPECT_EQ(SaturatingMul(6, 7), 42U);
  EXPECT_EQ(SaturatingMul(kMax, 0), 0U);
  EXPECT_EQ(SaturatingMul(0, kMax), 0U);
  EXPECT_EQ(SaturatingMul(kMax, 1), kMax);
  EXPECT_EQ(SaturatingMul(uint64_t{1} << 32, uint64_t{1} << 32), kMax);
  EXPECT_EQ(SaturatingMul(kMax / 2 + 1, 2), kMax);
}

TEST(SaturatingTest, PercentIsExactForSmallAndHugeNumbers) {
  EXPECT_EQ(PercentOf(150, 50), 75U);
  EXPECT_EQ(PercentOf(199, 1), 1U);
  EXPECT_EQ(PercentOf(kMax, 100), kMax);
  EXPECT_EQ(PercentOf(kMax, 101), kMax);
  EXPECT_EQ(PercentOf(kMax, 0), 0U);
  EXPECT_EQ(PercentOf(99, UINT32_MAX), uint64_t{99} * UINT32_MAX / 100);
}

TEST(SaturatingTest, EveryDoubleBecomesANumber) {
  using Limits = std::numeric_limits<double>;
  EXPECT_EQ(SaturatingCast(2.9), 2U);
  EXPECT_EQ(SaturatingCast(-1.0), 0U);
  EXPECT_EQ(SaturatingCast(Limits::quiet_NaN()), 0U);
  EXPECT_EQ(SaturatingCast(Limits::infinity()), kMax);
  EXPECT_EQ(SaturatingCast(-Limits::infinity()), 0U);
  EXPECT_EQ(SaturatingCast(18446744073709551616.0), kMax);
  EXPECT_EQ(SaturatingCast(18446744073709549568.0), kMax - 2047);
  EXPECT_EQ(SaturatingCast(Limits::max()), kMax);
  EXPECT_EQ(Scaled(100, 0.25), 25U);
  EXPECT_EQ(Scaled(kMax, 1.0), kMax);
  EXPECT_EQ(Scaled(0, Limits::infinity()), 0U);
}

TEST(SaturatingTest, ACounterStaysAtItsEnd) {
  Atomic<uint64_t> counter(kMax - 5);
  AddSaturating(counter, 3);
  EXPECT_EQ(counter.LoadRelaxed(), kMax - 2);
  AddSaturating(counter, 3);
  AddSaturating(counter, kMax);
  EXPECT_EQ(counter.LoadRelaxed(), kMax);
}

}  // namespace
}  // namespace tricolor
