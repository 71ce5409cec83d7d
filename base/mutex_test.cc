// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/mutex.h"

#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "gtest/gtest.h"

namespace tricolor {
namespace {

// Locks with static storage need no constructor to run.
constinit Mutex constant_mutex(LockRank::kLeaf);

TEST(Mutex, ExcludesOtherThreads) {
  Mutex mutex(LockRank::kHeap);
  uint64_t counter = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 5000; ++k) {
        MutexLock lock(mutex);
        ++counter;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter, 20000u);
}

TEST(Mutex, TryLockTellsWhetherTheLockWasTaken) {
  MutexLock held(constant_mutex);
  std::thread([] { EXPECT_FALSE(constant_mutex.TryLock()); }).join();
  Mutex other(LockRank::kHeap);
  std::thread([&other] {
    ASSERT_TRUE(other.TryLock());
    other.AssertHeld();
    other.Unlock();
  }).join();
}

TEST(Mutex, RisingRanksAreAllowedAndReleasedInAnyOrder) {
  Mutex a(LockRank::kCycle);
  Mutex b(LockRank::kHeap);
  Mutex c(LockRank::kLeaf);
  for (int i = 0; i < 3; ++i) {
    a.Lock();
    b.Lock();
    c.Lock();
    a.AssertHeld();
    b.AssertHeld();
    c.AssertHeld();
    b.Unlock();
    a.Unlock();
    c.Unlock();
  }
}

TEST(Mutex, EachThreadHasItsOwnRanks) {
  Mutex high(LockRank::kLeaf);
  Mutex low(LockRank::kCycle);
  MutexLock lock(high);
  std::thread([&low] { MutexLock other(low); }).join();
}

TEST(LockRank, NamesAreDistinct) {
  std::set<std::string> names;
  const int count = static_cast<int>(LockRank::kLeaf) + 1;
  for (int i = 0; i < count; ++i) {
    names.insert(LockRankName(static_cast<LockRank>(i)));
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(count));
  EXPECT_EQ(names.count("unknown"), 0u);
}

#ifndef NDEBUG

void TakeBoth(Mutex& first, Mutex& second)
    ABSL_NO_THREAD_SAFETY_ANALYSIS {  // dies with the first lock held
  first.Lock();
  second.Lock();
}

TEST(MutexDeathTest, LowerRankIsFatal) {
  Mutex heap(LockRank::kHeap);
  Mutex world(LockRank::kWorld);
  EXPECT_DEATH(TakeBoth(heap, world),
               "lock .* of rank World taken while lock .* of rank Heap");
}

TEST(MutexDeathTest, EqualRankIsFatal) {
  Mutex one(LockRank::kSpanSpecials);
  Mutex two(LockRank::kSpanSpecials);
  EXPECT_DEATH(TakeBoth(one, two), "of rank SpanSpecials taken while");
}

TEST(MutexDeathTest, TakingALockTwiceIsFatalAndDoesNotHang) {
  Mutex mutex(LockRank::kLeaf);
  EXPECT_DEATH(TakeBoth(mutex, mutex), "of rank Leaf taken while");
}

void TryBoth(Mutex& first, Mutex& second)
    ABSL_NO_THREAD_SAFETY_ANALYSIS {  // dies with the first lock held
  first.Lock();
  second.TryLock();
}

TEST(MutexDeathTest, TryLockObeysRanksToo) {
  Mutex heap(LockRank::kHeap);
  Mutex world(LockRank::kWorld);
  EXPECT_DEATH(TryBoth(heap, world), "of rank World taken while");
}

// The greatest rank counts, even when a lock of lower rank is released last.
void ReleaseMiddleThenTake(Mutex& a, Mutex& b, Mutex& c, Mutex& d)
    ABSL_NO_THREAD_SAFETY_ANALYSIS {  // dies with two locks held
  a.Lock();
  b.Lock();
  c.Lock();
  b.Unlock();
  d.Lock();
}

TEST(MutexDeathTest, ReleaseOutOfOrderKeepsTheGreatestRank) {
  Mutex a(LockRank::kCycle);
  Mutex b(LockRank::kRoots);
  Mutex c(LockRank::kHeap);
  Mutex d(LockRank::kSweep);
  EXPECT_DEATH(ReleaseMiddleThenTake(a, b, c, d),
               "of rank Sweep taken while lock .* of rank Heap");
}

void UnlockFreeLock(Mutex& mutex)
    ABSL_NO_THREAD_SAFETY_ANALYSIS {  // releases a lock that it has not taken
  mutex.Unlock();
}

TEST(MutexDeathTest, ReleaseWithoutHoldingIsFatal) {
  Mutex mutex(LockRank::kHeap);
  EXPECT_DEATH(UnlockFreeLock(mutex), "released by a thread that does not");
}

TEST(MutexDeathTest, AssertHeldFailsForOtherThreadsLock) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        MutexLock lock(constant_mutex);
        std::thread([] { constant_mutex.AssertHeld(); }).join();
      },
      "of rank Leaf is not held by this thread");
}

#endif  // NDEBUG

TEST(CondVar, WakesAWaiterThatThenHoldsTheLock) {
  Mutex mutex(LockRank::kBackground);
  CondVar changed;
  int state = 0;
  std::thread waiter([&] {
    MutexLock lock(mutex);
    while (state == 0) changed.Wait(mutex);
    mutex.AssertHeld();
    state = 2;
    changed.Signal();
  });
  {
    MutexLock lock(mutex);
    state = 1;
    changed.SignalAll();
    while (state != 2) changed.Wait(mutex);
    mutex.AssertHeld();
  }
  waiter.join();
}

TEST(CondVar, WaitForRunsOutAndKeepsTheLock) {
  Mutex mutex(LockRank::kBackground);
  CondVar never;
  MutexLock lock(mutex);
  // Wake-ups may be spurious, but not for ever.
  while (never.WaitFor(mutex, 1000000)) {
  }
  mutex.AssertHeld();
  while (never.WaitFor(mutex, 0)) {
  }
  while (never.WaitFor(mutex, -5)) {
  }
}

TEST(CondVar, LongestWaitDoesNotOverflow) {
  Mutex mutex(LockRank::kBackground);
  CondVar changed;
  bool done = false;
  std::thread signaler;
  {
    MutexLock lock(mutex);
    signaler = std::thread([&] {
      MutexLock inner(mutex);
      done = true;
      changed.Signal();
    });
    while (!done) {
      EXPECT_TRUE(changed.WaitFor(mutex, std::numeric_limits<int64_t>::max()));
    }
  }
  signaler.join();
}

TEST(CondVar, WaitingReleasesOnlyItsOwnLock) {
  Mutex outer(LockRank::kCycle);
  Mutex inner(LockRank::kBackground);
  CondVar changed;
  bool done = false;
  MutexLock outer_lock(outer);
  std::thread signaler([&] {
    MutexLock lock(inner);
    done = true;
    changed.Signal();
  });
  {
    MutexLock lock(inner);
    while (!done) changed.Wait(inner);
    outer.AssertHeld();
    inner.AssertHeld();
  }
  signaler.join();
}

}  // namespace
}  // namespace tricolor
