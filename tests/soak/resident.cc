// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/tests/soak/resident.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>

namespace tricolor::soak {

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t size = 0;
  uint64_t resident = 0;
  statm >> size >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t ResidentSeries::MeanOfQuarter(size_t quarter) const {
  const size_t begin = samples_.size() * quarter / 4;
  const size_t end = samples_.size() * (quarter + 1) / 4;
  uint64_t sum = 0;
  for (size_t i = begin; i < end; ++i) sum += samples_[i];
  return begin == end ? 0 : sum / (end - begin);
}

uint64_t ResidentSeries::Peak() const {
  return samples_.empty() ? 0
                          : *std::max_element(samples_.begin(), samples_.end());
}

bool ResidentSeries::Creeps() const {
  if (!enough()) return false;
  const uint64_t second = MeanOfQuarter(1);
  return MeanOfQuarter(3) > second + second * kSlackPercent / 100 + kSlackBytes;
}

}  // namespace tricolor::soak
