// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Collector: runs collection cycles, one at a time, on the thread that asks for
// one. A cycle:
//
//   sweep what the last cycle left                    world runs
//   reserve mark bits for this cycle's sweep          or give the cycle up
//   stop; flush stale caches; sweep the rest; rotate mark bits; park runs
//   mark, on all workers                              world stopped
//   new sweep generation, pace and goal; start
//   wake the background sweeper, which wakes the
//   background scavenger                              world runs
//   only if forced: flush all caches, sweep everything
//
// A thread waits for a cycle, or for its turn, in native state.
// Go counterpart: gcStart, gcMarkTermination, GC in mgc.go. Thread-safe.

#ifndef TRICOLOR_RUNTIME_COLLECTOR_H_
#define TRICOLOR_RUNTIME_COLLECTOR_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/units.h"
#include "tricolor/gc/marker.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/processor_cache.h"
#include "tricolor/runtime/background_scavenger.h"
#include "tricolor/runtime/background_sweeper.h"
#include "tricolor/runtime/gc_log.h"
#include "tricolor/runtime/mark_crew.h"
#include "tricolor/runtime/mem_stats.h"
#include "tricolor/runtime/pacer.h"
#include "tricolor/runtime/root_set.h"
#include "tricolor/runtime/root_table.h"
#include "tricolor/runtime/scavenge_log.h"
#include "tricolor/runtime/world.h"
#include "tricolor/sweep/sweeper.h"

namespace tricolor::runtime {

// What a collector works with; all of it outlives the collector.
struct CollectorParts {
  mheap::MHeap& heap;
  sweep::Sweeper& sweeper;
  gc::Marker& marker;
  World& world;
  RootTable& roots;
  RootSet& root_set;
  Pacer& pacer;
};

struct CollectorOptions {
  int workers = 1;  // at most
  // Whether a small heap is marked by fewer: waking a thread takes about as
  // long as marking a megabyte.
  bool adapt_workers = false;
  bool background_sweep = true;
  bool background_scavenge = true;
  bool trace = false;
  bool trace_scavenging = false;
};

class Collector final : private BackgroundSweeper::Listener {
 public:
  Collector(const CollectorParts& parts, const CollectorOptions& options);
  // No cycle runs. Ends the threads.
  ~Collector();
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  // Runs, or shares with others, a whole cycle that begins after the call, and
  // its sweep. A cycle that the OS gives no memory for does not take place.
  void Collect();
  // Runs a cycle if one is due, or waits for the one that runs.
  void CollectIfDue();

  // While it lives no cycle runs. On a native thread.
  class Turn {
   public:
    explicit Turn(Collector& collector);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Collector& collector_;
  };

  // ---- In a Turn.
  // Afterwards no cache holds stale spans.
  void FlushCaches(const Turn&) { parts_.world.FinishFlush(); }
  // Afterwards every span has been swept.
  void FinishSweep(const Turn& turn);
  void PauseBackground(const Turn&);
  void ResumeBackground(const Turn&);

  // The percentage or the limit of the pacer has changed.
  void GoalsChanged();
  // A request has given memory back.
  void LogScavenging() {
    if (options_.trace_scavenging) scavenge_log_.Print(/*forced=*/true);
  }

  // The part of the statistics that is about collections.
  void ReadStats(MemStats* stats) const;

 private:
  // BackgroundSweeper::Listener.
  void SweptInBackground() override { ReturnMemory(); }

  // How many workers the heap is worth, of those that there are.
  int WorkersFor(uint64_t heap_live, int present) const;
  void BeginTurn();
  void EndTurn();
  // Does nothing but sweep when the OS refuses the memory that the cycle's own
  // sweep would need.
  void RunCycle(bool forced);
  [[nodiscard]] bool SweepRest()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(parts_.world.stopped());
  uint64_t Mark(CycleRecord* record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(parts_.world.stopped());
  void StartSweep(CycleRecord* record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(parts_.world.stopped());
  void SweepEverything();
  // What the page heap may hold from now on.
  void SetScavengeGoals() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Gives free memory beyond the goals to the OS, or has it given.
  void ReturnMemory();
  void Account(CycleRecord* record, uint64_t cpu);
  // The cycle does not take place; the next one is not due at once.
  void Refuse(const CycleRecord& record);

  const CollectorParts parts_;
  const CollectorOptions options_;
  const uint64_t made_at_;
  // Of whoever has the turn.
  mheap::ProcessorCache processor_;
  uint64_t last_marked_ = 0;  // bytes
  ByteCount in_use_;          // in spans, at the end of marking
  MarkCrew crew_;
  ScavengeLog scavenge_log_;
  BackgroundScavenger scavenger_;
  BackgroundSweeper background_;

  mutable Mutex mutex_{LockRank::kCycle};
  CondVar turn_ended_;
  bool turn_taken_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t full_started_ ABSL_GUARDED_BY(mutex_) = 0;  // forced cycles
  uint64_t full_done_ ABSL_GUARDED_BY(mutex_) = 0;
  // At the last cycle: memory in spans, and the goal that it was due at.
  ByteCount last_in_use_ ABSL_GUARDED_BY(mutex_);
  ByteCount last_goal_ ABSL_GUARDED_BY(mutex_);
  // Only what is about collections.
  MemStats stats_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_COLLECTOR_H_
