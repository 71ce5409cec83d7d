// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/idle_workers.h"

#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/test_random.h"

namespace tricolor::gc {
namespace {

using Outcome = IdleWorkers::Outcome;

bool Never() { return false; }

TEST(IdleWorkersTest, OnlyWorkerIsTheLastAtOnce) {
  IdleWorkers idle;
  idle.Reset(1);
  EXPECT_FALSE(idle.any());
  EXPECT_EQ(idle.Await(Never), Outcome::kLast);
  idle.Resume();
  EXPECT_FALSE(idle.any());
  EXPECT_EQ(idle.Await(Never), Outcome::kLast);
  idle.Finish();
}

// Whoever is the last; the others wait awake or asleep.
TEST(IdleWorkersTest, FinishReleasesTheOthers) {
  for (int milliseconds : {0, 5}) {
    IdleWorkers idle;
    idle.Reset(3);
    Atomic<int> last;
    Atomic<int> done;
    const auto wait = [&] {
      if (idle.Await(Never) == Outcome::kLast) {
        last.FetchAddRelaxed(1);
        idle.Finish();
      } else {
        done.FetchAddRelaxed(1);
      }
    };
    std::thread one(wait);
    std::thread two(wait);
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    wait();
    one.join();
    two.join();
    EXPECT_EQ(last.LoadRelaxed(), 1);
    EXPECT_EQ(done.LoadRelaxed(), 2);
  }
}

TEST(IdleWorkersTest, IdleWorkerLeavesWhenThereIsWork) {
  IdleWorkers idle;
  idle.Reset(2);
  Atomic<bool> work;
  Atomic<bool> left;
  std::thread other([&] {
    EXPECT_EQ(idle.Await([&] { return work.LoadRelaxed(); }), Outcome::kWork);
    left.StoreRelease(true);
  });
  while (!idle.any()) std::this_thread::yield();
  EXPECT_FALSE(left.LoadAcquire());
  work.StoreRelaxed(true);
  idle.WorkPublished();
  other.join();
  EXPECT_FALSE(idle.any());
}

// Units of work that make more units, as objects lead to objects.
struct UnitPool {
  Atomic<int64_t> available;
  Atomic<int64_t> done;

  bool TryTake() {
    int64_t seen = available.LoadRelaxed();
    while (seen > 0) {
      if (available.CompareExchangeAcqRel(seen, seen - 1)) return true;
    }
    return false;
  }
};

void WorkOn(IdleWorkers& idle, UnitPool& pool, TestRandom random, int64_t total,
            Atomic<int64_t>& made) {
  for (;;) {
    while (pool.TryTake()) {
      pool.done.FetchAddRelaxed(1);
      for (uint64_t i = random.Below(3); i > 0; --i) {
        if (made.FetchAddRelaxed(1) >= total) break;
        pool.available.FetchAddAcqRel(1);
        idle.WorkPublished();
      }
    }
    switch (idle.Await([&] { return pool.available.LoadRelaxed() > 0; })) {
      case Outcome::kWork:
        break;
      case Outcome::kDone:
        return;
      case Outcome::kLast:
        ASSERT_EQ(pool.available.LoadRelaxed(), 0);
        // Work of another phase, which only the last worker knows of.
        if (made.LoadRelaxed() < total) {
          made.FetchAddRelaxed(1);
          pool.available.FetchAddAcqRel(1);
          idle.Resume();
          break;
        }
        idle.Finish();
        return;
    }
  }
}

TEST(IdleWorkersTest, NothingIsLeftWhenAllAreDone) {
  const uint64_t seed = TestSeed();
  for (uint32_t workers : {1u, 2u, 4u}) {
    IdleWorkers idle;
    idle.Reset(workers);
    UnitPool pool;
    pool.available.StoreRelaxed(1);
    Atomic<int64_t> made(1);
    constexpr int64_t kTotal = 20000;
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < workers; ++i) {
      threads.emplace_back(
          [&, i] { WorkOn(idle, pool, TestRandom(seed + i), kTotal, made); });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(pool.available.LoadRelaxed(), 0);
    EXPECT_EQ(pool.done.LoadRelaxed(), kTotal);
  }
}

// The one who waits finds work, and before it can leave the other one becomes
// the last. From then on the count is that one's.
TEST(IdleWorkersTest, NobodyLeavesOnceAllAreIdle) {
  IdleWorkers idle;
  idle.Reset(2);
  std::thread decider;
  const auto has_work = [&] {
    if (decider.joinable()) return true;
    EXPECT_EQ(idle.Await(Never), Outcome::kLast);
    decider = std::thread([&idle] {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      idle.Finish();
    });
    return true;
  };
  EXPECT_EQ(idle.Await(has_work), Outcome::kDone);
  decider.join();
}

TEST(IdleWorkersDeathTest, MoreIdleWorkersThanWorkersIsFatal) {
  IdleWorkers idle;
  idle.Reset(1);
  ASSERT_EQ(idle.Await(Never), Outcome::kLast);
  EXPECT_DEATH((void)idle.Await(Never), "worker 2 of 1 goes idle");
}

}  // namespace
}  // namespace tricolor::gc
