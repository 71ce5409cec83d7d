// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// PageAllocModel: what PageAlloc and PageCache do, said as simply as possible:
// one state for each page, and loops over pages. For tests.
//
// Page numbers count from the window's base. Calls that PageAlloc would stop
// the program at are not defined here.

#ifndef TRICOLOR_PAGEALLOC_PAGE_ALLOC_MODEL_H_
#define TRICOLOR_PAGEALLOC_PAGE_ALLOC_MODEL_H_

#include <array>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "tricolor/pagealloc/palloc_bits.h"
#include "tricolor/pagealloc/scavenge_candidate.h"

namespace tricolor::pagealloc {

class PageAllocModel {
 public:
  static constexpr uint64_t kNone = ~uint64_t{0};

  struct Run {
    uint64_t page = kNone;
    uint64_t scavenged = 0;
  };
  struct Pages {
    uint64_t page;
    uint64_t count;
    friend bool operator==(const Pages&, const Pages&) = default;
  };
  struct Cache {
    uint64_t page = kNone;
    uint64_t free = 0;
    uint64_t scavenged = 0;
  };

  // The units of scavenging, in heap pages, as in ScavengeGranularity.
  // `window_page` is the number of the window's first page among all pages.
  PageAllocModel(uint64_t window_page, uint64_t os_page, uint64_t huge_page)
      : window_page_(window_page), os_page_(os_page), huge_page_(huge_page) {}

  // Chunks that have been grown are skipped by IsGrown.
  bool IsGrown(uint64_t chunk) const { return chunks_.contains(chunk); }
  void Grow(uint64_t chunk, uint64_t count);

  Run Alloc(uint64_t pages, uint64_t alignment);
  void Free(uint64_t page, uint64_t count);
  Cache AllocToCache();
  void Flush(const Cache& cache);
  Run CacheAlloc(Cache& cache, uint64_t pages);

  // Marks what is to be released for `pages` pages, in order.
  std::vector<Pages> Scavenge(uint64_t pages, ScavengeMode mode);
  // The first of it only, marked as used until returned.
  Pages TakeCandidate(uint64_t pages, ScavengeMode mode);
  void ReturnCandidate(Pages candidate, bool released);
  void NextGeneration();
  // As PageAlloc::SetChunkForTest.
  void SetChunk(uint64_t chunk, const std::vector<ChunkRange>& used,
                const std::vector<ChunkRange>& scavenged);

  // The first range of pages in use, outside of caches, from `page` on, or
  // from the beginning when there is none; kNone when there is none at all.
  Pages UsedFrom(uint64_t page) const;

  bool IsUsed(uint64_t page) const { return At(page) >= kUsed; }
  bool IsScavenged(uint64_t page) const { return At(page) == kScavenged; }
  uint64_t free_pages() const { return counts_[kFree] + counts_[kScavenged]; }
  uint64_t scavenged_pages() const { return counts_[kScavenged]; }
  std::vector<Pages> GrownRanges() const;
  // Calls f(chunk) for each chunk grown.
  template <typename F>
  void ForEachChunk(F f) const {
    for (const auto& [number, chunk] : chunks_) f(number);
  }

 private:
  enum State : uint8_t { kFree, kScavenged, kUsed, kCached };
  struct Chunk {
    std::array<State, kChunkPages> states;
    uint64_t in_use = 0;       // kUsed or kCached
    uint64_t last_in_use = 0;  // when the generation began
  };
  using Chunks = std::map<uint64_t, Chunk>;

  State At(uint64_t page) const {
    return chunks_.at(page / kChunkPages).states[page % kChunkPages];
  }
  void Set(uint64_t page, State state);
  uint64_t Find(uint64_t pages, uint64_t alignment) const;
  uint64_t UsedPageIn(const Chunks::value_type& chunk, uint64_t from) const;
  bool OsPageIsUsable(const Chunk& chunk, uint64_t first,
                      ScavengeMode mode) const;

  const uint64_t window_page_;
  const uint64_t os_page_;
  const uint64_t huge_page_;
  Chunks chunks_;
  std::array<uint64_t, 4> counts_ = {};
};

}  // namespace tricolor::pagealloc

#endif  // TRICOLOR_PAGEALLOC_PAGE_ALLOC_MODEL_H_
