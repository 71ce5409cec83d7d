// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The equations of pacing (docs/pacing.md), each a pure function:
//
//   HeapGoal            how large the heap may be when marking ends
//   TriggerFor          how large it may be when marking starts
//   ConsMark            how fast the program allocates per byte scanned
//   WorkPerByte         how much a thread has to scan for what it allocates
//   MarkWorkersFor      how many threads mark in the background
//
// Sizes and scan work in bytes, UINT64_MAX for "no bound". Results are finite
// and never wrap, whatever the arguments (INV-GC-PACE-1).
//
// Go counterpart: mgcpacer.go. Pure functions; a few dozen instructions each.

#ifndef TRICOLOR_GC_PACING_H_
#define TRICOLOR_GC_PACING_H_

#include <cstdint>

namespace tricolor::gc {

inline constexpr uint64_t kNoGoal = UINT64_MAX;

// The share of the processors that marking is given.
inline constexpr double kGoalUtilization = 0.25;
// A goal leaves at least this room above what is live, and under the memory
// limit a sixteenth of that: a limit that cannot be met, or 0 percent, does not
// make the program collect all the time.
inline constexpr uint64_t kLeastGrowth = 256 << 10;
// A cycle that starts late has at least this much to allocate until its goal.
inline constexpr uint64_t kLeastRunway = 64 << 10;
// A trigger may be this close to a goal that is far away.
inline constexpr uint64_t kLatestTrigger = 4 << 20;

// What the goal is computed from.
struct GoalInputs {
  uint64_t marked = 0;    // objects found live by the last cycle
  uint64_t roots = 0;     // stacks and globals, searched outside of the heap
  uint64_t overhead = 0;  // memory held that is not objects'
  // At 100 percent, for each processor that the program allocates on: with one
  // least size for all, cycles would follow each other the faster the more of
  // the program runs at once.
  uint64_t min_heap = 0;
  uint64_t allocators = 1;  // such processors
  int gc_percent = 100;     // negative: no goal of its own
  int64_t memory_limit = INT64_MAX;
};

// marked + (marked + roots) * gc_percent / 100, with the two minimums.
uint64_t PercentGoal(const GoalInputs& inputs);
// What the memory limit leaves for objects, after a margin for what grows
// between two looks at it: 3 percent, at least 1 MiB.
uint64_t LimitGoal(const GoalInputs& inputs);
// The lesser.
uint64_t HeapGoal(const GoalInputs& inputs);
// How far the goal may be moved when there turns out to be more to scan than
// there was: what would be the goal if all of the heap at the goal were live,
// but never more than the limit itself leaves. At least HeapGoal.
uint64_t HardGoal(const GoalInputs& inputs);

// Memory that the heap holds, from which its overhead under a limit follows.
struct HeldMemory {
  uint64_t held = 0;        // committed, by spans and the heap's structures
  uint64_t free_pages = 0;  // of it, in free pages: those can be given back
  uint64_t objects = 0;     // of it, in objects, dead ones included
};
// GoalInputs::overhead: what is neither objects' nor free, and what is held
// beyond the limit.
uint64_t OverheadOf(const HeldMemory& memory, int64_t memory_limit);

struct TriggerInputs {
  uint64_t marked = 0;
  uint64_t goal = 0;
  uint64_t least = 0;   // no trigger below it, unless the goal is
  uint64_t runway = 0;  // expected to be allocated while the cycle marks
};
// goal - runway, but from 70 to 95 percent of the way from marked to goal; up
// to kLatestTrigger before a goal that is further away.
uint64_t TriggerFor(const TriggerInputs& inputs);

// What a cycle was seen to do. The shares are of all processors' time.
struct MarkRates {
  uint64_t allocated = 0;
  uint64_t work = 0;
  double utilization = 0;       // background workers and assists
  double idle_utilization = 0;  // workers on processors with nothing else to do
};
// Bytes allocated in a second of one processor's time, by bytes scanned in a
// second of one processor's time. 0 for what says nothing.
double ConsMark(const MarkRates& rates);
// What will be allocated while `work` is scanned with kGoalUtilization.
uint64_t Runway(double cons_mark, uint64_t work);

struct AssistInputs {
  uint64_t live = 0;
  uint64_t goal = 0;
  uint64_t hard_goal = 0;
  uint64_t triggered = 0;  // live when the cycle started
  uint64_t work_done = 0;
  uint64_t expected_work = 0;  // the last cycle's
  uint64_t most_work = 0;      // if nothing that can be scanned has died
};
// Scan work for each byte allocated, so that both end together; positive.
double WorkPerByte(const AssistInputs& inputs);

struct MarkWorkers {
  int dedicated = 0;  // mark and do nothing else while the cycle marks
  // The share of its time that one more worker marks, at least 0, less than 1.
  double fractional = 0;
};
// kGoalUtilization of the processors; none is dedicated where that would miss
// it by more than 30 percent.
MarkWorkers MarkWorkersFor(int processors);

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_PACING_H_
