// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/live_account.h"

#include <cstdint>
#include <latch>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/gc/gc_pacer.h"

namespace tricolor::gc {
namespace {

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kSpan = 8192;

int64_t Live(const GcPacer& pacer) {
  return static_cast<int64_t>(pacer.heap_live());
}

// Ends a cycle that has found `marked`, with so many accounts from then on.
void RunCycle(GcPacer& pacer, int64_t marked, uint64_t accounts) {
  pacer.StartCycle({});
  pacer.EndCycle(
      {.marked = static_cast<uint64_t>(marked), .accounts = accounts});
}

TEST(LiveAccountTest, TellsOfWhatIsTakenAndOfSomeAhead) {
  GcPacer pacer({});
  const int64_t ahead = pacer.ahead();
  ASSERT_GT(ahead, 1);
  LiveAccount account;
  account.Changed(pacer, kSpan);
  EXPECT_EQ(Live(pacer), kSpan + ahead);
}

TEST(LiveAccountTest, TellsOfNothingUntilWhatWasToldIsTaken) {
  GcPacer pacer({});
  const int64_t ahead = pacer.ahead();
  LiveAccount account;
  account.Changed(pacer, kSpan);
  account.Changed(pacer, ahead - 1);
  EXPECT_EQ(Live(pacer), kSpan + ahead);
  account.Changed(pacer, 1);
  EXPECT_EQ(Live(pacer), kSpan + ahead);
  account.Changed(pacer, 1);  // now it would lag behind
  EXPECT_EQ(Live(pacer), kSpan + ahead + 1 + ahead);
}

TEST(LiveAccountTest, TellsOfWhatIsGivenBackFromTwiceAheadOn) {
  GcPacer pacer({});
  const int64_t ahead = pacer.ahead();
  LiveAccount account;
  account.Changed(pacer, kMiB);
  account.Changed(pacer, -(ahead - 1));
  EXPECT_EQ(Live(pacer), kMiB + ahead);
  account.Changed(pacer, -1);
  EXPECT_EQ(Live(pacer), kMiB + ahead);
  account.Changed(pacer, -1);
  EXPECT_EQ(Live(pacer), kMiB - ahead - 1 + ahead);
}

// Takes and gives back in amounts of which some are small and some larger than
// all that is told ahead.
TEST(LiveAccountTest, ThePacerIsNeverBehindAndAheadByAtMostTwice) {
  GcPacer pacer({});
  const int64_t ahead = pacer.ahead();
  LiveAccount account;
  int64_t taken = 0;
  int64_t told = 0;
  for (int64_t i = 0; i < 10000; ++i) {
    const int64_t before = Live(pacer);
    const int64_t size = 1 + i * i * 7919 % (i % 16 == 0 ? 4 * ahead : kSpan);
    const int64_t bytes = i % 3 == 2 && size <= taken ? -size : size;
    taken += bytes;
    account.Changed(pacer, bytes);
    ASSERT_GE(Live(pacer), taken) << "step " << i;
    ASSERT_LE(Live(pacer), taken + 2 * ahead) << "step " << i;
    if (Live(pacer) != before) ++told;
  }
  EXPECT_GT(taken, 64 * ahead);
  // Otherwise it would be of no use.
  EXPECT_LT(told, 10000 / 4);
}

TEST(LiveAccountTest, TakesNoMoreThanTheRangeOfNow) {
  GcPacer pacer({});
  LiveAccount account;
  account.Changed(pacer, kSpan);
  const int64_t before = pacer.ahead();
  // The same room for many accounts.
  RunCycle(pacer, kSpan + before, 100);
  const int64_t ahead = pacer.ahead();
  ASSERT_LT(2 * ahead, before);
  ASSERT_GT(ahead, 0);
  account.Changed(pacer, 1);
  EXPECT_EQ(Live(pacer), kSpan + 1 + ahead);
}

TEST(LiveAccountTest, IsExactWhileACycleMarks) {
  GcPacer pacer({});
  LiveAccount account;
  account.Changed(pacer, kSpan);
  account.Settle(pacer);
  pacer.StartCycle({});  // long before one is due
  EXPECT_EQ(pacer.ahead(), 0);
  account.Changed(pacer, 5);
  EXPECT_EQ(Live(pacer), kSpan + 5);
  account.Changed(pacer, -3);
  EXPECT_EQ(Live(pacer), kSpan + 2);
}

TEST(LiveAccountTest, ACycleIsDueByTheTriggerAndLittleBefore) {
  GcPacer pacer({});
  const auto trigger = static_cast<int64_t>(pacer.trigger());
  LiveAccount account;
  int64_t taken = 0;
  while (!pacer.due()) {
    ASSERT_LT(taken, trigger);
    account.Changed(pacer, 1000);
    taken += 1000;
  }
  EXPECT_GT(taken, trigger - trigger / 32);
}

TEST(LiveAccountTest, SettlesByTakingBackWhatItToldAhead) {
  GcPacer pacer({});
  const int64_t ahead = pacer.ahead();
  LiveAccount account;
  account.Settle(pacer);
  EXPECT_EQ(Live(pacer), 0);
  account.Changed(pacer, kSpan);
  account.Changed(pacer, 100);
  account.Settle(pacer);
  EXPECT_EQ(Live(pacer), kSpan + 100);
  account.Settle(pacer);
  EXPECT_EQ(Live(pacer), kSpan + 100);
  account.Changed(pacer, 1);
  EXPECT_EQ(Live(pacer), kSpan + 101 + ahead);
}

TEST(LiveAccountTest, ForgetsWhatThePacerHasCountedAfresh) {
  GcPacer pacer({});
  LiveAccount account;
  account.Changed(pacer, kSpan);
  RunCycle(pacer, kMiB, 1);
  account.Forget();
  EXPECT_EQ(Live(pacer), kMiB);
  account.Settle(pacer);
  EXPECT_EQ(Live(pacer), kMiB);
  account.Changed(pacer, 1);
  EXPECT_EQ(Live(pacer), kMiB + 1 + pacer.ahead());
}

TEST(LiveAccountTest, ForgettingTellsWhetherItWasUsedSinceTheLastTime) {
  GcPacer pacer({});
  LiveAccount account;
  account.Settle(pacer);
  EXPECT_FALSE(account.Forget());
  account.Changed(pacer, kSpan);
  EXPECT_TRUE(account.Forget());
  EXPECT_FALSE(account.Forget());
  account.Changed(pacer, -1);  // of which it tells nothing
  EXPECT_TRUE(account.Forget());
}

// What is told counts as memory with pointers: with all of it to be scanned,
// the price is that of telling the pacer directly.
TEST(LiveAccountTest, WhatIsToldMayHavePointers) {
  const auto price = [](GcPacer& pacer) {
    pacer.StartCycle({});
    pacer.HeapLiveChanged(100 * kMiB, 0);  // far beyond the goal
    pacer.Revise();
    return pacer.work_per_byte();
  };
  GcPacer direct({});
  direct.HeapLiveChanged(3 * kMiB, 3 * kMiB);
  GcPacer by_account({});
  LiveAccount account;
  account.Changed(by_account, 3 * kMiB);
  account.Settle(by_account);
  GcPacer without({});
  without.HeapLiveChanged(3 * kMiB, 0);
  const double expected = price(direct);
  EXPECT_EQ(price(by_account), expected);
  EXPECT_NE(price(without), expected);
}

// Each step is more than an account may keep to itself, so that all of them
// tell the pacer all the time.
TEST(LiveAccountTest, ManyAccountsSettleToTheExactSum) {
  constexpr int kThreads = 4;
  GcPacer pacer({});
  RunCycle(pacer, 0, kThreads);
  const int64_t ahead = pacer.ahead();
  ASSERT_GT(ahead, 0);
  LiveAccount accounts[kThreads];
  int64_t taken[kThreads] = {};
  std::latch start(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      start.arrive_and_wait();
      for (int64_t i = 0; i < 200000; ++i) {
        const int64_t bytes = i % 2 == 0 ? 4 * ahead + i : -3 * ahead - t;
        accounts[t].Changed(pacer, bytes);
        taken[t] += bytes;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int64_t sum = 0;
  for (const int64_t bytes : taken) sum += bytes;
  EXPECT_GE(Live(pacer), sum);
  EXPECT_LE(Live(pacer), sum + 2 * ahead * kThreads);
  for (LiveAccount& account : accounts) account.Settle(pacer);
  EXPECT_EQ(Live(pacer), sum);
}

}  // namespace
}  // namespace tricolor::gc
