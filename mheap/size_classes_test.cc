// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/size_classes.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "gtest/gtest.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/units.h"

namespace tricolor::mheap {
namespace {

// The whole table once more, so that a change of the rules is seen as a change
// of the classes.
constexpr uint32_t kExpectedSizes[] = {
    0,     8,     16,    24,    32,    48,    64,    80,    96,    112,
    128,   144,   160,   176,   192,   208,   224,   240,   256,   288,
    320,   352,   384,   416,   448,   480,   512,   576,   640,   704,
    768,   896,   1024,  1152,  1280,  1408,  1536,  1792,  2048,  2304,
    2688,  3072,  3200,  3456,  4096,  4864,  5376,  6144,  6528,  6784,
    6912,  8192,  9472,  9728,  10240, 10880, 12288, 13568, 14336, 16384,
    18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768};

static_assert(kSizeClasses == 68);
static_assert(kMaxSmallSize == 32768);
static_assert(std::size(kExpectedSizes) == kSizeClasses);
static_assert(std::equal(std::begin(kExpectedSizes), std::end(kExpectedSizes),
                         std::begin(kClassSize), std::end(kClassSize)));

// Both ends of the lookup tables, and where they meet.
static_assert(SizeClassFor(1) == 1);
static_assert(SizeClassFor(8) == 1);
static_assert(SizeClassFor(9) == 2);
static_assert(SizeClassFor(1024) == 32);
static_assert(SizeClassFor(1025) == 33);
static_assert(SizeClassFor(kMaxSmallSize) == kSizeClasses - 1);

static_assert(SizeClassFor(1, 8192) == SizeClassFor(8192));
static_assert(SizeClassFor(8193, 8192) == SizeClassFor(16384));
static_assert(SizeClassFor(1, 16384) == 0);
static_assert(SizeClassFor(kMaxSmallSize + 1, 1) == 0);
static_assert(SizeClassFor(SIZE_MAX, 1) == 0);
static_assert(SizeClassFor(24, 16) == SizeClassFor(32));
static_assert(SizeClassFor(40, 32) == SizeClassFor(64));

uint32_t SpanBytes(int size_class) {
  return kClassPages[size_class] * static_cast<uint32_t>(kPageSize);
}

TEST(SizeClassesTest, ClassForIsTheSmallestThatFits) {
  for (uint32_t size = 1; size <= kMaxSmallSize; ++size) {
    const uint8_t size_class = SizeClassFor(size);
    ASSERT_GE(size_class, 1);
    ASSERT_GE(kClassSize[size_class], size);
    ASSERT_LT(kClassSize[size_class - 1], size);
  }
}

TEST(SizeClassesTest, AlignedClassIsTheSmallestThatFitsAndAligns) {
  for (uint32_t align = 1; align <= 2 * kMaxSmallAlign; align *= 2) {
    for (uint32_t size = 1; size <= kMaxSmallSize + 1; ++size) {
      uint8_t expected = 0;
      for (uint8_t c = kSizeClasses - 1; c > 0; --c) {
        if (kClassSize[c] < size) break;
        // Slots of a span that begins at a page.
        if (kClassSize[c] % align == 0 && align <= kPageSize) expected = c;
      }
      ASSERT_EQ(SizeClassFor(size, align), expected)
          << size << " bytes aligned to " << align;
    }
  }
}

TEST(SizeClassesTest, SpansHoldTheSlotsOfTheTablesAndWasteAtMostAnEighth) {
  for (int c = 1; c < kSizeClasses; ++c) {
    ASSERT_GE(kClassPages[c], 1u);
    ASSERT_LE(kClassPages[c], kMaxClassPages);
    ASSERT_EQ(kClassSlots[c], SpanBytes(c) / kClassSize[c]);
    ASSERT_LE(kClassSlots[c], kMaxSlots);
    ASSERT_LE((SpanBytes(c) % kClassSize[c]) * 8, SpanBytes(c));
  }
  EXPECT_EQ(kClassSlots[0], 0u);
  EXPECT_EQ(kClassPages[0], 0u);
}

TEST(SizeClassesTest, SmallerSlotsWouldNotSaveMemory) {
  // No two classes have as many slots in as many pages.
  for (int c = 2; c < kSizeClasses; ++c) {
    ASSERT_TRUE(kClassPages[c] != kClassPages[c - 1] ||
                kClassSlots[c] != kClassSlots[c - 1])
        << c;
  }
}

TEST(SizeClassesTest, ReciprocalDividesEveryOffsetExactly) {
  for (int c = 1; c < kSizeClasses; ++c) {
    const uint32_t magic = kClassDivMagic[c];
    ASSERT_EQ(magic, DivMagic(kClassSize[c]));
    ASSERT_TRUE(DivMagicIsExact(kClassSize[c], SpanBytes(c) - 1));
    for (uint32_t offset = 0; offset < SpanBytes(c); ++offset) {
      ASSERT_EQ(DivideByMagic(offset, magic), offset / kClassSize[c])
          << "offset " << offset << " of class " << c;
    }
  }
}

}  // namespace
}  // namespace tricolor::mheap
