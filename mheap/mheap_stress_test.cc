// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Threads that allocate, hand over, free, look up, sweep and scavenge at once;
// meant for ThreadSanitizer.

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/mheap/mheap_testing.h"

namespace tricolor::mheap {

class MHeapTestPeer {
 public:
  static Mutex& lock(MHeap& heap) { return heap.lock_; }
};

namespace {

constexpr int kThreads = 4;
constexpr int kSteps = 4000;

class Stress {
 public:
  Stress() : heap_(os_, SmallHeapOptions()) {
    TRICOLOR_CHECK(heap_.Init(), "no memory for a test heap");
  }

  void Run(uint64_t seed) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([=, this] { Mutate(seed + uint64_t(i)); });
    }
    threads.emplace_back([=, this] { Look(seed + 100); });
    threads.emplace_back([=, this] { Scavenge(seed + 200); });
    threads.emplace_back([this] { ReadStats(); });
    for (int i = 0; i < kThreads; ++i) threads[size_t(i)].join();
    done_.store(true, std::memory_order_relaxed);
    for (size_t i = kThreads; i < threads.size(); ++i) threads[i].join();
    ProcessorCache processor;
    heap_.AttachProcessor(processor);
    heap_.CheckInvariants();
    for (std::atomic<MSpan*>& slot : mailbox_) {
      MSpan* span = slot.exchange(nullptr);
      if (span != nullptr) Free(processor, span);
    }
    heap_.ReleaseProcessor(processor);
    heap_.CheckInvariants();
    EXPECT_EQ(heap_.pages_in_use(), PageCount(0));
    EXPECT_EQ(heap_.ReadStats().manual_span_bytes, 0);
  }

 private:
  void Mutate(uint64_t seed) {
    Random random(seed);
    ProcessorCache processor;
    heap_.AttachProcessor(processor);
    for (int i = 0; i < kSteps; ++i) {
      MSpan* span = Make(random, processor);
      ASSERT_NE(span, nullptr);
      // A plain write: two owners of a page are a race.
      *span->base().as<uint64_t>() = seed;
      MSpan* other = mailbox_[random.Below(kMailboxes)].exchange(
          span, std::memory_order_acq_rel);
      if (other != nullptr) Free(processor, other);
      if (random.Below(500) == 0) {
        heap_.ReleaseProcessor(processor);
        heap_.AttachProcessor(processor);
      }
    }
    heap_.ReleaseProcessor(processor);
  }

  MSpan* Make(Random& random, ProcessorCache& processor) {
    switch (random.Below(8)) {
      case 0:
        return heap_.AllocManual(processor, PageCount(4));
      case 1: {
        MSpan* span = heap_.AllocSpan(
            processor, PageCount(1 + random.Below(40)), LargeClass());
        if (span != nullptr) span->TakeFreeRun(1);
        return span;
      }
      default: {
        MSpan* span = heap_.AllocSpan(
            processor, ClassFor(1 + random.Below(kMaxSmallSize)));
        if (span == nullptr) return nullptr;
        const SlotRun run = span->TakeFreeRun(3);
        if (random.Below(4) == 0) {
          span->MarkRun(run);
          heap_.FinishSweep(*span, run.count);
        }
        return span;
      }
    }
  }

  void Free(ProcessorCache& processor, MSpan* span) {
    if (span->state() == SpanState::kManual) {
      heap_.FreeManual(processor, span);
    } else {
      heap_.FreeSpan(processor, span);
    }
  }

  // Suspect addresses all over the heap, as a conservative scan has them.
  void Look(uint64_t seed) {
    Random random(seed);
    uint64_t found = 0;
    while (!done_.load(std::memory_order_relaxed)) {
      const Addr a = heap_.base() + ByteCount(random.Below(16 << 20));
      MSpan* span = heap_.HeapSpanOf(a);
      if (span != nullptr) {
        found += span->base() <= span->limit() ? 1u : 0u;
      }
      if (heap_.Contains(a)) found += heap_.page_info(a).page_in_span();
      heap_.ForEachHeapSpan(
          [&](MSpan& s) { found += s.state() == SpanState::kDead ? 1u : 0u; });
    }
    EXPECT_GT(found, 0u);
  }

  void Scavenge(uint64_t seed) {
    Random random(seed);
    while (!done_.load(std::memory_order_relaxed)) {
      heap_.Scavenge(BytesOf(PageCount(1 + random.Below(100))));
      std::this_thread::yield();
    }
  }

  // INV-MHEAP-BYTES is checked in every answer. No answer may go back behind
  // the one before, and none may have lost a page that has been mapped.
  void ReadStats() {
    HeapStats before;
    while (!done_.load(std::memory_order_relaxed)) {
      const int64_t mapped = static_cast<int64_t>(heap_.mapped().value());
      const HeapStats stats = heap_.ReadStats();
      ASSERT_GE(stats.mapped_bytes, mapped);
      ASSERT_GE(stats.mapped_bytes, before.mapped_bytes);
      ASSERT_GE(stats.alloc_span_calls, before.alloc_span_calls);
      ASSERT_GE(stats.free_span_calls, before.free_span_calls);
      // Each span is a page at least.
      ASSERT_GE(
          stats.heap_span_bytes + stats.manual_span_bytes,
          static_cast<int64_t>(
              (stats.alloc_span_calls - stats.free_span_calls) * kPageSize));
      before = stats;
    }
  }

  static constexpr uint32_t kMailboxes = 300;

  FakeOsMemory os_;
  MHeap heap_;
  std::atomic<bool> done_{false};
  std::atomic<MSpan*> mailbox_[kMailboxes] = {};
};

TEST(MHeapStressTest, ThreadsShareTheHeap) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(seed);
  Stress stress;
  stress.Run(seed);
}

// Pages that could be taken before they are counted as free would be counted
// as taken first. The freeing thread needs the lock to give them away.
TEST(MHeapStressTest, FreedPagesAreCountedBeforeTheyAreGivenAway) {
  TestHeap t({.reservation = kArenaSize, .use_processor_caches = false});
  MSpan* span = t.heap.AllocSpan(t.processor, PageCount(1), LargeClass());
  std::thread freer;
  {
    MutexLock lock(MHeapTestPeer::lock(t.heap));
    freer = std::thread([&] { t.heap.FreeSpan(t.processor, span); });
    // Would be for ever if it counted later.
    while (t.heap.ReadStats().free_span_calls == 0) std::this_thread::yield();
    EXPECT_EQ(t.heap.ReadStats().free_bytes, int64_t{kPageSize});
  }
  freer.join();
}

// Threads that pass on the only two free pages of a full heap: a page counted
// as taken before it was counted as free, or as freed before it was counted as
// taken, makes a sum negative at once (INV-MHEAP-BYTES, in each answer).
TEST(MHeapStressTest, BytesAddUpWhileTwoPagesGoRound) {
  FakeOsMemory os;
  MHeap heap(os, {.reservation = kArenaSize,
                  .max_mapped = pagealloc::kChunkBytes,
                  .use_processor_caches = false});
  ASSERT_TRUE(heap.Init());
  ProcessorCache processor;
  heap.AttachProcessor(processor);
  MSpan* rest = heap.AllocManual(processor, PageCount(510));
  ASSERT_NE(rest, nullptr);
  std::atomic<MSpan*> mailbox{nullptr};
  std::atomic<int> running{3};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      ProcessorCache own;
      heap.AttachProcessor(own);
      for (int k = 0; k < 10000; ++k) {
        MSpan* span = heap.AllocSpan(own, PageCount(1), LargeClass());
        MSpan* other = mailbox.exchange(span, std::memory_order_acq_rel);
        if (other != nullptr) heap.FreeSpan(own, other);
      }
      heap.ReleaseProcessor(own);
      running.fetch_sub(1);
    });
  }
  while (running.load() != 0) {
    const HeapStats stats = heap.ReadStats();
    ASSERT_EQ(stats.mapped_bytes,
              static_cast<int64_t>(pagealloc::kChunkBytes.value()));
  }
  for (std::thread& thread : threads) thread.join();
  MSpan* last = mailbox.load();
  if (last != nullptr) heap.FreeSpan(processor, last);
  heap.FreeManual(processor, rest);
  heap.CheckInvariants();
  EXPECT_EQ(heap.pages_in_use(), PageCount(0));
  heap.ReleaseProcessor(processor);
}

// Readers come to the end of the heap as soon as it is there.
TEST(MHeapStressTest, GrowthIsSeenWithItsTables) {
  FakeOsMemory os;
  MHeap heap(os, SmallHeapOptions());
  ASSERT_TRUE(heap.Init());
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!done.load(std::memory_order_relaxed)) {
        const ByteCount grown = heap.grown();
        if (grown == ByteCount(0)) continue;
        const Addr last = heap.base() + grown - ByteCount(1);
        // The plain fields, too, which the state publishes.
        MSpan* span = heap.HeapSpanOf(last);
        ASSERT_TRUE(span == nullptr || span->pages() == PageCount(512));
        ASSERT_TRUE(span == nullptr || span->IndexOf(last) == 0);
        heap.page_info(last);
        heap.page_in_use_word(heap.page_words() - 1).LoadRelaxed();
      }
    });
  }
  ProcessorCache processor;
  heap.AttachProcessor(processor);
  while (heap.AllocSpan(processor, PageCount(512), LargeClass()) != nullptr) {
  }
  done.store(true, std::memory_order_relaxed);
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(heap.mapped(), SmallHeapOptions().reservation);
  heap.ReleaseProcessor(processor);
}

}  // namespace
}  // namespace tricolor::mheap
