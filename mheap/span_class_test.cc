// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/span_class.h"

#include <cstdint>
#include <set>

#include "gtest/gtest.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/size_classes.h"

namespace tricolor::mheap {
namespace {

constexpr SpanKind kKinds[] = {SpanKind::kPointerBitmap, SpanKind::kNoScan,
                               SpanKind::kTypeHeader};

static_assert(sizeof(SpanClass) == 1);
static_assert(SpanClass(0, SpanKind::kNoScan).is_large());
static_assert(!SpanClass(1, SpanKind::kNoScan).is_large());
static_assert(SpanClass(5, SpanKind::kNoScan).is_noscan());
static_assert(!SpanClass(5, SpanKind::kTypeHeader).is_noscan());

TEST(SpanClassTest, IndexIsDenseAndTellsSizeClassAndKind) {
  std::set<int> indexes;
  for (int c = 0; c < kSizeClasses; ++c) {
    for (const SpanKind kind : kKinds) {
      const SpanClass span_class(static_cast<uint8_t>(c), kind);
      EXPECT_EQ(span_class.size_class(), c);
      EXPECT_EQ(span_class.kind(), kind);
      EXPECT_EQ(SpanClass::FromIndex(span_class.index()), span_class);
      EXPECT_LT(span_class.index(), kSpanClasses);
      indexes.insert(span_class.index());
    }
  }
  EXPECT_EQ(indexes.size(), size_t{kSpanClasses});
}

TEST(SpanClassTest, PointerBitmapTakesSlotsFromTheEndOfTheSpan) {
  for (uint8_t c = 1; c < kSizeClasses; ++c) {
    const uint32_t size = kClassSize[c];
    const SpanClass noscan(c, SpanKind::kNoScan);
    const SpanClass header(c, SpanKind::kTypeHeader);
    const SpanClass bitmap(c, SpanKind::kPointerBitmap);
    const uint32_t bytes = noscan.pages() * uint32_t{kPageSize};
    EXPECT_EQ(noscan.slot_size(), size);
    EXPECT_EQ(noscan.slots(), bytes / size);
    EXPECT_EQ(header.slots(), noscan.slots());
    if (size > kMaxBitmapObject) {
      EXPECT_EQ(bitmap.slots(), 0u);
      continue;
    }
    EXPECT_EQ(bitmap.pages(), 1u);
    EXPECT_EQ(bitmap.slots(), (kPageSize - kPointerBitmapBytes) / size);
    EXPECT_LE(bitmap.slots() * size + kPointerBitmapBytes, kPageSize);
    // A bit for each word of the page, and 64 bits are enough for a slot.
    EXPECT_LE(size / 8, 64u);
  }
}

TEST(SpanClassTest, LargeClassesHaveNoFixedShape) {
  for (const SpanKind kind : kKinds) {
    EXPECT_EQ(SpanClass(0, kind).slot_size(), 0u);
    EXPECT_EQ(SpanClass(0, kind).pages(), 0u);
    EXPECT_EQ(SpanClass(0, kind).slots(), 0u);
  }
}

TEST(SpanClassTest, EveryByteOfASpanBelongsToItsSlotOrLiesAboveTheLast) {
  for (uint8_t c = 1; c < kSizeClasses; ++c) {
    for (const SpanKind kind : kKinds) {
      const SpanClass span_class(c, kind);
      const uint32_t bytes = span_class.pages() * uint32_t{kPageSize};
      for (uint32_t offset = 0; offset < bytes; ++offset) {
        const uint32_t slot = span_class.SlotAt(offset);
        ASSERT_LE(slot * span_class.slot_size(), offset);
        ASSERT_GT((slot + 1) * span_class.slot_size(), offset);
      }
      ASSERT_GE(span_class.SlotAt(bytes - 1) + 1, span_class.slots());
    }
  }
}

}  // namespace
}  // namespace tricolor::mheap
