// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/bits.h"

#include <cstdint>

#include "gtest/gtest.h"
#include "tricolor/base/test_random.h"

namespace tricolor {
namespace {

constexpr uint64_t kAllOnes = ~uint64_t{0};

TEST(Bits, PowersOfTwoAndAlignment) {
  static_assert(!IsPowerOfTwo(0) && IsPowerOfTwo(1) && IsPowerOfTwo(4096));
  static_assert(!IsPowerOfTwo(3) && IsPowerOfTwo(uint64_t{1} << 63));
  static_assert(AlignDown(4095, 4096) == 0 && AlignDown(4096, 4096) == 4096);
  static_assert(AlignUp(0, 8) == 0 && AlignUp(1, 8) == 8 && AlignUp(8, 8) == 8);
  static_assert(AlignUp(kAllOnes, 8) == 0, "wraps beyond the last multiple");
  static_assert(IsAligned(0, 8) && IsAligned(16, 8) && !IsAligned(12, 8));
}

TEST(Bits, DivisionRoundsUpWithoutOverflow) {
  static_assert(DivideRoundUp(0, 3) == 0 && DivideRoundUp(1, 3) == 1);
  static_assert(DivideRoundUp(3, 3) == 1 && DivideRoundUp(4, 3) == 2);
  static_assert(DivideRoundUp(kAllOnes, 2) == uint64_t{1} << 63);
}

TEST(Bits, CountsAndLogarithms) {
  static_assert(PopCount(0) == 0 && PopCount(kAllOnes) == 64);
  static_assert(CountTrailingZeros(0) == 64 && CountTrailingZeros(8) == 3);
  static_assert(CountLeadingZeros(0) == 64 && CountLeadingZeros(1) == 63);
  static_assert(Log2Floor(1) == 0 && Log2Floor(3) == 1 && Log2Floor(4) == 2);
  static_assert(Log2Ceil(1) == 0 && Log2Ceil(3) == 2 && Log2Ceil(4) == 2);
  static_assert(Log2Floor(kAllOnes) == 63 && Log2Ceil(kAllOnes) == 64);
}

TEST(Bits, MasksAtBothEnds) {
  static_assert(LowMask(0) == 0 && LowMask(1) == 1 && LowMask(64) == kAllOnes);
  static_assert(RangeMask(0, 0) == 0 && RangeMask(63, 1) == uint64_t{1} << 63);
  static_assert(RangeMask(64, 0) == 0 && RangeMask(0, 64) == kAllOnes);
  static_assert(RangeMask(4, 3) == 0x70);
}

int NaiveFindRun(uint64_t word, unsigned n) {
  for (unsigned i = 0; i + n <= 64; ++i) {
    if ((word >> i & LowMask(n)) == LowMask(n)) return static_cast<int>(i);
  }
  return 64;
}

int NaiveLongestRun(uint64_t word) {
  int longest = 0;
  for (unsigned n = 1; n <= 64; ++n) {
    if (NaiveFindRun(word, n) < 64) longest = static_cast<int>(n);
  }
  return longest;
}

TEST(FindBitRange64, FullAndEmptyWords) {
  for (unsigned n = 1; n <= 64; ++n) {
    EXPECT_EQ(FindBitRange64(kAllOnes, n), 0) << n;
    EXPECT_EQ(FindBitRange64(0, n), 64) << n;
  }
}

TEST(FindBitRange64, OneRunAtEachPlaceIsFoundExactly) {
  for (unsigned length = 1; length <= 64; ++length) {
    for (unsigned first = 0; first + length <= 64; ++first) {
      const uint64_t word = RangeMask(first, length);
      ASSERT_EQ(FindBitRange64(word, length), static_cast<int>(first));
      if (length < 64) {
        ASSERT_EQ(FindBitRange64(word, length + 1), 64);
      }
    }
  }
}

TEST(FindBitRange64, AgreesWithSearchBitByBit) {
  TestRandom random(TestSeed());
  for (int i = 0; i < 20000; ++i) {
    // And-ing and or-ing words together varies the density of ones.
    uint64_t word = random.Next();
    if (random.OneIn(2)) word |= random.Next();
    if (random.OneIn(2)) word |= random.Next();
    if (random.OneIn(3)) word &= random.Next();
    const unsigned n = 1 + static_cast<unsigned>(random.Below(64));
    ASSERT_EQ(FindBitRange64(word, n), NaiveFindRun(word, n))
        << std::hex << word << " " << n;
    ASSERT_EQ(LongestRunOfOnes(word), NaiveLongestRun(word))
        << std::hex << word;
  }
}

TEST(DivMagic, IsTheCeilingOfTheReciprocal) {
  static_assert(DivMagic(2) == uint32_t{1} << 31);
  static_assert(DivMagic(3) == 0x55555556);
  static_assert(DivMagic(32768) == uint32_t{1} << 17);
}

TEST(DivMagic, DividesEveryOffsetOfASpanExactly) {
  // The largest span has ten 8 KiB pages.
  constexpr uint32_t kSpanBytes = 80 << 10;
  for (uint32_t divisor = 8; divisor <= 32768; divisor += 8) {
    const uint32_t magic = DivMagic(divisor);
    ASSERT_TRUE(DivMagicIsExact(divisor, kSpanBytes)) << divisor;
    // Quotients change only at multiples.
    for (uint32_t n = 0; n <= kSpanBytes; n += divisor) {
      ASSERT_EQ(DivideByMagic(n, magic), n / divisor) << n << "/" << divisor;
      const uint32_t last = n + divisor - 1;
      if (last > kSpanBytes) continue;
      ASSERT_EQ(DivideByMagic(last, magic), n / divisor)
          << last << "/" << divisor;
    }
  }
}

TEST(DivMagic, ExactnessTestIsSound) {
  TestRandom random(TestSeed());
  int exact = 0;
  for (int i = 0; i < 200000; ++i) {
    const uint32_t divisor = static_cast<uint32_t>(
        2 + (random.Next() & LowMask(1 + static_cast<unsigned>(i % 31))));
    const uint32_t n = static_cast<uint32_t>(random.Next() >> (32 + i % 32));
    if (!DivMagicIsExact(divisor, n)) continue;
    ++exact;
    ASSERT_EQ(DivideByMagic(n, DivMagic(divisor)), n / divisor)
        << n << "/" << divisor;
  }
  EXPECT_GT(exact, 1000);
}

}  // namespace
}  // namespace tricolor
