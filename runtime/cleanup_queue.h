// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// CleanupQueue: the cleanups of a heap's objects, from AddCleanup until they
// have run. The sweeper hands over those whose objects are dead
// (mheap::SpecialReceiver); the executor, a thread attached to the heap, or
// Heap::RunCleanups, calls them.
//
// A record is type-stable: the handle that AddCleanup returned knows it by its
// id. States: free -> armed -> queued -> free, or armed -> (stopped ->) free.
// An armed record's object has not been freed: the sweeper frees a span only
// after the queue has taken its dead specials.
//
// Go counterpart: mcleanup.go. Thread-safe; guarded by one mutex.

#ifndef TRICOLOR_RUNTIME_CLEANUP_QUEUE_H_
#define TRICOLOR_RUNTIME_CLEANUP_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/special.h"
#include "tricolor/runtime/cleanup.h"
#include "tricolor/runtime/service_thread.h"

namespace tricolor {
class Heap;
}  // namespace tricolor

namespace tricolor::runtime {

struct CleanupRecord {
  enum class State : uint8_t { kFree, kArmed, kStopped, kQueued };

  State state = State::kFree;
  uint64_t id = 0;          // new for each use
  uint64_t special_id = 0;  // the special's, while armed
  Addr object;
  std::unique_ptr<CleanupCall> call;
  CleanupRecord* next = nullptr;  // free list or queue
};

class CleanupQueue final : public mheap::SpecialReceiver {
 public:
  explicit CleanupQueue(mheap::MHeap& heap) : heap_(heap) {}
  ~CleanupQueue() = default;
  CleanupQueue(const CleanupQueue&) = delete;
  CleanupQueue& operator=(const CleanupQueue&) = delete;

  // For an object in a swept span that the caller keeps alive and swept.
  Cleanup Add(mheap::MSpan& span, const void* object,
              std::unique_ptr<CleanupCall> call);
  bool Stop(const Cleanup& cleanup);
  // Calls what is queued, on this thread, until nothing is; how many.
  size_t Run();

  // mheap::SpecialReceiver.
  void ObjectDied(mheap::Special* special) override;

  // Makes the executor, if there is none, which attaches to `heap`. If the
  // system has no thread for it, cleanups wait for Heap::RunCleanups.
  void StartExecutor(Heap& heap);
  // Returns when the executor has ended, after the call that it is in.
  void EndExecutor();
  // Destroys the callables of all cleanups that have not run. At the heap's
  // end.
  void DropAll();

 private:
  CleanupRecord& NewRecord(const void* object,
                           std::unique_ptr<CleanupCall> call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::unique_ptr<CleanupCall> Recycle(CleanupRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The call of the oldest queued record; null when none is queued.
  std::unique_ptr<CleanupCall> TakeQueued();
  void ExecutorLoop();
  // False when the executor is to end. On a native thread.
  bool AwaitQueued();

  mheap::MHeap& heap_;
  Heap* executor_heap_ = nullptr;
  ServiceThread executor_;  // started under the mutex

  Mutex mutex_{LockRank::kCleanupQueue};
  CondVar executor_wakes_;
  std::deque<CleanupRecord> records_ ABSL_GUARDED_BY(mutex_);
  CleanupRecord* free_ ABSL_GUARDED_BY(mutex_) = nullptr;
  CleanupRecord* queue_ ABSL_GUARDED_BY(mutex_) = nullptr;
  CleanupRecord** queue_end_ ABSL_GUARDED_BY(mutex_) = &queue_;
  uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_CLEANUP_QUEUE_H_
