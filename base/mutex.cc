// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/mutex.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <mutex>

#include "tricolor/base/check.h"
#include "tricolor/base/lock_rank.h"
#include "tricolor/base/pause.h"
#include "tricolor/base/std_mutex.h"

namespace tricolor {
namespace {

#ifdef NDEBUG
constexpr bool kCheckRanks = false;
#else
constexpr bool kCheckRanks = true;
#endif

// The locks that a thread holds, in the order in which it took them. Ranks
// rise strictly, so there are never more than there are ranks.
struct HeldLocks {
  static constexpr int kCapacity = static_cast<int>(LockRank::kLeaf) + 1;

  int count = 0;
  const Mutex* locks[kCapacity] = {};

  int Find(const Mutex* mutex) const {
    for (int i = count - 1; i >= 0; --i) {
      if (locks[i] == mutex) return i;
    }
    return -1;
  }
};

constinit thread_local HeldLocks held_locks;

const void* Id(const Mutex* mutex) { return mutex; }

// The three below do nothing in release builds.

// Ranks rise in the list, so its last entry has the greatest one.
void CheckRank(const Mutex* mutex) {
  if constexpr (!kCheckRanks) return;
  const HeldLocks& held = held_locks;
  if (held.count == 0) return;
  const Mutex* last = held.locks[held.count - 1];
  TRICOLOR_CHECK(mutex->rank() > last->rank(),
                 "lock %p of rank %s taken while lock %p of rank %s is held "
                 "[INV-BASE-7]",
                 Id(mutex), LockRankName(mutex->rank()), Id(last),
                 LockRankName(last->rank()));
}

void NoteTaken(const Mutex* mutex) {
  if constexpr (!kCheckRanks) return;
  HeldLocks& held = held_locks;
  held.locks[held.count++] = mutex;
}

void NoteReleased(const Mutex* mutex) {
  if constexpr (!kCheckRanks) return;
  HeldLocks& held = held_locks;
  const int index = held.Find(mutex);
  TRICOLOR_CHECK(index >= 0,
                 "lock %p of rank %s released by a thread that does not "
                 "hold it (it holds %d locks)",
                 Id(mutex), LockRankName(mutex->rank()), held.count);
  for (int i = index; i + 1 < held.count; ++i) {
    held.locks[i] = held.locks[i + 1];
  }
  --held.count;
}

}  // namespace

void Mutex::Lock() {
  CheckRank(this);
  bool taken = false;
  for (int i = 0; i < kMutexSpins && !taken; ++i) {
    taken = mutex_.try_lock();
    if (!taken) PauseCpu();
  }
  if (!taken) mutex_.lock();
  NoteTaken(this);
}

void Mutex::Unlock() {
  NoteReleased(this);
  mutex_.unlock();
}

bool Mutex::TryLock() {
  CheckRank(this);
  const bool taken = mutex_.try_lock();
  if (taken) NoteTaken(this);
  return taken;
}

void Mutex::AssertHeld() const {
  if constexpr (kCheckRanks) {
    TRICOLOR_CHECK(held_locks.Find(this) >= 0,
                   "lock %p of rank %s is not held by this thread "
                   "(it holds %d locks)",
                   Id(this), LockRankName(rank_), held_locks.count);
  }
}

// The waits release the lock inside the standard library, so the list of held
// locks is kept by hand around them.

void CondVar::Wait(Mutex& mutex) {
  NoteReleased(&mutex);
  std::unique_lock<StdMutex> lock(mutex.mutex_, std::adopt_lock);
  condition_.wait(lock);
  lock.release();
  CheckRank(&mutex);
  NoteTaken(&mutex);
}

bool CondVar::WaitFor(Mutex& mutex, int64_t nanoseconds) {
  // A quarter of the range keeps `now + limit` from overflowing.
  constexpr int64_t kLongest = std::numeric_limits<int64_t>::max() / 4;
  const std::chrono::nanoseconds limit(std::min(nanoseconds, kLongest));
  NoteReleased(&mutex);
  std::unique_lock<StdMutex> lock(mutex.mutex_, std::adopt_lock);
  const std::cv_status status = condition_.wait_for(lock, limit);
  lock.release();
  CheckRank(&mutex);
  NoteTaken(&mutex);
  return status == std::cv_status::no_timeout;
}

}  // namespace tricolor
