// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// StopHistogram: how long stops of the world took. Four buckets an octave: a
// quantile is too great by at most a quarter.
//
// Go counterpart: timeHistogram in histogram.go. A plain value. Cost of Add: a
// few instructions.

#ifndef TRICOLOR_RUNTIME_STOP_HISTOGRAM_H_
#define TRICOLOR_RUNTIME_STOP_HISTOGRAM_H_

#include <bit>
#include <cstdint>

namespace tricolor {

class StopHistogram {
 public:
  static constexpr int kBuckets = 256;

  void Add(uint64_t ns) {
    ++counts_[BucketOf(ns)];
    ++total_;
  }
  // What has been added since `before`, an earlier state of this one.
  StopHistogram& operator-=(const StopHistogram& before) {
    total_ -= before.total_;
    for (int i = 0; i < kBuckets; ++i) counts_[i] -= before.counts_[i];
    return *this;
  }
  uint64_t total() const { return total_; }
  uint64_t count(int bucket) const { return counts_[bucket]; }
  // The longest time that is counted in the bucket, in nanoseconds.
  static constexpr uint64_t LongestOf(int bucket) {
    const int octave = bucket / 4;
    const auto quarter = static_cast<uint64_t>(bucket % 4);
    if (octave < 2) return static_cast<uint64_t>(bucket);
    return ((quarter + 5) << (octave - 2)) - 1;
  }
  // A time that at least the fraction `q` (0 to 1) of the stops did not exceed;
  // the least such that a bucket ends with. 0 if there were none.
  uint64_t Quantile(double q) const {
    const auto wanted = static_cast<uint64_t>(q * static_cast<double>(total_));
    uint64_t seen = 0;
    for (int i = 0; i < kBuckets; ++i) {
      seen += counts_[i];
      if (seen != 0 && seen >= wanted) return LongestOf(i);
    }
    return 0;
  }

  // Exact below 8; then by the two bits behind the first one.
  static constexpr int BucketOf(uint64_t ns) {
    if (ns < 8) return static_cast<int>(ns);
    const int width = static_cast<int>(std::bit_width(ns));
    const auto quarter = static_cast<int>(ns >> (width - 3)) & 3;
    return (width - 1) * 4 + quarter;
  }

 private:
  uint64_t total_ = 0;
  uint64_t counts_[kBuckets] = {};
};

}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_STOP_HISTOGRAM_H_
