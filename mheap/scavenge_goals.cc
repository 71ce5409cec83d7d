// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/scavenge_goals.h"

#include <cstdint>

#include "tricolor/base/bits.h"

namespace tricolor::mheap {
namespace {

constexpr double kSlack = 1.1;
// Exact in a double, and beyond any heap.
constexpr double kLargest = double{uint64_t{1} << 62};

}  // namespace

ByteCount RetainedGoal(const RetainedGoalInputs& inputs) {
  const auto is_goal = [](ByteCount goal) {
    return goal != ByteCount(0) && goal != kNoScavengeGoal;
  };
  if (!is_goal(inputs.old_goal) || !is_goal(inputs.new_goal)) {
    return kNoScavengeGoal;
  }
  const double ratio = static_cast<double>(inputs.new_goal.value()) /
                       static_cast<double>(inputs.old_goal.value());
  const double scaled =
      static_cast<double>(inputs.in_use.value()) * ratio * kSlack;
  if (scaled >= kLargest) return kNoScavengeGoal;
  const ByteCount goal(
      AlignUp(static_cast<uint64_t>(scaled), inputs.os_page.value()));
  return inputs.ready < goal + inputs.os_page ? kNoScavengeGoal : goal;
}

}  // namespace tricolor::mheap
