// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mcache/sample_points.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace tricolor::mcache {

using mheap::SpanClass;

void SamplePoints::Start(uint64_t rate, uint64_t seed) {
  rate_ = rate;
  random_ = seed;
  if (!on()) return;
  for (int i = 0; i < mheap::kSpanClasses; ++i) {
    const auto c = SpanClass::FromIndex(static_cast<uint8_t>(i));
    until_[i] = c.is_large() ? 0 : SlotsToNext(c);
  }
  large_until_ = Distance();
}

SamplePoints::Run SamplePoints::BeginRun(SpanClass span_class) {
  uint64_t& until = until_[span_class.index()];
  const bool sampled = until == 0;
  // The slot itself, and those after it up to the next.
  if (sampled) until = 1 + SlotsToNext(span_class);
  return {sampled, until};
}

bool SamplePoints::TakeLarge(uint64_t bytes) {
  const auto size = static_cast<double>(bytes);
  const bool sampled = rate_ == 1 || size > large_until_;
  large_until_ = sampled ? Distance() : large_until_ - size;
  return sampled;
}

// SplitMix64 (Steele, Lea, Flood 2014), and the inverse of the distribution.
double SamplePoints::Distance() {
  random_ += 0x9e3779b97f4a7c15;
  uint64_t z = random_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  z ^= z >> 31;
  // In (0, 1], in steps of 2^-53.
  const double uniform = static_cast<double>((z >> 11) + 1) * 0x1p-53;
  return -std::log(uniform) * static_cast<double>(rate_);
}

// So many whole slots fit before the sample. That it is at least k has the
// chance exp(-k * size / rate): each slot is sampled with 1 - exp(-size /
// rate).
uint64_t SamplePoints::SlotsToNext(SpanClass span_class) {
  if (rate_ == 1) return 0;
  constexpr double kMost = 0x1p62;
  const double slots = Distance() / static_cast<double>(span_class.slot_size());
  return static_cast<uint64_t>(std::min(slots, kMost));
}

}  // namespace tricolor::mcache
