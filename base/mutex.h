// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A mutex that clang's thread-safety analysis understands and whose rank is
// checked at run time in debug builds (taking a lock of a lower or equal rank
// than one already held by this thread is fatal). It never allocates.
//
// Go counterpart: runtime mutex with lockrank. Thread-safe.
// INV-BASE-7: the ranks of the locks that a thread holds rise in the order in
// which it took them.

#ifndef TRICOLOR_BASE_MUTEX_H_
#define TRICOLOR_BASE_MUTEX_H_

#include <cstdint>
#include <new>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/lock_rank.h"
#include "tricolor/base/std_mutex.h"

namespace tricolor {

class ABSL_LOCKABLE Mutex {
 public:
  constexpr explicit Mutex(LockRank rank) : rank_(rank) {}
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION();
  void Unlock() ABSL_UNLOCK_FUNCTION();
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true);

  // Fatal, in debug builds, unless this thread holds the lock.
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK();

  LockRank rank() const { return rank_; }

  // For handlers of fork(), which hold many locks, of several heaps, from
  // before it until after it: of no rank, and unknown to AssertHeld. Locked by
  // the forking thread, unlocked by it in both processes.
  void LockForFork() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex_.lock(); }
  void UnlockAfterFork() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex_.unlock(); }

 private:
  friend class CondVar;
  StdMutex mutex_;
  const LockRank rank_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : mutex_(mutex) {
    mutex_.Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// A condition variable for use with Mutex. The mutex must be held by the
// caller of the Wait functions, and is held again when they return; wake-ups
// may be spurious.
class CondVar {
 public:
  void Wait(Mutex& mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Waits at most `nanoseconds`. False when the time ran out.
  bool WaitFor(Mutex& mutex, int64_t nanoseconds)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void Signal() { condition_.notify_one(); }
  void SignalAll() { condition_.notify_all(); }

  // In a child of fork(), before any other use: forgets threads that waited in
  // the parent. To signal them, or to destroy the condition, would hang.
  void ResetAfterFork() { ::new (&condition_) StdCondition; }

 private:
  StdCondition condition_;
};

}  // namespace tricolor

#endif  // TRICOLOR_BASE_MUTEX_H_
