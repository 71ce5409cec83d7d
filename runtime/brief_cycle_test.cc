// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Cycles that a thread which allocates runs itself, in one stop.

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

HeapOptions BriefOptions(bool conservative_stacks) {
  HeapOptions options = CheckedOptions(conservative_stacks);
  options.brief_bytes = HeapOptions().brief_bytes;
  return options;
}

// Allocates until `cycles` more have ended.
void AwaitCycles(Heap& heap, Mutator& mutator, uint64_t cycles) {
  const uint64_t until = heap.ReadMemStats().num_gc + cycles;
  while (heap.ReadMemStats().num_gc < until) {
    for (int i = 0; i < 10000; ++i) mutator.New<Leaf>();
  }
}

class BriefCycleTest : public testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(Stacks, BriefCycleTest, testing::Bool(),
                         [](const auto& stacks) {
                           return stacks.param ? "Conservative" : "Exact";
                         });

// A stop is counted each time that the world stands still for a cycle.
TEST_P(BriefCycleTest, StopsTheWorldOnce) {
  HeapOptions options = BriefOptions(GetParam());
  // AddressSanitizer's fake frames make a stack many times as large.
  options.brief_bytes = size_t{1} << 40;
  Heap heap(options);
  Mutator mutator(heap);
  const Root<Node> kept(mutator, MakeList(mutator, 100));
  AwaitCycles(heap, mutator, 5);
  const MemStats stats = heap.ReadMemStats();
  EXPECT_EQ(stats.pauses.total(), stats.num_gc);
  // An old word on the stack may keep one more.
  EXPECT_GE(stats.last_gc_objects, 100u);
  EXPECT_LE(stats.last_gc_objects, GetParam() ? 110u : 100u);
  EXPECT_TRUE(ListIsIntact(kept.get(), 100));
}

TEST_P(BriefCycleTest, IsSwitchedOffByZeroBytes) {
  HeapOptions options = BriefOptions(GetParam());
  options.brief_bytes = 0;
  Heap heap(options);
  Mutator mutator(heap);
  AwaitCycles(heap, mutator, 3);
  const MemStats stats = heap.ReadMemStats();
  EXPECT_EQ(stats.pauses.total(), 2 * stats.num_gc);
}

// The first cycle expects nothing, and finds more than a brief one may scan;
// what is left is marked while the program runs. Later ones expect it.
TEST_P(BriefCycleTest, HandsOnWhatIsMoreThanExpected) {
  HeapOptions options = BriefOptions(GetParam());
  options.min_heap_bytes = 8 << 20;
  Heap heap(options);
  Mutator mutator(heap);
  constexpr size_t kNodes = 50000;
  const Root<Node> kept(mutator, MakeList(mutator, kNodes));
  AwaitCycles(heap, mutator, 1);
  MemStats stats = heap.ReadMemStats();
  EXPECT_EQ(stats.pauses.total(), 2 * stats.num_gc);
  EXPECT_TRUE(ListIsIntact(kept.get(), kNodes));
  AwaitCycles(heap, mutator, 3);
  stats = heap.ReadMemStats();
  EXPECT_EQ(stats.pauses.total(), 2 * stats.num_gc);
  EXPECT_TRUE(ListIsIntact(kept.get(), kNodes));
}

// Roots are marked by jobs, of which a brief cycle may do only some.
TEST_P(BriefCycleTest, HandsOnRootsThatItHasNotComeTo) {
  HeapOptions options = BriefOptions(GetParam());
  options.min_heap_bytes = 8 << 20;
  Heap heap(options);
  Mutator mutator(heap);
  std::vector<Root<Node>> kept;
  for (int i = 0; i < 5000; ++i) {
    kept.emplace_back(mutator, MakeList(mutator, 5));
  }
  AwaitCycles(heap, mutator, 2);
  for (const Root<Node>& list : kept) {
    ASSERT_TRUE(ListIsIntact(list.get(), 5));
  }
  heap.CheckInvariants();
}

TEST_P(BriefCycleTest, ThreadsThatFindOneDueTogetherShareIt) {
  Heap heap(BriefOptions(GetParam()));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&heap] {
      Mutator mutator(heap);
      for (int round = 0; round < 20; ++round) {
        const Root<Node> kept(mutator, MakeList(mutator, 50));
        for (int i = 0; i < 20000; ++i) mutator.New<Leaf>();
        ASSERT_TRUE(ListIsIntact(kept.get(), 50));
      }
    });
  }
  // Forced ones come in between.
  for (int i = 0; i < 20; ++i) heap.Collect();
  for (std::thread& thread : threads) thread.join();
  const MemStats stats = heap.ReadMemStats();
  EXPECT_GT(stats.num_gc, stats.num_forced_gc + 3);
  heap.CheckInvariants();
}

// Threads that are native, come and go.
TEST_P(BriefCycleTest, ThreadsMayAttachAndBlockMeanwhile) {
  Heap heap(BriefOptions(GetParam()));
  Mutator mutator(heap);
  const Root<Node> kept(mutator, MakeList(mutator, 100));
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!done) {
        Mutator own(heap);
        Node* const node = own.New<Node>(7u);
        const Root<Node> root(own, node);
        {
          Mutator::NativeScope native(own);
          std::this_thread::yield();
        }
        ASSERT_TRUE(root->intact());
        for (int i = 0; i < 100; ++i) own.New<Leaf>();
      }
    });
  }
  AwaitCycles(heap, mutator, 20);
  done = true;
  {
    Mutator::NativeScope native(mutator);
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_TRUE(ListIsIntact(kept.get(), 100));
  heap.CheckInvariants();
}

}  // namespace
}  // namespace tricolor::runtime
