// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// BatchThread: a service thread that works in batches, with a rest after each,
// until there is nothing left to do; then it sleeps until it is woken. It can
// be paused between two batches. Made when it is first woken.
//
// Used by the background sweeper and scavenger, whose work would disturb who
// looks at a heap as a whole. Thread-safe.

#ifndef TRICOLOR_RUNTIME_BATCH_THREAD_H_
#define TRICOLOR_RUNTIME_BATCH_THREAD_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/mutex.h"
#include "tricolor/runtime/service_thread.h"

namespace tricolor::runtime {

class BatchThread {
 public:
  // What a batch returns when nothing is left to do.
  static constexpr int64_t kNothingLeft = INT64_MIN;

  class Work {
   public:
    // On the thread, while not paused: one batch. Returns for how many
    // nanoseconds to rest before the next one, or kNothingLeft. Negative: so
    // long, but a wake ends the rest.
    virtual int64_t DoBatch() = 0;

   protected:
    ~Work() = default;
  };

  // `name` has at most 15 characters. `work` outlives the object.
  BatchThread(const char* name, Work& work) : name_(name), work_(work) {}
  ~BatchThread() { End(); }
  BatchThread(const BatchThread&) = delete;
  BatchThread& operator=(const BatchThread&) = delete;

  // The time by which it rests: nanoseconds of the steady clock.
  static int64_t Now();

  // There may be something to do: the next batch comes in `delay_ns`, or later
  // if the thread rests for longer; sooner if a wake before this one said so.
  // False when the system has no thread for it now; the next wake tries again.
  bool Wake(int64_t delay_ns = 0);
  // Returns when no batch runs, and keeps it so until Resume. Pauses add up.
  void Pause();
  void Resume();
  // Ends the thread; a batch that runs comes to its end. Once, or again without
  // effect; nobody wakes it any more.
  void End();
  // Handlers of fork(): the lock to hold; in the child, where no batch runs and
  // it is paused: the thread is gone; the next wake makes it anew, and so does
  // Revive when a batch was wanted.
  Mutex& mutex() ABSL_LOCK_RETURNED(mutex_) { return mutex_; }
  void ResetAfterFork();
  void Revive();
  // For a batch: somebody waits for its end. A hint: relaxed.
  bool interrupted() const { return interrupted_.LoadRelaxed(); }

 private:
  static constexpr int64_t kNever = INT64_MAX;

  // False when the system has no thread for it.
  bool StartThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Loop();
  // Waits until a batch is due: false when the thread is to end.
  bool AwaitBatch();
  void EndBatch(int64_t rest_ns);

  const char* const name_;
  Work& work_;
  ServiceThread thread_;  // started under the mutex
  Atomic<bool> interrupted_;

  Mutex mutex_{LockRank::kBackground};
  CondVar wakes_;
  CondVar idle_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool working_ ABSL_GUARDED_BY(mutex_) = false;  // in a batch
  int pauses_ ABSL_GUARDED_BY(mutex_) = 0;
  // By the steady clock. A batch is due when one is wanted and the rest is
  // over; kNever: not before a wake.
  int64_t wanted_from_ ABSL_GUARDED_BY(mutex_) = kNever;
  int64_t rest_until_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_BATCH_THREAD_H_
