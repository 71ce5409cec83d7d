// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Misuse stops the program with one line that says what was found.

#include <cstdint>

#include "gtest/gtest.h"
#include "tricolor/mheap/mheap_testing.h"

namespace tricolor::mheap {
namespace {

struct MHeapDeathTest : testing::Test {
  MHeapDeathTest() { span = t.heap.AllocSpan(t.processor, ClassFor(48)); }
  TestHeap t;
  MSpan* span;
};

TEST_F(MHeapDeathTest, DoubleFree) {
  t.heap.FreeSpan(t.processor, span);
  EXPECT_DEATH(t.heap.FreeSpan(t.processor, span),
               "fatal: freed span is in the wrong state .expected: InUse.*"
               ": Dead, base");
}

TEST_F(MHeapDeathTest, ManualSpanFreedAsHeapSpan) {
  MSpan* manual = t.heap.AllocManual(t.processor, PageCount(4));
  EXPECT_DEATH(t.heap.FreeSpan(t.processor, manual),
               "wrong state .expected: InUse.*: Manual, base.*4 pages");
}

TEST_F(MHeapDeathTest, HeapSpanFreedAsManual) {
  EXPECT_DEATH(t.heap.FreeManual(t.processor, span),
               "wrong state .expected: Manual.*: InUse, base.*size class 5");
}

TEST_F(MHeapDeathTest, ManualSpanFreedTwice) {
  MSpan* manual = t.heap.AllocManual(t.processor, PageCount(4));
  t.heap.FreeManual(t.processor, manual);
  EXPECT_DEATH(t.heap.FreeManual(t.processor, manual), "wrong state");
}

TEST_F(MHeapDeathTest, UnsweptSpanFreed) {
  t.heap.AdvanceSweepGen();
  EXPECT_DEATH(t.heap.FreeSpan(t.processor, span),
               "freed span has not been swept .*generation 2");
  span->set_sweep_gen(t.heap.sweep_gen() + 3);
  EXPECT_DEATH(t.heap.FreeSpan(t.processor, span), "has not been swept");
}

TEST_F(MHeapDeathTest, SpanFreedWithSpecials) {
  span->TakeFreeRun(1);
  ASSERT_NE(t.heap.WeakSlotFor(*span, 0), nullptr);
  EXPECT_DEATH(t.heap.FreeSpan(t.processor, span), "freed span has specials");
}

TEST_F(MHeapDeathTest, SpecialOnUnsweptSpanOrBeyondItsSlots) {
  EXPECT_DEATH((void)t.heap.WeakSlotFor(*span, 170), "special for object 170");
  t.heap.AdvanceSweepGen();
  EXPECT_DEATH((void)t.heap.AddCleanup(*span, 0, nullptr),
               "special for object 0 of a span that is not swept");
}

TEST_F(MHeapDeathTest, LiveWeakSlotFreed) {
  span->TakeFreeRun(1);
  WeakSlot* slot = t.heap.WeakSlotFor(*span, 0);
  WeakSpecial special;
  special.slot = slot;
  EXPECT_DEATH(t.heap.FreeSpecial(&special), "weak slot .* freed while");
}

TEST_F(MHeapDeathTest, SmallSpanOfAnotherNumberOfPages) {
  EXPECT_DEATH((void)t.heap.AllocSpan(t.processor, PageCount(2), ClassFor(48)),
               "span of 2 pages, aligned to 1, asked for size class 5");
  EXPECT_DEATH((void)t.heap.AllocSpan(t.processor, PageCount(0), LargeClass()),
               "span of 0 pages");
  EXPECT_DEATH((void)t.heap.AllocSpan(t.processor, PageCount(1), LargeClass(),
                                      PageCount(3)),
               "aligned to 3");
  EXPECT_DEATH((void)t.heap.AllocManual(t.processor, PageCount(0)), "0 pages");
}

TEST_F(MHeapDeathTest, MoreSlotsGivenBackThanTaken) {
  span->TakeFreeRun(3);
  EXPECT_DEATH(span->ReturnRunTail(4), "4 slots given back to span");
}

TEST_F(MHeapDeathTest, ProcessorsComeAndGoOnce) {
  EXPECT_DEATH(t.heap.AttachProcessor(t.processor), "attached twice");
  ProcessorCache other;
  EXPECT_DEATH(t.heap.ReleaseProcessor(other), "which does not have it");
  EXPECT_DEATH(
      {
        ProcessorCache lost;
        t.heap.AttachProcessor(lost);
      },
      "destroyed while attached");
  EXPECT_DEATH(
      {
        ProcessorCache kept;
        MHeap heap(t.os, SmallHeapOptions());
        if (heap.Init()) heap.AttachProcessor(kept);
      },
      "destroyed with processor");
}

TEST_F(MHeapDeathTest, InitTwice) {
  EXPECT_DEATH((void)t.heap.Init(), "initialized twice");
}

// What CheckInvariants would find.

TEST_F(MHeapDeathTest, BrokenBitsAreFound) {
  Atomic<uint64_t>& in_use = t.heap.page_in_use_word(0);
  const uint64_t before = in_use.LoadRelaxed();
  in_use.StoreRelaxed(before & (before - 1));
  EXPECT_DEATH(t.heap.CheckInvariants(), "has a wrong in-use bit");
  in_use.StoreRelaxed(before | uint64_t{1} << 63);
  EXPECT_DEATH(t.heap.CheckInvariants(), "has no span, but in-use bit 1");
  in_use.StoreRelaxed(before);
  Atomic<uint64_t>& specials = t.heap.page_specials_word(0);
  specials.StoreRelaxed(1);
  EXPECT_DEATH(t.heap.CheckInvariants(), "disagrees with its list");
  specials.StoreRelaxed(0);
}

TEST_F(MHeapDeathTest, BrokenCountsAreFound) {
  const auto move_from_released = [&](int64_t HeapStats::*to) {
    {
      StatsSection stats(t.processor.stats());
      stats->released_bytes -= 1;
      (*stats).*to += 1;
    }
    t.heap.CheckInvariants();
  };
  EXPECT_DEATH(move_from_released(&HeapStats::heap_span_bytes),
               "heap span bytes: counted 8193");
  EXPECT_DEATH(move_from_released(&HeapStats::manual_span_bytes),
               "manual span bytes: counted 1");
  EXPECT_DEATH(move_from_released(&HeapStats::free_bytes),
               "released bytes: counted");
}

TEST_F(MHeapDeathTest, BrokenPageInfoIsFound) {
  MarkWord* other = t.heap.mark_bit_arenas().NewMarkBits(span->slots());
  // The span's new bits, but not those in the page table.
  span->FinishSweep(other, 0);
  EXPECT_DEATH(t.heap.CheckInvariants(), "has wrong page info");
  t.heap.FinishSweep(*span, 0);
}

}  // namespace
}  // namespace tricolor::mheap
