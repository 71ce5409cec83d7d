// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Collector: runs collection cycles, one at a time: those that are asked for on
// the thread that asks, others on a thread of its own. A cycle:
//
//   sweep what the last cycle left                    world runs
//   reserve mark bits for this cycle's sweep          or give the cycle up
//   stop: flush stale caches, sweep the rest, rotate mark bits, park runs;
//         barriers on, new objects are born marked
//   rounds: a handshake, in which each mutator hands over its stack and what
//         its barrier has recorded; mark, on all workers; until a handshake
//         finds nothing                               world runs
//   stop: what has been recorded since; barriers off; new sweep generation,
//         pace and goal
//   wake the background sweeper, which wakes the
//   background scavenger                              world runs
//   only if forced: flush all caches, sweep everything
//
// Not concurrent: all of the marking is in the first stop, which is the only
// one. So it is in a brief cycle, one that is expected to take no longer than
// waking a thread for it: the thread that finds it due runs it, and hands it on
// if there is more to mark than was expected.
// A thread waits for a cycle, or for its turn, in native state.
// Go counterpart: gcStart, gcMarkTermination, GC in mgc.go. Thread-safe.

#ifndef TRICOLOR_RUNTIME_COLLECTOR_H_
#define TRICOLOR_RUNTIME_COLLECTOR_H_

#include <cstdint>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/units.h"
#include "tricolor/gc/cpu_limiter.h"
#include "tricolor/gc/gc_pacer.h"
#include "tricolor/gc/marker.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/processor_cache.h"
#include "tricolor/runtime/assists.h"
#include "tricolor/runtime/background_scavenger.h"
#include "tricolor/runtime/background_sweeper.h"
#include "tricolor/runtime/gc_log.h"
#include "tricolor/runtime/mark_crew.h"
#include "tricolor/runtime/mark_pace.h"
#include "tricolor/runtime/mem_stats.h"
#include "tricolor/runtime/root_set.h"
#include "tricolor/runtime/root_table.h"
#include "tricolor/runtime/scavenge_log.h"
#include "tricolor/runtime/service_thread.h"
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
  gc::GcPacer& pacer;
};

struct CollectorOptions {
  int workers = 1;     // at most
  int processors = 1;  // that the process may use
  // No collection for so long: one is due. 0: never.
  uint64_t longest_silence_ns = 0;
  // Whether a small heap is marked by fewer: waking a thread takes about as
  // long as marking a megabyte.
  bool adapt_workers = false;
  bool background_sweep = true;
  bool background_scavenge = true;
  // Whether the program runs while a cycle marks.
  bool concurrent = true;
  uint64_t brief_bytes = 0;  // HeapOptions::brief_bytes
  // Whether a second marker checks the first.
  bool check_marks = false;
  bool trace = false;
  bool trace_pace = false;
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
  // Has a cycle run if one is due, or runs a brief one. When the heap has
  // reached its goal, and marking not begun yet, waits for that.
  void CollectIfDue();
  // While a cycle marks, for a mutator in debt: see Assists.
  void Assist(MutatorContext& context) { assists_.Pay(context); }

  // While it lives no cycle runs. On a native thread.
  class Turn {
    friend class Collector;
    struct Taken {};

   public:
    explicit Turn(Collector& collector);
    // By a Visit, which has taken it.
    Turn(Collector& collector, Taken) : collector_(collector) {}
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Collector& collector_;
  };

  // While it lives no cycle begins or ends, and none does anything but mark
  // beside the program: so it waits for the other parts of a cycle only, which
  // do not take long. A cycle that marks does not end before it does. On a
  // native thread.
  class Visit {
   public:
    explicit Visit(Collector& collector);
    ~Visit();
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

    // Null while a cycle marks. Then every span is swept, and no cache is
    // stale.
    const Turn* turn() const { return turn_.has_value() ? &*turn_ : nullptr; }

   private:
    Collector& collector_;
    std::optional<Turn> turn_;
  };

  // ---- In a Turn.
  // Afterwards no cache holds stale spans.
  void FlushCaches(const Turn&) { parts_.world.FinishFlush(); }
  // Afterwards every span has been swept.
  void FinishSweep(const Turn& turn);
  void PauseBackground(const Turn&);
  void ResumeBackground(const Turn&);

  // While it lives, no fork takes place: for threads that have memory of the
  // heap in their hands without a turn. On a native thread.
  class NoFork {
   public:
    explicit NoFork(Collector& collector);
    ~NoFork();
    NoFork(const NoFork&) = delete;
    NoFork& operator=(const NoFork&) = delete;

   private:
    Collector& collector_;
  };

  // ---- Handlers of fork(): collector_fork.cc. One thread at a time, with no
  // mutator managed. Between the two nobody has a turn, or the cycle that runs
  // stands still between two rounds of marking; no batch runs in the
  // background.
  void BeginFork();
  void EndForkInParent();
  // In the child: the cycle that stood still is open, to be finished by the
  // next turn. The threads are gone.
  void EndForkInChild();
  // Makes the threads that have something to do.
  void ReviveThreads();
  // Calls visit(mutex) for each one that is to be held.
  template <typename Visit>
  void ForEachMutex(const Visit& visit) {
    visit(mutex_);
    visit(crew_.mutex());
    visit(assists_.mutex());
    visit(background_.thread().mutex());
    visit(scavenger_.thread().mutex());
    visit(limiter_.mutex());
    visit(scavenge_log_.mutex());
  }
  // A thread waits in BeginFork.
  bool fork_waits() const {
    MutexLock lock(mutex_);
    return fork_waits_;
  }

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
  void SweptInBackground() override {
    parts_.pacer.SweepDone();
    ReturnMemory();
  }

  // The cycle of whoever has the turn, from OpenCycle to CloseCycle; its steps
  // are in collector_cycle.cc.
  struct Cycle {
    CycleRecord record;
    uint64_t stop_requested = 0;
    uint64_t stopped_at = 0;
    uint64_t cpu_ns = 0;      // of all threads, until the last CountCpu
    uint64_t cpu_since = 0;   // its thread's CPU time then
    uint64_t allocators = 0;  // processors that have allocated since the last
  };

  // How many workers the heap is worth, and the program leaves processors for,
  // of those that there are.
  int WorkersFor(uint64_t heap_live, int present) const;
  void BeginTurn();
  void EndTurn() ABSL_LOCKS_EXCLUDED(mutex_);
  void EndTurnLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes the turn, or joins the cycle that has it and marks; whether it has
  // the turn.
  bool BeginVisit() ABSL_LOCKS_EXCLUDED(mutex_);
  void EndVisit() ABSL_LOCKS_EXCLUDED(mutex_);
  // The cycle, which marks beside the program from here to there.
  void OpenToVisits() ABSL_LOCKS_EXCLUDED(mutex_);
  void CloseToVisits() ABSL_LOCKS_EXCLUDED(mutex_);
  // Does nothing but sweep when the OS refuses the memory that the cycle's own
  // sweep would need.
  void RunCycle(bool forced);
  // By a thread that has found a cycle due: runs it, if it is expected to be
  // brief, or begins it and has the driver go on. False: somebody else should.
  bool TryBriefCycle();
  bool ExpectsBriefCycle() const {
    return options_.concurrent &&
           parts_.pacer.expected_work() < options_.brief_bytes;
  }
  // Everything until marking has begun, with the world stopped. False when the
  // cycle does not take place.
  [[nodiscard]] bool OpenCycle(bool forced, bool brief)
      ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true, parts_.world.stopped());
  // Everything after marking.
  void CloseCycle() ABSL_UNLOCK_FUNCTION(parts_.world.stopped());
  [[nodiscard]] bool SweepRest()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(parts_.world.stopped());
  void BeginMark() ABSL_EXCLUSIVE_LOCKS_REQUIRED(parts_.world.stopped());
  // Marks, in the stop, as much as a brief cycle may. Whether that is all.
  bool MarkBriefly() ABSL_EXCLUSIVE_LOCKS_REQUIRED(parts_.world.stopped());
  void StopWorld() ABSL_EXCLUSIVE_LOCK_FUNCTION(parts_.world.stopped());
  // Marking has begun, and goes on beside the program.
  void StartToMark() ABSL_UNLOCK_FUNCTION(parts_.world.stopped());
  // The rest of a cycle whose barriers are on, of which another thread may have
  // done the beginning. `resumed`: the cycle has been open since a fork.
  void FinishBesideProgram(bool resumed);
  // Marks until a handshake finds nothing to do.
  void MarkBesideProgram(bool resumed);
  // Between two rounds: stands still while a fork takes place. Whether the last
  // round may have ended for that.
  bool RestForFork() ABSL_LOCKS_EXCLUDED(mutex_);
  // From now on, or until now, a fork may come between two rounds.
  void SetMayRest(bool may) ABSL_LOCKS_EXCLUDED(mutex_);
  // In a turn: finishes a cycle that is open. Whether there was one.
  bool FinishOpenCycle() ABSL_LOCKS_EXCLUDED(mutex_);
  // What is left, in the stop.
  void FinishMark() ABSL_EXCLUSIVE_LOCKS_REQUIRED(parts_.world.stopped());
  // By a second marker; fatal when an object is not marked that is reachable.
  void CheckMarks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(parts_.world.stopped());
  // A handshake in which mutators and roots hand over what they have for the
  // markers. Whether there is work.
  bool ShadeBesideProgram();
  void StartSweep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(parts_.world.stopped());
  // Counts this thread's CPU time since the last call as the cycle's.
  void CountCpu();
  // What does not count as room for objects, under the memory limit.
  uint64_t Overhead(const mheap::HeapStats& stats) const;
  // The collector's own thread.
  static void RunDriver(void* self);
  void DriverLoop();
  enum class DriverTask : uint8_t { kRunCycle, kGoOnWithCycle, kEnd };
  // Waits for something to do, and for its turn.
  DriverTask AwaitTask() ABSL_LOCKS_EXCLUDED(mutex_);
  // Each is false when the system has no thread for the driver.
  bool StartDriver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool WakeDriver() ABSL_LOCKS_EXCLUDED(mutex_);
  // Gives the driver the turn, and the cycle that this thread has begun.
  void HandOn() ABSL_LOCKS_EXCLUDED(mutex_);
  void SweepEverything();
  // What the page heap may hold from now on.
  void SetScavengeGoals() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Gives free memory beyond the goals to the OS, or has it given.
  void ReturnMemory();
  // The world runs again.
  void CycleEnded();
  void Account();
  // The cycle does not take place; the next one is not due at once.
  void Refuse();

  const CollectorParts parts_;
  const CollectorOptions options_;
  const uint64_t made_at_;
  // Of whoever has the turn.
  Cycle cycle_;
  mheap::ProcessorCache processor_;
  uint64_t last_marked_ = 0;  // bytes
  ByteCount in_use_;          // in spans, at the end of marking
  gc::CpuLimiter limiter_;
  Assists assists_;
  MarkPace pace_;
  MarkCrew crew_;
  ScavengeLog scavenge_log_;
  BackgroundScavenger scavenger_;
  BackgroundSweeper background_;

  ServiceThread driver_;  // started under the mutex

  mutable Mutex mutex_{LockRank::kCycle};
  CondVar turn_ended_;
  CondVar driver_wakes_;
  bool driver_wanted_ ABSL_GUARDED_BY(mutex_) = false;
  bool driver_refused_ ABSL_GUARDED_BY(mutex_) = false;
  bool driver_ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool turn_taken_ ABSL_GUARDED_BY(mutex_) = false;
  // By a thread that runs a brief cycle.
  bool brief_ ABSL_GUARDED_BY(mutex_) = false;
  // The turn is the driver's, with a cycle that another thread has begun.
  bool handed_on_ ABSL_GUARDED_BY(mutex_) = false;
  // Who has the turn marks, and lets others visit: so many do.
  bool open_to_visits_ ABSL_GUARDED_BY(mutex_) = false;
  int visits_ ABSL_GUARDED_BY(mutex_) = 0;
  // A fork is wanted, or takes place.
  bool fork_waits_ ABSL_GUARDED_BY(mutex_) = false;
  // The cycle marks in rounds; it stands still between two of them.
  bool may_rest_ ABSL_GUARDED_BY(mutex_) = false;
  bool resting_ ABSL_GUARDED_BY(mutex_) = false;
  int no_fork_ ABSL_GUARDED_BY(mutex_) = 0;  // NoForks that live
  // Left by a thread that did not come along into this process.
  bool open_cycle_ ABSL_GUARDED_BY(mutex_) = false;
  bool driver_lost_ ABSL_GUARDED_BY(mutex_) = false;
  // When the last cycle ended, or was given up.
  uint64_t last_cycle_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t full_started_ ABSL_GUARDED_BY(mutex_) = 0;  // forced cycles
  uint64_t full_done_ ABSL_GUARDED_BY(mutex_) = 0;
  // When the last cycle's marking ended: memory in spans, and the live heap.
  ByteCount last_in_use_ ABSL_GUARDED_BY(mutex_);
  ByteCount last_live_ ABSL_GUARDED_BY(mutex_);
  // Only what is about collections.
  MemStats stats_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_COLLECTOR_H_
