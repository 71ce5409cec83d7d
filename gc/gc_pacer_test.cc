// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/gc_pacer.h"

#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace tricolor::gc {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kMs = 1'000'000;

void Grow(GcPacer& pacer, uint64_t bytes) {
  pacer.HeapLiveChanged(static_cast<int64_t>(bytes),
                        static_cast<int64_t>(bytes));
}

// A cycle of 10 ms on four processors, one of which marks, that finds `marked`.
CycleResult RunCycle(GcPacer& pacer, uint64_t marked, uint64_t allocated = 0) {
  const MarkWorkers workers =
      pacer.StartCycle({.now = 0, .processors = 4, .stack_bytes = kMiB});
  EXPECT_EQ(workers.dedicated, 1);
  pacer.CheckInvariants();
  Grow(pacer, allocated);
  pacer.AddWork(ScanWork::kHeap, marked);
  pacer.Revise();
  pacer.CheckInvariants();
  const CycleResult result = pacer.EndCycle(
      {.now = 10 * kMs, .background_time = 10 * kMs, .marked = marked});
  pacer.CheckInvariants();
  return result;
}

TEST(GcPacerTest, IsDueWhenTheHeapReachesTheTrigger) {
  GcPacer pacer({});
  EXPECT_EQ(pacer.goal(), 4 * kMiB);
  const uint64_t trigger = pacer.trigger();
  EXPECT_LT(trigger, 4 * kMiB);
  Grow(pacer, trigger - 1);
  EXPECT_FALSE(pacer.due());
  Grow(pacer, 1);
  EXPECT_TRUE(pacer.due());
  EXPECT_EQ(pacer.heap_live(), trigger);
  pacer.CheckInvariants();
}

TEST(GcPacerTest, TheLeastGoalIsForEachProcessorThatHasAllocated) {
  GcPacer pacer({});
  const auto goal_after = [&pacer](uint64_t allocators) {
    pacer.StartCycle({.processors = 4});
    pacer.EndCycle({.allocators = allocators});
    pacer.SweepDone();
    return pacer.goal();
  };
  EXPECT_EQ(goal_after(0), 4 * kMiB);
  EXPECT_EQ(goal_after(1), 4 * kMiB);
  EXPECT_EQ(goal_after(3), 12 * kMiB);
  EXPECT_EQ(goal_after(9), 16 * kMiB);  // no more run at once
  EXPECT_EQ(goal_after(1), 4 * kMiB);
}

TEST(GcPacerTest, IsNotDueWhileACycleMarks) {
  GcPacer pacer({});
  Grow(pacer, 4 * kMiB);
  pacer.StartCycle({});
  EXPECT_FALSE(pacer.due());
  Grow(pacer, 100 * kMiB);
  pacer.SetGcPercent(10);
  EXPECT_FALSE(pacer.due());
  pacer.EndCycle({.marked = 3 * kMiB});
  EXPECT_FALSE(pacer.due());
  EXPECT_EQ(pacer.heap_live(), 3 * kMiB);
}

TEST(GcPacerTest, TheTriggerLeavesTheRunwayThatTheLastCycleTook) {
  GcPacer pacer({});
  Grow(pacer, 64 * kMiB);
  RunCycle(pacer, 64 * kMiB, 10 * kMiB);
  // The last cycle allocated 10 MiB while a quarter of the machine scanned 64.
  EXPECT_EQ(pacer.goal(), 128 * kMiB);
  EXPECT_NEAR(static_cast<double>(pacer.trigger()), 118.0 * kMiB, 1.0 * kMiB);
}

TEST(GcPacerTest, ConsMarkIsTheGreatestOfTheLastCycles) {
  GcPacer pacer({});
  Grow(pacer, 64 * kMiB);
  RunCycle(pacer, 64 * kMiB, 10 * kMiB);
  const double first = pacer.cons_mark();
  for (int i = 0; i < 4; ++i) {
    RunCycle(pacer, 64 * kMiB, 5 * kMiB);
    EXPECT_DOUBLE_EQ(pacer.cons_mark(), first);
  }
  RunCycle(pacer, 64 * kMiB, 5 * kMiB);
  EXPECT_DOUBLE_EQ(pacer.cons_mark(), first / 2);
  RunCycle(pacer, 64 * kMiB, 20 * kMiB);
  EXPECT_DOUBLE_EQ(pacer.cons_mark(), first * 2);
}

TEST(GcPacerTest, ACycleWithoutAllocationTeachesNothing) {
  GcPacer pacer({});
  Grow(pacer, 64 * kMiB);
  RunCycle(pacer, 64 * kMiB, 10 * kMiB);
  const double learnt = pacer.cons_mark();
  for (int i = 0; i < 10; ++i) RunCycle(pacer, 64 * kMiB, 0);
  EXPECT_DOUBLE_EQ(pacer.cons_mark(), learnt);
}

TEST(GcPacerTest, ACycleOfNoTimeTeachesNothing) {
  GcPacer pacer({});
  pacer.StartCycle({.now = 50});
  Grow(pacer, kMiB);
  pacer.AddWork(ScanWork::kHeap, kMiB);
  const CycleResult result =
      pacer.EndCycle({.now = 40, .background_time = kMs, .marked = kMiB});
  EXPECT_EQ(result.cons_mark, 0);
  EXPECT_EQ(pacer.cons_mark(), 0);
  EXPECT_EQ(result.work, kMiB);
  EXPECT_EQ(result.live, kMiB);
}

TEST(GcPacerTest, StacksAndGlobalsAreInTheGoalAndInTheWork) {
  GcPacer pacer({});
  Grow(pacer, 16 * kMiB);
  pacer.StartCycle(
      {.processors = 4, .stack_bytes = 8 * kMiB, .global_bytes = 4 * kMiB});
  pacer.AddWork(ScanWork::kHeap, 16 * kMiB);
  pacer.AddWork(ScanWork::kStacks, 8 * kMiB);
  pacer.AddWork(ScanWork::kGlobals, 4 * kMiB);
  EXPECT_EQ(pacer.work_done(), 28 * kMiB);
  pacer.EndCycle({.now = kMs, .marked = 16 * kMiB});
  EXPECT_EQ(pacer.goal(), (16 + 28) * kMiB);
}

TEST(GcPacerTest, ThePriceIsPositiveWhileACycleMarksAndZeroOtherwise) {
  GcPacer pacer({});
  EXPECT_EQ(pacer.work_per_byte(), 0);
  EXPECT_EQ(pacer.bytes_per_work(), 0);
  pacer.Revise();
  EXPECT_EQ(pacer.work_per_byte(), 0);
  pacer.StartCycle({});
  const double price = pacer.work_per_byte();
  EXPECT_GT(price, 0);
  EXPECT_DOUBLE_EQ(pacer.bytes_per_work(), 1 / price);
  pacer.EndCycle({});
  EXPECT_EQ(pacer.work_per_byte(), 0);
}

TEST(GcPacerTest, ThePriceRisesAsTheHeapGrowsAndFallsAsWorkIsDone) {
  GcPacer pacer({});
  Grow(pacer, 64 * kMiB);
  RunCycle(pacer, 64 * kMiB);
  Grow(pacer, 50 * kMiB);
  pacer.StartCycle({.processors = 4});
  const double first = pacer.work_per_byte();
  EXPECT_DOUBLE_EQ(first, 64.0 / 14);
  Grow(pacer, 7 * kMiB);
  EXPECT_EQ(pacer.work_per_byte(), first);
  pacer.Revise();
  EXPECT_DOUBLE_EQ(pacer.work_per_byte(), 64.0 / 7);
  pacer.AddWork(ScanWork::kHeap, 32 * kMiB);
  pacer.Revise();
  EXPECT_DOUBLE_EQ(pacer.work_per_byte(), 32.0 / 7);
}

TEST(GcPacerTest, AThreadPaysWithCreditAndThenWithWork) {
  GcPacer pacer({});
  Grow(pacer, 64 * kMiB);
  RunCycle(pacer, 64 * kMiB);
  Grow(pacer, 32 * kMiB);
  pacer.StartCycle({.processors = 4});
  ASSERT_DOUBLE_EQ(pacer.work_per_byte(), 2.0);
  AssistAccount account;
  account.Charge(kMiB, pacer.cycle());
  pacer.credit().Add(kMiB);
  EXPECT_EQ(pacer.BeginAssist(account), kMiB + 1);
  EXPECT_EQ(account.debt(), kMiB / 2 - 1);
  pacer.FinishAssist(account, kMiB + 1);
  EXPECT_EQ(account.debt(), 0U);
}

TEST(GcPacerTest, CreditDoesNotOutliveItsCycle) {
  GcPacer pacer({});
  pacer.StartCycle({});
  pacer.credit().Add(1000);
  pacer.EndCycle({.marked = kMiB});
  EXPECT_EQ(pacer.credit().available(), 0U);
  pacer.credit().Add(1000);
  pacer.StartCycle({});
  EXPECT_EQ(pacer.credit().available(), 0U);
}

TEST(GcPacerTest, ACycleThatStartsLateStillHasRunway) {
  GcPacer pacer({});
  Grow(pacer, 50 * kMiB);
  pacer.StartCycle({});
  EXPECT_EQ(pacer.goal(), 50 * kMiB + kLeastRunway);
  pacer.EndCycle({.marked = kMiB});
  EXPECT_EQ(pacer.goal(), 4 * kMiB);
}

TEST(GcPacerTest, WhileSweepingNoCycleStartsBeforeAMegabyteIsAllocated) {
  GcPacer pacer({.gc_percent = 0});
  Grow(pacer, 2 * kMiB);
  RunCycle(pacer, 2 * kMiB);
  EXPECT_EQ(pacer.trigger(), 3 * kMiB);
  EXPECT_EQ(pacer.goal(), 3 * kMiB);
  pacer.SweepDone();
  EXPECT_EQ(pacer.goal(), 2 * kMiB + kLeastGrowth);
  EXPECT_LT(pacer.trigger(), pacer.goal());
  pacer.CheckInvariants();
}

TEST(GcPacerTest, TheLimitIsKeptThoughSweepingIsNotDone) {
  GcPacer pacer({.gc_percent = -1, .memory_limit = 5 * kMiB});
  Grow(pacer, 3 * kMiB);
  RunCycle(pacer, 3 * kMiB + 512 * 1024);
  EXPECT_EQ(pacer.goal(), 4 * kMiB);
  EXPECT_EQ(pacer.trigger(), 4 * kMiB);
}

TEST(GcPacerTest, NewSettingsTakeEffectAtOnce) {
  GcPacer pacer({.gc_percent = -1});
  EXPECT_EQ(pacer.trigger(), kNoGoal);
  Grow(pacer, 64 * kMiB);
  EXPECT_FALSE(pacer.due());
  EXPECT_EQ(pacer.SetGcPercent(100), -1);
  EXPECT_TRUE(pacer.due());
  EXPECT_EQ(pacer.SetGcPercent(-7), 100);
  EXPECT_FALSE(pacer.due());
  EXPECT_EQ(pacer.SetMemoryLimit(32 * kMiB), INT64_MAX);
  EXPECT_TRUE(pacer.due());
  EXPECT_EQ(pacer.SetMemoryLimit(-1), static_cast<int64_t>(32 * kMiB));
  EXPECT_EQ(pacer.memory_limit(), static_cast<int64_t>(32 * kMiB));
  pacer.CheckInvariants();
}

TEST(GcPacerTest, NewSettingsChangeThePriceOfTheCycleThatMarks) {
  GcPacer pacer({});
  Grow(pacer, 64 * kMiB);
  RunCycle(pacer, 64 * kMiB);
  Grow(pacer, 50 * kMiB);
  pacer.StartCycle({.processors = 4});
  const double price = pacer.work_per_byte();
  pacer.SetGcPercent(200);
  EXPECT_LT(pacer.work_per_byte(), price);
  pacer.SetGcPercent(85);
  EXPECT_GT(pacer.work_per_byte(), price);
  pacer.CheckInvariants();
}

TEST(GcPacerTest, TheFirstGoalUnderALimitLeavesRoomForTheHeapsOwnStructures) {
  GcPacer pacer({.gc_percent = -1, .memory_limit = 100 * kMiB});
  EXPECT_LE(pacer.goal(), 93 * kMiB);
  EXPECT_GE(pacer.goal(), 91 * kMiB);
  pacer.SetOverhead(12 * kMiB);
  EXPECT_EQ(pacer.goal(), 85 * kMiB);
}

TEST(GcPacerTest, ARefusedCycleIsNotDueBeforeTheHeapHasGrown) {
  GcPacer pacer({});
  Grow(pacer, 4 * kMiB);
  ASSERT_TRUE(pacer.due());
  pacer.CycleRefused();
  EXPECT_FALSE(pacer.due());
  EXPECT_EQ(pacer.goal(), 4 * kMiB);
  Grow(pacer, GcPacer::kGrowthToRetry - 1);
  EXPECT_FALSE(pacer.due());
  Grow(pacer, 1);
  EXPECT_TRUE(pacer.due());
  pacer.CycleRefused();
  EXPECT_FALSE(pacer.due());
  pacer.SetGcPercent(90);
  EXPECT_TRUE(pacer.due());
}

TEST(GcPacerTest, ARefusalDoesNotBringTheNextCycleForward) {
  GcPacer pacer({});
  const uint64_t trigger = pacer.trigger();
  pacer.CycleRefused();
  EXPECT_EQ(pacer.trigger(), trigger);
  GcPacer without_goal({.gc_percent = -1});
  without_goal.CycleRefused();
  EXPECT_EQ(without_goal.trigger(), kNoGoal);
}

TEST(GcPacerTest, TheFractionalWorkerKeepsToItsShare) {
  GcPacer pacer({});
  EXPECT_FALSE(pacer.FractionalMayRun(0, 0));
  const MarkWorkers workers = pacer.StartCycle({.now = 100, .processors = 2});
  EXPECT_EQ(workers.dedicated, 0);
  EXPECT_DOUBLE_EQ(workers.fractional, 0.5);
  EXPECT_TRUE(pacer.FractionalMayRun(0, 100));
  EXPECT_TRUE(pacer.FractionalMayRun(500, 1100));
  EXPECT_FALSE(pacer.FractionalMayRun(501, 1100));
  EXPECT_FALSE(pacer.FractionalMayRun(1, 50));
  pacer.EndCycle({});
  EXPECT_FALSE(pacer.FractionalMayRun(0, 2000));
  pacer.StartCycle({.processors = 4});
  EXPECT_FALSE(pacer.FractionalMayRun(0, 2000));
}

TEST(GcPacerTest, LiveHeapIsNeverNegative) {
  GcPacer pacer({});
  pacer.HeapLiveChanged(-100, -100);
  EXPECT_EQ(pacer.heap_live(), 0U);
  EXPECT_FALSE(pacer.due());
  pacer.StartCycle({});
  pacer.Revise();
  pacer.CheckInvariants();
}

TEST(GcPacerTest, RefillsWorkersAndSettingsMayMeet) {
  GcPacer pacer({});
  pacer.StartCycle({.processors = 4, .stack_bytes = kMiB});
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&pacer, t] {
      AssistAccount account;
      for (int i = 0; i < 5000; ++i) {
        Grow(pacer, 8192);
        pacer.Revise();
        account.Charge(8192, pacer.cycle());
        if (account.debt() > 0) {
          const uint64_t work = pacer.BeginAssist(account);
          pacer.AddWork(ScanWork::kHeap, work);
          pacer.FinishAssist(account, work);
        }
        pacer.credit().Add(100);
        if (t == 0 && i % 64 == 0) pacer.SetGcPercent(50 + i % 100);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  pacer.CheckInvariants();
  EXPECT_EQ(pacer.heap_live(), uint64_t{3} * 5000 * 8192);
  pacer.EndCycle({.now = kMs, .marked = kMiB});
  pacer.CheckInvariants();
}

TEST(GcPacerDeathTest, CallsOutOfOrderAreFatal) {
  GcPacer pacer({});
  EXPECT_DEATH(pacer.EndCycle({}), "cycle 0 ends a second time");
  pacer.StartCycle({});
  EXPECT_DEATH(pacer.StartCycle({}), "a cycle starts while cycle 1 marks");
}

}  // namespace
}  // namespace tricolor::gc
