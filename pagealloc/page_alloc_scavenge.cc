// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// PageAlloc's part in giving memory back to the operating system. Pages on
// their way there are marked allocated, so that nothing else finds them while
// the caller is without its lock.

#include <algorithm>
#include <cinttypes>

#include "tricolor/base/check.h"
#include "tricolor/pagealloc/page_alloc.h"
#include "tricolor/pagealloc/scavenge_candidate.h"

namespace tricolor::pagealloc {

ByteCount PageAlloc::Scavenge(ByteCount bytes, ScavengeMode mode) {
  ByteCount released;
  while (released < bytes) {
    const AddrRange candidate = TakeScavengeCandidate(bytes - released, mode);
    if (candidate.empty()) break;
    const bool ok = os_.Unused(candidate);
    ReturnScavengeCandidate(candidate, ok);
    if (!ok) break;
    released += candidate.size();
  }
  return released;
}

AddrRange PageAlloc::TakeScavengeCandidate(ByteCount max, ScavengeMode mode) {
  const ByteCount clamped = std::min(max, kChunkBytes);
  const AddrRange candidate =
      FindCandidate(static_cast<uint32_t>(PagesFor(clamped).value()), mode);
  if (!candidate.empty()) {
    Take(PageNumber(candidate.base), PagesIn(candidate.size()).value());
  }
  return candidate;
}

void PageAlloc::ReturnScavengeCandidate(AddrRange candidate, bool released) {
  const uint64_t pages = PagesIn(candidate.size()).value();
  Free(candidate.base, PageCount(pages));
  if (!released) return;
  const uint64_t page = PageNumber(candidate.base);
  chunks_[page >> kLogChunkPages].Scavenge(
      static_cast<uint32_t>(page % kChunkPages), static_cast<uint32_t>(pages));
  scavenged_pages_ += pages;
}

ScavengeGranularity PageAlloc::Granularity() const {
  return {static_cast<uint32_t>(
              std::max<uint64_t>(PagesIn(os_.page_size()).value(), 1)),
          static_cast<uint32_t>(PagesIn(os_.huge_page_size()).value())};
}

PageCount PageAlloc::used_in_chunk(Addr a) const {
  return PageCount(
      chunks_[PageNumber(a) >> kLogChunkPages].used().PopcountRange(
          0, kChunkPages));
}

PageCount PageAlloc::scavenged_in_chunk(Addr a) const {
  return PageCount(
      chunks_[PageNumber(a) >> kLogChunkPages].scavenged().PopcountRange(
          0, kChunkPages));
}

// Goes down chunk by chunk from where the index says.
AddrRange PageAlloc::FindCandidate(uint32_t max_pages, ScavengeMode mode) {
  const ScavengeGranularity granularity = Granularity();
  const uint64_t limit = scavenge_index_.limit(mode);
  for (uint64_t r = in_use_.size(); r-- > 0;) {
    const uint64_t first = PageNumber(in_use_[r].base) >> kLogChunkPages;
    const uint64_t chunks = in_use_[r].size() / kChunkBytes;
    for (uint64_t c = std::min(first + chunks, limit); c-- > first;) {
      if (!scavenge_index_.MayScavenge(c, mode)) continue;
      const ChunkRange found =
          FindScavengeCandidate(chunks_[c], max_pages, granularity, mode);
      if (found.count != 0) {
        scavenge_index_.NoteSearched(mode, c + 1);
        const Addr base = AddressOfPage((c << kLogChunkPages) + found.first);
        return {base, base + BytesOf(PageCount(found.count))};
      }
      if (mode == ScavengeMode::kForce ||
          !HasScavengeCandidate(chunks_[c], granularity)) {
        scavenge_index_.NoteNothing(c);
      }
    }
  }
  scavenge_index_.NoteSearched(mode, 0);
  return {};
}

}  // namespace tricolor::pagealloc
