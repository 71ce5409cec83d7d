// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// ScavengeControl: the goals that are in force, what they ask for, and how much
// has been given back to the OS for which reason. Belongs to an MHeap, which
// says how much memory it holds. Go counterpart: scavenge in mgcscavenge.go.
//
// Thread-safe: relaxed atomics. Goals are read one by one; who reads them while
// they change sees some of the old and some of the new.

#ifndef TRICOLOR_MHEAP_SCAVENGE_CONTROL_H_
#define TRICOLOR_MHEAP_SCAVENGE_CONTROL_H_

#include <algorithm>
#include <cstdint>

#include "tricolor/base/atomic.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/scavenge_goals.h"

namespace tricolor::mheap {

// Why memory goes back to the OS.
enum class ScavengeReason : uint8_t {
  kBackground,  // the pace of the Scavenger
  kAssist,      // the thread that allocates, at once
  kForced,      // on request
};
inline constexpr int kScavengeReasons = 3;

// Bytes given back so far.
struct ScavengeTotals {
  ByteCount background;
  ByteCount assist;
  ByteCount forced;
};

// What the heap holds: Ready memory of spans; its own structures.
struct HeldMemory {
  ByteCount ready;
  ByteCount metadata;
};

class ScavengeControl {
 public:
  void SetGoals(const ScavengeGoals& goals) {
    retained_.StoreRelaxed(goals.retained.value());
    limit_.StoreRelaxed(goals.limit.value());
  }
  ScavengeGoals goals() const {
    return {.retained = ByteCount(retained_.LoadRelaxed()),
            .limit = ByteCount(limit_.LoadRelaxed())};
  }

  // Bytes beyond the background's targets.
  ByteCount Excess(const HeldMemory& held) const {
    return std::max(Over(held.ready, goals().retained), OverLimitTarget(held));
  }
  ByteCount OverLimitTarget(const HeldMemory& held) const {
    return Over(held.ready + held.metadata, goals().limit_target());
  }
  // Bytes beyond the limit when `commit` more are committed.
  ByteCount OverLimit(const HeldMemory& held, ByteCount commit) const {
    return Over(held.ready + held.metadata + commit, goals().limit);
  }
  // Of a heap that has just grown by `growth`: bytes beyond the retained goal
  // when all of that is used, but no more than that.
  ByteCount OverRetained(const HeldMemory& held, ByteCount growth) const {
    return std::min(growth, Over(held.ready + growth, goals().retained));
  }

  void Count(ScavengeReason reason, ByteCount released) {
    released_[static_cast<int>(reason)].FetchAddRelaxed(released.value());
  }
  ScavengeTotals totals() const {
    return {.background = Total(ScavengeReason::kBackground),
            .assist = Total(ScavengeReason::kAssist),
            .forced = Total(ScavengeReason::kForced)};
  }

 private:
  static ByteCount Over(ByteCount held, ByteCount goal) {
    return held > goal ? held - goal : ByteCount(0);
  }
  ByteCount Total(ScavengeReason reason) const {
    return ByteCount(released_[static_cast<int>(reason)].LoadRelaxed());
  }

  Atomic<uint64_t> retained_{kNoScavengeGoal.value()};
  Atomic<uint64_t> limit_{kNoScavengeGoal.value()};
  Atomic<uint64_t> released_[kScavengeReasons];
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_SCAVENGE_CONTROL_H_
