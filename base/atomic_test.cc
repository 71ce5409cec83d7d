// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/atomic.h"

#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

#include "gtest/gtest.h"

namespace tricolor {
namespace {

static_assert(sizeof(Atomic<uint64_t>) == sizeof(uint64_t));
static_assert(sizeof(Atomic<uint8_t>) == sizeof(uint8_t));
static_assert(std::is_trivially_destructible_v<Atomic<void*>>);
static_assert(!std::is_copy_constructible_v<Atomic<int>>);

TEST(Atomic, StartsAtZeroOrAtItsValue) {
  EXPECT_EQ(Atomic<uint32_t>().LoadRelaxed(), 0u);
  EXPECT_EQ(Atomic<void*>().LoadAcquire(), nullptr);
  EXPECT_EQ(Atomic<int>(-3).LoadSeqCst(), -3);
}

TEST(Atomic, ReadModifyWriteReturnsTheValueBefore) {
  Atomic<uint32_t> a(10);
  EXPECT_EQ(a.FetchAddRelaxed(5), 10u);
  EXPECT_EQ(a.FetchAddAcqRel(1), 15u);
  EXPECT_EQ(a.FetchAddSeqCst(1), 16u);
  EXPECT_EQ(a.FetchSubRelaxed(1), 17u);
  EXPECT_EQ(a.FetchSubAcqRel(1), 16u);
  EXPECT_EQ(a.FetchOrRelaxed(16), 15u);
  EXPECT_EQ(a.FetchOrRelease(32), 31u);
  EXPECT_EQ(a.FetchOrAcqRel(64), 63u);
  EXPECT_EQ(a.FetchAndRelaxed(0x70), 127u);
  EXPECT_EQ(a.FetchAndRelease(0x30), 0x70u);
  EXPECT_EQ(a.ExchangeAcquire(1), 0x30u);
  EXPECT_EQ(a.ExchangeAcqRel(2), 1u);
  EXPECT_EQ(a.ExchangeSeqCst(3), 2u);
  a.AddOwned(4);
  EXPECT_EQ(a.LoadRelaxed(), 7u);
}

TEST(Atomic, AddOwnedWrapsInTheTypeItself) {
  Atomic<uint8_t> a(255);
  a.AddOwned(2);
  EXPECT_EQ(a.LoadRelaxed(), 1);
}

// Each form reports success, and on failure the value that it found.
template <typename Exchange>
void TestCompareExchange(Exchange exchange) {
  Atomic<int> a(1);
  int expected = 1;
  EXPECT_TRUE(exchange(a, expected, 2));
  EXPECT_EQ(expected, 1);
  EXPECT_EQ(a.LoadRelaxed(), 2);
  EXPECT_FALSE(exchange(a, expected, 3));
  EXPECT_EQ(expected, 2);
  EXPECT_EQ(a.LoadRelaxed(), 2);
}

TEST(Atomic, CompareExchangeReportsWhatItFound) {
  using A = Atomic<int>;
  TestCompareExchange(
      [](A& a, int& e, int d) { return a.CompareExchangeRelaxed(e, d); });
  TestCompareExchange(
      [](A& a, int& e, int d) { return a.CompareExchangeAcquire(e, d); });
  TestCompareExchange(
      [](A& a, int& e, int d) { return a.CompareExchangeRelease(e, d); });
  TestCompareExchange(
      [](A& a, int& e, int d) { return a.CompareExchangeAcqRel(e, d); });
  TestCompareExchange(
      [](A& a, int& e, int d) { return a.CompareExchangeSeqCst(e, d); });
}

// ThreadSanitizer reports the plain word if either order is too weak.
TEST(Atomic, ReleaseStorePublishesToAcquireLoad) {
  uint64_t payload = 0;
  Atomic<bool> ready;
  std::thread reader([&] {
    while (!ready.LoadAcquire()) std::this_thread::yield();
    EXPECT_EQ(payload, 42u);
  });
  payload = 42;
  ready.StoreRelease(true);
  reader.join();
}

TEST(Atomic, NoIncrementIsLost) {
  constexpr int kThreads = 4;
  constexpr int kTimes = 10000;
  Atomic<uint64_t> total;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < kTimes; ++k) total.FetchAddRelaxed(1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(total.LoadRelaxed(), uint64_t{kThreads} * kTimes);
}

TEST(Atomic, WordsOfUndeclaredObjectsMayBeReadWhileWritten) {
  uint64_t field = 0;
  std::thread writer([&] {
    for (uint64_t i = 1; i <= 10000; ++i) StoreWordRelaxed(&field, i);
  });
  uint64_t last = 0;
  for (int i = 0; i < 10000; ++i) {
    const uint64_t now = LoadWordRelaxed(&field);
    EXPECT_LE(last, now);
    last = now;
  }
  writer.join();
  EXPECT_EQ(LoadWordRelaxed(&field), 10000u);
}

}  // namespace
}  // namespace tricolor
