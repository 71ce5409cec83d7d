// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/pagealloc/page_alloc_model.h"

#include <algorithm>

namespace tricolor::pagealloc {

void PageAllocModel::Grow(uint64_t chunk, uint64_t count) {
  for (uint64_t c = chunk; c < chunk + count; ++c) {
    chunks_[c].states.fill(kScavenged);
    counts_[kScavenged] += kChunkPages;
  }
}

void PageAllocModel::Set(uint64_t page, State state) {
  Chunk& chunk = chunks_.at(page / kChunkPages);
  State& now = chunk.states[page % kChunkPages];
  chunk.in_use += uint64_t{state >= kUsed} - uint64_t{now >= kUsed};
  --counts_[now];
  ++counts_[state];
  now = state;
}

uint64_t PageAllocModel::Find(uint64_t pages, uint64_t alignment) const {
  uint64_t run = 0;       // usable pages that end before `next`
  uint64_t next = kNone;  // the page that would continue the run
  for (const auto& [number, chunk] : chunks_) {
    if (chunk.in_use == kChunkPages) continue;
    for (uint64_t i = 0; i < kChunkPages; ++i) {
      const uint64_t page = number * kChunkPages + i;
      if (page != next) run = 0;
      next = page + 1;
      if (chunk.states[i] >= kUsed) {
        run = 0;
        continue;
      }
      // A run begins only where it is aligned.
      if (run == 0 && (window_page_ + page) % alignment != 0) continue;
      ++run;
      if (run == pages) return page + 1 - pages;
    }
  }
  return kNone;
}

PageAllocModel::Run PageAllocModel::Alloc(uint64_t pages, uint64_t alignment) {
  const uint64_t page = Find(pages, alignment);
  if (page == kNone) return {};
  Run run{page, 0};
  for (uint64_t p = page; p < page + pages; ++p) {
    if (At(p) == kScavenged) ++run.scavenged;
    Set(p, kUsed);
  }
  return run;
}

void PageAllocModel::Free(uint64_t page, uint64_t count) {
  for (uint64_t p = page; p < page + count; ++p) Set(p, kFree);
}

PageAllocModel::Cache PageAllocModel::AllocToCache() {
  const uint64_t first = Find(1, 1);
  if (first == kNone) return {};
  Cache cache{first - first % 64, 0, 0};
  for (uint64_t i = 0; i < 64; ++i) {
    const State state = At(cache.page + i);
    if (state == kUsed || state == kCached) continue;
    cache.free |= uint64_t{1} << i;
    if (state == kScavenged) cache.scavenged |= uint64_t{1} << i;
    Set(cache.page + i, kCached);
  }
  return cache;
}

void PageAllocModel::Flush(const Cache& cache) {
  for (uint64_t i = 0; i < 64; ++i) {
    const uint64_t bit = uint64_t{1} << i;
    if ((cache.free & bit) == 0) continue;
    Set(cache.page + i, (cache.scavenged & bit) != 0 ? kScavenged : kFree);
  }
}

PageAllocModel::Run PageAllocModel::CacheAlloc(Cache& cache, uint64_t pages) {
  for (uint64_t i = 0; i + pages <= 64; ++i) {
    uint64_t mask = 0;
    for (uint64_t j = i; j < i + pages; ++j) mask |= uint64_t{1} << j;
    if ((cache.free & mask) != mask) continue;
    Run run{cache.page + i, 0};
    for (uint64_t j = i; j < i + pages; ++j) {
      if ((cache.scavenged >> j & 1) != 0) ++run.scavenged;
      Set(cache.page + j, kUsed);
    }
    cache.free &= ~mask;
    cache.scavenged &= ~mask;
    return run;
  }
  return {};
}

// Whether the OS page that begins at page `first` of the chunk may be given
// back.
bool PageAllocModel::OsPageIsUsable(const Chunk& chunk, uint64_t first,
                                    ScavengeMode mode) const {
  for (uint64_t i = first; i < first + os_page_; ++i) {
    if (chunk.states[i] != kFree) return false;
  }
  if (mode == ScavengeMode::kForce || huge_page_ <= os_page_ ||
      huge_page_ < 64 || huge_page_ > kChunkPages) {
    return true;
  }
  const uint64_t huge = first / huge_page_ * huge_page_;
  uint64_t used = 0;
  for (uint64_t i = huge; i < huge + huge_page_; ++i) {
    if (chunk.states[i] >= kUsed) ++used;
  }
  return used * 32 < huge_page_ * 31;
}

PageAllocModel::Pages PageAllocModel::TakeCandidate(uint64_t pages,
                                                    ScavengeMode mode) {
  for (auto it = chunks_.rbegin(); it != chunks_.rend(); ++it) {
    const Chunk& chunk = it->second;
    if (mode == ScavengeMode::kBackground &&
        std::max(chunk.in_use, chunk.last_in_use) >= 496) {
      continue;
    }
    uint64_t end = kChunkPages;
    while (end > 0 && !OsPageIsUsable(chunk, end - os_page_, mode)) {
      end -= os_page_;
    }
    if (end == 0) continue;
    uint64_t lowest = end - os_page_;
    while (lowest > 0 && OsPageIsUsable(chunk, lowest - os_page_, mode)) {
      lowest -= os_page_;
    }
    uint64_t first = end - os_page_;
    while (first > lowest && end - first < pages) first -= os_page_;
    // Not a part of a free huge page: the next boundaries on both sides.
    if (huge_page_ > os_page_ && first % huge_page_ != 0) {
      const uint64_t below = first / huge_page_ * huge_page_;
      if (below >= lowest && below + huge_page_ <= end) first = below;
    }
    const Pages taken{it->first * kChunkPages + first, end - first};
    for (uint64_t p = taken.page; p < taken.page + taken.count; ++p) {
      Set(p, kCached);
    }
    return taken;
  }
  return {kNone, 0};
}

void PageAllocModel::ReturnCandidate(Pages candidate, bool released) {
  for (uint64_t i = 0; i < candidate.count; ++i) {
    Set(candidate.page + i, released ? kScavenged : kFree);
  }
}

void PageAllocModel::NextGeneration() {
  for (auto& [number, chunk] : chunks_) chunk.last_in_use = chunk.in_use;
}

void PageAllocModel::SetChunk(uint64_t chunk,
                              const std::vector<ChunkRange>& used,
                              const std::vector<ChunkRange>& scavenged) {
  const auto set = [&](ChunkRange range, State state) {
    for (uint32_t i = 0; i < range.count; ++i) {
      Set(chunk * kChunkPages + range.first + i, state);
    }
  };
  set({0, kChunkPages}, kFree);
  for (const ChunkRange& range : used) set(range, kUsed);
  for (const ChunkRange& range : scavenged) set(range, kScavenged);
  chunks_.at(chunk).last_in_use = 0;
}

std::vector<PageAllocModel::Pages> PageAllocModel::Scavenge(uint64_t pages,
                                                            ScavengeMode mode) {
  std::vector<Pages> all;
  for (uint64_t released = 0; released < pages;) {
    const Pages candidate = TakeCandidate(pages - released, mode);
    if (candidate.count == 0) break;
    ReturnCandidate(candidate, /*released=*/true);
    all.push_back(candidate);
    released += candidate.count;
  }
  return all;
}

// The lowest page of the chunk at or above `from` that is used, or kNone.
uint64_t PageAllocModel::UsedPageIn(const Chunks::value_type& chunk,
                                    uint64_t from) const {
  for (uint64_t i = 0; i < kChunkPages; ++i) {
    const uint64_t page = chunk.first * kChunkPages + i;
    if (page >= from && chunk.second.states[i] == kUsed) return page;
  }
  return kNone;
}

PageAllocModel::Pages PageAllocModel::UsedFrom(uint64_t page) const {
  uint64_t first = kNone;
  for (auto it = chunks_.lower_bound(page / kChunkPages);
       first == kNone && it != chunks_.end(); ++it) {
    first = UsedPageIn(*it, page);
  }
  for (auto it = chunks_.begin(); first == kNone && it != chunks_.end(); ++it) {
    first = UsedPageIn(*it, 0);
  }
  if (first == kNone) return {kNone, 0};
  uint64_t end = first + 1;
  while (IsGrown(end / kChunkPages) && At(end) == kUsed) ++end;
  return {first, end - first};
}

std::vector<PageAllocModel::Pages> PageAllocModel::GrownRanges() const {
  std::vector<Pages> ranges;
  for (const auto& [number, chunk] : chunks_) {
    const uint64_t page = number * kChunkPages;
    if (!ranges.empty() && ranges.back().page + ranges.back().count == page) {
      ranges.back().count += kChunkPages;
    } else {
      ranges.push_back({page, kChunkPages});
    }
  }
  return ranges;
}

}  // namespace tricolor::pagealloc
