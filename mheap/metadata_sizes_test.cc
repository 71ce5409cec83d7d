// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/metadata_sizes.h"

#include "gtest/gtest.h"
#include "tricolor/mheap/mheap_testing.h"

namespace tricolor::mheap {
namespace {

TEST(MetadataSizesTest, IsCountedByKindAndKeptForItsKind) {
  TestHeap t;
  const MetadataSizes before = t.heap.ReadMetadataSizes();
  EXPECT_EQ(before.spans_in_use, 0u);
  EXPECT_EQ(before.specials_in_use, 0u);
  MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(48));
  span->TakeFreeRun(span->slots());
  ASSERT_NE(t.heap.WeakSlotFor(*span, 0), nullptr);
  ASSERT_NE(t.heap.AddCleanup(*span, 1, nullptr), nullptr);
  SpanSet set(t.heap.span_set_blocks());
  ASSERT_TRUE(set.Push(span));
  const MetadataSizes full = t.heap.ReadMetadataSizes();
  EXPECT_GE(full.spans_in_use, 1u);
  EXPECT_EQ(full.specials_in_use, 2u);
  EXPECT_EQ(full.weak_slots_in_use, 1u);
  EXPECT_GE(full.spans.value(), sizeof(MSpan));
  EXPECT_EQ(full.mark_bits.value() % MarkBitArenas::kArenaSize.value(), 0u);
  EXPECT_GT(full.mark_bits, before.mark_bits);
  EXPECT_GT(full.span_sets, before.span_sets);
  EXPECT_GT(full.specials, before.specials);
  EXPECT_LE(full.spans + full.mark_bits + full.span_sets + full.specials,
            full.all);

  EXPECT_EQ(set.Pop(), span);
  span->UnmarkRun({0, span->slots()});
  FreeSpecials(t.heap, t.heap.TakeDeadSpecials(*span));
  t.heap.FreeSpan(t.processor, span);
  const MetadataSizes after = t.heap.ReadMetadataSizes();
  EXPECT_EQ(after.specials_in_use, 0u);
  EXPECT_EQ(after.weak_slots_in_use, 0u);
  EXPECT_EQ(after.specials, full.specials);
  EXPECT_EQ(after.all, full.all);
}

}  // namespace
}  // namespace tricolor::mheap
