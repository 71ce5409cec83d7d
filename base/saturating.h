// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Unsigned 64-bit arithmetic that stops at the ends of its range instead of
// wrapping, for quantities that may be "no limit" (the largest number) or that
// come from clocks and counters which may disagree. Every result is defined for
// every argument, not-a-number included.
//
// Pure functions; AddSaturating is lock-free.

#ifndef TRICOLOR_BASE_SATURATING_H_
#define TRICOLOR_BASE_SATURATING_H_

#include <cstdint>

#include "tricolor/base/atomic.h"

namespace tricolor {

constexpr uint64_t SaturatingAdd(uint64_t a, uint64_t b) {
  return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}
// 0 when b is greater.
constexpr uint64_t SaturatingSub(uint64_t a, uint64_t b) {
  return b > a ? 0 : a - b;
}
constexpr uint64_t SaturatingMul(uint64_t a, uint64_t b) {
  return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

// n * percent / 100, rounded down.
constexpr uint64_t PercentOf(uint64_t n, uint32_t percent) {
  return SaturatingAdd(SaturatingMul(n / 100, percent),
                       n % 100 * percent / 100);
}

// Rounded down; 0 for what is negative or not a number.
constexpr uint64_t SaturatingCast(double value) {
  constexpr double kEnd = 18446744073709551616.0;  // 2^64
  if (!(value > 0)) return 0;
  return value >= kEnd ? UINT64_MAX : static_cast<uint64_t>(value);
}
// n * factor.
constexpr uint64_t Scaled(uint64_t n, double factor) {
  return SaturatingCast(static_cast<double>(n) * factor);
}

// A counter for statistics: relaxed.
inline void AddSaturating(Atomic<uint64_t>& counter, uint64_t n) {
  uint64_t old = counter.LoadRelaxed();
  while (!counter.CompareExchangeRelaxed(old, SaturatingAdd(old, n))) {
  }
}

}  // namespace tricolor

#endif  // TRICOLOR_BASE_SATURATING_H_
