// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// BackgroundSweeper: a thread that, after each cycle, sweeps what allocation
// has not swept, then gives the marker's work-buffer spans back, both in small
// batches with yields between them, and then memory that the limit wants back.
// Made when it is first woken.
//
// Go counterpart: bgsweep in mgcsweep.go. Thread-safe.

#ifndef TRICOLOR_RUNTIME_BACKGROUND_SWEEPER_H_
#define TRICOLOR_RUNTIME_BACKGROUND_SWEEPER_H_

#include <cstdint>

#include "tricolor/base/atomic.h"
#include "tricolor/gc/marker.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/processor_cache.h"
#include "tricolor/runtime/batch_thread.h"
#include "tricolor/sweep/sweeper.h"

namespace tricolor::runtime {

// What the threads that allocate have before the background sweeper. Times are
// in nanoseconds of any clock that does not go back. CycleEnded may be called
// beside the others, which are for one thread.
class SweepHeadStart {
 public:
  // For so long after a cycle, sweeping is left to the threads that allocate: a
  // span that its next user sweeps is warm in the right cache, and one without
  // live objects is reused as it is, not freed and made anew.
  static constexpr int64_t kNs = 5'000'000;
  // While cycles come faster than that, the threads that allocate sweep all;
  // but memory is to go back now and then, too.
  static constexpr int64_t kLongestPutOffNs = 100'000'000;

  // `now` is not 0.
  void CycleEnded(int64_t now) { cycle_ended_.StoreRelaxed(now); }
  // How long that of the last cycle still lasts; 0: it is over, or sweeping has
  // been put off for long enough.
  int64_t Left(int64_t now);
  // All is swept: from now on, nothing has been put off.
  void SweepDone() { put_off_since_ = 0; }

 private:
  Atomic<int64_t> cycle_ended_;  // the last one
  int64_t put_off_since_ = 0;    // since when Left has not been 0; 0: it was
};

class BackgroundSweeper final : private BatchThread::Work {
 public:
  static constexpr int kBatch = 10;  // spans between two yields

  // Called on the thread when all is swept.
  class Listener {
   public:
    virtual void SweptInBackground() = 0;

   protected:
    ~Listener() = default;
  };

  BackgroundSweeper(mheap::MHeap& heap, sweep::Sweeper& sweeper,
                    gc::Marker& marker, Listener& listener);
  // Ends the thread.
  ~BackgroundSweeper();
  BackgroundSweeper(const BackgroundSweeper&) = delete;
  BackgroundSweeper& operator=(const BackgroundSweeper&) = delete;

  // A cycle has ended. The thread begins after the head start. If the system
  // has no thread for it, allocation and the next cycle do all the sweeping.
  void Wake();
  // As in BatchThread.
  void Pause() { thread_.Pause(); }
  void Resume() { thread_.Resume(); }
  // As in BatchThread: handlers of fork().
  BatchThread& thread() { return thread_; }

 private:
  // BatchThread::Work: one batch of whatever is to be done.
  int64_t DoBatch() override;
  // False when nothing was left.
  bool SweepSome();

  mheap::MHeap& heap_;
  sweep::Sweeper& sweeper_;
  gc::Marker& marker_;
  Listener& listener_;
  mheap::ProcessorCache processor_;  // the thread's, or who paused it
  SweepHeadStart head_start_;        // by BatchThread::Now
  BatchThread thread_;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_BACKGROUND_SWEEPER_H_
