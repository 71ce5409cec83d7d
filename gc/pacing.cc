// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/pacing.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tricolor/base/saturating.h"

namespace tricolor::gc {
namespace {

// The bounds of the trigger, in 64ths of the way from marked to goal.
constexpr uint64_t kWay = 64;
constexpr uint64_t kEarliest = 45;
constexpr uint64_t kLatest = 61;
// How far beyond its goal a heap that outruns it is paced to.
constexpr double kOvershoot = 1.1;
// A cycle is never taken to be nearer to its end than this.
constexpr uint64_t kLeastWork = 1000;
// Of the processors, that mark: what is more leaves the program nothing.
constexpr double kMostUtilization = 0.99;
constexpr double kMostWorkerError = 0.3;

uint64_t Limit(const GoalInputs& in) {
  if (in.memory_limit == INT64_MAX) return kNoGoal;
  return static_cast<uint64_t>(std::max<int64_t>(in.memory_limit, 0));
}

uint64_t MinHeap(const GoalInputs& in) {
  return SaturatingMul(in.min_heap, std::max(in.allocators, uint64_t{1}));
}

// What is live, with the least room that any goal leaves above.
uint64_t LeastUnderLimit(uint64_t marked) {
  return SaturatingAdd(marked, std::max(marked / 16, kLeastGrowth));
}

// [0, 1]; 0 for what is not a number.
double Share(double value) { return value > 0 ? std::min(value, 1.0) : 0.0; }

}  // namespace

// ---- Goals.

uint64_t PercentGoal(const GoalInputs& in) {
  if (in.gc_percent < 0) return kNoGoal;
  const auto percent = static_cast<uint32_t>(in.gc_percent);
  const uint64_t base = SaturatingAdd(in.marked, in.roots);
  const uint64_t growth = std::max(PercentOf(base, percent), kLeastGrowth);
  return std::max(SaturatingAdd(in.marked, growth),
                  PercentOf(MinHeap(in), percent));
}

uint64_t LimitGoal(const GoalInputs& in) {
  const uint64_t limit = Limit(in);
  if (limit == kNoGoal) return kNoGoal;
  const uint64_t margin = std::max(limit / 100 * 3, uint64_t{1} << 20);
  const uint64_t taken = SaturatingAdd(in.overhead, margin);
  return std::max(SaturatingSub(limit, taken), LeastUnderLimit(in.marked));
}

uint64_t HeapGoal(const GoalInputs& in) {
  return std::min(PercentGoal(in), LimitGoal(in));
}

uint64_t HardGoal(const GoalInputs& in) {
  const uint64_t goal = HeapGoal(in);
  const uint64_t percent =
      in.gc_percent < 0
          ? kNoGoal
          : SaturatingAdd(
                goal, PercentOf(goal, static_cast<uint32_t>(in.gc_percent)));
  const uint64_t limit = Limit(in);
  const uint64_t room =
      limit == kNoGoal ? kNoGoal : SaturatingSub(limit, in.overhead);
  return std::max(goal, std::min(percent, room));
}

uint64_t OverheadOf(const HeldMemory& memory, int64_t memory_limit) {
  const uint64_t useful = SaturatingAdd(memory.free_pages, memory.objects);
  const uint64_t overhead = SaturatingSub(memory.held, useful);
  const uint64_t limit = Limit({.memory_limit = memory_limit});
  return SaturatingAdd(overhead, SaturatingSub(memory.held, limit));
}

// ---- Trigger.

uint64_t TriggerFor(const TriggerInputs& in) {
  if (in.goal == kNoGoal || in.marked >= in.goal) return in.goal;
  const uint64_t way = in.goal - in.marked;
  // Exact and without overflow: the parts of a 64th count too.
  const auto at = [&](uint64_t parts) {
    return in.marked + way / kWay * parts + way % kWay * parts / kWay;
  };
  const uint64_t earliest =
      std::min(std::max(at(kEarliest), in.least), in.goal);
  const uint64_t latest =
      std::max({at(kLatest), SaturatingSub(in.goal, kLatestTrigger), earliest});
  return std::clamp(SaturatingSub(in.goal, in.runway), earliest, latest);
}

double ConsMark(const MarkRates& rates) {
  if (rates.allocated == 0 || rates.work == 0) return 0;
  const double marking = std::min(Share(rates.utilization), kMostUtilization);
  const double idle = Share(rates.idle_utilization);
  return static_cast<double>(rates.allocated) * (marking + idle) /
         (static_cast<double>(rates.work) * (1 - marking));
}

uint64_t Runway(double cons_mark, uint64_t work) {
  constexpr double kMutatorShare = (1 - kGoalUtilization) / kGoalUtilization;
  return Scaled(work, cons_mark * kMutatorShare);
}

// ---- Assists.

double WorkPerByte(const AssistInputs& in) {
  uint64_t goal = in.goal;
  uint64_t work = in.expected_work;
  if (in.work_done > work) {
    // More is live than was: as if the runway had been made for all of it.
    const uint64_t runway = SaturatingSub(goal, in.triggered);
    const double more = static_cast<double>(in.most_work) /
                        static_cast<double>(std::max<uint64_t>(work, 1));
    const uint64_t extended = SaturatingAdd(in.triggered, Scaled(runway, more));
    goal = std::max(goal, std::min(extended, in.hard_goal));
    work = in.most_work;
  }
  if (in.live > goal) {
    goal = Scaled(goal, kOvershoot);
    work = in.most_work;
  }
  const uint64_t left = std::max(SaturatingSub(work, in.work_done), kLeastWork);
  const uint64_t room = std::max<uint64_t>(SaturatingSub(goal, in.live), 1);
  return static_cast<double>(left) / static_cast<double>(room);
}

// ---- Workers.

MarkWorkers MarkWorkersFor(int processors) {
  const double share = kGoalUtilization * std::max(processors, 1);
  double dedicated = std::floor(share + 0.5);
  if (std::abs(dedicated / share - 1) <= kMostWorkerError) {
    return {.dedicated = static_cast<int>(dedicated)};
  }
  dedicated = std::floor(share);
  return {.dedicated = static_cast<int>(dedicated),
          .fractional = share - dedicated};
}

}  // namespace tricolor::gc
