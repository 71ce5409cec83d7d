// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Repeatable randomness for tests. TestSeed() prints the seed that a test runs
// with and takes one from the environment: TRICOLOR_SEED=<number>.
//
// Test-only. TestRandom is SplitMix64 (Steele, Lea, Flood 2014).
// Thread-compatible: one generator a thread.

#ifndef TRICOLOR_BASE_TEST_RANDOM_H_
#define TRICOLOR_BASE_TEST_RANDOM_H_

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace tricolor {

// A new seed for each run, unless the environment names one.
inline uint64_t TestSeed() {
  const char* given = std::getenv("TRICOLOR_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 0)
                                         : std::random_device()();
  std::fprintf(stderr, "repeat with TRICOLOR_SEED=%" PRIu64 "\n", seed);
  return seed;
}

class TestRandom {
 public:
  explicit TestRandom(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // 0 <= result < n.
  uint64_t Below(uint64_t n) { return Next() % n; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

 private:
  uint64_t state_;
};

}  // namespace tricolor

#endif  // TRICOLOR_BASE_TEST_RANDOM_H_
