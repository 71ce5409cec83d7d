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

#include "absl/base/thread_annotations.h"
#include "tricolor/base/mutex.h"
#include "tricolor/gc/marker.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/processor_cache.h"
#include "tricolor/runtime/service_thread.h"
#include "tricolor/sweep/sweeper.h"

namespace tricolor::runtime {

class BackgroundSweeper {
 public:
  static constexpr int kBatch = 10;  // spans between two yields
  // For so long after a cycle, sweeping is left to the threads that allocate: a
  // span that its next user sweeps is warm in the right cache, and one without
  // live objects is reused as it is, not freed and made anew.
  static constexpr int64_t kHeadStartNs = 5'000'000;

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
  // Returns when the thread does nothing, and keeps it so until Resume.
  void Pause();
  void Resume();

 private:
  void Loop();
  // Takes up the next batch: false when the thread is to end.
  bool AwaitWork();
  // One batch of whatever is to be done; false when nothing was left.
  bool DoBatch();
  void EndBatch(bool more);

  mheap::MHeap& heap_;
  sweep::Sweeper& sweeper_;
  gc::Marker& marker_;
  Listener& listener_;
  mheap::ProcessorCache processor_;  // the thread's, or who paused it
  ServiceThread thread_;             // started under the mutex

  Mutex mutex_{LockRank::kBackground};
  CondVar sweeper_wakes_;
  CondVar idle_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool refused_ ABSL_GUARDED_BY(mutex_) = false;  // no thread to be had
  bool wanted_ ABSL_GUARDED_BY(mutex_) = false;   // there may be work
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;    // head start not yet given
  bool working_ ABSL_GUARDED_BY(mutex_) = false;  // in a batch
  int pauses_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_BACKGROUND_SWEEPER_H_
