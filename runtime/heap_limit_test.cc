// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// How large a heap becomes: triggers, goals, limits, and the end of memory.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/os_memory.h"
#include "tricolor/base/sys/linux_memory.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

TEST(HeapLimitTest, GarbageStaysBoundedOver200Rounds) {
  HeapOptions options = ExactOptions();
  options.gc_percent = 100;
  Heap heap(options);
  Mutator mutator(heap);
  Root<Node> list(mutator, MakeList(mutator, 10000));
  uint64_t after_20 = 0;
  for (int round = 0; round < 200; ++round) {
    list = MakeList(mutator, 10000);
    if (round == 20) after_20 = heap.ReadMemStats().heap_sys;
  }
  EXPECT_TRUE(ListIsIntact(list, 10000));
  const MemStats stats = heap.ReadMemStats();
  EXPECT_GT(stats.num_gc, 5U);
  EXPECT_EQ(stats.num_forced_gc, 0U);
  EXPECT_LE(stats.heap_sys, after_20 + (8 << 20));
}

TEST(HeapLimitTest, CollectionsStartNearTheGoal) {
  for (const int percent : {50, 100, 400}) {
    HeapOptions options = ExactOptions();
    options.gc_percent = percent;
    options.min_heap_bytes = 1 << 20;
    Heap heap(options);
    Mutator mutator(heap);
    // 8 MiB live.
    Root<Node> list(mutator, MakeList(mutator, (8 << 20) / sizeof(Node)));
    heap.Collect();
    const MemStats before = heap.ReadMemStats();
    const uint64_t live = before.last_gc_heap_after;
    EXPECT_GE(live, uint64_t{8} << 20);
    const uint64_t goal = live + live * static_cast<uint64_t>(percent) / 100;
    EXPECT_NEAR(static_cast<double>(before.next_gc), static_cast<double>(goal),
                static_cast<double>(goal) / 50);
    while (heap.ReadMemStats().num_gc == before.num_gc) {
      for (int i = 0; i < 1000; ++i) mutator.New<Leaf>();
    }
    // Between the earliest trigger and a little beyond the goal.
    const uint64_t at = heap.ReadMemStats().last_gc_heap_before;
    EXPECT_GE(at, live + (goal - live) * 2 / 3);
    EXPECT_LE(at, goal + goal / 20);
  }
}

TEST(HeapLimitTest, NegativePercentTurnsTriggersOff) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  for (int i = 0; i < 200000; ++i) mutator.New<Leaf>();
  EXPECT_EQ(heap.ReadMemStats().num_gc, 0U);
  EXPECT_EQ(heap.SetGcPercent(100), -1);
  EXPECT_EQ(heap.SetGcPercent(100), 100);
  for (int i = 0; i < 1000; ++i) mutator.New<Leaf>();
  EXPECT_EQ(heap.ReadMemStats().num_gc, 1U);
  EXPECT_EQ(heap.SetGcPercent(-5), 100);
  for (int i = 0; i < 200000; ++i) mutator.New<Leaf>();
  EXPECT_EQ(heap.ReadMemStats().num_gc, 1U);
}

TEST(HeapLimitTest, MemoryLimitMakesCollectionsStartEarlier) {
  constexpr int64_t kLimit = 32 << 20;
  HeapOptions options = ExactOptions();
  options.memory_limit = kLimit;
  Heap heap(options);
  EXPECT_EQ(heap.SetMemoryLimit(-1), kLimit);
  Mutator mutator(heap);
  Root<Node> list(mutator, MakeList(mutator, 10000));
  for (int i = 0; i < 2000000; ++i) mutator.New<Leaf>();
  const MemStats stats = heap.ReadMemStats();
  EXPECT_GT(stats.num_gc, 2U);
  EXPECT_LE(stats.sys - stats.heap_released, static_cast<uint64_t>(kLimit));
  EXPECT_TRUE(ListIsIntact(list, 10000));
  EXPECT_EQ(heap.SetMemoryLimit(INT64_MAX), kLimit);
}

TEST(HeapLimitTest, LimitBelowTheLiveHeapStillLetsTheProgramRun) {
  HeapOptions options = ExactOptions();
  options.memory_limit = 1 << 20;
  Heap heap(options);
  Mutator mutator(heap);
  Root<Node> list(mutator, MakeList(mutator, 100000));
  const uint64_t before = heap.ReadMemStats().num_gc;
  for (int i = 0; i < 100000; ++i) mutator.New<Leaf>();
  EXPECT_TRUE(ListIsIntact(list, 100000));
  // 6.4 MB in steps of at least a sixteenth of the live 4 MB.
  EXPECT_LT(heap.ReadMemStats().num_gc - before, 40U);
}

TEST(HeapLimitTest, FreeOsMemoryReleasesWhatIsFree) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  for (int i = 0; i < 40; ++i) mutator.New<Large>();
  for (int i = 0; i < 100000; ++i) mutator.New<Leaf>();
  heap.FreeOsMemory();
  const MemStats stats = heap.ReadMemStats();
  EXPECT_GE(stats.heap_sys, uint64_t{40} << 20);
  EXPECT_LE(stats.heap_sys - stats.heap_released, uint64_t{1} << 20);
  for (int i = 0; i < 20; ++i) {
    Large* large = mutator.New<Large>();
    EXPECT_EQ(std::count(std::begin(large->bytes), std::end(large->bytes), 0),
              sizeof large->bytes);
  }
}

TEST(HeapLimitTest, AFullHeapGivesNullAndWorksOnWhenRootsAreDropped) {
  HeapOptions options = ExactOptions();
  options.max_heap_bytes = 16 << 20;
  Heap heap(options);
  Mutator mutator(heap);
  for (int round = 0; round < 3; ++round) {
    Root<Node> list(mutator, nullptr);
    size_t length = 0;
    for (;; ++length) {
      Node* node = mutator.New<Node>(length);
      if (node == nullptr) break;
      node->next = list.get();
      list = node;
    }
    EXPECT_GT(length, (15U << 20) / 64);
    EXPECT_EQ(mutator.New<Large>(), nullptr);
    EXPECT_EQ(mutator.NewArray<char>(1 << 20), nullptr);
    size_t found = 0;
    for (Node* n = list; n != nullptr; n = n->next) {
      ASSERT_TRUE(n->intact());
      ASSERT_EQ(n->value, length - ++found);
    }
    EXPECT_EQ(found, length);
    heap.CheckInvariants();
  }
  EXPECT_NE(mutator.New<Large>(), nullptr);
  heap.CheckInvariants();
}

// The process's memory, but for large requests, which is growth of the heap,
// while they are refused. (Without memory for mark bits the heap could not go
// on, and would say so.)
class RefusingMemory final : public OsMemory {
 public:
  ByteCount page_size() const override { return real_.page_size(); }
  ByteCount huge_page_size() const override { return real_.huge_page_size(); }
  bool unused_memory_is_zero() const override {
    return real_.unused_memory_is_zero();
  }
  Addr Reserve(ByteCount size, ByteCount alignment) override {
    return Refuses(size) ? Addr() : real_.Reserve(size, alignment);
  }
  bool Map(AddrRange range) override {
    return !Refuses(range.size()) && real_.Map(range);
  }
  bool Used(AddrRange range) override {
    return !Refuses(range.size()) && real_.Used(range);
  }
  bool Unused(AddrRange range) override { return real_.Unused(range); }
  void HugePage(AddrRange range) override { real_.HugePage(range); }
  void NoHugePage(AddrRange range) override { real_.NoHugePage(range); }
  void Free(AddrRange range) override { real_.Free(range); }

  void set_refusing(bool refusing) { refusing_ = refusing; }
  int refused() const { return refused_; }

 private:
  bool Refuses(ByteCount size) {
    if (!refusing_ || size < ByteCount(512 << 10)) return false;
    ++refused_;
    return true;
  }

  OsMemory& real_ = ProcessMemory();
  std::atomic<bool> refusing_{false};
  std::atomic<int> refused_{0};
};

TEST(HeapLimitTest, AnOsThatRefusesGivesNullAndTheHeapWorksOn) {
  RefusingMemory os;
  HeapOptions options = ExactOptions();
  options.os = &os;
  Heap heap(options);
  Mutator mutator(heap);
  Root<Node> list(mutator, MakeList(mutator, 100000));
  for (int round = 0; round < 3; ++round) {
    std::vector<Root<Large>> large;
    for (int i = 0; i < 20; ++i) large.emplace_back(mutator.New<Large>());
    os.set_refusing(true);
    while (Large* object = mutator.New<Large>()) large.emplace_back(object);
    EXPECT_LE(large.size(), 30U);
    EXPECT_GT(os.refused(), round);
    EXPECT_TRUE(ListIsIntact(list, 100000));
    large.clear();
    EXPECT_NE(mutator.New<Large>(), nullptr);
    heap.CheckInvariants();
    os.set_refusing(false);
  }
}

TEST(HeapLimitTest, PagesCachedByIdleThreadsAreNotMissed) {
  HeapOptions options = ExactOptions();
  options.max_heap_bytes = size_t{4} << 20;
  Heap heap(options);
  std::atomic<int> idle{0};
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      Mutator mutator(heap);
      mutator.New<Node>();
      Mutator::NativeScope native(mutator);
      ++idle;
      while (!done) std::this_thread::yield();
    });
  }
  while (idle < 8) std::this_thread::yield();
  {
    Mutator mutator(heap);
    EXPECT_NE(mutator.NewArray<char>(size_t{3} << 20), nullptr);
  }
  done = true;
  for (std::thread& t : threads) t.join();
}

TEST(HeapLimitTest, AFullHeapCollectsItselfBeforeItGivesUp) {
  HeapOptions options = ExactOptions();
  options.max_heap_bytes = 16 << 20;
  Heap heap(options);
  Mutator mutator(heap);
  for (int i = 0; i < 100; ++i) ASSERT_NE(mutator.New<Large>(), nullptr) << i;
  for (int i = 0; i < 1000000; ++i) ASSERT_NE(mutator.New<Leaf>(), nullptr);
  EXPECT_GT(heap.ReadMemStats().num_gc, 5U);
}

TEST(HeapLimitTest, ImpossibleSizesGiveNull) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  EXPECT_EQ(mutator.NewArray<uint64_t>(SIZE_MAX), nullptr);
  EXPECT_EQ(mutator.NewArray<uint64_t>(SIZE_MAX / 8), nullptr);
  EXPECT_EQ(mutator.NewArray<Node>(size_t{1} << 60), nullptr);
  EXPECT_EQ(heap.ReadMemStats().num_gc, 0U);
  // Possible, but not here.
  EXPECT_EQ(mutator.NewArray<char>(size_t{1} << 40), nullptr);
  EXPECT_NE(mutator.New<Node>(), nullptr);
  heap.CheckInvariants();
}

// Every identity that mem_stats.h promises.
MemStats FittingStats(Heap& heap) {
  const MemStats s = heap.ReadMemStats();
  EXPECT_EQ(s.heap_objects, s.mallocs - s.frees);
  EXPECT_EQ(s.alloc, s.heap_alloc);
  EXPECT_EQ(s.heap_sys, s.heap_in_use + s.work_buf_in_use + s.heap_idle);
  EXPECT_EQ(s.sys, s.heap_sys + s.metadata_sys);
  EXPECT_LE(s.spans_sys + s.mark_bits_sys + s.span_sets_sys + s.specials_sys,
            s.metadata_sys);
  EXPECT_LE(s.heap_released, s.heap_idle);
  EXPECT_LE(s.heap_alloc, s.heap_in_use);
  EXPECT_LE(s.heap_alloc, s.total_alloc);
  EXPECT_LE(s.span_allocs_locked, s.span_allocs);
  EXPECT_LE(s.pause_max_ns, s.pause_total_ns);
  uint64_t pauses = 0;
  for (const uint64_t p : s.pause_ns) pauses += p;
  EXPECT_LE(pauses, s.pause_total_ns);
  if (s.num_gc <= MemStats::kPauses) EXPECT_EQ(pauses, s.pause_total_ns);
  return s;
}

TEST(HeapLimitTest, StatisticsFitTogetherWhileThreadsAllocate) {
  HeapOptions options = ExactOptions();
  options.gc_percent = 50;
  options.background_sweep = true;
  Heap heap(options);
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&heap, &done] {
      Mutator mutator(heap);
      while (!done.load(std::memory_order_relaxed)) {
        Root<Node> list(mutator, MakeList(mutator, 300));
        mutator.New<Large>();
      }
    });
  }
  uint64_t mallocs = 0;
  for (int i = 0; i < 50; ++i) {
    const MemStats s = FittingStats(heap);
    EXPECT_GE(s.mallocs, mallocs);
    mallocs = s.mallocs;
    if (i % 10 == 0) heap.FreeOsMemory();
  }
  done.store(true, std::memory_order_relaxed);
  for (std::thread& thread : threads) thread.join();
  FittingStats(heap);
}

TEST(HeapLimitTest, StatisticsFitTogether) {
  HeapOptions options = ExactOptions();
  options.gc_percent = 100;
  Heap heap(options);
  Mutator mutator(heap);
  std::vector<Root<Node>> roots;
  const auto check = [&heap] { return FittingStats(heap); };
  check();
  for (int round = 0; round < 50; ++round) {
    const MemStats before = check();
    for (int i = 0; i < 3000; ++i) mutator.New<Node>();
    roots.emplace_back(mutator, MakeList(mutator, 200));
    mutator.New<Large>();
    const MemStats after = check();
    EXPECT_EQ(after.mallocs - before.mallocs, 3000U + 200 + 1);
    EXPECT_EQ(after.mutators, 1U);
  }
  heap.Collect();
  const MemStats s = check();
  EXPECT_EQ(s.heap_objects, 50U * 200);
  EXPECT_EQ(s.last_gc_objects, 50U * 200);
  EXPECT_EQ(s.num_forced_gc, 1U);
  EXPECT_GT(s.gc_cpu_ns, 0U);
}

}  // namespace
}  // namespace tricolor::runtime
