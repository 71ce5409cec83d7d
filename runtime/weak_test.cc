// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/weak.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

TEST(WeakTest, BecomesNullWhenTheObjectIsDead) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  Root<Node> root(mutator, mutator.New<Node>(uint64_t{4}));
  Weak<Node> weak(root.get());
  EXPECT_EQ(weak.Get(), root.get());
  heap.Collect();
  EXPECT_EQ(weak.Get(), root.get());
  EXPECT_EQ(weak.Get()->value, 4U);
  EXPECT_FALSE(weak.expired());
  root = nullptr;
  EXPECT_FALSE(weak.expired());
  heap.Collect();
  EXPECT_TRUE(weak.expired());
  EXPECT_EQ(weak.Get(), nullptr);
  heap.Collect();
  EXPECT_EQ(weak.Get(), nullptr);
}

TEST(WeakTest, NullIsNull) {
  constexpr Weak<Node> weak;
  EXPECT_EQ(weak.Get(), nullptr);
  EXPECT_EQ(weak, Weak<Node>(nullptr));
  Node* none = nullptr;
  EXPECT_EQ(weak, Weak<Node>(none));
}

TEST(WeakTest, EqualityIsIdentityForEver) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  std::vector<Weak<Node>> weaks;
  for (int round = 0; round < 20; ++round) {
    Root<Node> root(mutator, mutator.New<Node>());
    Weak<Node> a(root.get());
    heap.Collect();
    Weak<Node> b(root.get());
    EXPECT_EQ(a, b);
    for (const Weak<Node>& other : weaks) EXPECT_NE(a, other);
    weaks.push_back(a);
    root = nullptr;
    heap.Collect();
    EXPECT_EQ(a, b);  // dead, and the memory is about to be reused
  }
}

TEST(WeakTest, PointsWhereItWasMadeToPoint) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  Root<Node> root(mutator, mutator.New<Node>(uint64_t{6}));
  Weak<Node> whole(root.get());
  Weak<uint64_t> value(&root->value);
  Weak<Large> large(mutator.New<Large>());
  EXPECT_EQ(value.Get(), &root->value);
  heap.Collect();
  EXPECT_EQ(*value.Get(), 6U);
  EXPECT_EQ(whole.Get(), root.get());
  EXPECT_EQ(large.Get(), nullptr);
  root = nullptr;
  heap.Collect();
  EXPECT_EQ(value.Get(), nullptr);
}

TEST(WeakTest, LivesInHeapObjectsAndIsCopiedAsBytes) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  Root<Node> target(mutator, mutator.New<Node>());
  using Cell = Weak<Node>;
  auto* memory = mutator.Allocate(TypeInfoOf<uint64_t>(), sizeof(Cell) / 8);
  Root<Cell> cell(mutator, ::new (memory) Cell(target.get()));
  heap.Collect();
  Cell copy;
  std::memcpy(static_cast<void*>(&copy), cell.get(), sizeof copy);
  EXPECT_EQ(copy.Get(), target.get());
  target = nullptr;
  heap.Collect();
  EXPECT_EQ(copy.Get(), nullptr);
  EXPECT_EQ(cell->Get(), nullptr);
}

TEST(WeakTest, DoesNotKeepFromTheStack) {
  Heap heap(QuietOptions());
  std::vector<Weak<Node>> weaks;
  OnOtherThread([&] {
    Mutator mutator(heap);
    for (uint64_t i = 0; i < 100; ++i) {
      weaks.emplace_back(mutator.New<Node>(i));
    }
  });
  Weak<Node> local[100];
  std::copy(weaks.begin(), weaks.end(), local);
  heap.Collect();
  for (const Weak<Node>& weak : local) EXPECT_TRUE(weak.expired());
}

// No span is swept before Get is asked: it has to decide by the marks.
TEST(WeakTest, IsDecidedBeforeItsSpanIsSwept) {
  HeapOptions options = ExactOptions();
  options.background_sweep = false;
  options.min_heap_bytes = 1 << 20;
  Heap heap(options);
  Mutator mutator(heap);
  constexpr size_t kObjects = 5000;
  std::vector<Root<Node>> roots;
  std::vector<Weak<Node>> weaks;
  for (size_t i = 0; i < kObjects; ++i) {
    Root<Node> root(mutator, mutator.New<Node>(i));
    weaks.emplace_back(root.get());
    if (i % 3 == 0) roots.push_back(root);
  }
  heap.SetGcPercent(100);
  const uint64_t before = heap.ReadMemStats().num_gc;
  while (heap.ReadMemStats().num_gc == before) mutator.New<Leaf>();
  const size_t unswept = heap.ReadMemStats().heap_objects;
  EXPECT_GT(unswept, kObjects / 2);
  for (size_t i = 0; i < kObjects; ++i) {
    Node* found = weaks[i].Get();
    ASSERT_EQ(found, i % 3 == 0 ? roots[i / 3].get() : nullptr) << i;
    if (found != nullptr) ASSERT_EQ(found->value, i);
  }
}

TEST(WeakTest, WorksOnThreadsThatAreNotAttached) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  Root<Node> root(mutator, mutator.New<Node>());
  Weak<Node> weak;
  {
    Mutator::NativeScope native(mutator);
    OnOtherThread([&] { weak = Weak<Node>(root.get()); });
  }
  EXPECT_EQ(weak.Get(), root.get());
  EXPECT_EQ(weak, Weak<Node>(root.get()));
  root = nullptr;
  heap.Collect();
  OnOtherThread([&] { EXPECT_TRUE(weak.expired()); });
}

// Threads read weak pointers to objects that die and are swept meanwhile, in
// caches of other threads and out of them.
TEST(WeakTest, NeverReturnsADeadObject) {
  HeapOptions options = QuietOptions();
  options.gc_percent = 100;
  options.min_heap_bytes = 256 << 10;
  Heap heap(options);
  constexpr int kThreads = 4;
  constexpr size_t kSlots = 64;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&heap, t] {
      Mutator mutator(heap);
      Random random(static_cast<uint64_t>(t));
      Root<Node> kept[kSlots];
      Weak<Node> weak[kSlots];
      uint64_t expected[kSlots] = {};
      for (uint64_t i = 0; i < 30000; ++i) {
        const size_t s = random.Below(kSlots);
        Node* found = weak[s].Get();
        if (found != nullptr) {
          ASSERT_TRUE(found->intact());
          ASSERT_EQ(found->value, expected[s]);
        } else {
          ASSERT_EQ(kept[s], nullptr);
        }
        if (random.Below(2) == 0) {
          kept[s] = nullptr;
        } else {
          Node* node = mutator.New<Node>(i);
          weak[s] = Weak<Node>(node);
          expected[s] = i;
          kept[s] = random.Below(2) == 0 ? node : nullptr;
        }
        mutator.New<Leaf>();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  heap.CheckInvariants();
  EXPECT_GT(heap.ReadMemStats().num_gc, 3U);
}

// Weak pointers to one object made by many threads at once are equal.
TEST(WeakTest, ThreadsThatMakeThemTogetherAgree) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  for (int round = 0; round < 50; ++round) {
    Root<Node> root(mutator, mutator.New<Node>());
    Weak<Node> made[4];
    {
      Mutator::NativeScope native(mutator);
      std::vector<std::thread> threads;
      for (Weak<Node>& weak : made) {
        threads.emplace_back([&] {
          Mutator own(heap);
          weak = Weak<Node>(root.get());
        });
      }
      for (std::thread& thread : threads) thread.join();
    }
    for (const Weak<Node>& weak : made) EXPECT_EQ(weak, made[0]);
  }
}

}  // namespace
}  // namespace tricolor::runtime
