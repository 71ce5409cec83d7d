// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// SpanSet under many threads at once: each span comes out exactly once, in the
// order of its pusher, with what its pusher wrote to it (which ThreadSanitizer
// watches), and all blocks come back.

#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/mheap/span_set-inl.h"
#include "tricolor/mheap/span_set_testing.h"

namespace tricolor::mheap {
namespace {

// Small blocks, and now and then another thread at a step in between.
template <uint32_t kEntries, uint32_t kSegment>
struct UnsteadyTraits : SmallBlockTraits<kEntries, kSegment> {
  static void AtStep(SpanSetStep) {
    thread_local std::minstd_rand random(
        static_cast<uint32_t>(reinterpret_cast<uintptr_t>(&random) >> 4));
    if (random() % 16 == 0) std::this_thread::yield();
  }
};

// Stands for a span. The fields are plain: the set must order them.
struct Item {
  uint32_t pusher = 0;
  uint32_t number = 0;
  uint32_t hops = 0;

  MSpan* AsSpan() { return reinterpret_cast<MSpan*>(this); }
  static Item* Of(MSpan* span) { return reinterpret_cast<Item*>(span); }
};

template <typename Traits>
class SpanSetStressTest : public ::testing::Test {
 protected:
  using Set = BasicSpanSet<Traits>;

  SpanSetStressTest() : os_({.protect = false}), memory_(os_), pool_(memory_) {}

  static void Join(std::vector<std::thread>& threads) {
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }

  FakeOsMemory os_;
  PersistentAlloc memory_;
  BasicSpanSetBlockPool<Traits> pool_;
};

using AllTraits =
    ::testing::Types<SpanSetTraits, UnsteadyTraits<2, 1>, UnsteadyTraits<4, 2>>;
TYPED_TEST_SUITE(SpanSetStressTest, AllTraits);

constexpr uint32_t kPushers = 2;
constexpr uint32_t kPoppers = 2;
constexpr uint32_t kItemsEach = 4000;

// One round: everything that is pushed is popped meanwhile.
template <typename Set>
class PushPopRound {
 public:
  explicit PushPopRound(Set& set) : set_(set) {
    for (auto& items : items_) items.resize(kItemsEach);
  }

  void Run() {
    std::vector<std::thread> threads;
    for (uint32_t p = 0; p < kPushers; ++p) {
      threads.emplace_back([this, p] { PushAll(p); });
    }
    for (uint32_t c = 0; c < kPoppers; ++c) {
      threads.emplace_back([this] { PopAll(); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& items : items_) {
      for (const Item& item : items) ASSERT_EQ(item.hops, 1u);
    }
  }

 private:
  void PushAll(uint32_t pusher) {
    for (uint32_t i = 0; i < kItemsEach; ++i) {
      Item& item = items_[pusher][i];
      item.pusher = pusher;
      item.number = i;
      ASSERT_TRUE(set_.Push(item.AsSpan()));
    }
  }

  void PopAll() {
    int64_t last[kPushers];
    for (int64_t& number : last) number = -1;
    while (popped_.LoadRelaxed() < kPushers * kItemsEach) {
      MSpan* span = set_.Pop();
      if (span == nullptr) {
        std::this_thread::yield();
        continue;
      }
      Item* item = Item::Of(span);
      ++item->hops;
      ASSERT_LT(last[item->pusher], item->number);
      last[item->pusher] = item->number;
      popped_.FetchAddRelaxed(1);
    }
  }

  Set& set_;
  std::vector<Item> items_[kPushers];
  Atomic<uint32_t> popped_;
};

TYPED_TEST(SpanSetStressTest, EachSpanIsPoppedOnceAndInOrder) {
  typename TestFixture::Set set(this->pool_);
  for (int round = 0; round < 5; ++round) {
    PushPopRound<typename TestFixture::Set>(set).Run();
    if (this->HasFatalFailure()) return;
    EXPECT_EQ(set.Pop(), nullptr);
    set.CheckInvariants();
    set.Reset();
    EXPECT_EQ(this->pool_.CheckInvariants(), this->pool_.blocks());
  }
}

// As the collector does it: spans wander from set to set, and every thread both
// pushes and pops. Few spans keep head and tail close together, where poppers
// give back the block that pushers are about to use.
TYPED_TEST(SpanSetStressTest, SpansWanderBetweenSetsThatShareBlocks) {
  constexpr uint32_t kSets = 3;
  constexpr uint32_t kItems = 7;
  constexpr uint32_t kHops = 40000;
  constexpr uint32_t kThreads = 4;
  typename TestFixture::Set sets[kSets] = {
      typename TestFixture::Set(this->pool_),
      typename TestFixture::Set(this->pool_),
      typename TestFixture::Set(this->pool_)};
  std::vector<Item> items(kItems);
  for (Item& item : items) ASSERT_TRUE(sets[0].Push(item.AsSpan()));
  Atomic<uint32_t> hops;
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(t + 1);
      while (hops.LoadRelaxed() < kHops) {
        MSpan* span = sets[random() % kSets].Pop();
        if (span == nullptr) continue;
        ++Item::Of(span)->hops;
        hops.FetchAddRelaxed(1);
        ASSERT_TRUE(sets[random() % kSets].Push(span));
      }
    });
  }
  this->Join(threads);
  uint64_t total = 0;
  uint32_t found = 0;
  for (auto& set : sets) {
    set.CheckInvariants();
    while (MSpan* span = set.Pop()) {
      total += Item::Of(span)->hops;
      Item::Of(span)->hops = 0;
      ++found;
    }
    set.Reset();
  }
  EXPECT_EQ(found, kItems);
  EXPECT_EQ(total, hops.LoadRelaxed());
  EXPECT_EQ(this->pool_.CheckInvariants(), this->pool_.blocks());
}

// Memory comes and goes: refused pushes have pushed nothing.
TYPED_TEST(SpanSetStressTest, RefusedPushesLeaveTheSetWhole) {
  typename TestFixture::Set set(this->pool_);
  this->os_.FailRandomly(1, 0.9);
  constexpr uint32_t kTries = 30000;
  Atomic<uint32_t> pushed;
  Atomic<uint32_t> popped;
  Atomic<uint32_t> pushing(kPushers);
  Item item;
  std::vector<std::thread> threads;
  for (uint32_t p = 0; p < kPushers; ++p) {
    threads.emplace_back([&] {
      for (uint32_t i = 0; i < kTries; ++i) {
        if (set.Push(item.AsSpan())) pushed.FetchAddRelaxed(1);
      }
      pushing.FetchSubAcqRel(1);
    });
  }
  threads.emplace_back([&] {
    while (pushing.LoadAcquire() != 0 || !set.Empty()) {
      if (set.Pop() != nullptr) popped.FetchAddRelaxed(1);
    }
  });
  this->Join(threads);
  EXPECT_EQ(pushed.LoadRelaxed(), popped.LoadRelaxed());
  set.CheckInvariants();
  set.Reset();
  EXPECT_EQ(this->pool_.CheckInvariants(), this->pool_.blocks());
}

}  // namespace
}  // namespace tricolor::mheap
