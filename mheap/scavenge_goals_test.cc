// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/scavenge_goals.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace tricolor::mheap {
namespace {

constexpr ByteCount MiB(uint64_t n) { return ByteCount(n << 20); }

RetainedGoalInputs Inputs() {
  return {.in_use = MiB(100),
          .ready = MiB(500),
          .old_goal = MiB(100),
          .new_goal = MiB(100)};
}

TEST(RetainedGoalTest, IsTheMemoryInUseAndATenth) {
  const ByteCount goal = RetainedGoal(Inputs());
  EXPECT_GE(goal, MiB(110));
  EXPECT_LE(goal, MiB(110) + ByteCount(4096));
  EXPECT_EQ(goal % ByteCount(4096), ByteCount(0));
}

TEST(RetainedGoalTest, FollowsTheHeapGoal) {
  RetainedGoalInputs inputs = Inputs();
  inputs.new_goal = MiB(50);
  EXPECT_EQ(RetainedGoal(inputs) / MiB(1), 55u);
  inputs.new_goal = MiB(200);
  EXPECT_EQ(RetainedGoal(inputs) / MiB(1), 220u);
}

TEST(RetainedGoalTest, IsRoundedUpToOsPages) {
  RetainedGoalInputs inputs = Inputs();
  inputs.os_page = ByteCount(64 << 10);
  const ByteCount goal = RetainedGoal(inputs);
  EXPECT_EQ(goal % inputs.os_page, ByteCount(0));
  EXPECT_GE(goal, MiB(110));
  EXPECT_LE(goal, MiB(110) + inputs.os_page);
}

TEST(RetainedGoalTest, IsOffWhereLessThanAnOsPageWouldBeGained) {
  RetainedGoalInputs inputs = Inputs();
  const ByteCount goal = RetainedGoal(inputs);
  inputs.ready = goal + inputs.os_page;
  EXPECT_EQ(RetainedGoal(inputs), goal);
  inputs.ready = goal + inputs.os_page - ByteCount(1);
  EXPECT_EQ(RetainedGoal(inputs), kNoScavengeGoal);
  inputs.ready = ByteCount(0);
  EXPECT_EQ(RetainedGoal(inputs), kNoScavengeGoal);
}

TEST(RetainedGoalTest, IsOffWithoutHeapGoals) {
  for (const ByteCount none : {ByteCount(0), kNoScavengeGoal}) {
    RetainedGoalInputs inputs = Inputs();
    inputs.old_goal = none;
    EXPECT_EQ(RetainedGoal(inputs), kNoScavengeGoal);
    inputs = Inputs();
    inputs.new_goal = none;
    EXPECT_EQ(RetainedGoal(inputs), kNoScavengeGoal);
  }
}

TEST(RetainedGoalTest, HugeNumbersDoNotWrap) {
  RetainedGoalInputs inputs = Inputs();
  inputs.ready = ByteCount(UINT64_MAX - 5000);
  inputs.old_goal = ByteCount(1);
  inputs.new_goal = ByteCount(UINT64_MAX - 1);
  EXPECT_EQ(RetainedGoal(inputs), kNoScavengeGoal);
  inputs.in_use = ByteCount(0);
  EXPECT_EQ(RetainedGoal(inputs), ByteCount(0));
}

TEST(ScavengeGoalsTest, TheBackgroundAimsAFewPercentBelowTheLimit) {
  EXPECT_EQ(ScavengeGoals().limit_target(), kNoScavengeGoal);
  EXPECT_EQ(ScavengeGoals{.limit = MiB(100)}.limit_target(), MiB(95));
  EXPECT_EQ(ScavengeGoals{.limit = ByteCount(0)}.limit_target(), ByteCount(0));
}

}  // namespace
}  // namespace tricolor::mheap
