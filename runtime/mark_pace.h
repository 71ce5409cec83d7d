// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// MarkPace: how many threads mark beside the program, and when they rest. A
// quarter of the processors is theirs: dedicated workers, and one that marks
// for a fraction of its time (docs/pacing.md). Beyond that, workers mark on
// processors that the program does not use: those that no managed mutator
// needs. Each reports what it scans, which is credit for assists.
//
// Go counterpart: findRunnableGCWorker and gcBgMarkWorker's modes; Go's
// scheduler knows which processors are idle, here it is taken from the
// mutators' states. Begin, End: the cycle's thread. The gc::MarkMonitor: its
// workers.

#ifndef TRICOLOR_RUNTIME_MARK_PACE_H_
#define TRICOLOR_RUNTIME_MARK_PACE_H_

#include <cstdint>
#include <vector>

#include "tricolor/base/atomic.h"
#include "tricolor/gc/cpu_limiter.h"
#include "tricolor/gc/gc_pacer.h"
#include "tricolor/gc/mark_cycle.h"
#include "tricolor/gc/marker.h"
#include "tricolor/runtime/assists.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {

class MarkPace final : public gc::MarkMonitor {
 public:
  // All outlive this. `max_workers`: threads that there can be.
  MarkPace(gc::GcPacer& pacer, gc::CpuLimiter& limiter, Assists& assists,
           gc::Marker& marker, const World& world, int processors,
           int max_workers)
      : marker_(marker),
        pacer_(pacer),
        limiter_(limiter),
        assists_(assists),
        world_(world),
        processors_(processors),
        cpu_at_start_(static_cast<size_t>(max_workers), 0) {}

  // How many workers a cycle that begins now can use.
  int Workers() const;
  // A cycle begins to mark.
  void Begin(const gc::MarkWorkers& workers, uint64_t now);
  // The cycle that marks goes on with other threads, in a child of fork().
  void ResetAfterFork();
  // The world is stopped for the rest of the marking: nobody rests any more.
  void Hurry() { hurry_.StoreRelaxed(true); }
  // The world is stopped for one worker to mark: the round ends when it has
  // scanned `bytes`. Then, that it has ended, and whether for that reason.
  void BeginBrief(uint64_t bytes);
  bool EndBrief();
  // It has ended, after `cpu_ns` of its workers: how much of that was spent on
  // processors that had nothing else to do.
  uint64_t End(uint64_t cpu_ns, uint64_t now);

  // gc::MarkMonitor.
  bool Worked(int index, uint64_t bytes) override;
  bool Rest(int index) override;

 private:
  // The processors that no mutator uses, as of a short while ago.
  int Free(uint64_t now);
  bool MayGoOn(int index, uint64_t now);

  gc::Marker& marker_;
  gc::GcPacer& pacer_;
  gc::CpuLimiter& limiter_;
  Assists& assists_;
  const World& world_;
  const int processors_;
  gc::MarkWorkers share_;
  uint64_t started_ = 0;
  // By worker: CPU time of its thread when it reported first in this cycle; 0:
  // not yet.
  std::vector<uint64_t> cpu_at_start_;
  // Of a brief round: what its worker may scan still; used by the cycle's
  // thread, which is the worker.
  bool brief_ = false;
  uint64_t brief_left_ = 0;
  Atomic<bool> hurry_;
  Atomic<int> free_;
  Atomic<uint64_t> free_asked_at_;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_MARK_PACE_H_
