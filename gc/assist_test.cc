// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/assist.h"

#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/test_random.h"

namespace tricolor::gc {
namespace {

TEST(AssistDueTest, IsTheDebtAtThePrice) {
  const AssistDue due = AssistDueFor(1 << 20, 2.0);
  EXPECT_EQ(due.work, (2U << 20) + 1);
  EXPECT_EQ(due.bytes, (1U << 20) + 1);
}

TEST(AssistDueTest, IsAtLeastTheOverAssistWhichPaysForMore) {
  const AssistDue due = AssistDueFor(1, 2.0);
  EXPECT_EQ(due.work, kOverAssist);
  EXPECT_EQ(due.bytes, kOverAssist / 2 + 1);
}

TEST(AssistDueTest, IsNothingWithoutDebtOrPrice) {
  EXPECT_EQ(AssistDueFor(0, 2.0).work, 0U);
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double price :
       {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), infinity}) {
    EXPECT_EQ(AssistDueFor(100, price).work, 0U);
    EXPECT_EQ(AssistDueFor(100, price).bytes, 0U);
  }
}

TEST(AssistDueTest, ExtremePricesDoNotWrap) {
  EXPECT_EQ(AssistDueFor(UINT64_MAX, 1e30).work, UINT64_MAX);
  EXPECT_EQ(AssistDueFor(1, 1e-30).bytes, UINT64_MAX);
  EXPECT_GE(AssistDueFor(UINT64_MAX, 1e19).bytes, UINT64_MAX);
}

TEST(AssistAccountTest, GoesIntoDebtByAllocationAndOutByPay) {
  AssistAccount account;
  EXPECT_EQ(account.debt(), 0U);
  account.Charge(100, 1);
  EXPECT_EQ(account.debt(), 100U);
  account.Pay(130);
  EXPECT_EQ(account.debt(), 0U);
  account.Charge(40, 1);
  EXPECT_EQ(account.debt(), 10U);
}

TEST(AssistAccountTest, AnotherCycleForgetsDebtAndCredit) {
  AssistAccount account;
  account.Charge(100, 1);
  account.Charge(7, 2);
  EXPECT_EQ(account.debt(), 7U);
  account.Pay(1000);
  account.Charge(3, 3);
  EXPECT_EQ(account.debt(), 3U);
}

TEST(AssistAccountTest, StaysAtTheEndsOfItsRange) {
  AssistAccount account;
  account.Charge(UINT64_MAX, 1);
  EXPECT_EQ(account.debt(), uint64_t{1} << 63);
  account.Charge(UINT64_MAX, 1);
  EXPECT_EQ(account.debt(), uint64_t{1} << 63);
  account.Pay(UINT64_MAX);
  EXPECT_EQ(account.balance(), INT64_MAX);
  account.Pay(1);
  EXPECT_EQ(account.balance(), INT64_MAX);
}

TEST(AssistCreditTest, PaysAsFarAsItGoes) {
  AssistCredit credit;
  AssistAccount account;
  credit.Add(300000);
  account.Charge(100000, 1);
  EXPECT_EQ(credit.Begin(account, 2.0), 0U);
  EXPECT_EQ(credit.available(), 99999U);
  EXPECT_EQ(account.balance(), 1);

  account.Charge(100001, 1);
  EXPECT_EQ(credit.Begin(account, 2.0), 100002U);
  EXPECT_EQ(credit.available(), 0U);
  EXPECT_EQ(account.debt(), 50000U);
  AssistCredit::Finish(account, 100002, 2.0);
  EXPECT_EQ(account.debt(), 0U);
}

TEST(AssistCreditTest, WhoDoesLessThanItOwesStaysInDebt) {
  AssistCredit credit;
  AssistAccount account;
  account.Charge(100000, 1);
  EXPECT_EQ(credit.Begin(account, 1.0), 100001U);
  AssistCredit::Finish(account, 30000, 1.0);
  EXPECT_EQ(account.debt(), 69999U);
  AssistCredit::Finish(account, 0, 1.0);
  EXPECT_EQ(account.debt(), 69999U);
}

TEST(AssistCreditTest, NoDebtTakesNothing) {
  AssistCredit credit;
  credit.Add(5);
  AssistAccount account;
  account.Charge(0, 1);
  EXPECT_EQ(credit.Begin(account, 1.0), 0U);
  EXPECT_EQ(credit.available(), 5U);
  EXPECT_EQ(account.balance(), 0);
}

TEST(AssistCreditTest, IsFullAtTheLargestNumber) {
  AssistCredit credit;
  credit.Add(UINT64_MAX - 1);
  credit.Add(100);
  EXPECT_EQ(credit.available(), UINT64_MAX);
  EXPECT_EQ(credit.Take(UINT64_MAX), UINT64_MAX);
  EXPECT_EQ(credit.Take(1), 0U);
}

// Every price from next to nothing to all the work for a byte: paying all that
// is due ends the debt (INV-GC-PACE-6).
TEST(AssistCreditTest, PayingAllThatIsDueEndsTheDebt) {
  TestRandom random(TestSeed());
  for (int i = 0; i < 100000; ++i) {
    AssistCredit credit;
    AssistAccount account;
    const double price =
        static_cast<double>(1 + random.Next() % (1 << 30)) /
        static_cast<double>(1 + (random.Next() >> random.Below(64)));
    account.Charge(1 + (random.Next() >> (14 + random.Below(50))), 1);
    if (static_cast<double>(account.debt()) * price > 1e18) continue;
    credit.Add(random.Next() >> random.Below(64));
    const uint64_t rest = credit.Begin(account, price);
    AssistCredit::Finish(account, rest, price);
    ASSERT_EQ(account.debt(), 0U) << "price " << price;
  }
}

TEST(AssistCreditTest, ThreadsNeverTakeMoreThanWasAdded) {
  constexpr int kThreads = 4;
  constexpr uint64_t kRounds = 1000000;  // for some to be interrupted
  AssistCredit credit;
  std::vector<uint64_t> taken(kThreads);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&credit, &taken, t] {
      for (uint64_t i = 0; i < kRounds; ++i) {
        credit.Add(3);
        taken[t] += credit.Take(1 + i % 9);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  uint64_t sum = 0;
  for (const uint64_t t : taken) sum += t;
  EXPECT_LE(sum, kThreads * kRounds * 3);
  EXPECT_EQ(credit.available(), kThreads * kRounds * 3 - sum);
}

}  // namespace
}  // namespace tricolor::gc
