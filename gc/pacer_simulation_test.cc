// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Whether the equations of pacing, closed to a loop, do what they are for: the
// heap is at its goal when marking ends, and collection has its quarter of the
// processors.

#include "tricolor/gc/pacer_simulation.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/test_random.h"

namespace tricolor::gc {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr double kPi = 3.14159265358979;
constexpr int kCycles = 50;

struct Range {
  double least;
  double most;
};

// Every cycle but the first `from`.
void ExpectGoal(const std::vector<SimulatedCycle>& cycles, size_t from,
                Range goal, size_t to = kCycles) {
  for (size_t i = from; i < to; ++i) {
    EXPECT_GE(cycles[i].goal_ratio(), goal.least) << "cycle " << i;
    EXPECT_LE(cycles[i].goal_ratio(), goal.most) << "cycle " << i;
  }
}
void ExpectShare(const std::vector<SimulatedCycle>& cycles, size_t from,
                 Range share, size_t to = kCycles) {
  for (size_t i = from; i < to; ++i) {
    EXPECT_GE(cycles[i].utilization, share.least) << "cycle " << i;
    EXPECT_LE(cycles[i].utilization, share.most) << "cycle " << i;
  }
}
// 70 to 95 percent of the way, or 4 MiB from a distant goal.
void ExpectTriggerInBounds(const std::vector<SimulatedCycle>& cycles,
                           size_t from) {
  for (size_t i = from; i < cycles.size(); ++i) {
    EXPECT_GE(cycles[i].trigger_ratio(), 0.699) << "cycle " << i;
    if (cycles[i].trigger + kLatestTrigger >= cycles[i].goal) continue;
    EXPECT_LE(cycles[i].trigger_ratio(), 0.954) << "cycle " << i;
  }
}

constexpr Range kAtGoal{0.97, 1.02};
constexpr Range kAQuarter{0.249, 0.275};

std::vector<SimulatedCycle> Simulate(const SimulatedProgram& program,
                                     const PacerSettings& settings = {}) {
  PacerSimulation simulation(settings, program);
  return simulation.Run(kCycles);
}

// ---- Without a limit.

TEST(PacerSimulationTest, ASteadyProgramIsAtItsGoalWithAQuarter) {
  const auto cycles = Simulate({});
  ExpectGoal(cycles, 2, kAtGoal);
  ExpectShare(cycles, 2, {0.249, 0.26});
  ExpectTriggerInBounds(cycles, 2);
  // The trigger is where it is because of what was learnt, not at a bound.
  EXPECT_NEAR(cycles.back().trigger_ratio(), 0.91, 0.01);
}

TEST(PacerSimulationTest, ASteadyProgramIsAtItsGoalOnAnyNumberOfProcessors) {
  for (const int processors : {1, 2, 3, 4, 5, 6, 7, 10, 64}) {
    SCOPED_TRACE(processors);
    const auto cycles = Simulate({.processors = processors});
    ExpectGoal(cycles, 2, {0.96, 1.03});
    const MarkWorkers workers = MarkWorkersFor(processors);
    const double share = (workers.dedicated + workers.fractional) / processors;
    ExpectShare(cycles, 2, {share - 0.001, std::max(share, 0.25) + 0.03});
  }
}

TEST(PacerSimulationTest, AGrowingProgramStaysCloseToItsGoal) {
  const auto cycles = Simulate(
      {.growth = [](int cycle) { return cycle < 12 ? 2 - cycle / 12.0 : 1.0; },
       .live = 2 * kMiB});
  EXPECT_GT(cycles.back().live, 250 * kMiB);
  ExpectGoal(cycles, 0, {0.97, 1.06});
  ExpectShare(cycles, 0, {0.249, 0.29});
  ExpectGoal(cycles, 13, kAtGoal);
  ExpectShare(cycles, 13, kAQuarter);
  ExpectTriggerInBounds(cycles, 0);
}

TEST(PacerSimulationTest, AProgramThatShrinksIsAtItsGoal) {
  const auto cycles =
      Simulate({.growth = Step(0.9, 1, 30), .live = 512 * kMiB});
  ExpectGoal(cycles, 2, {0.93, 1.02});
  ExpectGoal(cycles, 32, kAtGoal);
  ExpectShare(cycles, 32, kAQuarter);
}

TEST(PacerSimulationTest, MoreSurvivorsThanEverMoveTheGoalALittle) {
  const auto cycles =
      Simulate({.growth = [](int cycle) { return cycle == 30 ? 1.9 : 1.0; }});
  ExpectGoal(cycles, 2, kAtGoal, 30);
  ExpectGoal(cycles, 30, {1.0, 1.1}, 31);
  ExpectGoal(cycles, 31, kAtGoal);
  ExpectShare(cycles, 30, kAQuarter, 31);
}

TEST(PacerSimulationTest, LargeStacksAndGlobalsCountInTheGoal) {
  const auto stacks = Simulate({.alloc_rate = Always(132),
                                .stacks = Always(256 << 20),
                                .live = 4 * kMiB});
  ExpectGoal(stacks, 3, kAtGoal);
  ExpectShare(stacks, 3, kAQuarter);
  EXPECT_GT(stacks.back().goal, 256 * kMiB);
  const auto globals = Simulate(
      {.alloc_rate = Always(128), .globals = 128 * kMiB, .live = 4 * kMiB});
  ExpectGoal(globals, 3, kAtGoal);
  ExpectShare(globals, 3, kAQuarter);
  EXPECT_GT(globals.back().goal, 128 * kMiB);
}

TEST(PacerSimulationTest, AStepOfTheAllocationRateIsMetByAssistsAndThenLearnt) {
  const auto cycles = Simulate({.alloc_rate = Step(33, 66, 30)});
  ExpectGoal(cycles, 2, kAtGoal);
  ExpectShare(cycles, 30, {0.3, 0.45}, 31);
  ExpectShare(cycles, 32, kAQuarter);
  EXPECT_LT(cycles[35].trigger_ratio(), cycles[25].trigger_ratio() - 0.05);
}

TEST(PacerSimulationTest, AStepDownIsForgottenAfterFiveCycles) {
  const auto cycles = Simulate({.alloc_rate = Step(66, 33, 20)});
  ExpectGoal(cycles, 2, {0.93, 1.02});
  ExpectGoal(cycles, 26, kAtGoal);
  EXPECT_NEAR(cycles[24].trigger_ratio(), cycles[19].trigger_ratio(), 0.02);
  EXPECT_GT(cycles[27].trigger_ratio(), cycles[19].trigger_ratio() + 0.05);
}

TEST(PacerSimulationTest, AllocationTooFastForTheQuarterIsPaidByAssists) {
  const auto cycles = Simulate({.alloc_rate = Step(33, 363, 30)});
  ExpectGoal(cycles, 2, kAtGoal);
  ExpectShare(cycles, 30, {0.5, 0.85}, 31);
  ExpectShare(cycles, 32, {0.4, 0.5});
  ExpectTriggerInBounds(cycles, 2);
  EXPECT_NEAR(cycles.back().trigger_ratio(), 0.703, 0.002);
}

TEST(PacerSimulationTest, AStepOfTheScannableShareIsLearnt) {
  const auto cycles =
      Simulate({.alloc_rate = Always(128), .scannable = Step(0.2, 0.7, 30)});
  ExpectGoal(cycles, 2, kAtGoal, 30);
  ExpectGoal(cycles, 30, {1, 1.12}, 31);
  ExpectGoal(cycles, 32, kAtGoal);
  ExpectShare(cycles, 32, kAQuarter);
}

TEST(PacerSimulationTest, AStepOfTheScanRateIsLearnt) {
  const auto cycles = Simulate({.scan_rate = Step(1024, 512, 30)});
  ExpectGoal(cycles, 2, kAtGoal);
  ExpectShare(cycles, 32, kAQuarter);
}

TEST(PacerSimulationTest, HighPercentagesSurviveAStepOfTheLiveHeap) {
  const auto cycles =
      Simulate({.growth = [](int cycle) { return cycle == 30 ? 10.0 : 1.0; },
                .live = 16 * kMiB},
               {.gc_percent = 1500});
  ExpectGoal(cycles, 2, {0.97, 1.02}, 30);
  ExpectGoal(cycles, 30, {0.97, 1.2}, 31);
  ExpectGoal(cycles, 31, {0.97, 1.02});
}

TEST(PacerSimulationTest, OscillatingRatesNeverOutrunTheGoal) {
  const auto cycles = Simulate({.alloc_rate = [](int cycle) {
    return 67 + 13 * std::sin(2 * kPi * cycle / 8);
  }});
  ExpectGoal(cycles, 3, {0.94, 1.02});
  ExpectShare(cycles, 10, kAQuarter);
}

TEST(PacerSimulationTest, JitterOfRatesAndHeapNeverOutrunsTheGoalByMuch) {
  TestRandom random(TestSeed());
  // Streams are asked several times for the same cycle.
  std::vector<double> noise(3 * kCycles);
  for (double& n : noise) {
    n = static_cast<double>(random.Below(2001)) / 1000 - 1;
  }
  const auto jitter = [&noise](double value, double amplitude, size_t stream) {
    return [=, &noise](int cycle) {
      return value +
             amplitude * noise[stream * kCycles + static_cast<size_t>(cycle)];
    };
  };
  const auto light = Simulate({.alloc_rate = jitter(132, 13, 0),
                               .scan_rate = jitter(1024, 12, 1),
                               .growth = jitter(1, 0.01, 2)});
  ExpectGoal(light, 10, {0.9, 1.04});
  ExpectShare(light, 10, {0.249, 0.32});
  const auto heavy = Simulate({.alloc_rate = jitter(33, 30, 0),
                               .scan_rate = jitter(1024, 500, 1),
                               .growth = jitter(1, 0.05, 2)});
  ExpectGoal(heavy, 10, {0.7, 1.1});
  // Worst: the latest trigger, then the fastest allocation and slowest scan.
  // 63 KiB for 22 of work each, by that and 524.
  ExpectShare(heavy, 10, {0.249, 0.8});
  ExpectTriggerInBounds(heavy, 2);
}

TEST(PacerSimulationTest, SmallHeapsCollectAtTheMinimum) {
  const auto cycles = Simulate(
      {.alloc_rate = Always(2), .scan_rate = Always(2048), .live = kMiB});
  for (const SimulatedCycle& cycle : cycles) EXPECT_EQ(cycle.goal, 4 * kMiB);
  ExpectGoal(cycles, 1, {0.94, 1.02});
  ExpectTriggerInBounds(cycles, 1);
}

TEST(PacerSimulationTest, ZeroPercentCollectsWithTheLeastRoom) {
  const auto cycles = Simulate({.live = 8 * kMiB}, {.gc_percent = 0});
  ExpectGoal(cycles, 2, {0.95, 1.1});
}

TEST(PacerSimulationTest, ANewPercentageHoldsFromTheNextCycleOn) {
  PacerSimulation simulation({}, {});
  simulation.Run(10);
  simulation.pacer().SetGcPercent(300);
  const auto more = simulation.Run(kCycles);
  EXPECT_GT(more[0].goal, 200 * kMiB);
  ExpectGoal(more, 1, kAtGoal);
  simulation.pacer().SetGcPercent(20);
  const auto less = simulation.Run(kCycles);
  ExpectGoal(less, 1, {0.97, 1.03});
}

// ---- With a limit.

void ExpectBelow(const std::vector<SimulatedCycle>& cycles, size_t from,
                 uint64_t limit) {
  for (size_t i = from; i < cycles.size(); ++i) {
    EXPECT_LE(cycles[i].peak, limit) << "cycle " << i;
  }
}

TEST(PacerSimulationLimitTest, AFarLimitChangesNothing) {
  const auto without = Simulate({});
  const auto with = Simulate({}, {.memory_limit = 1 << 30});
  for (size_t i = 0; i < kCycles; ++i) {
    EXPECT_EQ(with[i].peak, without[i].peak);
  }
}

TEST(PacerSimulationLimitTest, TheLimitIsTheGoalWithoutAPercentage) {
  const auto cycles = Simulate({.live = 200 * kMiB, .overhead = 8 * kMiB},
                               {.gc_percent = -1, .memory_limit = 512 << 20});
  ExpectBelow(cycles, 0, 504 * kMiB);
  ExpectGoal(cycles, 1, kAtGoal);
  ExpectShare(cycles, 1, kAQuarter);
  EXPECT_GT(cycles.back().goal, 480 * kMiB);
}

TEST(PacerSimulationLimitTest, ATightLimitIsKeptByMoreCollection) {
  const auto cycles = Simulate({.live = 400 * kMiB, .overhead = 8 * kMiB},
                               {.memory_limit = 512 << 20});
  ExpectBelow(cycles, 0, 504 * kMiB);
  ExpectGoal(cycles, 2, kAtGoal);
  ExpectShare(cycles, 2, {0.25, 0.5});
}

TEST(PacerSimulationLimitTest, GrowthTowardsTheLimitDoesNotExceedIt) {
  const auto cycles =
      Simulate({.growth = [](int cycle) { return cycle < 35 ? 1.05 : 1.0; },
                .live = 80 * kMiB,
                .overhead = 8 * kMiB},
               {.memory_limit = 512 << 20});
  EXPECT_GT(cycles.back().live, 400 * kMiB);
  ExpectBelow(cycles, 0, 504 * kMiB);
  ExpectGoal(cycles, 2, {0.97, 1.04});
}

TEST(PacerSimulationLimitTest, AStepOfTheLiveHeapStaysBelowTheLimit) {
  const auto cycles =
      Simulate({.growth = [](int cycle) { return cycle == 30 ? 1.9 : 1.0; },
                .live = 200 * kMiB},
               {.memory_limit = 512 << 20});
  ExpectBelow(cycles, 0, 512 * kMiB);
  ExpectGoal(cycles, 31, kAtGoal);
}

TEST(PacerSimulationLimitTest, ANewLimitHoldsFromTheNextCycleOn) {
  PacerSimulation simulation({}, {.live = 200 * kMiB});
  simulation.Run(5);
  simulation.pacer().SetMemoryLimit(320 << 20);
  ExpectBelow(simulation.Run(kCycles), 1, 320 * kMiB);
  simulation.pacer().SetMemoryLimit(INT64_MAX);
  ExpectGoal(simulation.Run(kCycles), 1, kAtGoal);
  EXPECT_GT(simulation.pacer().goal(), 380 * kMiB);
}

// ---- Limits that cannot be met.

const SimulatedProgram kTooMuch{
    .alloc_rate = Always(1024), .live = 400 * kMiB, .overhead = 8 * kMiB};

TEST(PacerSimulationLimiterTest, CollectionHasHalfOfTheMachineAtMost) {
  for (const int processors : {1, 2, 4, 8}) {
    SCOPED_TRACE(processors);
    SimulatedProgram program = kTooMuch;
    program.processors = processors;
    PacerSimulation simulation({.gc_percent = -1, .memory_limit = 256 << 20},
                               program);
    simulation.Run(60);
    EXPECT_GT(simulation.limiter().fill(),
              simulation.limiter().capacity() / 10 * 9);
    simulation.ResetShare();
    bool limited = false;
    for (int i = 0; i < 100; ++i) limited |= simulation.RunCycle().limited;
    EXPECT_TRUE(limited);
    EXPECT_LE(simulation.share(), 0.51);
    EXPECT_GE(simulation.share(), 0.4);
  }
}

TEST(PacerSimulationLimiterTest, ItTakesWhatItNeedsUntilTheBucketIsFull) {
  PacerSimulation simulation({.gc_percent = -1, .memory_limit = 256 << 20},
                             kTooMuch);
  simulation.Run(3);
  simulation.ResetShare();
  const SimulatedCycle cycle = simulation.RunCycle();
  EXPECT_FALSE(cycle.limited);
  EXPECT_LE(cycle.goal_ratio(), 1.02);
  EXPECT_GT(simulation.share(), 0.8);
}

TEST(PacerSimulationLimiterTest, TheProgramRecoversWhenTheLimitIsRaised) {
  PacerSimulation simulation({.memory_limit = 256 << 20}, kTooMuch);
  simulation.Run(100);
  simulation.pacer().SetMemoryLimit(INT64_MAX);
  simulation.Run(20);
  EXPECT_FALSE(simulation.limiter().limiting());
  simulation.ResetShare();
  for (const SimulatedCycle& cycle : simulation.Run(20)) {
    EXPECT_FALSE(cycle.limited);
    EXPECT_LE(cycle.goal_ratio(), 1.05);
  }
  EXPECT_LE(simulation.share(), 0.5);
}

TEST(PacerSimulationLimiterTest, APercentageAloneDoesNotWakeIt) {
  PacerSimulation simulation({}, {.alloc_rate = Always(363)});
  for (const SimulatedCycle& cycle : simulation.Run(100)) {
    EXPECT_FALSE(cycle.limited);
  }
}

}  // namespace
}  // namespace tricolor::gc
