// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/mheap.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/mheap/mheap_testing.h"

namespace tricolor::mheap {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

uint64_t LockedPercent(uint64_t locked, uint64_t calls) {
  return calls == 0 ? 0 : 100 * locked / calls;
}

TEST(MHeapTest, FreshHeapHasNoMemoryForSpansAndReturnsAllOfIt) {
  FakeOsMemory os;
  {
    MHeap heap(os);
    ASSERT_TRUE(heap.Init());
    EXPECT_EQ(heap.mapped(), ByteCount(0));
    EXPECT_EQ(heap.pages_in_use(), PageCount(0));
    EXPECT_LT(os.ready_bytes(), ByteCount(kMiB));
    EXPECT_TRUE(heap.base().IsAligned(kArenaSize.value()));
    EXPECT_FALSE(heap.Contains(heap.base()));
    EXPECT_EQ(heap.SpanOf(heap.base()), nullptr);
    heap.CheckInvariants();
  }
  EXPECT_EQ(os.reserved_bytes() + os.prepared_bytes() + os.ready_bytes(),
            ByteCount(0));
}

TEST(MHeapTest, HeapThatWasNeverInitializedCanBeDestroyed) {
  FakeOsMemory os;
  MHeap heap(os);
  heap.CheckInvariants();
}

TEST(MHeapTest, ReservationIsHalvedUntilTheOsGrantsIt) {
  const ByteCount wanted(uint64_t{8} << 30);
  FakeOsMemory os;
  os.FailOnly(OsCall::kReserve);
  os.FailAfter(1);
  MHeap heap(os, {.reservation = wanted});
  ASSERT_TRUE(heap.Init());
  EXPECT_GE(os.reserved_bytes(), wanted / 2);
  EXPECT_LT(os.reserved_bytes(), wanted);
}

TEST(MHeapTest, InitFailsWhenNotEvenAnArenaIsGranted) {
  FakeOsMemory os;
  os.FailOnly(OsCall::kReserve);
  os.FailFrom(1);
  MHeap heap(os);
  EXPECT_FALSE(heap.Init());
  EXPECT_EQ(os.reserved_bytes(), ByteCount(0));
  os.StopFailing();
  EXPECT_TRUE(heap.Init());
}

TEST(MHeapTest, AbsurdReservationsAreCutToSize) {
  for (const uint64_t size : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}}) {
    FakeOsMemory os;
    MHeap heap(os, {.reservation = ByteCount(size)});
    EXPECT_TRUE(heap.Init()) << size;
  }
}

TEST(MHeapTest, EverySmallClassHasItsSlotsWhereTheTablesSay) {
  TestHeap t;
  for (int i = 0; i < kSpanClasses; ++i) {
    const SpanClass c = SpanClass::FromIndex(static_cast<uint8_t>(i));
    if (c.is_large() || c.slots() == 0) continue;
    SCOPED_TRACE(i);
    MSpan* span = t.heap.AllocSpan(t.processor, c);
    ASSERT_NE(span, nullptr);
    EXPECT_EQ(span->state(), SpanState::kInUse);
    EXPECT_EQ(span->span_class(), c);
    EXPECT_EQ(span->pages(), PageCount(c.pages()));
    EXPECT_EQ(span->slots(), c.slots());
    EXPECT_EQ(span->slot_size(), c.slot_size());
    EXPECT_EQ(span->allocated(), 0u);
    EXPECT_FALSE(span->needs_zero());
    EXPECT_LE(span->limit(), span->base() + span->bytes());
    for (uint32_t slot = 0; slot < span->slots(); ++slot) {
      const Addr first = span->SlotAddress(slot);
      const Addr last = first + ByteCount(span->slot_size() - 1);
      ASSERT_EQ(span->IndexOf(first), slot);
      ASSERT_EQ(span->IndexOf(last), slot);
      ASSERT_EQ(t.heap.page_info(last).SlotAt(last), slot);
      ASSERT_EQ(t.heap.page_info(last).mark_bits(), span->mark_bits());
      ASSERT_EQ(t.heap.HeapSpanOf(first), span);
      ASSERT_TRUE(span->IsFree(slot));
      ASSERT_FALSE(span->IsMarked(slot));
    }
  }
}

TEST(MHeapTest, BytesAboveTheLastSlotAreInTheSpanButInNoSlot) {
  TestHeap t;
  MSpan* span =
      t.heap.AllocSpan(t.processor, ClassFor(24, SpanKind::kPointerBitmap));
  const Addr last = span->base() + ByteCount(kPageSize - 1);
  EXPECT_EQ(span->limit(), span->base() + ByteCount(336 * 24));
  EXPECT_EQ(t.heap.SpanOf(last), span);
  EXPECT_EQ(t.heap.HeapSpanOf(last), nullptr);
  EXPECT_EQ(t.heap.HeapSpanOf(span->limit()), nullptr);
  EXPECT_EQ(t.heap.HeapSpanOf(span->limit() - ByteCount(1)), span);
}

TEST(MHeapTest, LargeSpanIsFoundFromEachOfItsPages) {
  TestHeap t;
  const PageCount pages(kArenaPages + PageCount(3));
  MSpan* span = t.heap.AllocSpan(t.processor, pages, LargeClass());
  ASSERT_NE(span, nullptr);
  EXPECT_TRUE(span->is_large());
  EXPECT_EQ(span->slots(), 1u);
  EXPECT_EQ(span->slot_size(), BytesOf(pages).value());
  EXPECT_EQ(span->limit(), span->base() + BytesOf(pages));
  EXPECT_EQ(span->large_type(), nullptr);
  for (uint64_t i = 0; i < pages.value(); ++i) {
    const Addr a = span->base() + BytesOf(PageCount(i)) + ByteCount(i % 8192);
    ASSERT_EQ(t.heap.HeapSpanOf(a), span);
    ASSERT_EQ(span->IndexOf(a), 0u);
    ASSERT_FALSE(t.heap.page_info(a).has_small_objects());
  }
  t.heap.CheckInvariants();
  t.heap.FreeSpan(t.processor, span);
  EXPECT_EQ(t.heap.pages_in_use(), PageCount(0));
}

TEST(MHeapTest, AlignedSpansAreAlignedAndTakeNoMoreThanTheirPages) {
  TestHeap t({.reservation = ByteCount(uint64_t{1} << 30)});
  MSpan* disturb = t.heap.AllocManual(t.processor, PageCount(3));
  ASSERT_NE(disturb, nullptr);
  for (uint64_t alignment = 1; alignment <= 2 * kArenaPages.value();
       alignment *= 2) {
    MSpan* span = t.heap.AllocSpan(t.processor, PageCount(5), LargeClass(),
                                   PageCount(alignment));
    ASSERT_NE(span, nullptr) << alignment;
    EXPECT_TRUE(span->base().IsAligned(alignment * kPageSize)) << alignment;
    EXPECT_EQ(span->pages(), PageCount(5));
    t.heap.CheckInvariants();
  }
}

TEST(MHeapTest, AddressesOutsideTheHeapHaveNoSpan) {
  TestHeap t;
  MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(64));
  const Addr end = t.heap.base() + t.heap.grown();
  int local = 0;
  for (const Addr a :
       {Addr(), Addr(~uint64_t{0}), Addr(&local), end,
        t.heap.base() - ByteCount(1), end + ByteCount(uint64_t{1} << 50)}) {
    EXPECT_FALSE(t.heap.Contains(a));
    EXPECT_EQ(t.heap.SpanOf(a), nullptr);
    EXPECT_EQ(t.heap.HeapSpanOf(a), nullptr);
  }
  EXPECT_TRUE(t.heap.Contains(span->base()));
  EXPECT_EQ(t.heap.SpanOf(end - ByteCount(1)), nullptr);
}

TEST(MHeapTest, FreedSpanIsFoundNoMore) {
  TestHeap t;
  MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(64));
  const Addr base = span->base();
  t.heap.FreeSpan(t.processor, span);
  EXPECT_EQ(t.heap.SpanOf(base), nullptr);
  EXPECT_FALSE(t.heap.page_info(base).has_small_objects());
  EXPECT_EQ(span->state(), SpanState::kDead);
  EXPECT_EQ(t.heap.page_in_use_word(0).LoadRelaxed(), 0u);
}

TEST(MHeapTest, ManualSpansAreNoHeapSpans) {
  TestHeap t;
  MSpan* span = t.heap.AllocManual(t.processor, PageCount(4));
  ASSERT_NE(span, nullptr);
  EXPECT_EQ(span->state(), SpanState::kManual);
  EXPECT_EQ(t.heap.SpanOf(span->base()), span);
  EXPECT_EQ(t.heap.HeapSpanOf(span->base()), nullptr);
  EXPECT_EQ(t.heap.pages_in_use(), PageCount(0));
  EXPECT_EQ(t.heap.ReadStats().manual_span_bytes, 4 * int64_t{kPageSize});
  int visited = 0;
  t.heap.ForEachHeapSpan([&](MSpan&) { ++visited; });
  EXPECT_EQ(visited, 0);
  t.heap.FreeManual(t.processor, span);
  EXPECT_EQ(t.heap.ReadStats().manual_span_bytes, 0);
}

TEST(MHeapTest, ForEachHeapSpanVisitsEachSpanOnce) {
  TestHeap t;
  std::vector<MSpan*> spans;
  for (int i = 0; i < 300; ++i) {
    const size_t size = i % 3 == 0 ? 8 : i % 3 == 1 ? 1408 : 28672;
    spans.push_back(t.heap.AllocSpan(t.processor, ClassFor(size)));
  }
  for (size_t i = 0; i < spans.size(); i += 2) {
    t.heap.FreeSpan(t.processor, spans[i]);
    spans[i] = nullptr;
  }
  std::vector<MSpan*> seen;
  t.heap.ForEachHeapSpan([&](MSpan& span) { seen.push_back(&span); });
  EXPECT_EQ(seen.size(), spans.size() / 2);
  for (MSpan* span : spans) {
    if (span == nullptr) continue;
    EXPECT_EQ(std::count(seen.begin(), seen.end(), span), 1);
  }
}

TEST(MHeapTest, PageMarksAreClearedForAllThatHasGrown) {
  TestHeap t;
  ASSERT_NE(t.heap.AllocSpan(t.processor, kArenaPages * 2, LargeClass()),
            nullptr);
  const uint64_t words = t.heap.page_words();
  EXPECT_EQ(words, t.heap.grown().value() / kPageSize / 64);
  for (uint64_t i = 0; i < words; ++i) {
    t.heap.page_marks_word(i).StoreRelaxed(~uint64_t{0});
  }
  t.heap.ClearPageMarks();
  for (uint64_t i = 0; i < words; ++i) {
    ASSERT_EQ(t.heap.page_marks_word(i).LoadRelaxed(), 0u);
  }
}

TEST(MHeapTest, SweepAdvancesGenerationByTwo) {
  TestHeap t;
  const uint32_t sg = t.heap.sweep_gen();
  t.heap.AdvanceSweepGen();
  EXPECT_EQ(t.heap.sweep_gen(), sg + 2);
  MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(8));
  EXPECT_EQ(span->sweep_gen(), sg + 2);
}

TEST(MHeapTest, FinishSweepRenewsMarkBitsEverywhere) {
  TestHeap t;
  MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(1408));
  ASSERT_EQ(span->TakeFreeRun(5).count, 5u);
  span->SetMarked(1);
  span->SetMarked(4);
  MarkWord* old = span->mark_bits();
  t.heap.FinishSweep(*span, 2);
  EXPECT_NE(span->mark_bits(), old);
  for (int page = 0; page < 2; ++page) {
    const Addr a = span->base() + ByteCount(kPageSize) * uint64_t(page);
    EXPECT_EQ(t.heap.page_info(a).mark_bits(), span->mark_bits());
  }
  EXPECT_EQ(span->allocated(), 2u);
  EXPECT_EQ(span->CountMarked(), 0u);
  EXPECT_TRUE(span->IsFree(0));
  EXPECT_FALSE(span->IsFree(1));
  EXPECT_FALSE(span->IsFree(4));
  t.heap.CheckInvariants();
}

// ---- Limits.

TEST(MHeapTest, ExhaustedReservationIsAValueAndFreeingHelps) {
  TestHeap t({.reservation = kArenaSize});
  std::vector<MSpan*> spans;
  while (MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(32768))) {
    spans.push_back(span);
  }
  EXPECT_EQ(spans.size(), kArenaPages.value() / 4);
  EXPECT_EQ(t.heap.mapped(), kArenaSize);
  t.heap.CheckInvariants();
  EXPECT_EQ(t.heap.AllocManual(t.processor, PageCount(1)), nullptr);
  t.heap.FreeSpan(t.processor, spans.back());
  EXPECT_NE(t.heap.AllocManual(t.processor, PageCount(1)), nullptr);
}

TEST(MHeapTest, RequestsBeyondTheAddressSpaceAreRefused) {
  TestHeap t;
  for (const uint64_t pages :
       {uint64_t{1} << 15 | 1, uint64_t{1} << 40, uint64_t{1} << 63}) {
    EXPECT_EQ(t.heap.AllocSpan(t.processor, PageCount(pages), LargeClass()),
              nullptr);
    EXPECT_EQ(t.heap.AllocManual(t.processor, PageCount(pages)), nullptr);
  }
  EXPECT_EQ(t.heap.AllocSpan(t.processor, PageCount(1), LargeClass(),
                             PageCount(uint64_t{1} << 50)),
            nullptr);
  EXPECT_EQ(t.heap.mapped(), ByteCount(0));
}

TEST(MHeapTest, LimitOfMappedBytesHolds) {
  TestHeap t({.reservation = kArenaSize, .max_mapped = ByteCount(8 * kMiB)});
  std::vector<MSpan*> spans;
  while (MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(8192))) {
    spans.push_back(span);
  }
  EXPECT_EQ(spans.size(), 8 * kMiB / kPageSize);
  EXPECT_EQ(t.heap.mapped(), ByteCount(8 * kMiB));
  for (MSpan* span : spans) t.heap.FreeSpan(t.processor, span);
  t.heap.CheckInvariants();
}

// ---- The sweeper comes before growth.

class FakeSweeper final : public SpanSweeper {
 public:
  explicit FakeSweeper(MHeap& heap) : heap_(heap) {}
  bool Begin(ProcessorCache&) override { return false; }
  void End(ProcessorCache&) override {}
  uint32_t SweepAndKeep(ProcessorCache&, MSpan&) override { return 0; }
  void EnsureSwept(ProcessorCache&, MSpan&) override {}
  void PayForSpan(ProcessorCache&, ByteCount) override {}
  PageCount Reclaim(ProcessorCache& processor, PageCount wanted) override {
    ++calls;
    last_wanted = wanted;
    PageCount freed;
    for (; freed < wanted && !garbage.empty(); garbage.pop_back()) {
      freed += garbage.back()->pages();
      heap_.FreeSpan(processor, garbage.back());
    }
    return freed;
  }

  std::vector<MSpan*> garbage;
  int calls = 0;
  PageCount last_wanted;

 private:
  MHeap& heap_;
};

TEST(MHeapTest, GarbageIsReclaimedBeforeTheHeapGrows) {
  TestHeap t({.reservation = kArenaSize, .max_mapped = ByteCount(4 * kMiB)});
  FakeSweeper sweeper(t.heap);
  t.heap.set_sweeper(&sweeper);
  for (int i = 0; i < 512; ++i) {
    MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(8192));
    ASSERT_NE(span, nullptr);
    sweeper.garbage.push_back(span);
  }
  EXPECT_EQ(sweeper.calls, 1);  // for the first growth
  MSpan* large = t.heap.AllocSpan(t.processor, PageCount(100), LargeClass());
  EXPECT_NE(large, nullptr);
  EXPECT_EQ(sweeper.calls, 2);
  EXPECT_EQ(sweeper.last_wanted, PageCount(100));
  EXPECT_EQ(t.heap.mapped(), ByteCount(4 * kMiB));
  // Nothing is free, and the sweeper is asked once more.
  sweeper.garbage.clear();
  MSpan* small = t.heap.AllocSpan(t.processor, ClassFor(8));
  EXPECT_EQ(small, nullptr);
  EXPECT_EQ(sweeper.calls, 3);
  EXPECT_EQ(sweeper.last_wanted, PageCount(1));
}

TEST(MHeapTest, ManualSpansNeverSweep) {
  TestHeap t;
  FakeSweeper sweeper(t.heap);
  t.heap.set_sweeper(&sweeper);
  EXPECT_NE(t.heap.AllocManual(t.processor, PageCount(1000)), nullptr);
  EXPECT_EQ(sweeper.calls, 0);
}

// ---- Caches.

TEST(MHeapTest, SteadyStateTakesTheLockInFewCalls) {
  TestHeap t;
  std::vector<MSpan*> spans(400);
  HeapStats before;
  for (int round = 0; round < 20; ++round) {
    if (round == 2) before = t.heap.ReadStats();
    for (MSpan*& span : spans) {
      span = t.heap.AllocSpan(t.processor, ClassFor(48));
    }
    for (MSpan* span : spans) t.heap.FreeSpan(t.processor, span);
  }
  const HeapStats after = t.heap.ReadStats();
  const uint64_t calls = after.alloc_span_calls - before.alloc_span_calls;
  EXPECT_EQ(calls, 18 * 400u);
  EXPECT_LT(
      LockedPercent(after.alloc_span_locked - before.alloc_span_locked, calls),
      5u);
}

TEST(MHeapTest, SpanFreedAtOnceCostsNoLockAtAll) {
  TestHeap t;
  t.heap.FreeSpan(t.processor, t.heap.AllocSpan(t.processor, ClassFor(48)));
  const HeapStats before = t.heap.ReadStats();
  for (int i = 0; i < 1000; ++i) {
    t.heap.FreeSpan(t.processor, t.heap.AllocSpan(t.processor, ClassFor(48)));
  }
  const HeapStats after = t.heap.ReadStats();
  EXPECT_EQ(after.alloc_span_calls - before.alloc_span_calls, 1000u);
  EXPECT_EQ(after.alloc_span_locked, before.alloc_span_locked);
  EXPECT_EQ(after.free_span_locked, before.free_span_locked);
}

TEST(MHeapTest, WithoutCachesEveryCallTakesTheLock) {
  TestHeap t({.reservation = kArenaSize, .use_processor_caches = false});
  for (int i = 0; i < 10; ++i) {
    t.heap.FreeSpan(t.processor, t.heap.AllocSpan(t.processor, ClassFor(48)));
  }
  const HeapStats stats = t.heap.ReadStats();
  EXPECT_EQ(stats.alloc_span_calls, 10u);
  EXPECT_EQ(stats.alloc_span_locked, 10u);
  EXPECT_EQ(stats.free_span_locked, 10u);
  EXPECT_EQ(t.processor.cached_spans(), 0u);
  EXPECT_TRUE(t.processor.page_cache().Empty());
}

TEST(MHeapTest, SpanStructuresAreRefilledByHalvesAndKeptUpToTheCapacity) {
  TestHeap t;
  std::vector<MSpan*> spans;
  spans.push_back(t.heap.AllocSpan(t.processor, ClassFor(48)));
  EXPECT_EQ(t.processor.cached_spans(), ProcessorCache::kSpanRefill - 1);
  while (spans.size() < 300) {
    spans.push_back(t.heap.AllocSpan(t.processor, ClassFor(48)));
  }
  uint32_t most = 0;
  for (MSpan* span : spans) {
    t.heap.FreeSpan(t.processor, span);
    most = std::max(most, t.processor.cached_spans());
    ASSERT_GE(t.processor.cached_spans(), 20u);
  }
  EXPECT_EQ(most, ProcessorCache::kSpanCapacity);
  EXPECT_LE(t.processor.cached_spans(), ProcessorCache::kSpanCapacity);
}

TEST(MHeapTest, FlushedPagesAreThereForOtherProcessors) {
  TestHeap t({.reservation = kArenaSize, .max_mapped = ByteCount(4 * kMiB)});
  ASSERT_NE(t.heap.AllocSpan(t.processor, PageCount(448), LargeClass()),
            nullptr);
  ASSERT_NE(t.heap.AllocSpan(t.processor, ClassFor(8)), nullptr);
  EXPECT_EQ(t.processor.page_cache().free_pages(), PageCount(63));
  ProcessorCache other;
  t.heap.AttachProcessor(other);
  EXPECT_EQ(t.heap.AllocSpan(other, ClassFor(8)), nullptr);
  t.heap.FlushPageCache(t.processor);
  EXPECT_TRUE(t.processor.page_cache().Empty());
  EXPECT_NE(t.heap.AllocSpan(other, ClassFor(8)), nullptr);
  t.heap.ReleaseProcessor(other);
}

TEST(MHeapTest, StatisticsOfDepartedProcessorsStay) {
  TestHeap t;
  ProcessorCache other;
  for (int i = 0; i < 2; ++i) {
    t.heap.AttachProcessor(other);
    MSpan* span = t.heap.AllocSpan(other, ClassFor(48));
    {
      StatsSection stats(other.stats());
      stats->small_allocated[5] += 7;
      stats->small_freed[5] += 7;
    }
    t.heap.ReleaseProcessor(other);
    t.heap.FreeSpan(t.processor, span);
    t.heap.CheckInvariants();
  }
  const HeapStats stats = t.heap.ReadStats();
  EXPECT_EQ(stats.alloc_span_calls, 2u);
  EXPECT_EQ(stats.small_allocated[5], 14u);
  EXPECT_EQ(stats.heap_span_bytes, 0);
}

TEST(MHeapTest, SpanMayBeFreedOnAnotherProcessor) {
  TestHeap t;
  ProcessorCache other;
  t.heap.AttachProcessor(other);
  std::vector<MSpan*> spans;
  for (int i = 0; i < 200; ++i) {
    spans.push_back(t.heap.AllocSpan(t.processor, ClassFor(48)));
  }
  for (MSpan* span : spans) t.heap.FreeSpan(other, span);
  t.heap.CheckInvariants();
  t.heap.ReleaseProcessor(other);
}

// ---- Scavenging.

TEST(MHeapTest, ScavengedMemoryLeavesTheOsAndComesBackZero) {
  TestHeap t;
  MSpan* span = t.heap.AllocSpan(t.processor, PageCount(1024), LargeClass());
  ASSERT_EQ(span->TakeFreeRun(1).count, 1u);
  span->base().as<char>()[12345] = 1;
  t.heap.FreeSpan(t.processor, span);
  const ByteCount ready = t.os.ready_bytes();
  EXPECT_EQ(t.heap.Scavenge(ByteCount(uint64_t{1} << 40)),
            BytesOf(PageCount(1024)));
  EXPECT_EQ(ready - t.os.ready_bytes(), BytesOf(PageCount(1024)));
  EXPECT_EQ(t.heap.ReadStats().released_bytes, 8 * int64_t{kMiB});
  EXPECT_EQ(t.heap.ready(), ByteCount(0));
  t.heap.CheckInvariants();
  span = t.heap.AllocSpan(t.processor, PageCount(1024), LargeClass());
  EXPECT_FALSE(span->needs_zero());
  span->TakeFreeRun(1);
  EXPECT_EQ(span->base().as<char>()[12345], 0);
  EXPECT_EQ(t.heap.ReadStats().released_bytes, 0);
  EXPECT_EQ(t.heap.ready(), BytesOf(PageCount(1024)));
}

TEST(MHeapTest, PagesCommittedInVainAreDirtyOnceScavenged) {
  TestHeap t(SmallHeapOptions(), {.unused_memory_is_zero = false});
  MSpan* manual = t.heap.AllocManual(t.processor, PageCount(1));
  // The span's pages are committed when its mark bits are refused.
  t.os.FailOnly(OsCall::kReserve);
  t.os.FailFrom(1);
  EXPECT_EQ(t.heap.AllocSpan(t.processor, ClassFor(16)), nullptr);
  t.os.StopFailing();
  t.heap.FlushPageCache(t.processor);
  ASSERT_GT(t.heap.Scavenge(ByteCount(uint64_t{1} << 40)), ByteCount(0));
  MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(16));
  EXPECT_TRUE(span->needs_zero());
  t.heap.FreeSpan(t.processor, span);
  t.heap.FreeManual(t.processor, manual);
}

TEST(MHeapTest, ScavengeStopsAtItsGoalAndWhenTheOsRefuses) {
  TestHeap t;
  t.heap.FreeSpan(t.processor,
                  t.heap.AllocSpan(t.processor, PageCount(512), LargeClass()));
  EXPECT_EQ(t.heap.Scavenge(ByteCount(0)), ByteCount(0));
  // No more than the huge page that the wanted byte is in.
  const ByteCount least = t.heap.Scavenge(ByteCount(1));
  EXPECT_GE(least, ByteCount(kPageSize));
  EXPECT_LE(least, t.os.huge_page_size());
  t.os.FailOnly(OsCall::kUnused);
  t.os.FailAfter(1);
  EXPECT_EQ(t.heap.Scavenge(ByteCount(kMiB)), ByteCount(0));
  t.heap.CheckInvariants();
  EXPECT_GE(t.heap.Scavenge(ByteCount(kMiB)), ByteCount(kMiB));
}

TEST(MHeapTest, OnlyALargeHeapAsksForHugePages) {
  TestHeap h({.reservation = ByteCount(256 * kMiB),
              .huge_pages_from = ByteCount(16 * kMiB)});
  const auto grow = [&h](uint64_t bytes) {
    return h.heap.AllocSpan(h.processor, PagesIn(ByteCount(bytes)),
                            LargeClass());
  };
  MSpan* first = grow(16 * kMiB);
  EXPECT_EQ(h.os.calls(OsCall::kHugePage), 0u);
  MSpan* second = grow(8 * kMiB);
  MSpan* third = grow(4 * kMiB);
  EXPECT_EQ(h.os.calls(OsCall::kHugePage), 2u);
  for (MSpan* span : {first, second, third}) {
    h.heap.FreeSpan(h.processor, span);
  }
}

TEST(MHeapTest, HeapPagesThatShareAnOsPageWorkTogether) {
  for (const uint64_t page_size : {4u, 16u, 64u}) {
    TestHeap t(SmallHeapOptions(), {.page_size = ByteCount(page_size << 10)});
    std::vector<MSpan*> spans;
    for (int i = 0; i < 300; ++i) {
      spans.push_back(t.heap.AllocSpan(t.processor, ClassFor(8192)));
      spans.back()->TakeFreeRun(1);
      spans.back()->base().as<int>()[i] = i;
    }
    for (size_t i = 0; i < spans.size(); ++i) {
      if (i % 32 < 20) t.heap.FreeSpan(t.processor, spans[i]);
    }
    t.heap.FlushPageCache(t.processor);
    t.heap.Scavenge(ByteCount(uint64_t{1} << 40));
    t.heap.CheckInvariants();
    for (size_t i = 0; i < spans.size(); ++i) {
      if (i % 32 >= 20) {
        EXPECT_EQ(spans[i]->base().as<int>()[i], static_cast<int>(i));
      }
    }
  }
}

}  // namespace
}  // namespace tricolor::mheap
