// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// AtomicPtr, alone and in the lock-free structures that it is for: their nodes
// are collected while threads use them, and a second marker checks.

#include "tricolor/runtime/atomic_ptr.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/test_random.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

TEST(AtomicPtrTest, StartsNullAndHoldsWhatIsStored) {
  int a = 1;
  int b = 2;
  AtomicPtr<int> p;
  EXPECT_EQ(p.load(), nullptr);
  p = &a;
  EXPECT_EQ(p.load(std::memory_order_relaxed), &a);
  p.store(&b, std::memory_order_relaxed);
  EXPECT_EQ(p.load(std::memory_order_acquire), &b);
  EXPECT_EQ(p.exchange(&a), &b);
  EXPECT_EQ(p.exchange(nullptr, std::memory_order_acq_rel), &a);
  EXPECT_EQ(p, nullptr);
  EXPECT_EQ(AtomicPtr<int>(&a).load(), &a);
}

TEST(AtomicPtrTest, ComparesBeforeItExchanges) {
  int a = 1;
  int b = 2;
  AtomicPtr<int> p(&a);
  int* expected = &b;
  EXPECT_FALSE(p.compare_exchange_strong(expected, nullptr));
  EXPECT_EQ(expected, &a);
  EXPECT_EQ(p.load(), &a);
  EXPECT_TRUE(p.compare_exchange_strong(expected, &b));
  EXPECT_EQ(p.load(), &b);
  EXPECT_FALSE(p.compare_exchange_weak(expected, &a, std::memory_order_relaxed,
                                       std::memory_order_relaxed));
  EXPECT_EQ(expected, &b);
  EXPECT_TRUE(p.compare_exchange_weak(expected, &a, std::memory_order_release));
  EXPECT_EQ(p.load(), &a);
}

struct Item {
  TRICOLOR_TRACE(Item, next, payload);
  AtomicPtr<Item> next;
  Ptr<Node> payload;
};

Item* NewItem(Mutator& mutator, uint64_t value) {
  Root<Node> payload(mutator, mutator.New<Node>(value));
  Item* item = mutator.New<Item>();
  item->payload = payload;
  return item;
}

// Treiber's stack. Nothing between a load and its compare-and-swap is a
// safepoint, so that it is right in exact mode.
struct Stack {
  TRICOLOR_TRACE(Stack, head);

  void Init(Mutator&) {}
  void Put(Item* item) {
    Item* head_now = head.load(std::memory_order_relaxed);
    do {
      item->next = head_now;
    } while (
        !head.compare_exchange_weak(head_now, item, std::memory_order_release));
  }
  Node* Take() {
    Item* head_now = head.load(std::memory_order_acquire);
    while (head_now != nullptr &&
           !head.compare_exchange_weak(head_now, head_now->next.load())) {
    }
    return head_now == nullptr ? nullptr : head_now->payload.get();
  }

  AtomicPtr<Item> head;
};

// Michael and Scott's queue: the first item is a dummy.
struct Queue {
  TRICOLOR_TRACE(Queue, head, tail);

  void Init(Mutator& mutator) {
    Item* dummy = mutator.New<Item>();
    head = dummy;
    tail = dummy;
  }
  void Put(Item* item) {
    for (;;) {
      Item* last = tail.load();
      Item* next = last->next.load();
      if (next != nullptr) {
        tail.compare_exchange_strong(last, next);
        continue;
      }
      if (!last->next.compare_exchange_strong(next, item)) continue;
      tail.compare_exchange_strong(last, item);
      return;
    }
  }
  Node* Take() {
    for (;;) {
      Item* first = head.load();
      Item* last = tail.load();
      Item* next = first->next.load();
      if (next == nullptr) return nullptr;
      if (first == last) {
        tail.compare_exchange_strong(last, next);
        continue;
      }
      if (head.compare_exchange_strong(first, next)) return next->payload;
    }
  }

  AtomicPtr<Item> head;
  AtomicPtr<Item> tail;
};

// Threads put and take, each value once; what was put comes out again, once.
template <typename Container>
void Exercise(bool conservative) {
  constexpr uint64_t kThreads = 3;
  constexpr uint64_t kEach = 8000;
  const uint64_t seed = TestSeed();
  Heap heap(CheckedOptions(conservative));
  Root<Container> container;
  {
    Mutator mutator(heap);
    container = mutator.New<Container>();
    container->Init(mutator);
  }
  std::vector<std::atomic<int>> taken(kThreads * kEach);
  std::atomic<uint64_t> running{kThreads};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Mutator mutator(heap);
      TestRandom random(seed + t);
      const auto take = [&] {
        const Node* node = container->Take();
        if (node == nullptr) return false;
        EXPECT_TRUE(node->intact());
        ++taken[node->value];
        return true;
      };
      for (uint64_t i = 0; i < kEach; ++i) {
        container->Put(NewItem(mutator, t * kEach + i));
        while (random.Below(2) == 0 && take()) {
        }
        mutator.New<Leaf>();
      }
      while (take()) mutator.Safepoint();
      --running;
    });
  }
  while (running != 0) heap.Collect();
  for (std::thread& thread : threads) thread.join();
  for (const std::atomic<int>& count : taken) ASSERT_EQ(count, 1);
  heap.CheckInvariants();
}

class LockFreeTest : public testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(ConservativeStacks, LockFreeTest, testing::Bool());

TEST_P(LockFreeTest, AStackGivesBackWhatThreadsPut) {
  Exercise<Stack>(GetParam());
}

TEST_P(LockFreeTest, AQueueGivesBackWhatThreadsPut) {
  Exercise<Queue>(GetParam());
}

}  // namespace
}  // namespace tricolor::runtime
