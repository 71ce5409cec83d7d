// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/object_layout.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/mheap/span_class.h"
#include "tricolor/mheap/type_info.h"

namespace tricolor::mheap {
namespace {

using Tracing = TypeInfo::Tracing;

constexpr uint64_t kAllOnes[8] = {~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0},
                                  ~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0},
                                  ~uint64_t{0}, ~uint64_t{0}};

constexpr TypeInfo Type(size_t size, size_t align, Tracing tracing) {
  TypeInfo type{.size = size, .align = align, .tracing = tracing};
  if (tracing == Tracing::kBitmap) {
    type.pointer_words = size / 8;
    type.bitmap = kAllOnes;
  }
  return type;
}

// ---- Known answers, at compile time.

constexpr ObjectLayout Layout(size_t size, size_t align, Tracing tracing,
                              uint64_t count = 1) {
  return LayoutFor(Type(size, align, tracing), count).layout;
}

static_assert(Layout(24, 8, Tracing::kBitmap).span_class ==
              SpanClass(SizeClassFor(24), SpanKind::kPointerBitmap));
static_assert(Layout(24, 8, Tracing::kNoPointers).span_class ==
              SpanClass(SizeClassFor(24), SpanKind::kNoScan));
static_assert(Layout(24, 8, Tracing::kConservative).span_class ==
              SpanClass(SizeClassFor(32), SpanKind::kTypeHeader));
static_assert(Layout(24, 8, Tracing::kCallback).payload_offset == 8);
static_assert(Layout(64, 64, Tracing::kCallback).payload_offset == 64);
static_assert(Layout(64, 64, Tracing::kCallback).slot_bytes == 128);

// The end of the bitmap's objects; arrays take one byte more.
static_assert(Layout(512, 8, Tracing::kBitmap).span_class.kind() ==
              SpanKind::kPointerBitmap);
static_assert(Layout(520, 8, Tracing::kBitmap).span_class.kind() ==
              SpanKind::kTypeHeader);
static_assert(Layout(8, 8, Tracing::kBitmap, 63).span_class.kind() ==
              SpanKind::kPointerBitmap);
static_assert(Layout(8, 8, Tracing::kBitmap, 64).span_class.kind() ==
              SpanKind::kTypeHeader);
static_assert(Layout(8, 8, Tracing::kBitmap, 64).slot_bytes == 576);

// The end of the small objects.
static_assert(!Layout(32768, 8, Tracing::kNoPointers).span_class.is_large());
static_assert(Layout(32769, 1, Tracing::kNoPointers).span_class ==
              SpanClass(0, SpanKind::kNoScan));
static_assert(Layout(16384, 8, Tracing::kNoPointers, 2).slot_bytes == 32769);
static_assert(!Layout(32760, 8, Tracing::kBitmap).span_class.is_large());
static_assert(Layout(32768, 8, Tracing::kBitmap).span_class ==
              SpanClass(0, SpanKind::kTypeHeader));
static_assert(Layout(32768, 8, Tracing::kBitmap).payload_offset == 0);
static_assert(Layout(32768, 8, Tracing::kBitmap).slot_bytes == 32768);

// Alignment beyond a page's.
static_assert(Layout(8192, 8192, Tracing::kNoPointers).large_alignment == 0);
static_assert(Layout(16384, 16384, Tracing::kNoPointers).large_alignment ==
              16384);
static_assert(Layout(16384, 16384, Tracing::kNoPointers).span_class ==
              SpanClass(0, SpanKind::kNoScan));
static_assert(Layout(16384, 16384, Tracing::kBitmap).span_class ==
              SpanClass(0, SpanKind::kTypeHeader));

// Nothing at all is one byte.
static_assert(Layout(0, 1, Tracing::kNoPointers).slot_bytes == 8);
static_assert(Layout(0, 1, Tracing::kNoPointers, 1000).slot_bytes == 8);
static_assert(Layout(0, 1, Tracing::kCallback).slot_bytes == 16);

// ---- Against the rules, written down a second time.

uint8_t NaiveClass(uint64_t bytes, uint64_t align) {
  for (uint8_t c = 1; c < kSizeClasses; ++c) {
    if (kClassSize[c] >= bytes && kPageSize % align == 0 &&
        kClassSize[c] % align == 0) {
      return c;
    }
  }
  return 0;
}

void CheckLayout(const TypeInfo& type, uint64_t count) {
  uint64_t bytes = type.size * count + (count > 1 ? 1 : 0);
  bytes = std::max<uint64_t>(bytes, 1);
  const bool bitmap = type.tracing == Tracing::kBitmap && bytes <= 512;
  const bool header = type.has_pointers() && !bitmap;
  const uint64_t offset = header ? std::max<uint64_t>(8, type.align) : 0;
  const uint8_t size_class = NaiveClass(bytes + offset, type.align);

  const LayoutResult result = LayoutFor(type, count);
  const ObjectLayout& layout = result.layout;
  ASSERT_TRUE(result.ok);
  ASSERT_EQ(layout.span_class.size_class(), size_class);
  ASSERT_EQ(layout.span_class.is_noscan(), !type.has_pointers());
  if (size_class == 0) {
    ASSERT_EQ(layout.span_class.kind(),
              type.has_pointers() ? SpanKind::kTypeHeader : SpanKind::kNoScan);
    ASSERT_EQ(layout.payload_offset, 0u);
    ASSERT_EQ(layout.slot_bytes, bytes);
    ASSERT_EQ(layout.large_alignment, type.align > 8192 ? type.align : 0);
    ASSERT_TRUE(bytes + offset > 32768 || type.align > 8192);
    return;
  }
  ASSERT_EQ(layout.span_class.kind(), bitmap   ? SpanKind::kPointerBitmap
                                      : header ? SpanKind::kTypeHeader
                                               : SpanKind::kNoScan);
  ASSERT_EQ(layout.payload_offset, offset);
  ASSERT_EQ(layout.slot_bytes, kClassSize[size_class]);
  ASSERT_EQ(layout.large_alignment, 0u);
  // What the object needs of any slot of the span.
  ASSERT_EQ((layout.slot_bytes + layout.payload_offset) % type.align, 0u);
  ASSERT_EQ(layout.payload_offset % type.align, 0u);
  ASSERT_LE(layout.payload_offset + bytes, layout.slot_bytes);
  ASSERT_GT(layout.span_class.slots(), 0u);
}

void ExpectLayout(const TypeInfo& type, uint64_t count) {
  CheckLayout(type, count);
  if (!::testing::Test::HasFatalFailure()) return;
  FAIL() << count << " of size " << type.size << ", align " << type.align
         << ", tracing " << static_cast<int>(type.tracing);
}

// Every size up to 1200 bytes, and those around what decides.
std::vector<size_t> Sizes(size_t align, Tracing tracing) {
  const size_t step =
      tracing == Tracing::kBitmap ? std::max<size_t>(align, 8) : align;
  std::vector<size_t> sizes = {step};
  for (size_t size = 2 * step; size <= 1200; size += step) {
    sizes.push_back(size);
  }
  for (const size_t edge : {8192u, 16384u, 24576u, 32768u, 65536u}) {
    const size_t down = edge / step * step;
    for (const size_t size :
         {down - 2 * step, down - step, down, down + step}) {
      if (size > 1200 && size <= edge + step) sizes.push_back(size);
    }
  }
  return sizes;
}

class ObjectLayoutTest : public ::testing::TestWithParam<Tracing> {};

INSTANTIATE_TEST_SUITE_P(AllTracings, ObjectLayoutTest,
                         ::testing::Values(Tracing::kNoPointers,
                                           Tracing::kBitmap, Tracing::kCallback,
                                           Tracing::kConservative));

TEST_P(ObjectLayoutTest, FollowsTheRulesForSingleObjects) {
  for (size_t align = 1; align <= 65536; align *= 2) {
    for (const size_t size : Sizes(align, GetParam())) {
      ExpectLayout(Type(size, align, GetParam()), 1);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(ObjectLayoutTest, FollowsTheRulesForArrays) {
  for (size_t align = 1; align <= 65536; align *= 2) {
    for (const size_t size : Sizes(align, GetParam())) {
      const TypeInfo type = Type(size, align, GetParam());
      for (uint64_t count = 2; count <= 66; ++count) {
        ExpectLayout(type, count);
        if (HasFatalFailure()) return;
      }
      // Around the ends of the bitmap's and of all small objects.
      for (const uint64_t total : {512u, 32760u, 32768u}) {
        for (uint64_t count = std::max<uint64_t>(total / size, 2) - 1;
             count <= total / size + 1; ++count) {
          if (count > 0) ExpectLayout(type, count);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(ObjectLayoutTest, RefusesWhatNoAddressSpaceHolds) {
  const TypeInfo word = Type(8, 8, GetParam());
  EXPECT_TRUE(LayoutFor(word, kMaxObjectBytes / 8 - 1).ok);
  EXPECT_FALSE(LayoutFor(word, kMaxObjectBytes / 8).ok);
  EXPECT_FALSE(LayoutFor(word, uint64_t{1} << 61).ok);  // 2^64 bytes
  EXPECT_FALSE(LayoutFor(word, (uint64_t{1} << 61) + 1).ok);
  EXPECT_FALSE(LayoutFor(word, UINT64_MAX).ok);
  EXPECT_FALSE(LayoutFor(Type(UINT64_MAX - 7, 8, GetParam()), 1).ok);
  EXPECT_FALSE(LayoutFor(Type(UINT64_MAX - 7, 8, GetParam()), 2).ok);
  const size_t huge = size_t{1} << 63;
  EXPECT_FALSE(LayoutFor(Type(huge, huge, GetParam()), 1).ok);
  EXPECT_FALSE(LayoutFor(Type(0, kMaxObjectBytes, GetParam()), 1).ok);
  EXPECT_TRUE(LayoutFor(Type(0, kMaxObjectBytes / 2, GetParam()), 1).ok);
}

TEST_P(ObjectLayoutTest, ArrayEndsWithinItsSlot) {
  for (uint64_t count = 2; count < 5000; ++count) {
    const ObjectLayout layout = LayoutFor(Type(8, 8, GetParam()), count).layout;
    EXPECT_GT(layout.slot_bytes, layout.payload_offset + 8 * count);
  }
}

TEST(ObjectLayoutBitmapTest, AlignmentBeyondTheSizeMayNeedAHeader) {
  // Not a C++ type: its size is no multiple of its alignment.
  const ObjectLayout layout =
      LayoutFor(Type(512, 1024, Tracing::kBitmap), 1).layout;
  EXPECT_EQ(layout.span_class.kind(), SpanKind::kTypeHeader);
  EXPECT_EQ(layout.payload_offset, 1024u);
  EXPECT_EQ(layout.slot_bytes, 2048u);
}

#ifndef NDEBUG
TEST(ObjectLayoutDeathTest, AlignmentThatIsNoPowerOfTwo) {
  TypeInfo type = Type(24, 24, Tracing::kNoPointers);
  type.name = "Odd";
  EXPECT_DEATH(static_cast<void>(LayoutFor(type, 1)),
               "type Odd has alignment 24, not a power of two");
}
#endif

// ---- Pointer bits.

TEST(SlotPointerBitsTest, RepeatsTheBitmapForEachElement) {
  std::mt19937_64 random(1);
  for (uint64_t words = 1; words <= 64; ++words) {
    for (uint64_t count = 1; words * 8 * count + (count > 1 ? 1 : 0) <= 512;
         ++count) {
      // All lengths of the pointer part, none included, and ones beyond it
      // that must not be seen.
      for (uint64_t pointer_words = 0; pointer_words <= words;
           ++pointer_words) {
        const uint64_t bitmap[1] = {random()};
        TypeInfo type = Type(words * 8, 8, Tracing::kBitmap);
        type.pointer_words = pointer_words;
        type.bitmap = pointer_words == 0 ? nullptr : bitmap;
        ASSERT_EQ(LayoutFor(type, count).layout.span_class.kind(),
                  SpanKind::kPointerBitmap);
        uint64_t expected = 0;
        for (uint64_t i = 0; i < words * count; ++i) {
          const uint64_t word = i % words;
          if (word < pointer_words && (bitmap[0] >> word & 1) != 0) {
            expected |= uint64_t{1} << i;
          }
        }
        ASSERT_EQ(SlotPointerBits(type, count), expected)
            << count << " elements of " << words << " words, " << pointer_words
            << " with pointers";
      }
    }
  }
}

static_assert(SlotPointerBits(Type(8, 8, Tracing::kBitmap), 63) ==
              ~uint64_t{0} >> 1);
static_assert(SlotPointerBits(Type(512, 8, Tracing::kBitmap), 1) ==
              ~uint64_t{0});

}  // namespace
}  // namespace tricolor::mheap
