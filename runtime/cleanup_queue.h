// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// CleanupQueue: the cleanups and finalizers of a heap's objects, from when they
// are added until they have run. The sweeper hands over those that are due
// (mheap::SpecialReceiver); the executor, a thread attached to the heap, or
// Heap::RunCleanups, calls them.
//
// A record is type-stable: the handle that AddCleanup returned knows it by its
// id. States: free -> armed -> queued -> taken -> running -> free, or armed ->
// (stopped ->) free. An armed record's object has not been freed: the sweeper
// frees a span only after the queue has taken its dead specials. Several
// threads may run calls; those of one object are taken together by one of them.
//
// Go counterpart: mcleanup.go, mfinal.go. Thread-safe; guarded by one mutex.

#ifndef TRICOLOR_RUNTIME_CLEANUP_QUEUE_H_
#define TRICOLOR_RUNTIME_CLEANUP_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/special.h"
#include "tricolor/runtime/cleanup.h"
#include "tricolor/runtime/cleanup_check.h"
#include "tricolor/runtime/service_thread.h"

namespace tricolor {
class Heap;
}  // namespace tricolor

namespace tricolor::runtime {

struct CleanupRecord {
  enum class State : uint8_t {
    kFree,
    kArmed,
    kStopped,
    kQueued,
    kTaken,
    kRunning
  };

  State state = State::kFree;
  bool finalizer = false;
  uint64_t id = 0;                // new for each use
  uint64_t special_id = 0;        // the special's, while armed
  Addr object;                    // its slot
  Addr given;                     // what was given as the object
  CleanupCall* call = nullptr;    // owned
  const void* taker = nullptr;    // ThreadToken() of who has taken it
  CleanupRecord* next = nullptr;  // free list, queue, or unit that is run
  // The list of due finalizers.
  CleanupRecord* due_next = nullptr;
  CleanupRecord* due_prev = nullptr;
};

class CleanupQueue final : public mheap::SpecialReceiver {
 public:
  explicit CleanupQueue(mheap::MHeap& heap) : heap_(heap) {}
  ~CleanupQueue() = default;
  CleanupQueue(const CleanupQueue&) = delete;
  CleanupQueue& operator=(const CleanupQueue&) = delete;

  // ---- For an object in a swept span that the caller keeps alive and swept.
  // No callable is destroyed here: it might use the heap, which waits for the
  // caller. `call` is taken unless there is no memory.
  // Empty when there is no memory.
  Cleanup Add(mheap::MSpan& span, const void* object,
              std::unique_ptr<CleanupCall>& call);
  // False when there is no memory. Fatal when it has a finalizer.
  bool SetFinalizer(mheap::MSpan& span, const void* object,
                    std::unique_ptr<CleanupCall>& call);
  // The finalizer that was taken off; null when it has none.
  std::unique_ptr<CleanupCall> ClearFinalizer(mheap::MSpan& span,
                                              const void* object);

  bool Stop(const Cleanup& cleanup);
  // Calls what is queued, on this thread, which is attached, until nothing is;
  // how many. A call may come here again: it runs what waits behind its own
  // object's calls.
  size_t Run();

  // mheap::SpecialReceiver.
  void TakeDead(mheap::Special* list) override;

  // Calls visit(object) for the objects of finalizers that wait, or are
  // running, with the mutex held.
  template <typename Visit>
  void ForEachDue(const Visit& visit) {
    MutexLock lock(mutex_);
    for (CleanupRecord* r = due_finalizers_; r != nullptr; r = r->due_next) {
      visit(r->object.pointer());
    }
  }
  // World stopped: fatal when a callable leads to its own object.
  void CheckCalls(CleanupChecker& checker);

  // Makes the executor, if there is none, which attaches to `heap`. If the
  // system has no thread for it, cleanups wait for Heap::RunCleanups.
  void StartExecutor(Heap& heap);
  // Returns when the executor has ended, after the call that it is in.
  void EndExecutor();
  // Destroys the callables of all that has not run. At the heap's end, after
  // EndExecutor: nothing is called any more.
  void DropAll();

  // Handlers of fork(): the lock to hold. In the child, whose only thread is
  // the caller: what others had taken and not begun waits again; what they were
  // running never ends. The executor is gone, unless it forked.
  Mutex& mutex() ABSL_LOCK_RETURNED(mutex_) { return mutex_; }
  void ResetAfterFork();
  // Makes it anew if it was there before.
  void ReviveExecutor(Heap& heap);

 private:
  // Records come by the block, and stay.
  struct Block {
    static constexpr size_t kRecords = 56;
    Block* next = nullptr;  // constant once linked
    CleanupRecord records[kRecords];
  };

  // Null when there is no memory.
  CleanupRecord* NewRecord(const mheap::MSpan& span, const void* object,
                           bool finalizer)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool NewBlock() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A new record, its special on the object, with the call; null, and the call
  // stays the caller's, when there is no memory.
  CleanupRecord* Arm(mheap::MSpan& span, const void* object, bool finalizer,
                     std::unique_ptr<CleanupCall>& call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Block* FirstBlock() ABSL_LOCKS_EXCLUDED(mutex_);
  // Frees a record; its callable, for the caller to destroy with no lock held:
  // it may hold Roots.
  std::unique_ptr<CleanupCall> Recycle(CleanupRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of a dead special that is no weak handle.
  void TakeDeadRecord(CleanupRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Destroys the callable of the oldest queued record; false if none is queued.
  bool DropQueued();
  // Destroys those of a block's armed records, which are stopped; false if none
  // is armed.
  bool DropArmed(Block& block);
  void Enqueue(CleanupRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The oldest queued record and those of its object behind it, linked by
  // `next`; null when none is queued, or the heap ends.
  CleanupRecord* TakeUnit();
  // Calls, and frees, the first record of a unit; the next one.
  CleanupRecord* RunFirst(CleanupRecord* unit);
  // Into the place where it belongs among those to be queued again.
  static void InsertSorted(CleanupRecord** list, CleanupRecord& record);
  void ExecutorLoop();
  // False when the executor is to end. On a native thread.
  bool AwaitQueued();
  bool ending();

  mheap::MHeap& heap_;
  Heap* executor_heap_ = nullptr;
  ServiceThread executor_;  // started under the mutex

  Mutex mutex_{LockRank::kCleanupQueue};
  CondVar executor_wakes_;
  Block* blocks_ ABSL_GUARDED_BY(mutex_) = nullptr;
  CleanupRecord* free_ ABSL_GUARDED_BY(mutex_) = nullptr;
  CleanupRecord* queue_ ABSL_GUARDED_BY(mutex_) = nullptr;
  CleanupRecord** queue_end_ ABSL_GUARDED_BY(mutex_) = &queue_;
  CleanupRecord* due_finalizers_ ABSL_GUARDED_BY(mutex_) = nullptr;
  uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool lost_ ABSL_GUARDED_BY(mutex_) = false;  // by a fork
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_CLEANUP_QUEUE_H_
