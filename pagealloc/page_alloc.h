// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// PageAlloc hands out runs of 8 KiB pages from a window of address space,
// address-ordered first fit: a radix tree of summaries over chunk bitmaps, and
// a search address below which nothing is free. It never touches the pages.
//
// Go counterpart: pageAlloc (mpagealloc.go, mpagealloc_64bit.go); flat tables
// over one window instead of two-level maps over the whole address space.
// Thread-compatible: in a heap its lock guards every call. Only a range taken
// with TakeScavengeCandidate may be worked on without it.
//
// Invariants INV-PAGEALLOC-1 to -10: docs/pagealloc.md; CheckInvariants().
// Cost: Alloc and Free of small runs touch one chunk and the path to the root;
// a search that leaves the first chunk reads at most eight entries a level,
// and the root's.

#ifndef TRICOLOR_PAGEALLOC_PAGE_ALLOC_H_
#define TRICOLOR_PAGEALLOC_PAGE_ALLOC_H_

#include <algorithm>
#include <cstdint>
#include <span>

#include "tricolor/base/addr_ranges.h"
#include "tricolor/base/lazy_array.h"
#include "tricolor/base/os_memory.h"
#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/units.h"
#include "tricolor/pagealloc/page_cache.h"
#include "tricolor/pagealloc/page_run.h"
#include "tricolor/pagealloc/palloc_bits.h"
#include "tricolor/pagealloc/palloc_sum.h"
#include "tricolor/pagealloc/scavenge_candidate.h"
#include "tricolor/pagealloc/scavenge_index.h"

namespace tricolor::pagealloc {

class PageAlloc {
 public:
  // Levels of the tree; an entry of level 0 stands for 16 GiB, one of the last
  // level for a chunk.
  static constexpr unsigned kLevels = 5;
  static constexpr unsigned kLeafLevel = kLevels - 1;

  // `os` outlives the object. `window` is aligned to kChunkBytes at both ends;
  // it need only be reserved.
  PageAlloc(OsMemory& os, AddrRange window);
  PageAlloc(const PageAlloc&) = delete;
  PageAlloc& operator=(const PageAlloc&) = delete;

  // Reserves the tables: about 1/30000 of the window, in address space. Once,
  // before any other call. False when the OS refuses; the object can then only
  // be destroyed.
  [[nodiscard]] bool Init();

  // Adds [base, base + bytes), whole chunks of the window that were not added
  // before, anywhere in it. The pages are free and scavenged. False when the
  // OS refuses memory for the tables; nothing is changed then.
  [[nodiscard]] bool Grow(Addr base, ByteCount bytes);

  // The lowest run of `pages` (at least 1) free pages; null when there is none.
  PageRun Alloc(PageCount pages);
  // The lowest such run whose base is a multiple of `alignment` pages, a power
  // of two. Takes no page but those.
  PageRun AllocAligned(PageCount pages, PageCount alignment);

  // Gives back any part of what was allocated, also of several allocations
  // that touch. Pages that are not allocated are fatal.
  void Free(Addr base, PageCount pages);

  // All free pages of the aligned 64-page window that has the lowest free
  // page; an empty cache with a null base when no page is free.
  PageCache AllocToCache();

  // Gives at least `bytes` of free memory back to the operating system if
  // the mode finds as much, from the highest address down, and returns how many
  // bytes that were. Memory given back before does not count. Stops early when
  // the system refuses.
  ByteCount Scavenge(ByteCount bytes, ScavengeMode mode = ScavengeMode::kForce);

  // The two halves of Scavenge, between which a caller may drop the lock
  // around its call of OsMemory::Unused.
  //
  // The highest run of free unscavenged memory, at most `max` bytes rounded up
  // to OS pages, more only where a free huge page would be broken; its pages
  // are marked allocated. Base and limit are null when there is none. The
  // background mode leaves alone chunks that are dense, or were when the
  // generation began, and huge pages that are dense.
  AddrRange TakeScavengeCandidate(ByteCount max,
                                  ScavengeMode mode = ScavengeMode::kForce);
  // Frees what TakeScavengeCandidate returned, which is marked scavenged when
  // it has been `released`.
  void ReturnScavengeCandidate(AddrRange candidate, bool released);

  // Begins a generation; in a heap, once in a cycle of the collector. What
  // frees make sparse in one becomes open to the background mode in the next.
  void NextScavengeGeneration() { scavenge_index_.NextGeneration(); }

  AddrRange window() const { return window_; }
  // Free pages, scavenged or not; pages in caches are not free.
  PageCount free_pages() const { return PageCount(free_pages_); }
  // Free pages that are scavenged.
  PageCount scavenged_pages() const { return PageCount(scavenged_pages_); }
  // All pages ever added.
  PageCount total_pages() const { return PageCount(total_pages_); }
  // Pages of the added chunk with `a` that are in use, in caches or taken for
  // scavenging; and free ones that are scavenged. Reads 16 words.
  PageCount used_in_chunk(Addr a) const;
  PageCount scavenged_in_chunk(Addr a) const;
  // What has been added, as sorted ranges that do not touch.
  const AddrRanges& in_use() const { return in_use_; }
  // Memory that the tables have obtained from the OS.
  ByteCount table_bytes() const;

  // No free page lies below it; null when no page is free at all.
  Addr search_address() const;

  // Fatal unless all invariants hold. Reads the tables of all that was added.
  void CheckInvariants() const;

  // For tests: the chunk at `chunk_base`, which has been added, gets exactly
  // these used pages, and of the others these scavenged ones. Nothing may be
  // in caches or taken for scavenging from it.
  void SetChunkForTest(Addr chunk_base, std::span<const ChunkRange> used,
                       std::span<const ChunkRange> scavenged);
  // For tests: the bitmaps of an added chunk.
  const PallocData& ChunkForTest(Addr chunk_base) const;
  // For tests: the summary of `level` for the region with `a`; zero where no
  // table has been committed.
  PallocSum SummaryForTest(unsigned level, Addr a) const;

 private:
  friend class PageCache;  // FreeCached

  // Page numbers count from the window's base. kNoPage is the search address
  // of a full allocator and the result of a search without success.
  static constexpr uint64_t kNoPage = ~uint64_t{0};

  struct FindResult {
    uint64_t page;        // start of the run, or kNoPage
    uint64_t first_free;  // no free page is below it; kNoPage when none at all
  };
  // A search under way; page_alloc_find.cc.
  class Finder;

  // log2 of the pages that an entry of `level` stands for.
  static constexpr unsigned LogPages(unsigned level) {
    return kLogChunkPages + (kLeafLevel - level) * PallocSum::kFanoutBits;
  }

  static constexpr uint64_t EntryOfChunk(unsigned level, uint64_t chunk) {
    return chunk >> ((kLeafLevel - level) * PallocSum::kFanoutBits);
  }
  uint64_t PageNumber(Addr a) const {
    return (a - window_.base).value() >> kPageShift;
  }
  Addr AddressOfPage(uint64_t page) const {
    return window_.base + BytesOf(PageCount(page));
  }
  PallocSum& LeafSum(uint64_t chunk) { return levels_[kLeafLevel][chunk]; }

  // Searching.
  FindResult FindFrom(uint64_t from, uint64_t count) const;
  uint64_t FirstAddedPage(uint64_t page) const;
  void RaiseSearchPage(uint64_t first_free);
  void LowerSearchPage(uint64_t page) {
    if (page < search_page_) search_page_ = page;
  }

  // Changing bitmaps.
  PageRun AllocSlow(uint64_t count);
  PageRun Take(uint64_t page, uint64_t count);
  PageRun TakeInChunk(uint64_t chunk, uint32_t first, uint32_t count);
  void FreeSlow(uint64_t page, uint64_t count);
  void FreeCached(Addr base, uint64_t free, uint64_t scavenged);
  bool IsAdded(Addr base, PageCount pages);
  [[noreturn]] void ReportBadFree(Addr base, PageCount pages) const;
  [[nodiscard]] bool CommitTables(AddrRange range);

  // Bringing the summaries up to date: after pages of a chunk, whose summary
  // is now `sum`, have become used, or have become free; after those of a range
  // have.
  void UpdateAfterSet(uint64_t chunk, PallocSum sum);
  void UpdateAfterClear(uint64_t chunk, PallocSum sum);
  // Whether the chunk's free pages were, as its summary has them, those from
  // `first` to its end, and there are none below `first` and `now`.
  bool IsTail(uint64_t chunk, uint64_t first, uint64_t now) {
    return LeafSum(chunk).max() == ((chunk + 1) << kLogChunkPages) - first &&
           std::min(first, now) <= search_page_;
  }
  // When it is, and now they are those from `now` on. Reads neither bitmaps
  // nor, as long as the same holds for the entries above, siblings.
  void UpdateTail(uint64_t chunk, uint64_t first, uint64_t now);
  // The entries above `entry` of `level`, which was `old`.
  void UpdateAboveAfterSet(unsigned level, uint64_t entry, PallocSum old);
  void UpdateAboveAfterClear(unsigned level, uint64_t entry);
  void UpdateRange(uint64_t page, uint64_t count, bool used);
  void UpdateParents(uint64_t first_chunk, uint64_t last_chunk);

  // Scavenging; page_alloc_scavenge.cc.
  AddrRange FindCandidate(uint32_t max_pages, ScavengeMode mode);
  ScavengeGranularity Granularity() const;

  // CheckInvariants; page_alloc_check.cc.
  class Checker;

  // Read by every Alloc and Free.
  const AddrRange window_;
  uint64_t search_page_ = kNoPage;
  uint64_t free_pages_ = 0;
  uint64_t scavenged_pages_ = 0;
  AddrRange hot_range_;  // the added range of the last Free
  LazyArray<PallocData> chunks_;
  ScavengeIndex scavenge_index_;
  // levels_[kLeafLevel][i] summarizes chunks_[i].
  LazyArray<PallocSum> levels_[kLevels];

  uint64_t added_limit_ = 0;  // above all pages that were added
  uint64_t root_limit_ = 0;   // entries of level 0 from here on are zero
  uint64_t total_pages_ = 0;
  OsMemory& os_;
  PersistentAlloc range_memory_;
  AddrRanges in_use_;
};

static_assert(PageAlloc::kLeafLevel * PallocSum::kFanoutBits + kLogChunkPages ==
                  PallocSum::kFieldBits,
              "a root entry has as many pages as a summary can count");

}  // namespace tricolor::pagealloc

#endif  // TRICOLOR_PAGEALLOC_PAGE_ALLOC_H_
