// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a test with GoogleTest says of schedules: that all were good, with the
// figures of docs/scheduling.md, or how the smallest failing one went.

#ifndef TRICOLOR_BASE_SCHEDULE_TESTING_H_
#define TRICOLOR_BASE_SCHEDULE_TESTING_H_

#include <cstdint>
#include <cstdio>
#include <utility>

#include "gtest/gtest.h"
#include "tricolor/base/schedule.h"

namespace tricolor::schedule {

// Expects `at_least` schedules, too.
inline Result ExpectGood(const Factory& factory, Result result,
                         uint64_t at_least) {
  if (!result.ok()) {
    const Result small = Shrink(factory, result);
    ADD_FAILURE() << small.Describe() << "found as: " << result.Describe();
    return result;
  }
  EXPECT_GE(result.schedules, at_least);
  std::printf("%s\n", result.Describe().c_str());
  return result;
}

inline Result ExploreGood(const Factory& factory, int preemptions,
                          uint64_t at_least) {
  return ExpectGood(factory, Explore(factory, ScaledPreemptions(preemptions)),
                    at_least);
}

// `schedules` with each number of changes of priority up to two.
inline void PctGood(const Factory& factory, uint64_t seed, uint64_t schedules) {
  const uint64_t scaled = ScaledSchedules(schedules);
  for (int depth = 1; depth <= 3; ++depth) {
    ExpectGood(factory, Pct(factory, seed, scaled, depth), scaled);
  }
}

}  // namespace tricolor::schedule

#endif  // TRICOLOR_BASE_SCHEDULE_TESTING_H_
