// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/pagealloc/page_alloc.h"

#include <algorithm>
#include <bit>
#include <cinttypes>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"

namespace tricolor::pagealloc {
namespace {

constexpr uint64_t kChunkMask = kChunkPages - 1;

// The part of a range of pages that lies in its first chunk.
struct ChunkPart {
  uint64_t chunk;
  uint32_t first;
  uint32_t count;
};
ChunkPart FirstPart(uint64_t page, uint64_t count) {
  const auto first = static_cast<uint32_t>(page & kChunkMask);
  const auto room = uint64_t{kChunkPages - first};
  return {page >> kLogChunkPages, first,
          static_cast<uint32_t>(std::min(room, count))};
}

}  // namespace

PageAlloc::PageAlloc(OsMemory& os, AddrRange window)
    : window_(window),
      chunks_(os),
      scavenge_index_(os),
      levels_{LazyArray<PallocSum>(os), LazyArray<PallocSum>(os),
              LazyArray<PallocSum>(os), LazyArray<PallocSum>(os),
              LazyArray<PallocSum>(os)},
      os_(os),
      range_memory_(os),
      in_use_(range_memory_) {
  TRICOLOR_CHECK(window.base.IsAligned(kChunkBytes.value()) &&
                     window.limit.IsAligned(kChunkBytes.value()) &&
                     !window.base.is_null() && window.base < window.limit,
                 "pagealloc: window [0x%" PRIx64 ", 0x%" PRIx64
                 "), expected whole chunks of %" PRIu64 " bytes, not at 0",
                 window.base.value(), window.limit.value(),
                 kChunkBytes.value());
  TRICOLOR_CHECK(os.page_size() <= BytesOf(PageCount(PageCache::kPages)),
                 "pagealloc: OS pages of %" PRIu64
                 " bytes, expected at most 64 heap pages",
                 os.page_size().value());
}

bool PageAlloc::Init() {
  constexpr uint64_t kRootBytes = uint64_t{PallocSum::kMaxPages} << kPageShift;
  const uint64_t root_entries =
      DivideRoundUp(window_.size().value(), kRootBytes);
  for (unsigned level = 0; level < kLevels; ++level) {
    if (!levels_[level].Init(root_entries << (level * PallocSum::kFanoutBits)))
      return false;
  }
  const uint64_t chunks = window_.size() / kChunkBytes;
  return levels_[0].EnsureCommitted(0, root_entries) && chunks_.Init(chunks) &&
         scavenge_index_.Init(chunks);
}

// ---------------------------------------------------------------------------
// Growth

bool PageAlloc::Grow(Addr base, ByteCount bytes) {
  const AddrRange range{base, base + bytes};
  TRICOLOR_CHECK(
      bytes.value() != 0 && base.IsAligned(kChunkBytes.value()) &&
          bytes % kChunkBytes == ByteCount(0) && base >= window_.base &&
          base < window_.limit && bytes <= window_.limit - base,
      "pagealloc: Grow(0x%" PRIx64 ", %" PRIu64
      " bytes), expected whole chunks of the window [0x%" PRIx64 ", 0x%" PRIx64
      ")",
      base.value(), bytes.value(), window_.base.value(), window_.limit.value());
  if (!CommitTables(range)) return false;
  if (!in_use_.Add(range)) return false;  // fatal when there is an overlap

  const uint64_t page = PageNumber(base);
  const uint64_t count = PagesIn(bytes).value();
  for (uint64_t p = page; p < page + count; p += kChunkPages) {
    chunks_[p >> kLogChunkPages].Reset();
  }
  total_pages_ += count;
  free_pages_ += count;
  scavenged_pages_ += count;
  added_limit_ = std::max(added_limit_, page + count);
  root_limit_ = ((added_limit_ - 1) >> LogPages(0)) + 1;
  UpdateRange(page, count, /*used=*/false);
  LowerSearchPage(page);
  return true;
}

// Commits whole groups of siblings at every level: a search that enters a
// group reads all of it, and enters it only through a parent that is not zero.
bool PageAlloc::CommitTables(AddrRange range) {
  const uint64_t first = PageNumber(range.base);
  const uint64_t last = PageNumber(range.limit) - 1;
  for (unsigned level = 1; level < kLevels; ++level) {
    const uint64_t begin =
        AlignDown(first >> LogPages(level), PallocSum::kFanout);
    const uint64_t end =
        AlignUp((last >> LogPages(level)) + 1, PallocSum::kFanout);
    if (!levels_[level].EnsureCommitted(begin, end - begin)) return false;
  }
  const uint64_t chunk = first >> kLogChunkPages;
  const uint64_t chunks = (last >> kLogChunkPages) + 1 - chunk;
  return chunks_.EnsureCommitted(chunk, chunks) &&
         scavenge_index_.EnsureCommitted(chunk, chunks);
}

ByteCount PageAlloc::table_bytes() const {
  ByteCount bytes = chunks_.committed() + scavenge_index_.committed() +
                    range_memory_.bytes_from_os();
  for (const LazyArray<PallocSum>& level : levels_) bytes += level.committed();
  return bytes;
}

// ---------------------------------------------------------------------------
// Allocation

PageRun PageAlloc::Alloc(PageCount pages) {
  const uint64_t count = pages.value();
  TRICOLOR_CHECK(count != 0, "pagealloc: Alloc of 0 pages");
  if (search_page_ == kNoPage) return {};

  const uint64_t chunk = search_page_ >> kLogChunkPages;
  const auto index = static_cast<uint32_t>(search_page_ & kChunkMask);
  if (count > LeafSum(chunk).max()) return AllocSlow(count);

  const PallocBits::FindResult found =
      chunks_[chunk].used().Find(static_cast<uint32_t>(count), index);
  TRICOLOR_CHECK(found.index != PallocBits::kNotFound,
                 "pagealloc: chunk 0x%" PRIx64 ": no run of %" PRIu64
                 " pages from page %u on, its summary promises one of %u",
                 AddressOfPage(chunk << kLogChunkPages).value(), count, index,
                 LeafSum(chunk).max());
  const uint64_t chunk_page = chunk << kLogChunkPages;
  search_page_ = chunk_page + found.first_free;
  return TakeInChunk(chunk, found.index, static_cast<uint32_t>(count));
}

PageRun PageAlloc::AllocSlow(uint64_t count) {
  const FindResult found = FindFrom(search_page_, count);
  RaiseSearchPage(found.first_free);
  if (found.page == kNoPage) return {};
  return Take(found.page, count);
}

// Goes from one lowest run to the next, each time asking for a run from the
// next aligned page on, until the two are the same.
PageRun PageAlloc::AllocAligned(PageCount pages, PageCount alignment) {
  const uint64_t count = pages.value();
  TRICOLOR_CHECK(count != 0 && IsPowerOfTwo(alignment.value()),
                 "pagealloc: AllocAligned(%" PRIu64 ", %" PRIu64
                 "), expected at least a page and a power of two",
                 count, alignment.value());
  const uint64_t base = PageContaining(window_.base).value();
  uint64_t from = search_page_;
  while (from != kNoPage) {
    const FindResult found = FindFrom(from, count);
    if (from == search_page_) RaiseSearchPage(found.first_free);
    if (found.page == kNoPage) return {};
    const uint64_t aligned =
        AlignUp(base + found.page, alignment.value()) - base;
    if (aligned == found.page) return Take(aligned, count);
    from = FirstAddedPage(aligned);
  }
  return {};
}

// Marks free pages as allocated.
PageRun PageAlloc::TakeInChunk(uint64_t chunk, uint32_t first, uint32_t count) {
  PallocData& data = chunks_[chunk];
  const uint32_t scavenged = data.Allocate(first, count);
  scavenge_index_.NoteAlloc(chunk, count);
  free_pages_ -= count;
  scavenged_pages_ -= scavenged;
  const uint64_t page = (chunk << kLogChunkPages) + first;
  if (IsTail(chunk, page, page + count)) {
    UpdateTail(chunk, page, page + count);
  } else {
    UpdateAfterSet(chunk,
                   data.used().SummarizeAfterSet(LeafSum(chunk), first, count));
  }
  return {AddressOfPage(page), BytesOf(PageCount(scavenged))};
}

PageRun PageAlloc::Take(uint64_t page, uint64_t count) {
  const ChunkPart part = FirstPart(page, count);
  if (part.count == count) {
    return TakeInChunk(part.chunk, part.first, part.count);
  }
  uint64_t scavenged = 0;
  for (uint64_t p = page, left = count; left != 0;) {
    const ChunkPart next = FirstPart(p, left);
    scavenged += chunks_[next.chunk].Allocate(next.first, next.count);
    scavenge_index_.NoteAlloc(next.chunk, next.count);
    p += next.count;
    left -= next.count;
  }
  free_pages_ -= count;
  scavenged_pages_ -= scavenged;
  UpdateRange(page, count, /*used=*/true);
  return {AddressOfPage(page), BytesOf(PageCount(scavenged))};
}

PageCache PageAlloc::AllocToCache() {
  if (search_page_ == kNoPage) return {};
  uint64_t page = search_page_;
  if (LeafSum(page >> kLogChunkPages).none_free()) {
    page = FindFrom(page, 1).page;
    if (page == kNoPage) {
      search_page_ = kNoPage;
      return {};
    }
  }
  const uint64_t chunk = page >> kLogChunkPages;
  PallocData& data = chunks_[chunk];
  const uint32_t index =
      data.used().Find(1, static_cast<uint32_t>(page & kChunkMask)).index;
  TRICOLOR_CHECK(index != PallocBits::kNotFound,
                 "pagealloc: chunk 0x%" PRIx64
                 ": no free page, its summary promises one",
                 AddressOfPage(chunk << kLogChunkPages).value());

  const uint64_t free = ~data.used().Block64(index);
  const uint64_t scavenged = data.scavenged().Block64(index);
  data.AllocateBlock64(index, free);
  const auto count = static_cast<uint32_t>(std::popcount(free));
  scavenge_index_.NoteAlloc(chunk, count);
  free_pages_ -= count;
  scavenged_pages_ -= static_cast<uint64_t>(std::popcount(scavenged));
  const uint64_t lowest = (chunk << kLogChunkPages) + index;
  const uint64_t block = AlignDown(lowest, PageCache::kPages);
  const uint64_t limit = block + PageCache::kPages;
  // The page above the block may never have been added; the block's last page
  // has been, and nothing below it is free.
  search_page_ = limit - 1;
  if (IsTail(chunk, lowest, limit)) {
    UpdateTail(chunk, lowest, limit);
  } else {
    UpdateAfterSet(chunk, data.used().Summarize());
  }
  return PageCache(AddressOfPage(block), free, scavenged);
}

// ---------------------------------------------------------------------------
// Freeing

void PageAlloc::Free(Addr base, PageCount pages) {
  if (!IsAdded(base, pages)) ReportBadFree(base, pages);
  const uint64_t page = PageNumber(base);
  const uint64_t count = pages.value();
  const ChunkPart part = FirstPart(page, count);
  if (part.count == count) {
    if (chunks_[part.chunk].used().PopcountRange(part.first, part.count) !=
        part.count) {
      ReportBadFree(base, pages);
    }
    chunks_[part.chunk].Free(part.first, part.count);
    scavenge_index_.NoteFree(part.chunk, part.count, /*may_scavenge=*/true);
    if (IsTail(part.chunk, page + count, page)) {
      UpdateTail(part.chunk, page + count, page);
    } else {
      UpdateAfterClear(part.chunk,
                       chunks_[part.chunk].used().SummarizeAfterClear(
                           LeafSum(part.chunk), part.first, part.count));
    }
  } else {
    FreeSlow(page, count);
  }
  free_pages_ += count;
  LowerSearchPage(page);
}

// Checks all before it changes anything, so that the report finds the state
// that the misuse found.
void PageAlloc::FreeSlow(uint64_t page, uint64_t count) {
  for (uint64_t p = page, left = count; left != 0;) {
    const ChunkPart part = FirstPart(p, left);
    if (chunks_[part.chunk].used().PopcountRange(part.first, part.count) !=
        part.count) {
      ReportBadFree(AddressOfPage(page), PageCount(count));
    }
    p += part.count;
    left -= part.count;
  }
  for (uint64_t p = page, left = count; left != 0;) {
    const ChunkPart part = FirstPart(p, left);
    chunks_[part.chunk].Free(part.first, part.count);
    scavenge_index_.NoteFree(part.chunk, part.count, /*may_scavenge=*/true);
    p += part.count;
    left -= part.count;
  }
  UpdateRange(page, count, /*used=*/false);
}

// True for page-aligned ranges of one page or more that lie within one added
// range; only such a range's tables may be read.
bool PageAlloc::IsAdded(Addr base, PageCount pages) {
  const auto in = [base, pages](AddrRange range) {
    return range.Contains(base) &&
           pages.value() <= (range.limit - base).value() >> kPageShift;
  };
  if (!base.IsAligned(kPageSize) || pages.value() == 0) return false;
  if (ABSL_PREDICT_TRUE(in(hot_range_))) return true;
  const uint64_t succ = in_use_.FindSucc(base);
  if (succ == 0 || !in(in_use_[succ - 1])) return false;
  hot_range_ = in_use_[succ - 1];
  return true;
}

void PageAlloc::ReportBadFree(Addr base, PageCount pages) const {
  const char* found = "not within memory that was added";
  Addr at = base;
  if (pages.value() == 0) {
    found = "an empty range";
  } else if (!base.IsAligned(kPageSize)) {
    found = "not aligned to a page";
  } else if (!window_.Contains(base)) {
    found = "not in the window";
  }
  // The first page that is not allocated says more, if the range has one.
  for (uint64_t i = 0; at == base && i < pages.value(); ++i) {
    const Addr a = base + BytesOf(PageCount(i));
    if (!a.IsAligned(kPageSize) || !in_use_.Contains(a)) break;
    const uint64_t page = PageNumber(a);
    const PallocData& data = chunks_[page >> kLogChunkPages];
    const auto index = static_cast<uint32_t>(page & kChunkMask);
    if (data.used().Get(index)) continue;
    found = data.scavenged().Get(index) ? "free already, and scavenged"
                                        : "free already";
    at = a;
    break;
  }
  Fatal("pagealloc: Free(0x%" PRIx64 ", %" PRIu64 " pages): 0x%" PRIx64
        " is %s; expected allocated pages",
        base.value(), pages.value(), at.value(), found);
}

void PageAlloc::FreeCached(Addr base, uint64_t free, uint64_t scavenged) {
  TRICOLOR_CHECK(IsAdded(base, PageCount(PageCache::kPages)),
                 "pagealloc: page cache of 0x%" PRIx64
                 " flushed to an allocator that does not own it",
                 base.value());
  const uint64_t page = PageNumber(base);
  const uint64_t chunk = page >> kLogChunkPages;
  const auto index = static_cast<uint32_t>(page & kChunkMask);
  PallocData& data = chunks_[chunk];
  TRICOLOR_CHECK((free & ~data.used().Block64(index)) == 0,
                 "pagealloc: page cache of 0x%" PRIx64
                 " flushes pages 0x%" PRIx64 " of which 0x%" PRIx64
                 " are free, expected allocated",
                 base.value(), free, free & ~data.used().Block64(index));
  data.FreeBlock64(index, free, scavenged);
  const auto count = static_cast<uint32_t>(std::popcount(free));
  scavenge_index_.NoteFree(chunk, count, /*may_scavenge=*/free != scavenged);
  free_pages_ += count;
  scavenged_pages_ += static_cast<uint64_t>(std::popcount(scavenged));
  const uint64_t first = page + static_cast<uint64_t>(std::countr_zero(free));
  const uint64_t limit = page + PageCache::kPages;
  if (first + count == limit && IsTail(chunk, limit, first)) {
    UpdateTail(chunk, limit, first);
  } else {
    UpdateAfterClear(chunk, data.used().Summarize());
  }
  LowerSearchPage(first);
}

// ---------------------------------------------------------------------------
// Summaries

void PageAlloc::UpdateAfterSet(uint64_t chunk, PallocSum sum) {
  PallocSum& leaf = LeafSum(chunk);
  const PallocSum old = leaf;
  if (old == sum) return;
  leaf = sum;
  UpdateAboveAfterSet(kLeafLevel, chunk, old);
}

void PageAlloc::UpdateAboveAfterSet(unsigned level, uint64_t entry,
                                    PallocSum old) {
  for (; level > 0; --level) {
    const unsigned k = entry % PallocSum::kFanout;
    const PallocSum* children = &levels_[level][entry - k];
    entry >>= PallocSum::kFanoutBits;
    PallocSum& parent = levels_[level - 1][entry];
    const PallocSum sum =
        PallocSum::MergeAfterShrink(parent, children, LogPages(level), k, old);
    if (parent == sum) return;
    old = parent;
    parent = sum;
  }
}

void PageAlloc::UpdateAfterClear(uint64_t chunk, PallocSum sum) {
  PallocSum& leaf = LeafSum(chunk);
  if (leaf == sum) return;
  leaf = sum;
  UpdateAboveAfterClear(kLeafLevel, chunk);
}

void PageAlloc::UpdateAboveAfterClear(unsigned level, uint64_t entry) {
  for (; level > 0; --level) {
    const unsigned k = entry % PallocSum::kFanout;
    const PallocSum* children = &levels_[level][entry - k];
    entry >>= PallocSum::kFanoutBits;
    PallocSum& parent = levels_[level - 1][entry];
    const PallocSum sum =
        PallocSum::MergeAfterGrow(parent, children, LogPages(level), k);
    if (parent == sum) return;
    parent = sum;
  }
}

// An entry whose free pages were all from `first` to its end, or to the end of
// what was added, has them from `now` on: no level waits for the one below it.
void PageAlloc::UpdateTail(uint64_t chunk, uint64_t first, uint64_t now) {
  PallocSum old;
  for (unsigned level = kLeafLevel;; --level) {
    const uint64_t i = EntryOfChunk(level, chunk);
    PallocSum& entry = levels_[level][i];
    const uint64_t begin = i << LogPages(level);
    const uint64_t limit = begin + (uint64_t{1} << LogPages(level));
    const uint64_t end = std::min(limit, added_limit_);
    if (entry.max() != end - first) {
      const uint64_t child = EntryOfChunk(level + 1, chunk);
      if (now > first) {
        UpdateAboveAfterSet(level + 1, child, old);
      } else {
        UpdateAboveAfterClear(level + 1, child);
      }
      return;
    }
    old = entry;
    const auto run = static_cast<uint32_t>(end - now);
    entry =
        PallocSum::Pack(now == begin ? run : 0, run, end == limit ? run : 0);
    if (level == 0) return;
  }
}

void PageAlloc::UpdateRange(uint64_t page, uint64_t count, bool used) {
  const uint64_t first = page >> kLogChunkPages;
  const uint64_t last = (page + count - 1) >> kLogChunkPages;
  LeafSum(first) = chunks_[first].used().Summarize();
  const PallocSum inner = used ? PallocSum() : PallocSum::AllFree(kChunkPages);
  for (uint64_t chunk = first + 1; chunk < last; ++chunk) {
    LeafSum(chunk) = inner;
  }
  if (last != first) LeafSum(last) = chunks_[last].used().Summarize();
  UpdateParents(first, last);
}

// Merges upwards until a level does not change.
void PageAlloc::UpdateParents(uint64_t first, uint64_t last) {
  for (unsigned level = kLeafLevel; level-- > 0;) {
    first >>= PallocSum::kFanoutBits;
    last >>= PallocSum::kFanoutBits;
    const PallocSum* children = levels_[level + 1].data();
    PallocSum* parents = levels_[level].data();
    bool changed = false;
    for (uint64_t i = first; i <= last; ++i) {
      const PallocSum sum = PallocSum::Merge(
          children + (i << PallocSum::kFanoutBits), LogPages(level + 1));
      changed |= parents[i] != sum;
      parents[i] = sum;
    }
    if (!changed) return;
  }
}

}  // namespace tricolor::pagealloc
