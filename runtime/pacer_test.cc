// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/pacer.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace tricolor::runtime {
namespace {

constexpr uint64_t kMiB = 1 << 20;

TEST(HeapGoalTest, GrowsByPercentOfLiveHeapAndRoots) {
  EXPECT_EQ(HeapGoal({.marked = 100 * kMiB}), 200 * kMiB);
  EXPECT_EQ(HeapGoal({.marked = 100 * kMiB, .roots = 20 * kMiB}), 220 * kMiB);
  EXPECT_EQ(HeapGoal({.marked = 100 * kMiB, .gc_percent = 50}), 150 * kMiB);
  EXPECT_EQ(HeapGoal({.marked = 100 * kMiB, .gc_percent = 300}), 400 * kMiB);
}

TEST(HeapGoalTest, SmallHeapsHaveAMinimum) {
  EXPECT_EQ(HeapGoal({.min_heap = 4 * kMiB}), 4 * kMiB);
  EXPECT_EQ(HeapGoal({.min_heap = 4 * kMiB, .gc_percent = 200}), 8 * kMiB);
  EXPECT_EQ(HeapGoal({.marked = kMiB, .min_heap = 4 * kMiB}), 4 * kMiB);
  EXPECT_EQ(HeapGoal({.marked = 3 * kMiB, .min_heap = 4 * kMiB}), 6 * kMiB);
}

TEST(HeapGoalTest, ZeroPercentStillLeavesRoom) {
  EXPECT_EQ(HeapGoal({.marked = kMiB, .min_heap = 4 * kMiB, .gc_percent = 0}),
            kMiB + Pacer::kLeastGrowth);
}

TEST(HeapGoalTest, NegativePercentHasNoGoal) {
  EXPECT_EQ(HeapGoal({.marked = kMiB, .gc_percent = -1}), UINT64_MAX);
}

TEST(HeapGoalTest, TheLimitCapsTheGoal) {
  // 200 MiB less 10 overhead and 6 margin (3 percent).
  const uint64_t goal = HeapGoal({.marked = 150 * kMiB,
                                  .overhead = 10 * kMiB,
                                  .memory_limit = 200 * kMiB});
  EXPECT_GE(goal, 183 * kMiB);
  EXPECT_LE(goal, 185 * kMiB);
  EXPECT_EQ(HeapGoal({.marked = 10 * kMiB, .memory_limit = 200 * kMiB}),
            20 * kMiB);
  EXPECT_LT(HeapGoal({.gc_percent = -1, .memory_limit = 200 * kMiB}),
            200 * kMiB);
}

TEST(HeapGoalTest, ALimitThatCannotBeMetLeavesASixteenth) {
  EXPECT_EQ(HeapGoal({.marked = 160 * kMiB, .memory_limit = kMiB}), 170 * kMiB);
  EXPECT_EQ(HeapGoal({.marked = kMiB, .memory_limit = 0}),
            kMiB + Pacer::kLeastGrowth);
}

TEST(HeapGoalTest, HugeNumbersDoNotWrap) {
  EXPECT_EQ(HeapGoal({.marked = UINT64_MAX - 5, .gc_percent = INT32_MAX}),
            UINT64_MAX);
  EXPECT_EQ(HeapGoal({.marked = UINT64_MAX / 2 + 10}), UINT64_MAX);
  EXPECT_EQ(HeapGoal({.marked = UINT64_MAX,
                      .overhead = UINT64_MAX,
                      .gc_percent = -1,
                      .memory_limit = 5}),
            UINT64_MAX);
}

TEST(PacerTest, IsDueWhenTheHeapReachesTheGoal) {
  Pacer pacer(100, INT64_MAX, 4 * kMiB);
  pacer.HeapLiveChanged(4 * kMiB - 1);
  EXPECT_FALSE(pacer.due());
  pacer.HeapLiveChanged(1);
  EXPECT_TRUE(pacer.due());
  EXPECT_EQ(pacer.heap_live(), 4 * kMiB);
  pacer.CycleDone(3 * kMiB, 0, 0);
  EXPECT_FALSE(pacer.due());
  EXPECT_EQ(pacer.heap_live(), 3 * kMiB);
  EXPECT_EQ(pacer.goal(), 6 * kMiB);
  pacer.HeapLiveChanged(2 * kMiB);
  pacer.HeapLiveChanged(-static_cast<int64_t>(kMiB));
  EXPECT_FALSE(pacer.due());
  pacer.HeapLiveChanged(2 * kMiB);
  EXPECT_TRUE(pacer.due());
}

TEST(PacerTest, NewSettingsTakeEffectAtOnce) {
  Pacer pacer(-1, INT64_MAX, 4 * kMiB);
  pacer.HeapLiveChanged(64 * kMiB);
  EXPECT_FALSE(pacer.due());
  EXPECT_EQ(pacer.SetGcPercent(100), -1);
  EXPECT_TRUE(pacer.due());
  EXPECT_EQ(pacer.SetGcPercent(-7), 100);
  EXPECT_FALSE(pacer.due());
  EXPECT_EQ(pacer.SetMemoryLimit(32 * kMiB), INT64_MAX);
  EXPECT_TRUE(pacer.due());
  EXPECT_EQ(pacer.SetMemoryLimit(-1), static_cast<int64_t>(32 * kMiB));
  EXPECT_EQ(pacer.memory_limit(), static_cast<int64_t>(32 * kMiB));
}

TEST(PacerTest, ARefusedCycleIsNotDueBeforeTheHeapHasGrown) {
  Pacer pacer(100, INT64_MAX, 4 * kMiB);
  pacer.HeapLiveChanged(4 * kMiB);
  pacer.CycleRefused();
  EXPECT_FALSE(pacer.due());
  EXPECT_EQ(pacer.goal(), 4 * kMiB);
  pacer.HeapLiveChanged(Pacer::kGrowthToRetry - 1);
  EXPECT_FALSE(pacer.due());
  pacer.HeapLiveChanged(1);
  EXPECT_TRUE(pacer.due());
  pacer.HeapLiveChanged(27 * kMiB);
  pacer.CycleRefused();
  pacer.HeapLiveChanged(2 * kMiB - 1);
  EXPECT_FALSE(pacer.due());
  pacer.HeapLiveChanged(1);
  EXPECT_TRUE(pacer.due());
  pacer.CycleRefused();
  EXPECT_FALSE(pacer.due());
  pacer.SetGcPercent(90);
  EXPECT_TRUE(pacer.due());
  pacer.CycleDone(kMiB, 0, 0);
  EXPECT_FALSE(pacer.due());
}

TEST(PacerTest, ARefusalDoesNotBringTheNextCycleForward) {
  Pacer pacer(100, INT64_MAX, 4 * kMiB);
  pacer.CycleRefused();
  pacer.HeapLiveChanged(4 * kMiB - 1);
  EXPECT_FALSE(pacer.due());
  pacer.HeapLiveChanged(1);
  EXPECT_TRUE(pacer.due());
  Pacer without_goal(-1, INT64_MAX, 4 * kMiB);
  without_goal.HeapLiveChanged(INT64_MAX - 1);
  without_goal.CycleRefused();
  EXPECT_FALSE(without_goal.due());
}

TEST(PacerTest, TheFirstGoalUnderALimitLeavesRoomForTheHeapsOwnStructures) {
  Pacer pacer(-1, 100 * kMiB, 4 * kMiB);
  EXPECT_LE(pacer.goal(), 93 * kMiB);
  EXPECT_GE(pacer.goal(), 91 * kMiB);
  pacer.CycleDone(kMiB, 0, 2 * kMiB);
  EXPECT_LE(pacer.goal(), 96 * kMiB);
  EXPECT_GE(pacer.goal(), 94 * kMiB);
}

TEST(PacerTest, LiveHeapIsNeverNegative) {
  Pacer pacer(100, INT64_MAX, 4 * kMiB);
  pacer.HeapLiveChanged(-100);
  EXPECT_EQ(pacer.heap_live(), 0U);
  EXPECT_FALSE(pacer.due());
}

}  // namespace
}  // namespace tricolor::runtime
