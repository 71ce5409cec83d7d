// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Memory back to the OS: in the background, by who allocates, on request; and
// which chunks ask for huge pages.

#include <algorithm>
#include <cstdint>

#include "tricolor/base/check.h"
#include "tricolor/mheap/mheap.h"

namespace tricolor::mheap {

using pagealloc::kChunkBytes;
using pagealloc::ScavengeMode;

ByteCount MHeap::Scavenge(ByteCount goal) {
  return Release(goal, ScavengeMode::kForce, ScavengeReason::kForced);
}

ByteCount MHeap::ScavengeExcess() const {
  return scavenge_.Excess({ready(), metadata_.bytes_from_os()});
}

ByteCount MHeap::ScavengeInBackground(ByteCount max) {
  return Release(std::min(max, ScavengeExcess()), ScavengeMode::kBackground,
                 ScavengeReason::kBackground);
}

ByteCount MHeap::ScavengeToLimit(bool with_margin) {
  const HeldMemory held{ready(), metadata_.bytes_from_os()};
  const ByteCount over = with_margin ? scavenge_.OverLimitTarget(held)
                                     : scavenge_.OverLimit(held, ByteCount(0));
  return Release(over, ScavengeMode::kForce, ScavengeReason::kAssist);
}

void MHeap::NextScavengeGeneration() {
  MutexLock lock(lock_);
  pages_->NextScavengeGeneration();
}

// Before `commit` bytes of scavenged pages, which are ours already, are
// committed. What another thread is about to commit at the same time is not
// seen: the limit is soft.
void MHeap::ScavengeAssist(ByteCount commit, ByteCount growth) {
  const HeldMemory held{ready(), metadata_.bytes_from_os()};
  ByteCount released;
  const ByteCount over_limit = scavenge_.OverLimit(held, commit);
  if (over_limit != ByteCount(0)) {
    released =
        Release(over_limit, ScavengeMode::kForce, ScavengeReason::kAssist);
  }
  if (growth == ByteCount(0)) return;
  const ByteCount over_goal = scavenge_.OverRetained(held, growth);
  if (over_goal > released) {
    Release(over_goal - released, ScavengeMode::kBackground,
            ScavengeReason::kAssist);
  }
}

ByteCount MHeap::Release(ByteCount goal, ScavengeMode mode,
                         ScavengeReason reason) {
  ByteCount released;
  while (released < goal) {
    const ByteCount now = ReleaseOne(goal - released, mode);
    if (now == ByteCount(0)) break;
    released += now;
  }
  if (released != ByteCount(0)) scavenge_.Count(reason, released);
  return released;
}

// One run of pages, of at most `max` bytes or a huge page. While the OS is at
// work the pages are marked allocated and the lock is free: whoever allocates
// does not find them, and another scavenger takes others.
ByteCount MHeap::ReleaseOne(ByteCount max, ScavengeMode mode) {
  AddrRange candidate;
  {
    MutexLock lock(lock_);
    candidate = pages_->TakeScavengeCandidate(max, mode);
  }
  if (candidate.empty()) return ByteCount(0);
  const bool ok = os_.Unused(candidate);
  // Pages that were committed and never handed out lose their zeros, too.
  if (!os_.unused_memory_is_zero()) NoteDirty(candidate);
  MutexLock lock(lock_);
  pages_->ReturnScavengeCandidate(candidate, ok);
  if (!ok) return ByteCount(0);
  other_stats_.released_bytes += static_cast<int64_t>(candidate.size().value());
  ready_bytes_.FetchSubRelaxed(candidate.size().value());
  return candidate.size();
}

}  // namespace tricolor::mheap
