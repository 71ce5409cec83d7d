// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the workers of a mark cycle share: the heap, the work buffers, who is
// idle, and the cursors from which root and rescan jobs are claimed. Marker
// owns it.
//
// Go counterpart: the global `work` in mgc.go.
// `roots`, `root_jobs` and `parallel` are set before the workers start.

#ifndef TRICOLOR_GC_MARK_CYCLE_H_
#define TRICOLOR_GC_MARK_CYCLE_H_

#include <cstddef>
#include <cstdint>

#include "tricolor/base/atomic.h"
#include "tricolor/gc/idle_workers.h"
#include "tricolor/gc/work_bufs.h"
#include "tricolor/mheap/mheap.h"

namespace tricolor::gc {

class MarkWorker;

// Where marking starts. runtime implements it: stacks and registers of the
// mutators, Root handles, registered global ranges.
class RootSource {
 public:
  // Once a cycle, from BeginCycle: the number of independent root jobs.
  virtual size_t PrepareRoots() = 0;
  // Marks from root job `job`; each job is claimed by just one worker. Must not
  // allocate from the heap or reach a safepoint.
  virtual void MarkRoots(size_t job, MarkWorker& worker) = 0;

 protected:
  ~RootSource() = default;
};

// Who watches over the workers of a cycle. runtime implements it: pacing.
class MarkMonitor {
 public:
  // By worker `index`, now and then: it has scanned `bytes` more. False when it
  // is to rest: it then hands on what it has, and calls Rest until that is true
  // or others wait with nothing to do.
  virtual bool Worked(int index, uint64_t bytes) = 0;
  // Waits for a short while; whether the worker may go on.
  virtual bool Rest(int index) = 0;

 protected:
  ~MarkMonitor() = default;
};

struct MarkStats {
  uint64_t marked_bytes = 0;  // of slots: the live heap
  uint64_t marked_objects = 0;
  uint64_t scanned_bytes = 0;  // of memory that was searched for pointers
  uint64_t rescans = 0;        // of the heap, after mark-stack overflow

  MarkStats& operator+=(const MarkStats& other) {
    marked_bytes += other.marked_bytes;
    marked_objects += other.marked_objects;
    scanned_bytes += other.scanned_bytes;
    rescans += other.rescans;
    return *this;
  }
};

// Numbers below a limit, each claimed once, by any worker.
class JobCursor {
 public:
  // No other claims: before the workers start, or with all of them idle.
  void Reset(uint64_t limit) {
    next_.StoreRelaxed(0);
    limit_.StoreRelaxed(limit);
  }
  // `step` numbers from *first on; the last claim may reach beyond the limit.
  bool Claim(uint64_t step, uint64_t* first) {
    if (!any_left()) return false;
    *first = next_.FetchAddRelaxed(step);
    return *first < limit();
  }
  bool any_left() const { return next_.LoadRelaxed() < limit(); }
  uint64_t limit() const { return limit_.LoadRelaxed(); }

 private:
  Atomic<uint64_t> next_;
  Atomic<uint64_t> limit_;
};

struct MarkCycle {
  explicit MarkCycle(mheap::MHeap& the_heap) : heap(the_heap), bufs(the_heap) {}

  mheap::MHeap& heap;
  WorkBufs bufs;
  IdleWorkers idle;
  RootSource* roots = nullptr;
  MarkMonitor* monitor = nullptr;  // or null
  // Others set marks, too (workers, or threads that allocate while a cycle
  // marks): they are set by read-modify-write.
  bool parallel = false;
  JobCursor root_jobs;
  // 64-page words of the heap whose marked objects are scanned again.
  JobCursor rescan_words;
  // Some marked object has been dropped unscanned. Set after its mark, with
  // release; the last idle worker takes the flag with acquire before it lets
  // the heap be rescanned, and so the rescan finds the mark.
  Atomic<bool> overflowed;
  // Assists find nothing: what is there is to be seen by who decides whether
  // marking is over.
  Atomic<bool> assists_closed;
  // Workers are to hand on what they have and to return, though there is work.
  Atomic<bool> pausing;
  // Threads in an assist have found nothing to scan: workers are to share.
  Atomic<bool> assists_starve;
  // What others than the cycle's workers have done: objects marked, by
  // GreyBuffers and assists, their bytes, and bytes scanned.
  Atomic<uint64_t> others_marked;
  Atomic<uint64_t> others_marked_bytes;
  Atomic<uint64_t> others_scanned;

  // The page mark of a span's first page.
  void SetPageMark(uint64_t page) {
    Atomic<uint64_t>& word = heap.page_marks_word(page / 64);
    const uint64_t bit = uint64_t{1} << (page % 64);
    if ((word.LoadRelaxed() & bit) == 0) word.FetchOrRelaxed(bit);
  }
};

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_MARK_CYCLE_H_
