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

namespace {

constexpr PageCount kChunkPageCount = PagesIn(kChunkBytes);
constexpr PageCount kDensePages{pagealloc::ChunkOccupancy::kDensePages};

}  // namespace

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
  auto advice = HugePageAdvice::kNone;
  {
    MutexLock lock(lock_);
    candidate = pages_->TakeScavengeCandidate(max, mode);
    if (candidate.empty()) return ByteCount(0);
    pages_in_flight_ += PagesIn(candidate.size());
    advice = AdviceFor(candidate);
  }
  const uint64_t chunk = ChunkIndex(candidate.base);
  // Before it has holes that the OS could fill.
  if (advice == HugePageAdvice::kSmall) os_.NoHugePage(ChunkAt(chunk));
  const bool ok = os_.Unused(candidate);
  const bool join = ok && advice == HugePageAdvice::kHuge;
  if (join) os_.HugePage(ChunkAt(chunk));
  // Pages that were committed and never handed out lose their zeros, too.
  if (!os_.unused_memory_is_zero()) NoteDirty(candidate);
  MutexLock lock(lock_);
  pages_in_flight_ -= PagesIn(candidate.size());
  pages_->ReturnScavengeCandidate(candidate, ok);
  if (!ok) return ByteCount(0);
  CountReleased(static_cast<int64_t>(candidate.size().value()));
  ready_bytes_.FetchSubRelaxed(candidate.size().value());
  // Another scavenger may have done so meanwhile.
  if (join && huge_chunks_.MayJoin(chunk)) huge_chunks_.Join(chunk);
  return candidate.size();
}

// Of free pages; negative when they are committed.
void MHeap::CountReleased(int64_t bytes) {
  StatsSection stats(own_stats_);
  stats->free_bytes -= bytes;
  stats->released_bytes += bytes;
}

// ---- Huge pages. Advice for one chunk may reach the OS in another order than
// it was decided on; the chunk is then as the OS likes it until something else
// becomes of it.

AddrRange MHeap::ChunkAt(uint64_t index) const {
  const Addr base = base_ + kChunkBytes * index;
  return {base, base + kChunkBytes};
}

HugePageAdvice MHeap::AdviceFor(AddrRange candidate) {
  // It lies within one chunk, and its own pages count as in use.
  const PageCount pages = PagesIn(candidate.size());
  const bool empty =
      pages_->used_in_chunk(candidate.base) == pages &&
      pages_->scavenged_in_chunk(candidate.base) + pages == kChunkPageCount;
  return huge_chunks_.BeforeRelease(ChunkIndex(candidate.base), empty);
}

uint64_t MHeap::JoinDenseChunks() {
  uint64_t joined = 0;
  for (uint64_t chunk = 0;; ++chunk) {
    {
      MutexLock lock(lock_);
      chunk = huge_chunks_.NextSplit(chunk);
      if (chunk == HugeChunks::kNone) return joined;
      // Pages on their way to the OS count as used: perhaps they are this
      // chunk's, which will have a hole then.
      const PageCount used = pages_->used_in_chunk(ChunkAt(chunk).base);
      if (used < kDensePages + pages_in_flight_) continue;
      if (!huge_chunks_.MayJoin(chunk)) continue;
      huge_chunks_.Join(chunk);
    }
    os_.HugePage(ChunkAt(chunk));
    ++joined;
  }
}

}  // namespace tricolor::mheap
