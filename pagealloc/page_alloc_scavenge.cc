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

ByteCount PageAlloc::Scavenge(ByteCount bytes) {
  ByteCount released;
  while (released < bytes) {
    const AddrRange candidate = TakeScavengeCandidate(bytes - released);
    if (candidate.empty()) break;
    const bool ok = os_.Unused(candidate);
    ReturnScavengeCandidate(candidate, ok);
    if (!ok) break;
    released += candidate.size();
  }
  return released;
}

AddrRange PageAlloc::TakeScavengeCandidate(ByteCount max) {
  const ByteCount clamped = std::min(max, kChunkBytes);
  const AddrRange candidate =
      FindCandidate(static_cast<uint32_t>(PagesFor(clamped).value()));
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

// Goes down chunk by chunk from where the index says.
AddrRange PageAlloc::FindCandidate(uint32_t max_pages) {
  const ByteCount os_page = os_.page_size();
  const ByteCount huge_page = os_.huge_page_size();
  const ScavengeGranularity granularity{
      static_cast<uint32_t>(std::max<uint64_t>(PagesIn(os_page).value(), 1)),
      static_cast<uint32_t>(PagesIn(huge_page).value())};
  for (uint64_t r = in_use_.size(); r-- > 0;) {
    const uint64_t base = PageNumber(in_use_[r].base);
    uint64_t limit = std::min(PageNumber(in_use_[r].limit - ByteCount(1)) + 1,
                              scavenge_index_.limit());
    while (limit > base) {
      const uint64_t chunk = (limit - 1) >> kLogChunkPages;
      const uint64_t chunk_page = chunk << kLogChunkPages;
      if (!LeafSum(chunk).none_free()) {
        const ChunkRange found = FindScavengeCandidate(
            chunks_[chunk], static_cast<uint32_t>(limit - chunk_page),
            max_pages, granularity);
        if (found.count != 0) {
          const Addr first = AddressOfPage(chunk_page + found.first);
          scavenge_index_.NoteSearched(chunk_page + found.first + found.count);
          return {first, first + BytesOf(PageCount(found.count))};
        }
      }
      limit = chunk_page;
    }
  }
  scavenge_index_.NoteSearched(0);
  return {};
}

}  // namespace tricolor::pagealloc
