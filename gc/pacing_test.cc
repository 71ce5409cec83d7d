// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/pacing.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace tricolor::gc {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// ---- Goals.

TEST(HeapGoalTest, GrowsByPercentOfLiveHeapAndRoots) {
  EXPECT_EQ(HeapGoal({.marked = 100 * kMiB}), 200 * kMiB);
  EXPECT_EQ(HeapGoal({.marked = 100 * kMiB, .roots = 20 * kMiB}), 220 * kMiB);
  EXPECT_EQ(HeapGoal({.marked = 100 * kMiB, .gc_percent = 50}), 150 * kMiB);
  EXPECT_EQ(HeapGoal({.marked = 100 * kMiB, .gc_percent = 300}), 400 * kMiB);
}

TEST(HeapGoalTest, SmallHeapsHaveAMinimumThatScalesWithThePercentage) {
  EXPECT_EQ(HeapGoal({.min_heap = 4 * kMiB}), 4 * kMiB);
  EXPECT_EQ(HeapGoal({.min_heap = 4 * kMiB, .gc_percent = 200}), 8 * kMiB);
  EXPECT_EQ(HeapGoal({.marked = kMiB, .min_heap = 4 * kMiB}), 4 * kMiB);
  EXPECT_EQ(HeapGoal({.marked = 3 * kMiB, .min_heap = 4 * kMiB}), 6 * kMiB);
}

TEST(HeapGoalTest, TheMinimumIsForEachProcessorThatAllocates) {
  EXPECT_EQ(HeapGoal({.min_heap = 4 * kMiB, .allocators = 3}), 12 * kMiB);
  EXPECT_EQ(HeapGoal({.min_heap = 4 * kMiB, .allocators = 0}), 4 * kMiB);
  EXPECT_EQ(
      HeapGoal({.marked = 9 * kMiB, .min_heap = 4 * kMiB, .allocators = 3}),
      18 * kMiB);
  EXPECT_EQ(HeapGoal({.min_heap = kMiB << 20, .allocators = UINT64_MAX}),
            kNoGoal);
  EXPECT_LT(
      HeapGoal(
          {.min_heap = 4 * kMiB, .allocators = 64, .memory_limit = 200 * kMiB}),
      200 * kMiB);
}

TEST(HeapGoalTest, ZeroPercentStillLeavesRoom) {
  EXPECT_EQ(HeapGoal({.marked = kMiB, .min_heap = 4 * kMiB, .gc_percent = 0}),
            kMiB + kLeastGrowth);
}

TEST(HeapGoalTest, NegativePercentLeavesOnlyTheLimit) {
  EXPECT_EQ(HeapGoal({.marked = kMiB, .gc_percent = -1}), kNoGoal);
  EXPECT_LT(HeapGoal({.gc_percent = -1, .memory_limit = 200 * kMiB}),
            200 * kMiB);
}

TEST(HeapGoalTest, TheLimitCapsTheGoalAfterOverheadAndMargin) {
  // 200 MiB less 10 overhead and 6 margin (3 percent).
  const uint64_t goal = HeapGoal({.marked = 150 * kMiB,
                                  .overhead = 10 * kMiB,
                                  .memory_limit = 200 * kMiB});
  EXPECT_GE(goal, 183 * kMiB);
  EXPECT_LE(goal, 185 * kMiB);
  EXPECT_EQ(HeapGoal({.marked = 10 * kMiB, .memory_limit = 200 * kMiB}),
            20 * kMiB);
  // At least 1 MiB of margin.
  EXPECT_EQ(HeapGoal({.marked = 5 * kMiB, .memory_limit = 10 * kMiB}),
            9 * kMiB);
}

TEST(HeapGoalTest, ALimitThatCannotBeMetLeavesASixteenth) {
  EXPECT_EQ(HeapGoal({.marked = 160 * kMiB, .memory_limit = kMiB}), 170 * kMiB);
  EXPECT_EQ(HeapGoal({.marked = kMiB, .memory_limit = 0}), kMiB + kLeastGrowth);
  EXPECT_EQ(HeapGoal({.marked = kMiB, .memory_limit = -5}),
            kMiB + kLeastGrowth);
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
  EXPECT_EQ(HardGoal({.marked = UINT64_MAX / 2, .gc_percent = INT32_MAX}),
            UINT64_MAX);
}

TEST(HardGoalTest, IsThePercentageOfTheGoalButNotBeyondTheLimitsRoom) {
  EXPECT_EQ(HardGoal({.marked = 100 * kMiB}), 400 * kMiB);
  EXPECT_EQ(HardGoal({.marked = 100 * kMiB,
                      .overhead = 10 * kMiB,
                      .memory_limit = 250 * kMiB}),
            240 * kMiB);
  EXPECT_EQ(HardGoal({.marked = 100 * kMiB, .gc_percent = -1}), kNoGoal);
  // Below the goal it would be no goal.
  const GoalInputs tight{.marked = 160 * kMiB, .memory_limit = kMiB};
  EXPECT_EQ(HardGoal(tight), HeapGoal(tight));
}

TEST(OverheadTest, IsWhatIsNeitherFreeNorObjectsAndWhatExceedsTheLimit) {
  const HeldMemory memory{
      .held = 100 * kMiB, .free_pages = 20 * kMiB, .objects = 70 * kMiB};
  EXPECT_EQ(OverheadOf(memory, INT64_MAX), 10 * kMiB);
  EXPECT_EQ(OverheadOf(memory, 100 * kMiB), 10 * kMiB);
  EXPECT_EQ(OverheadOf(memory, 95 * kMiB), 15 * kMiB);
  EXPECT_EQ(OverheadOf(memory, 0), 110 * kMiB);
}

TEST(OverheadTest, CountersThatDisagreeDoNotWrap) {
  EXPECT_EQ(OverheadOf({.held = 10, .free_pages = 6, .objects = 6}, INT64_MAX),
            0U);
  EXPECT_EQ(
      OverheadOf({.held = 10, .free_pages = UINT64_MAX, .objects = UINT64_MAX},
                 INT64_MAX),
      0U);
  EXPECT_EQ(OverheadOf({.held = UINT64_MAX}, 0), UINT64_MAX);
}

// ---- Trigger.

TEST(TriggerTest, LeavesTheRunwayBeforeTheGoal) {
  EXPECT_EQ(TriggerFor(
                {.marked = 64 * kMiB, .goal = 128 * kMiB, .runway = 10 * kMiB}),
            118 * kMiB);
}

TEST(TriggerTest, IsNeverBefore70PercentOfTheWay) {
  EXPECT_EQ(
      TriggerFor(
          {.marked = 64 * kMiB, .goal = 128 * kMiB, .runway = 100 * kMiB}),
      (64 + 45) * kMiB);
  EXPECT_EQ(
      TriggerFor(
          {.marked = 64 * kMiB, .goal = 128 * kMiB, .runway = UINT64_MAX}),
      (64 + 45) * kMiB);
}

TEST(TriggerTest, IsNeverAfter95PercentOfTheWayOfASmallHeap) {
  EXPECT_EQ(TriggerFor({.goal = 4 * kMiB}), 61 * kMiB / 16);
  EXPECT_EQ(TriggerFor({.marked = 64 * kMiB, .goal = 128 * kMiB}),
            (64 + 61) * kMiB);
}

TEST(TriggerTest, MayBe4MiBBeforeADistantGoal) {
  EXPECT_EQ(TriggerFor({.marked = 1024 * kMiB, .goal = 2048 * kMiB}),
            2044 * kMiB);
}

TEST(TriggerTest, IsNotBelowTheLeastUnlessTheGoalIs) {
  EXPECT_EQ(TriggerFor({.marked = 64 * kMiB,
                        .goal = 128 * kMiB,
                        .least = 120 * kMiB,
                        .runway = 20 * kMiB}),
            120 * kMiB);
  EXPECT_EQ(TriggerFor(
                {.marked = 64 * kMiB, .goal = 128 * kMiB, .least = 200 * kMiB}),
            128 * kMiB);
}

TEST(TriggerTest, ThereIsNoneWithoutAGoal) {
  EXPECT_EQ(TriggerFor({.goal = kNoGoal, .runway = kMiB}), kNoGoal);
  EXPECT_EQ(TriggerFor({.marked = 5, .goal = 4}), 4U);
  EXPECT_EQ(TriggerFor({.goal = kNoGoal - 1, .runway = 0}),
            kNoGoal - 1 - kLatestTrigger);
}

TEST(TriggerTest, TinyDistancesKeepTheirOrder) {
  for (uint64_t way = 0; way < 200; ++way) {
    const uint64_t trigger =
        TriggerFor({.marked = 1000, .goal = 1000 + way, .runway = way / 4});
    EXPECT_GE(trigger, 1000 + way * 45 / 64);
    EXPECT_LE(trigger, 1000 + way);
  }
}

// ---- Rates.

TEST(ConsMarkTest, ComparesBytesASecondOfOneProcessor) {
  // A quarter of the processors scans as much as three quarters allocate.
  EXPECT_DOUBLE_EQ(
      ConsMark({.allocated = 300, .work = 300, .utilization = 0.25}), 1.0 / 3);
  EXPECT_DOUBLE_EQ(
      ConsMark({.allocated = 900, .work = 300, .utilization = 0.25}), 1.0);
  // Idle workers scan too, but take nothing from the program.
  EXPECT_DOUBLE_EQ(ConsMark({.allocated = 900,
                             .work = 300,
                             .utilization = 0.25,
                             .idle_utilization = 0.25}),
                   2.0);
}

TEST(ConsMarkTest, IsZeroForWhatSaysNothingAndFiniteForNonsense) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(ConsMark({.allocated = 0, .work = 5, .utilization = 0.3}), 0);
  EXPECT_EQ(ConsMark({.allocated = 5, .work = 0, .utilization = 0.3}), 0);
  for (const double u : {nan, infinity, -infinity, -1.0, 0.0, 1.0, 2.0}) {
    for (const double idle : {nan, infinity, -1.0, 0.5}) {
      const double ratio = ConsMark({.allocated = UINT64_MAX,
                                     .work = 1,
                                     .utilization = u,
                                     .idle_utilization = idle});
      EXPECT_TRUE(std::isfinite(ratio));
      EXPECT_GE(ratio, 0);
    }
  }
}

TEST(RunwayTest, IsWhatThreeQuartersAllocateWhileOneQuarterScans) {
  EXPECT_EQ(Runway(1.0 / 3, 300), 300U);
  EXPECT_EQ(Runway(1, 100), 300U);
  EXPECT_EQ(Runway(0, UINT64_MAX), 0U);
  EXPECT_EQ(Runway(1e300, UINT64_MAX), UINT64_MAX);
  EXPECT_EQ(Runway(std::numeric_limits<double>::quiet_NaN(), 5), 0U);
}

// ---- Assists.

AssistInputs Usual() {
  return {.live = 110 * kMiB,
          .goal = 130 * kMiB,
          .hard_goal = 260 * kMiB,
          .triggered = 110 * kMiB,
          .work_done = 0,
          .expected_work = 60 * kMiB,
          .most_work = 120 * kMiB};
}

TEST(WorkPerByteTest, DividesWhatIsLeftToScanByWhatIsLeftToAllocate) {
  AssistInputs in = Usual();
  EXPECT_DOUBLE_EQ(WorkPerByte(in), 60.0 / 20);
  in.live = 120 * kMiB;
  EXPECT_DOUBLE_EQ(WorkPerByte(in), 60.0 / 10);
  in.work_done = 30 * kMiB;
  EXPECT_DOUBLE_EQ(WorkPerByte(in), 30.0 / 10);
}

TEST(WorkPerByteTest, MoreWorkThanExpectedMovesTheGoalInProportion) {
  AssistInputs in = Usual();
  in.work_done = 60 * kMiB + 1;
  // Twice the work: twice the runway, 110 + 2 * 20.
  EXPECT_NEAR(WorkPerByte(in), 60.0 / 40, 1e-6);
}

TEST(WorkPerByteTest, MoreWorkThanExpectedMovesTheGoalAtMostToTheHardGoal) {
  AssistInputs in = Usual();
  in.work_done = 60 * kMiB + 1;
  in.hard_goal = 135 * kMiB;
  EXPECT_NEAR(WorkPerByte(in), 60.0 / 25, 1e-6);
  in.hard_goal = 0;
  EXPECT_NEAR(WorkPerByte(in), 60.0 / 20, 1e-6);
  in.hard_goal = 260 * kMiB;
  in.expected_work = 0;
  EXPECT_NEAR(WorkPerByte(in), 60.0 / 150, 1e-6);
}

TEST(WorkPerByteTest, AHeapThatOutranItsGoalIsPacedToATenthBeyond) {
  AssistInputs in = Usual();
  in.live = 131 * kMiB;
  // All of the heap, for it is late: 120 in 143 - 131.
  EXPECT_NEAR(WorkPerByte(in), 120.0 / 12, 1e-5);
  in.live = 1000 * kMiB;
  EXPECT_DOUBLE_EQ(WorkPerByte(in), 120.0 * kMiB);
}

TEST(WorkPerByteTest, IsPositiveWhenNothingIsLeft) {
  AssistInputs in = Usual();
  in.work_done = in.most_work;
  in.expected_work = in.most_work;
  EXPECT_GT(WorkPerByte(in), 0);
  EXPECT_GT(WorkPerByte({.goal = kNoGoal, .hard_goal = kNoGoal}), 0);
  EXPECT_GT(WorkPerByte({}), 0);
}

// ---- Workers.

TEST(MarkWorkersTest, AreAQuarterOfTheProcessors) {
  struct {
    int processors;
    int dedicated;
    double fractional;
  } const cases[] = {
      {1, 0, 0.25}, {2, 0, 0.5},  {3, 0, 0.75},  {4, 1, 0},  {5, 1, 0},
      {6, 1, 0.5},  {7, 2, 0},    {8, 2, 0},     {10, 3, 0}, {14, 4, 0},
      {64, 16, 0},  {0, 0, 0.25}, {-3, 0, 0.25},
  };
  for (const auto& c : cases) {
    const MarkWorkers workers = MarkWorkersFor(c.processors);
    EXPECT_EQ(workers.dedicated, c.dedicated) << c.processors;
    EXPECT_DOUBLE_EQ(workers.fractional, c.fractional) << c.processors;
  }
}

TEST(MarkWorkersTest, MissTheQuarterByAtMost30Percent) {
  for (int processors = 1; processors <= 4096; ++processors) {
    const MarkWorkers workers = MarkWorkersFor(processors);
    EXPECT_GE(workers.fractional, 0);
    EXPECT_LT(workers.fractional, 1);
    const double share = (workers.dedicated + workers.fractional) / processors;
    EXPECT_GE(share, 0.25 * 0.7) << processors;
    EXPECT_LE(share, 0.25 * 1.3) << processors;
  }
  EXPECT_EQ(MarkWorkersFor(INT32_MAX).dedicated, 536870912);
}

}  // namespace
}  // namespace tricolor::gc
