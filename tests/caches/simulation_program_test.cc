// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/tests/caches/simulation_program.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "tricolor/base/check.h"
#include "tricolor/base/fuzzing.h"

namespace tricolor::caches {
namespace {

// Allocates on processor 1 three objects of the fourth type, one after the
// other; drops two; a cycle that begins, and one that ends; sweeps.
constexpr uint8_t kInput[] = {0, 1, 3, 2, 1, 24, 1, 2, 0, 53, 0, 53, 7, 44, 2};

TEST(SimulationProgramTest, WhatAnInputDoesIsWrittenDownWithItsNumbers) {
  ByteSource in(kInput, sizeof kInput);
  SimulationProgram t(2);
  while (!in.empty()) t.DoNext(in);
  EXPECT_EQ(t.text(),
            "  SimulationProgram t(2);\n"
            "  t.Do(Operation::kAllocate, {1, 3, 2, 1});\n"
            "  t.Do(Operation::kDrop, {1, 2, 0});\n"
            "  t.Do(Operation::kBeginOrEndMark, {0});\n"
            "  t.Do(Operation::kBeginOrEndMark, {7});\n"
            "  t.Do(Operation::kSweepSome, {2, 0, 0});\n");
}

TEST(SimulationProgramTest, WhatIsWrittenDownDoesTheSame) {
  SimulationProgram t(2);
  t.Do(Operation::kAllocate, {1, 3, 2, 1});
  t.Do(Operation::kDrop, {1, 2, 0});
  t.Do(Operation::kBeginOrEndMark, {0});
  EXPECT_EQ(t.simulation().objects_allocated(), 3U);
  EXPECT_EQ(t.simulation().cycles(), 0U);
  t.Do(Operation::kBeginOrEndMark, {7});
  EXPECT_EQ(t.simulation().cycles(), 1U);
  t.Do(Operation::kSweepSome, {2});
  EXPECT_TRUE(t.text().ends_with("  t.Do(Operation::kSweepSome, {2, 0, 0});\n"))
      << t.text();
}

TEST(SimulationProgramDeathTest, AFatalReportIsFollowedByTheProgram) {
  ByteSource in(kInput, 5);
  SimulationProgram t(2);
  t.DoNext(in);
  EXPECT_DEATH(Fatal("a slot is lost"),
               "a slot is lost(.|\n)*  SimulationProgram t\\(2\\);\n"
               "  t.Do\\(Operation::kAllocate, \\{1, 3, 2, 1\\}\\);\n");
}

}  // namespace
}  // namespace tricolor::caches
