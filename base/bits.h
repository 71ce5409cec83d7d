// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Bit and integer arithmetic on top of <bit>: alignment, masks, runs of ones
// in a word, and division by a constant that is known only at run time.
//
// Go counterpart: findBitRange64 in mpallocbits.go, alignUp and divRoundUp in
// stubs.go, class_to_divmagic in sizeclasses.go. Pure functions; all constexpr.

#ifndef TRICOLOR_BASE_BITS_H_
#define TRICOLOR_BASE_BITS_H_

#include <bit>
#include <cstdint>

namespace tricolor {

constexpr bool IsPowerOfTwo(uint64_t n) { return std::has_single_bit(n); }

// `alignment` is a power of two. AlignUp wraps to 0 beyond the last multiple.
constexpr uint64_t AlignDown(uint64_t n, uint64_t alignment) {
  return n & ~(alignment - 1);
}
constexpr uint64_t AlignUp(uint64_t n, uint64_t alignment) {
  return (n + alignment - 1) & ~(alignment - 1);
}
constexpr bool IsAligned(uint64_t n, uint64_t alignment) {
  return (n & (alignment - 1)) == 0;
}

// n / divisor rounded up, for every n; `divisor` is not 0.
constexpr uint64_t DivideRoundUp(uint64_t n, uint64_t divisor) {
  return n / divisor + (n % divisor != 0 ? 1 : 0);
}

constexpr int PopCount(uint64_t word) { return std::popcount(word); }

// 64 for the word 0.
constexpr int CountTrailingZeros(uint64_t word) {
  return std::countr_zero(word);
}
constexpr int CountLeadingZeros(uint64_t word) {
  return std::countl_zero(word);
}

// The index of the highest one; `n` is not 0.
constexpr int Log2Floor(uint64_t n) { return 63 - std::countl_zero(n); }
// The smallest k with n <= 2^k; `n` is not 0.
constexpr int Log2Ceil(uint64_t n) { return n == 1 ? 0 : Log2Floor(n - 1) + 1; }

// The low n bits set, 0 <= n <= 64.
constexpr uint64_t LowMask(unsigned n) {
  return n >= 64 ? ~uint64_t{0} : (uint64_t{1} << n) - 1;
}
// n bits set from bit `first` on, first + n <= 64.
constexpr uint64_t RangeMask(unsigned first, unsigned n) {
  return n == 0 ? 0 : LowMask(n) << first;
}

// The index of the lowest run of n ones in `word`, 64 when there is none;
// 1 <= n <= 64. After the step by s, bit i says that the ones from i on number
// at least as many as the steps so far have joined; steps double until n is
// reached: at most six.
constexpr int FindBitRange64(uint64_t word, unsigned n) {
  unsigned missing = n - 1;
  unsigned step = 1;
  while (missing > 0 && word != 0) {
    const unsigned s = step < missing ? step : missing;
    word &= word >> s;
    missing -= s;
    step *= 2;
  }
  return std::countr_zero(word);
}

// The length of the longest run of ones in `word`.
constexpr int LongestRunOfOnes(uint64_t word) {
  int length = 0;
  for (; word != 0; ++length) word &= word >> 1;
  return length;
}

// Division by an invariant d >= 2 as one multiplication: n / d equals
// DivideByMagic(n, DivMagic(d)) for every n with DivMagicIsExact(d, n).
// The magic number is ceil(2^32 / d).
constexpr uint32_t DivMagic(uint32_t divisor) {
  return ~uint32_t{0} / divisor + 1;
}
constexpr uint32_t DivideByMagic(uint32_t n, uint32_t magic) {
  return static_cast<uint32_t>(uint64_t{n} * magic >> 32);
}
// Sufficient, and true of all smaller n too: with e = d * magic - 2^32 the
// product is too large by n * e / d, which does not reach the next quotient
// while n * e < 2^32.
constexpr bool DivMagicIsExact(uint32_t divisor, uint32_t n) {
  const uint64_t excess =
      uint64_t{divisor} * DivMagic(divisor) - (uint64_t{1} << 32);
  return n * excess < uint64_t{1} << 32;
}

}  // namespace tricolor

#endif  // TRICOLOR_BASE_BITS_H_
