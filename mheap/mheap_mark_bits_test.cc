// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Which mark bits a new span gets.

#include "gtest/gtest.h"
#include "tricolor/mheap/mark_bits.h"
#include "tricolor/mheap/mheap_testing.h"

namespace tricolor::mheap {
namespace {

// Bitmaps are not given back before their epoch ends: a loop of spans would
// otherwise take an arena every 500 turns.
TEST(MHeapTest, ASpanTakesOverTheMarkBitsOfItsStructure) {
  TestHeap t;
  const SpanClass c = ClassFor(8);
  for (int i = 0; i < 3000; ++i) {
    MSpan* span = t.heap.AllocSpan(t.processor, c);
    ASSERT_NE(span, nullptr);
    EXPECT_EQ(span->CountMarked(), 0u);
    t.heap.FreeSpan(t.processor, span);
  }
  EXPECT_LE(t.heap.mark_bit_arenas().arenas(), 2u);
}

TEST(MHeapTest, PageInfoKeepsCommonPointersAsLongAsTheyAreCommon) {
  TestHeap t;
  const auto common = [&t](const MSpan* span) {
    return t.heap.page_info(span->base()).common_pointers();
  };
  MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(64));
  EXPECT_EQ(common(span), 0u);
  t.heap.NotePointerBits(*span, 0x7f);
  EXPECT_EQ(common(span), 0x7fu);
  t.heap.NotePointerBits(*span, 0x7f);
  EXPECT_EQ(common(span), 0x7fu);
  t.heap.FinishSweep(*span, 0);
  EXPECT_EQ(common(span), 0x7fu);
  EXPECT_EQ(t.heap.page_info(span->base()).mark_bits(), span->mark_bits());
  t.heap.NotePointerBits(*span, 1);
  EXPECT_EQ(common(span), 0u);
  t.heap.NotePointerBits(*span, 1);
  EXPECT_EQ(common(span), 0u);
  t.heap.FinishSweep(*span, 0);
  EXPECT_EQ(common(span), 0u);
  // A new life begins with nothing known.
  t.heap.FreeSpan(t.processor, span);
  MSpan* again = t.heap.AllocSpan(t.processor, ClassFor(64));
  ASSERT_EQ(again, span);
  t.heap.NotePointerBits(*again, 1);
  EXPECT_EQ(common(again), 1u);
  t.heap.FreeSpan(t.processor, again);
}

// No pointers at all, a pointer beyond the words that there is room for, and a
// value that a careless comparison takes for "no objects yet".
TEST(MHeapTest, PageInfoDoesNotHoldPointersForWhichThereIsNoRoom) {
  for (const uint64_t bits : {uint64_t{0}, uint64_t{0x80}, uint64_t{0xff},
                              uint64_t{0x100}, ~uint64_t{0}}) {
    TestHeap t;
    MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(512));
    t.heap.NotePointerBits(*span, bits);
    t.heap.NotePointerBits(*span, 1);
    EXPECT_EQ(t.heap.page_info(span->base()).common_pointers(), 0u) << bits;
    t.heap.FreeSpan(t.processor, span);
  }
}

TEST(MHeapTest, MarkBitsOfAFormerEpochAreNotTakenOver) {
  TestHeap t;
  const SpanClass c = ClassFor(8);
  MSpan* span = t.heap.AllocSpan(t.processor, c);
  const MarkWord* before = span->mark_bits();
  t.heap.FreeSpan(t.processor, span);
  // Two rotations, and the arena of `before` is free.
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(t.heap.mark_bit_arenas().Rotate());
    t.heap.AdvanceSweepGen();
    t.heap.mark_bit_arenas().MarkingDone();
  }
  MSpan* again = t.heap.AllocSpan(t.processor, c);
  ASSERT_EQ(again, span);
  EXPECT_TRUE(t.heap.mark_bit_arenas().IsLive(again->mark_bits()));
  t.heap.CheckInvariants();
  // Of a span of fewer slots they are too short.
  t.heap.FreeSpan(t.processor, again);
  MSpan* large = t.heap.AllocSpan(t.processor, PageCount(1), LargeClass());
  ASSERT_EQ(large, span);
  const MarkWord* of_one = large->mark_bits();
  EXPECT_NE(of_one, before);
  t.heap.FreeSpan(t.processor, large);
  MSpan* longer = t.heap.AllocSpan(t.processor, c);
  ASSERT_EQ(longer, span);
  EXPECT_NE(longer->mark_bits(), of_one);
  t.heap.FreeSpan(t.processor, longer);
}

}  // namespace
}  // namespace tricolor::mheap
