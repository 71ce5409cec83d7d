// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the workloads share: clocks, the most memory that was resident, printing
// of figures, random numbers.

#ifndef TRICOLOR_BENCH_WORKLOADS_BASE_H_
#define TRICOLOR_BENCH_WORKLOADS_BASE_H_

#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace bench {

inline double Now(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}
inline double WallSeconds() { return Now(CLOCK_MONOTONIC); }
inline double CpuSeconds() { return Now(CLOCK_PROCESS_CPUTIME_ID); }
// The most memory that was resident. Not from getrusage, which counts what the
// process had before it became this program.
inline double PeakMegabytes() {
  std::FILE* status = std::fopen("/proc/self/status", "r");
  if (status == nullptr) std::abort();
  char line[256];
  double kilobytes = 0;
  while (std::fgets(line, sizeof(line), status) != nullptr) {
    if (std::sscanf(line, "VmHWM: %lf", &kilobytes) == 1) break;
  }
  std::fclose(status);
  return kilobytes / 1024;
}
inline void Print(const char* figure, double value) {
  std::printf("%s %.4f\n", figure, value);
}
// The middle one of an odd number of values.
inline double Median(std::vector<double> values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}
// Makes the compiler believe that the object is used.
inline void Use(const void* p) { asm volatile("" : : "r"(p) : "memory"); }

// Small, quick and the same everywhere (xorshift64*).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint32_t Below(uint32_t n) {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<uint32_t>(((state_ * 0x2545F4914F6CDD1D) >> 32) * n >>
                                 32);
  }

 private:
  uint64_t state_;
};

}  // namespace bench

#endif  // TRICOLOR_BENCH_WORKLOADS_BASE_H_
