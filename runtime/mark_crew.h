// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// MarkCrew: the threads that mark. The thread that runs the cycle is worker 0;
// the others are made when they are first needed, and sleep between cycles.
//
// Go counterpart: gcBgMarkWorker. Used by one cycle at a time.

#ifndef TRICOLOR_RUNTIME_MARK_CREW_H_
#define TRICOLOR_RUNTIME_MARK_CREW_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/mutex.h"
#include "tricolor/gc/marker.h"
#include "tricolor/runtime/service_thread.h"

namespace tricolor::runtime {

class MarkCrew {
 public:
  // At most `size` >= 1 workers.
  MarkCrew(gc::Marker& marker, int size) : marker_(marker), size_(size) {}
  // Ends the threads.
  ~MarkCrew();
  MarkCrew(const MarkCrew&) = delete;
  MarkCrew& operator=(const MarkCrew&) = delete;

  // Makes sure of the threads; returns the number of workers that there are,
  // fewer than `size` when the system has no more threads.
  int Prepare();
  // Runs workers [0, workers) of the marker, 0 here; returns when all have.
  // `workers` is at most what Prepare returned. Returns the CPU time, in
  // nanoseconds, of the others.
  uint64_t Run(int workers);

  // Handlers of fork(): the lock to hold; in the child, where none runs: the
  // threads are gone, and Prepare makes others.
  Mutex& mutex() ABSL_LOCK_RETURNED(mutex_) { return mutex_; }
  void ResetAfterFork();

 private:
  struct Helper {
    MarkCrew* crew;
    int index;
    ServiceThread thread;
  };

  void HelperLoop(int index);

  gc::Marker& marker_;
  const int size_;
  std::vector<std::unique_ptr<Helper>> helpers_;

  Mutex mutex_{LockRank::kBackground};
  CondVar helpers_wake_;
  CondVar done_;
  uint64_t round_ ABSL_GUARDED_BY(mutex_) = 0;  // counts calls of Run
  int workers_ ABSL_GUARDED_BY(mutex_) = 0;     // of this round
  int working_ ABSL_GUARDED_BY(mutex_) = 0;     // helpers not yet done
  uint64_t cpu_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_MARK_CREW_H_
