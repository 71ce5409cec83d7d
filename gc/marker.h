// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Marker: finds all objects that can be reached from the roots, on one or more
// threads. A cycle is: BeginCycle; then, in one or more rounds, RunWorker on
// each taking-part thread until it returns; then EndCycle. Threads that run
// beside a concurrent cycle hand over what they find with GreyBuffers; when
// that has come after the workers had finished, there must be another round.
//
// Go counterpart: mgcmark.go (gcDrain, scanobject, greyobject). The order of
// work is our own: a candidate pointer waits in a short ring while the cache
// line of its mark word is fetched, and only then is tested; an object that has
// been marked waits in another while its own lines are fetched.
// Marker: see each method. MarkWorker: one thread at a time.

#ifndef TRICOLOR_GC_MARKER_H_
#define TRICOLOR_GC_MARKER_H_

#include <cstddef>
#include <cstdint>

#include "tricolor/base/atomic.h"
#include "tricolor/base/units.h"
#include "tricolor/gc/mark_cycle.h"
#include "tricolor/gc/mark_worker.h"
#include "tricolor/gc/work_bufs.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/type_info.h"

namespace tricolor::gc {

class Marker {
 public:
  // `max_workers` >= 1. The heap has been initialized and outlives the marker.
  Marker(mheap::MHeap& heap, int max_workers);
  ~Marker();
  Marker(const Marker&) = delete;
  Marker& operator=(const Marker&) = delete;

  struct CycleOptions {
    int workers = 1;  // threads that will call RunWorker; <= max_workers
    bool concurrent = false;         // the world will run during the rounds
    MarkMonitor* monitor = nullptr;  // of the workers; or null
  };

  // World stopped; every span swept, mark-bit epochs rotated.
  void BeginCycle(RootSource& roots, const CycleOptions& options);
  // Marks until nothing is left to do anywhere: returns when all `workers`
  // workers have found no more work. `index` in [0, workers), each once.
  // A worker beyond the first for which there is no memory returns at once.
  void RunWorker(int index);
  // A mutator's help while a concurrent cycle marks: scans about `bytes` of
  // what others have published, and returns how many it has scanned; 0: found
  // nothing. `worker` is its thread's own, made of cycle(); no safepoint
  // meanwhile.
  uint64_t Assist(MarkWorker& worker, uint64_t bytes);
  // From now on assists find nothing, so that what a handshake brings, and what
  // an assist has handed back before its thread answers, stays to be seen by
  // HasWork; or they are open again.
  void CloseAssists(bool close) { cycle_.assists_closed.StoreRelaxed(close); }
  // While set, a round ends early: each worker hands on what it has, and
  // RunWorker returns. Until the next round, which must follow, everything that
  // is left to do is in the heap's shared lists.
  void SetPausing(bool pausing) { cycle_.pausing.StoreRelaxed(pausing); }
  // Whether workers are to publish more of what they have, for assists.
  void SetAssistsStarve(bool starve) {
    cycle_.assists_starve.StoreRelaxed(starve);
  }
  // Between rounds: whether something is left to mark. If false, and every
  // GreyBuffer has been published before, and nobody has added to one since,
  // all that is reachable is marked.
  bool HasWork() const;
  // After all workers have returned: the first `workers` may, and must, be run
  // again; at most as many as there are.
  void NextRound(int workers);
  // After all workers have returned, without work. Work-buffer spans are then
  // ready to be given back by FreeWorkBufSpans.
  MarkStats EndCycle();

  // Gives some work-buffer spans back to the page heap, if no cycle runs;
  // whether there are more. The background sweeper calls it (Go:
  // freeSomeWbufs).
  bool FreeWorkBufSpans(mheap::ProcessorCache& processor);

  const WorkBufs& work_bufs() const { return cycle_.bufs; }
  // For GreyBuffer, and workers of assists.
  MarkCycle& cycle() { return cycle_; }
  // No cycle runs. Fatal when an invariant is broken.
  void CheckInvariants() const;

 private:
  // How far a cycle has come, for the checks of the order of calls.
  enum class WorkerState : uint32_t { kIdle, kExpected, kRunning, kReturned };

  // A worker in memory that lives as long as the heap.
  struct WorkerSlot {
    MarkWorker* worker = nullptr;
    Atomic<WorkerState> state;
  };

  // Makes workers up to the index `count`; how many there are then.
  int MakeWorkers(int count);
  void ExpectWorkers(int count);
  void CheckReturned() const;

  MarkCycle cycle_;
  const int max_workers_;
  int workers_ = 0;  // taking part; 0: no cycle runs
  MarkWorker first_;
  WorkerSlot first_slot_;
  // max_workers_ of them; just first_slot_ when there was no memory for more.
  WorkerSlot* slots_;
  int slot_count_;
};

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_MARKER_H_
