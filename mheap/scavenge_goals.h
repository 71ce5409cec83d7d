// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// How much memory a heap may hold before it gives some back to the OS. Two
// goals (docs/scavenging.md):
//
//   retained   on Ready memory of spans: what the heap used at the last
//              collection, scaled to the next one's goal, plus a tenth
//   limit      on Ready memory of spans and the heap's own structures: the
//              memory limit, of which the background aims at 95 percent
//
// Go counterpart: gcPaceScavenger (mgcscavenge.go). Pure functions.

#ifndef TRICOLOR_MHEAP_SCAVENGE_GOALS_H_
#define TRICOLOR_MHEAP_SCAVENGE_GOALS_H_

#include "tricolor/base/units.h"

namespace tricolor::mheap {

// A goal that nothing exceeds.
inline constexpr ByteCount kNoScavengeGoal{UINT64_MAX};

struct ScavengeGoals {
  ByteCount retained = kNoScavengeGoal;
  ByteCount limit = kNoScavengeGoal;

  // What the background keeps below because of `limit`.
  ByteCount limit_target() const {
    return limit == kNoScavengeGoal ? limit : limit / 20 * 19;
  }
};

// What the retained goal is made of.
struct RetainedGoalInputs {
  ByteCount in_use;    // in spans, at the last collection
  ByteCount ready;     // now: in spans, or free and not given back
  ByteCount old_goal;  // heap size at which that collection was due
  ByteCount new_goal;  // and at which the next one is
  ByteCount os_page{4096};
};

// in_use * new_goal / old_goal * 1.1, rounded up to an OS page; no goal if less
// than an OS page would be gained by it, or if one of the goals is zero or
// infinite.
ByteCount RetainedGoal(const RetainedGoalInputs& inputs);

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_SCAVENGE_GOALS_H_
