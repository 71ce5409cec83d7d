// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// PageAlloc's invariants, as code, and its hooks for tests.

#include <algorithm>
#include <bit>
#include <cinttypes>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"
#include "tricolor/pagealloc/page_alloc.h"
#include "tricolor/pagealloc/scavenge_candidate.h"

namespace tricolor::pagealloc {

// Goes once through all that was added, and adds up what it sees.
class PageAlloc::Checker {
 public:
  explicit Checker(const PageAlloc& pages)
      : pages_(pages), granularity_(pages.Granularity()) {}

  void Run() {
    CheckTables();
    pages_.in_use_.CheckInvariants();
    for (const AddrRange& range : pages_.in_use_) CheckRange(range);
    CheckRoots();
    CheckCounters();
    CheckSearchPage();
  }

 private:
  // That what is committed of them is what they say.
  void CheckTables() {
    for (const LazyArray<PallocSum>& level : pages_.levels_) {
      level.CheckInvariants();
    }
    pages_.chunks_.CheckInvariants();
    pages_.scavenge_index_.CheckInvariants();
    pages_.range_memory_.CheckInvariants();
  }

  void CheckRange(AddrRange range) {
    TRICOLOR_CHECK(range.base.IsAligned(kChunkBytes.value()) &&
                       range.limit.IsAligned(kChunkBytes.value()) &&
                       range.base >= pages_.window_.base &&
                       range.limit <= pages_.window_.limit,
                   "pagealloc: added range [0x%" PRIx64 ", 0x%" PRIx64
                   ") is not whole chunks of the window [INV-PAGEALLOC-6]",
                   range.base.value(), range.limit.value());
    const uint64_t first = pages_.PageNumber(range.base) >> kLogChunkPages;
    const uint64_t count = range.size() / kChunkBytes;
    for (uint64_t c = first; c < first + count; ++c) CheckChunk(c);
    for (unsigned level = 0; level < kLeafLevel; ++level) {
      CheckParents(level, first, first + count - 1);
    }
    CheckSiblings(first, first + count);
    total_ += count * kChunkPages;
  }

  void CheckChunk(uint64_t chunk) {
    const PallocData& data = pages_.chunks_[chunk];
    const uint64_t base = chunk << kLogChunkPages;
    CheckSum(kLeafLevel, chunk, data.used().Summarize());
    for (uint32_t w = 0; w < kChunkWords; ++w) {
      const uint64_t free = ~data.used().word(w);
      const uint64_t scavenged = data.scavenged().word(w);
      TRICOLOR_CHECK((scavenged & ~free) == 0,
                     "pagealloc: chunk 0x%" PRIx64 ": pages 0x%" PRIx64
                     " of word %u are scavenged and used [INV-PAGEALLOC-2]",
                     pages_.AddressOfPage(base).value(), scavenged & ~free, w);
      free_ += static_cast<uint64_t>(PopCount(free));
      scavenged_ += static_cast<uint64_t>(PopCount(scavenged));
      if (free != 0 && lowest_free_ == kNoPage) {
        lowest_free_ =
            base + w * 64 + static_cast<uint64_t>(std::countr_zero(free));
      }
    }
    CheckScavengeIndex(chunk);
  }

  void CheckScavengeIndex(uint64_t chunk) {
    const ScavengeIndex& index = pages_.scavenge_index_;
    const ChunkOccupancy& occupancy = index.chunk(chunk);
    const PallocData& data = pages_.chunks_[chunk];
    const uint32_t used = data.used().PopcountRange(0, kChunkPages);
    const uint32_t last = occupancy.last_in_use(index.generation());
    TRICOLOR_CHECK(occupancy.in_use() == used && last <= kChunkPages,
                   "pagealloc: chunk 0x%" PRIx64
                   ": index has %u pages in use, %u in the last generation,"
                   " expected %u and at most 512 [INV-PAGEALLOC-9]",
                   AddressOfChunk(chunk), occupancy.in_use(), last, used);
    CheckScavengeMode(chunk, ScavengeMode::kForce,
                      HasScavengeCandidate(data, granularity_),
                      "[INV-PAGEALLOC-8]");
    const bool dense = std::max(used, last) >= ChunkOccupancy::kDensePages;
    CheckScavengeMode(chunk, ScavengeMode::kBackground,
                      !dense && FindScavengeCandidate(data, 1, granularity_,
                                                      ScavengeMode::kBackground)
                                        .count != 0,
                      "[INV-PAGEALLOC-10]");
  }

  // The search of `mode` finds the chunk if it has something to be scavenged.
  void CheckScavengeMode(uint64_t chunk, ScavengeMode mode, bool any,
                         const char* invariant) {
    const ScavengeIndex& index = pages_.scavenge_index_;
    TRICOLOR_CHECK(
        !any || (chunk < index.limit(mode) && index.MayScavenge(chunk, mode)),
        "pagealloc: pages of chunk 0x%" PRIx64
        " can be scavenged, the index says %s0x%" PRIx64 " %s",
        AddressOfChunk(chunk),
        chunk < index.limit(mode) ? "none can be in " : "none is from ",
        AddressOfChunk(std::min(chunk, index.limit(mode))), invariant);
  }

  uint64_t AddressOfChunk(uint64_t chunk) const {
    return pages_.AddressOfPage(chunk << kLogChunkPages).value();
  }

  void CheckParents(unsigned level, uint64_t first, uint64_t last) {
    const unsigned shift = (kLeafLevel - level) * PallocSum::kFanoutBits;
    for (uint64_t i = first >> shift; i <= last >> shift; ++i) {
      CheckSum(level, i,
               PallocSum::Merge(pages_.levels_[level + 1].data() +
                                    (i << PallocSum::kFanoutBits),
                                LogPages(level + 1)));
    }
  }

  // The entries beside the added chunks [first, limit), in the groups that a
  // search may enter, promise nothing unless they were added too.
  void CheckSiblings(uint64_t first, uint64_t limit) {
    const uint64_t begin = AlignDown(first, PallocSum::kFanout);
    const uint64_t end = AlignUp(limit, PallocSum::kFanout);
    for (uint64_t c = begin; c < end; ++c) {
      const Addr base = pages_.AddressOfPage(c << kLogChunkPages);
      if (!pages_.in_use_.Contains(base)) {
        CheckSum(kLeafLevel, c, PallocSum());
      }
    }
  }

  void CheckRoots() {
    for (uint64_t i = 0; i < pages_.levels_[0].size(); ++i) {
      const PallocSum sum = pages_.levels_[0][i];
      const uint64_t page = i << LogPages(0);
      const uint64_t added = pages_.FirstAddedPage(page);
      const bool any = added != kNoPage && added >> LogPages(0) == i;
      TRICOLOR_CHECK(sum.none_free() || (any && i < pages_.root_limit_),
                     "pagealloc: root entry at 0x%" PRIx64
                     " has free pages, none was added [INV-PAGEALLOC-4]",
                     pages_.AddressOfPage(page).value());
    }
  }

  void CheckSum(unsigned level, uint64_t entry, PallocSum expected) {
    const PallocSum found = pages_.levels_[level][entry];
    TRICOLOR_CHECK(found == expected,
                   "pagealloc: level %u entry at 0x%" PRIx64
                   " is (%u, %u, %u), expected (%u, %u, %u) [INV-PAGEALLOC-4]",
                   level,
                   pages_.AddressOfPage(entry << LogPages(level)).value(),
                   found.start(), found.max(), found.end(), expected.start(),
                   expected.max(), expected.end());
    const uint32_t size = uint32_t{1} << LogPages(level);
    const uint32_t max = found.max();
    const bool all = max == size;
    TRICOLOR_CHECK(
        found.start() <= max && found.end() <= max && max <= size &&
            (found.start() == size) == all && (found.end() == size) == all,
        "pagealloc: level %u entry at 0x%" PRIx64
        " is (%u, %u, %u) of %u pages [INV-PAGEALLOC-1]",
        level, pages_.AddressOfPage(entry << LogPages(level)).value(),
        found.start(), max, found.end(), size);
  }

  void CheckCounters() {
    TRICOLOR_CHECK(free_ == pages_.free_pages_ &&
                       scavenged_ == pages_.scavenged_pages_ &&
                       total_ == pages_.total_pages_,
                   "pagealloc: counted %" PRIu64 " free, %" PRIu64
                   " scavenged, %" PRIu64 " total pages, expected %" PRIu64
                   ", %" PRIu64 ", %" PRIu64 " [INV-PAGEALLOC-7]",
                   free_, scavenged_, total_, pages_.free_pages_,
                   pages_.scavenged_pages_, pages_.total_pages_);
  }

  void CheckSearchPage() {
    const uint64_t search = pages_.search_page_;
    TRICOLOR_CHECK(lowest_free_ >= search,
                   "pagealloc: page 0x%" PRIx64
                   " is free below the search address 0x%" PRIx64
                   " [INV-PAGEALLOC-5]",
                   pages_.AddressOfPage(lowest_free_).value(),
                   pages_.search_address().value());
    TRICOLOR_CHECK(search == kNoPage ||
                       pages_.in_use_.Contains(pages_.AddressOfPage(search)),
                   "pagealloc: search address 0x%" PRIx64
                   " was never added"
                   " [INV-PAGEALLOC-5]",
                   pages_.search_address().value());
  }

  const PageAlloc& pages_;
  const ScavengeGranularity granularity_;
  uint64_t free_ = 0;
  uint64_t scavenged_ = 0;
  uint64_t total_ = 0;
  uint64_t lowest_free_ = kNoPage;
};

void PageAlloc::CheckInvariants() const { Checker(*this).Run(); }

void PageAlloc::SetChunkForTest(Addr chunk_base,
                                std::span<const ChunkRange> used,
                                std::span<const ChunkRange> scavenged) {
  TRICOLOR_CHECK(
      chunk_base.IsAligned(kChunkBytes.value()) && in_use_.Contains(chunk_base),
      "pagealloc: SetChunkForTest(0x%" PRIx64 "), expected an added chunk",
      chunk_base.value());
  const uint64_t chunk = PageNumber(chunk_base) >> kLogChunkPages;
  PallocData& data = chunks_[chunk];
  const auto count_free = [&data] {
    return kChunkPages - data.used().PopcountRange(0, kChunkPages);
  };
  const auto count_scavenged = [&data] {
    return data.scavenged().PopcountRange(0, kChunkPages);
  };
  free_pages_ -= count_free();
  scavenged_pages_ -= count_scavenged();
  data.Reset();
  data.ClearScavenged();
  for (const ChunkRange& r : scavenged) {
    if (r.count != 0) data.Scavenge(r.first, r.count);
  }
  for (const ChunkRange& r : used) {
    if (r.count != 0) data.Allocate(r.first, r.count);
  }
  free_pages_ += count_free();
  scavenged_pages_ += count_scavenged();
  LeafSum(chunk) = data.used().Summarize();
  UpdateParents(chunk, chunk);
  LowerSearchPage(chunk << kLogChunkPages);
  scavenge_index_.SetForTest(chunk, data.used().PopcountRange(0, kChunkPages));
}

const PallocData& PageAlloc::ChunkForTest(Addr chunk_base) const {
  TRICOLOR_CHECK(in_use_.Contains(chunk_base),
                 "pagealloc: ChunkForTest(0x%" PRIx64 ") was never added",
                 chunk_base.value());
  return chunks_[PageNumber(chunk_base) >> kLogChunkPages];
}

PallocSum PageAlloc::SummaryForTest(unsigned level, Addr a) const {
  const uint64_t entry = PageNumber(a) >> LogPages(level);
  if (!levels_[level].IsCommitted(entry)) return PallocSum();
  return levels_[level][entry];
}

}  // namespace tricolor::pagealloc
