// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Pacer: how large the heap may grow before the next collection. It hears of
// every span that a cache takes or gives back, and raises a flag when the heap
// in use has reached the trigger.
//
//   goal = marked + (marked + roots) * gc_percent / 100
//          at least min_heap * gc_percent / 100
//          at most what the memory limit leaves for objects
//
// The world is stopped for marking, so the trigger is the goal. Go counterpart:
// mgcpacer.go, memoryLimitHeapGoal. Thread-safe: HeapLiveChanged is lock-free,
// the rest guarded by a mutex.

#ifndef TRICOLOR_RUNTIME_PACER_H_
#define TRICOLOR_RUNTIME_PACER_H_

#include <cstdint>

#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/mutex.h"
#include "tricolor/mcache/mcache.h"

namespace tricolor::runtime {

// What the goal is computed from. Sizes in bytes.
struct GoalInputs {
  uint64_t marked = 0;    // objects found live by the last cycle
  uint64_t roots = 0;     // searched outside of the heap by it
  uint64_t overhead = 0;  // memory in use that is not objects'
  uint64_t min_heap = 0;  // at 100 percent
  int gc_percent = 100;   // negative: no goal of its own
  int64_t memory_limit = INT64_MAX;
};

// UINT64_MAX: no collection by itself.
uint64_t HeapGoal(const GoalInputs& inputs);

class Pacer final : public mcache::AllocationObserver {
 public:
  // A goal leaves at least this room above what is live, and under the memory
  // limit a sixteenth of that: a limit that cannot be met, or 0 percent, does
  // not make the program collect all the time.
  static constexpr uint64_t kLeastGrowth = 256 << 10;
  static constexpr uint64_t kGrowthToRetry = 1 << 20;

  // `concurrent`: the trigger leaves room for what is allocated while a cycle
  // marks.
  Pacer(int gc_percent, int64_t memory_limit, uint64_t min_heap,
        bool concurrent = false);

  // mcache::AllocationObserver.
  void HeapLiveChanged(int64_t bytes) override {
    const int64_t live = live_.FetchAddRelaxed(bytes) + bytes;
    if (ABSL_PREDICT_TRUE(live < trigger_.LoadRelaxed())) return;
    due_.StoreRelaxed(true);
  }

  // Whether a collection is due. A hint: relaxed.
  bool due() const { return due_.LoadRelaxed(); }
  // Bytes in objects and in cached free slots.
  uint64_t heap_live() const;
  uint64_t goal() const;
  uint64_t trigger() const {
    return static_cast<uint64_t>(trigger_.LoadRelaxed());
  }
  // Whether the heap has outgrown its goal by a tenth or, where the goal is the
  // memory limit's, at all. A hint: relaxed.
  bool overdue() const { return live_.LoadRelaxed() >= most_.LoadRelaxed(); }

  // A cycle could not take place: none is due before the heap in use has grown
  // by a sixteenth, at least by kGrowthToRetry, or the settings change.
  void CycleRefused();
  // World stopped, at the end of a cycle.
  void CycleDone(uint64_t marked, uint64_t roots, uint64_t overhead);

  // Return the value before.
  int SetGcPercent(int percent);
  int64_t SetMemoryLimit(int64_t bytes);
  int64_t memory_limit() const;

 private:
  void SetGoal() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Atomic<int64_t> live_;
  Atomic<int64_t> trigger_;
  Atomic<int64_t> most_;
  const bool concurrent_;
  Atomic<bool> due_;
  mutable Mutex mutex_{LockRank::kPacer};
  GoalInputs inputs_ ABSL_GUARDED_BY(mutex_);
  uint64_t goal_ ABSL_GUARDED_BY(mutex_) = 0;
  // Whether a cycle has told the overhead; until then it is estimated.
  bool measured_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_PACER_H_
