// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/world.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

HeapOptions BusyOptions(bool exact) {
  HeapOptions options = exact ? ExactOptions() : QuietOptions();
  options.gc_percent = 100;
  options.min_heap_bytes = 512 << 10;
  return options;
}

TEST(WorldTest, CurrentIsTheThreadsMutator) {
  Heap a(QuietOptions());
  Heap b(QuietOptions());
  EXPECT_EQ(Mutator::Current(a), nullptr);
  {
    Mutator in_a(a);
    EXPECT_EQ(Mutator::Current(a), &in_a);
    EXPECT_EQ(Mutator::Current(b), nullptr);
    Mutator in_b(b);
    EXPECT_EQ(Mutator::Current(a), &in_a);
    EXPECT_EQ(Mutator::Current(b), &in_b);
    OnOtherThread([&] { EXPECT_EQ(Mutator::Current(a), nullptr); });
    EXPECT_EQ(&in_b.heap(), &b);
  }
  EXPECT_EQ(Mutator::Current(a), nullptr);
  EXPECT_EQ(a.ReadMemStats().mutators, 0U);
}

TEST(WorldTest, MutatorsMayDetachInAnyOrder) {
  Heap a(QuietOptions());
  Heap b(QuietOptions());
  auto in_a = std::make_unique<Mutator>(a);
  auto in_b = std::make_unique<Mutator>(b);
  in_a.reset();
  EXPECT_NE(in_b->New<Node>(), nullptr);
  in_a = std::make_unique<Mutator>(a);
  in_b.reset();
  EXPECT_NE(in_a->New<Node>(), nullptr);
}

TEST(WorldTest, AThreadInANativeScopeHoldsUpNoCollection) {
  Heap heap(QuietOptions());
  std::mutex mutex;
  std::condition_variable condition;
  bool attached = false;
  bool done = false;
  std::thread blocked([&] {
    Mutator mutator(heap);
    Node* node = mutator.New<Node>(uint64_t{6});
    {
      Mutator::NativeScope native(mutator);
      std::unique_lock<std::mutex> lock(mutex);
      attached = true;
      condition.notify_all();
      condition.wait(lock, [&] { return done; });
    }
    EXPECT_EQ(node->value, 6U);
  });
  {
    std::unique_lock<std::mutex> lock(mutex);
    condition.wait(lock, [&] { return attached; });
  }
  for (int i = 0; i < 10; ++i) heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().num_gc, 10U);
  heap.CheckInvariants();
  {
    std::lock_guard<std::mutex> lock(mutex);
    done = true;
  }
  condition.notify_all();
  blocked.join();
}

TEST(WorldTest, LeavingAndAttachingWaitWhileTheWorldIsStopped) {
  Heap heap(QuietOptions());
  World& world = heap.core().world();
  std::atomic<int> in_native{0};
  std::atomic<bool> leave{false};
  std::atomic<int> managed{0};
  std::thread leaver([&] {
    Mutator mutator(heap);
    {
      Mutator::NativeScope native(mutator);
      ++in_native;
      while (!leave) std::this_thread::yield();
    }
    ++managed;
  });
  while (in_native == 0) std::this_thread::yield();
  world.Stop();
  leave = true;
  std::thread attacher([&] {
    Mutator mutator(heap);
    ++managed;
  });
  // Not a proof, but a chance to fail.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(managed, 0);
  world.CheckInvariants(heap.core().mheap().sweep_gen());
  world.Start();
  leaver.join();
  attacher.join();
  EXPECT_EQ(managed, 2);
}

TEST(WorldTest, ConcurrentCallersShareCollections) {
  Heap heap(ExactOptions());
  constexpr uint64_t kThreads = 8;
  constexpr uint64_t kCalls = 20;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      Mutator mutator(heap);
      for (uint64_t i = 0; i < kCalls; ++i) {
        Weak<Node> weak(mutator.New<Node>());
        heap.Collect();
        // It was garbage when Collect was called.
        ASSERT_TRUE(weak.expired());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const MemStats stats = heap.ReadMemStats();
  EXPECT_EQ(stats.num_gc, stats.num_forced_gc);
  EXPECT_GE(stats.num_gc, kCalls);
  EXPECT_LE(stats.num_gc, kThreads * kCalls);
}

// A thread of a stress test: a random graph of its own, some of it shared
// through Roots, with everything checked.
class Worker {
 public:
  Worker(Heap& heap, uint64_t seed) : heap_(heap), random_(seed) {}

  void Run(int steps) {
    Mutator mutator(heap_);
    mutator_ = &mutator;
    for (int i = 0; i < steps; ++i) Step();
    for (Root<Node>& list : lists_) {
      EXPECT_TRUE(list == nullptr || Check(list));
      list = nullptr;
    }
  }

 private:
  static constexpr size_t kLists = 8;

  void Step() {
    Root<Node>& list = lists_[random_.Below(kLists)];
    switch (random_.Below(16)) {
      case 0:
        list = nullptr;
        break;
      case 1:
        if (random_.Below(64) == 0) heap_.Collect();
        break;
      case 2: {
        Mutator::NativeScope native(*mutator_);
        if (random_.Below(8) == 0) std::this_thread::yield();
        break;
      }
      case 3:
        if (random_.Below(32) == 0) mutator_->New<Large>();
        break;
      case 4:
        if (list != nullptr) ASSERT_TRUE(Check(list));
        break;
      case 5:
        mutator_->Safepoint();
        break;
      case 6:
        mutator_->NewArray<char>(1 + random_.Below(3000));
        break;
      default:
        Extend(list);
    }
  }
  void Extend(Root<Node>& list) {
    for (int i = 0; i < 5; ++i) {
      Node* node = mutator_->New<Node>();
      ASSERT_NE(node, nullptr);
      node->next = list.get();
      node->other = node;
      node->value = list == nullptr ? 0 : list->value + 1;
      list = node;
    }
    if (list->value > 300) list = nullptr;
  }
  static bool Check(const Node* node) {
    for (;; node = node->next) {
      if (!node->intact() || node->other != node) return false;
      if (node->next == nullptr) return node->value == 0;
      if (node->next->value + 1 != node->value) return false;
    }
  }

  Heap& heap_;
  Random random_;
  Mutator* mutator_ = nullptr;
  Root<Node> lists_[kLists];
};

void RunWorkers(Heap& heap, uint64_t seed, int threads, int rounds, int steps) {
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&heap, seed, t, rounds, steps] {
      for (int r = 0; r < rounds; ++r) {
        Worker(heap, seed + static_cast<uint64_t>(1000 * t + r)).Run(steps);
      }
    });
  }
  for (std::thread& thread : running) thread.join();
}

TEST(WorldTest, ThreadsComeAndGoWhileOthersAllocateAndCollect) {
  for (const bool exact : {false, true}) {
    Heap heap(BusyOptions(exact));
    RunWorkers(heap, 42, 5, 20, 1000);
    heap.CheckInvariants();
    const MemStats stats = heap.ReadMemStats();
    EXPECT_GT(stats.num_gc, 5U);
    EXPECT_EQ(stats.mutators, 0U);
    heap.Collect();
    EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
  }
}

// Threads that are attached to two heaps at once, in both orders, collect both:
// none may wait for one world while it is managed in the other.
TEST(WorldTest, ThreadsInTwoHeapsDoNotDeadlock) {
  Heap a(BusyOptions(false));
  Heap b(BusyOptions(false));
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Heap& first = t % 2 == 0 ? a : b;
      Heap& second = t % 2 == 0 ? b : a;
      Random random(t);
      for (int round = 0; round < 10; ++round) {
        Mutator outer(first);
        Mutator inner(second);
        Node* kept = outer.New<Node>(uint64_t{1});
        for (int i = 0; i < 300; ++i) {
          inner.New<Leaf>();
          outer.New<Leaf>();
          switch (random.Below(20)) {
            case 0:
              first.Collect();
              break;
            case 1:
              second.Collect();
              break;
            case 2: {
              Mutator::NativeScope native(outer);
              std::this_thread::yield();
              break;
            }
            case 3:
              EXPECT_GE(second.ReadMemStats().mutators, 1U);
              break;
            default:
              inner.Safepoint();
          }
        }
        EXPECT_TRUE(kept->intact());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  a.CheckInvariants();
  b.CheckInvariants();
}

TEST(WorldTest, StatisticsAndChecksRunBesideAllocation) {
  Heap heap(BusyOptions(false));
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) {
      const MemStats s = heap.ReadMemStats();
      ASSERT_EQ(s.heap_objects, s.mallocs - s.frees);
      ASSERT_LE(s.heap_alloc, s.heap_in_use);
      heap.CheckInvariants();
    }
  });
  RunWorkers(heap, 7, 3, 5, 2000);
  done = true;
  reader.join();
}

TEST(WorldTest, ProcessorsAreReused) {
  Heap heap(QuietOptions());
  for (int i = 0; i < 50; ++i) {
    OnOtherThread([&] {
      Mutator mutator(heap);
      mutator.New<Node>();
    });
    if (i % 3 == 0) heap.Collect();
  }
  World& world = heap.core().world();
  world.Stop();
  int processors = 0;
  world.ForEachProcessor([&processors](Processor&) { ++processors; });
  world.Start();
  EXPECT_EQ(processors, 1);
}

}  // namespace
}  // namespace tricolor::runtime
