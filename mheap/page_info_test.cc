// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/page_info.h"

#include <cstdint>

#include "gtest/gtest.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/mark_bits.h"
#include "tricolor/mheap/span_class.h"

namespace tricolor::mheap {
namespace {

static_assert(sizeof(PageInfo) == 8);
static_assert(!PageInfo().has_small_objects());

TEST(PageInfoTest, WordHoldsClassPageAndMarkBits) {
  MarkWord marks[2];
  for (int index = 0; index < kSpanClasses; ++index) {
    const SpanClass span_class =
        SpanClass::FromIndex(static_cast<uint8_t>(index));
    for (uint32_t page = 0; page < kMaxClassPages; ++page) {
      for (MarkWord& bits : marks) {
        const PageInfo info(span_class, page, &bits);
        ASSERT_TRUE(info.has_small_objects());
        ASSERT_EQ(info.span_class(), span_class);
        ASSERT_EQ(info.page_in_span(), page);
        ASSERT_EQ(info.mark_bits(), &bits);
        ASSERT_EQ(PageInfo(info.word()).span_class(), span_class);
        ASSERT_EQ(info.common_pointers(), 0u);
        const PageInfo common(span_class, page, &bits,
                              PageInfo::kCommonPointers);
        ASSERT_EQ(common.common_pointers(), PageInfo::kCommonPointers);
        ASSERT_EQ(common.span_class(), span_class);
        ASSERT_EQ(common.page_in_span(), page);
        ASSERT_EQ(common.mark_bits(), &bits);
      }
    }
  }
}

TEST(PageInfoTest, HoldsMarkBitsAtTheEndOfTheAddressSpace) {
  for (const int bits : {47, 48}) {  // x86-64, AArch64
    const uint64_t top = (uint64_t{1} << bits) - 8;
    const PageInfo info(SpanClass(67, SpanKind::kTypeHeader), 9,
                        reinterpret_cast<const MarkWord*>(top));
    EXPECT_EQ(reinterpret_cast<uint64_t>(info.mark_bits()), top);
    EXPECT_EQ(info.page_in_span(), 9u);
  }
}

TEST(PageInfoTest, FindsTheSlotOfAnAddressOnAnyPageOfTheSpan) {
  const Addr base(uint64_t{0x7f1234} << kPageShift);
  for (uint8_t c = 1; c < kSizeClasses; ++c) {
    const SpanClass span_class(c, SpanKind::kTypeHeader);
    for (uint32_t page = 0; page < span_class.pages(); ++page) {
      const PageInfo info(span_class, page, nullptr);
      for (const uint32_t in_page :
           {0u, 1u, 7u, 8u, 4095u, uint32_t{kPageSize} - 1}) {
        const uint32_t offset = page * uint32_t{kPageSize} + in_page;
        ASSERT_EQ(info.SlotAt(base + ByteCount(offset)),
                  offset / kClassSize[c]);
      }
    }
  }
}

}  // namespace
}  // namespace tricolor::mheap
