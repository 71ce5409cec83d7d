// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A soak: for a given time threads come and go in two heaps, one as programs
// have it and one that checks each of its collections by a second marker and
// overwrites what it frees. Meanwhile limits change, the process forks, and
// everything is checked again and again.

#ifndef TRICOLOR_TESTS_SOAK_SOAK_H_
#define TRICOLOR_TESTS_SOAK_SOAK_H_

#include <cstdint>
#include <cstdio>
#include <string>

namespace tricolor::soak {

struct SoakOptions {
  double minutes = 1;
  double report_minutes = 1;  // a line of figures each
  int threads = 3;            // at a time, in each heap
  uint64_t seed = 1;
};

// Writes figures to `out`. Returns what was found wrong; empty: nothing.
std::string RunSoak(const SoakOptions& options, std::FILE* out);

}  // namespace tricolor::soak

#endif  // TRICOLOR_TESTS_SOAK_SOAK_H_
