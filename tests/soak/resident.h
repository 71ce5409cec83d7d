// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// ResidentSeries: the resident memory of a process over a run, sampled at even
// times, and whether it creeps. Thread-compatible.

#ifndef TRICOLOR_TESTS_SOAK_RESIDENT_H_
#define TRICOLOR_TESTS_SOAK_RESIDENT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tricolor::soak {

// Of this process now, in bytes.
uint64_t ResidentBytes();

class ResidentSeries {
 public:
  // Fewer samples say nothing: the first quarter is not over, in which a
  // program comes to its size.
  static constexpr size_t kFewest = 240;
  // What two quarters of a program that does not creep may differ by.
  static constexpr uint64_t kSlackBytes = uint64_t{16} << 20;
  static constexpr uint64_t kSlackPercent = 10;

  void Add(uint64_t bytes) { samples_.push_back(bytes); }
  // The mean of quarter 0, 1, 2 or 3; 0 of nothing.
  uint64_t MeanOfQuarter(size_t quarter) const;
  uint64_t Peak() const;
  bool enough() const { return samples_.size() >= kFewest; }
  // Whether the last quarter needs more than the second one.
  bool Creeps() const;

 private:
  std::vector<uint64_t> samples_;
};

}  // namespace tricolor::soak

#endif  // TRICOLOR_TESTS_SOAK_RESIDENT_H_
