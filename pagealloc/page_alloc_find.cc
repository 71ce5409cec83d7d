// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The search of the radix tree: PageAlloc::FindFrom. From the chunk where it
// starts it goes up, reading at each level the siblings to the right, until an
// entry holds a long enough run; then down into that entry. A run may also
// cross entries: its part up to the entry being read is carried along.

#include <algorithm>
#include <cinttypes>

#include "tricolor/base/check.h"
#include "tricolor/pagealloc/page_alloc.h"

namespace tricolor::pagealloc {

// One search. Beside the run it finds a lower bound of all free pages: the
// first entry that is not zero, narrowed as long as the search goes down inside
// that very entry.
class PageAlloc::Finder {
 public:
  Finder(const PageAlloc& pages, uint64_t count)
      : pages_(pages), count_(count) {}

  FindResult Run(uint64_t from) {
    SearchFirstChunk(from);
    uint64_t entry = from >> kLogChunkPages;
    for (unsigned level = kLeafLevel; page_ == kNoPage; --level) {
      const uint64_t limit =
          level == 0 ? pages_.root_limit_ : EndOfGroup(entry);
      if (SearchEntries(level, entry + 1, limit)) break;
      if (level == 0) break;
      entry >>= PallocSum::kFanoutBits;
    }
    return {page_, first_free_};
  }

 private:
  static constexpr uint64_t EndOfGroup(uint64_t entry) {
    return (entry | (PallocSum::kFanout - 1)) + 1;
  }

  // The only chunk of which a part, the pages below `from`, does not count.
  void SearchFirstChunk(uint64_t from) {
    const uint64_t chunk = from >> kLogChunkPages;
    const auto index = static_cast<uint32_t>(from & (kChunkPages - 1));
    const PallocSum sum = pages_.levels_[kLeafLevel][chunk];
    if (sum.none_free()) return;
    // Where the summary excludes the run, only the first free page is wanted.
    const bool possible = count_ <= sum.max();
    const PallocBits::FindResult found = pages_.chunks_[chunk].used().Find(
        possible ? static_cast<uint32_t>(count_) : 1, index);
    if (found.first_free == PallocBits::kNotFound) return;
    first_free_ = (chunk << kLogChunkPages) + found.first_free;
    if (possible && found.index != PallocBits::kNotFound) {
      page_ = (chunk << kLogChunkPages) + found.index;
    }
    carried_ = std::min(sum.end(), kChunkPages - index);
  }

  // Reads the entries [first, limit) of a level from left to right. True when
  // the run has been found.
  bool SearchEntries(unsigned level, uint64_t first, uint64_t limit) {
    const unsigned log_pages = LogPages(level);
    const PallocSum* sums = pages_.levels_[level].data();
    for (uint64_t i = first; i < limit; ++i) {
      const PallocSum sum = sums[i];
      if (sum.none_free()) {
        carried_ = 0;
        continue;
      }
      const bool is_first_free = first_free_ == kNoPage;
      if (is_first_free) first_free_ = i << log_pages;
      if (carried_ + sum.start() >= count_) {
        page_ = (i << log_pages) - carried_;
        return true;
      }
      if (sum.max() >= count_) {
        Descend(level, i, is_first_free);
        return true;
      }
      const uint64_t full = uint64_t{1} << log_pages;
      carried_ = sum.end() == full ? carried_ + full : sum.end();
    }
    return false;
  }

  // Finds the run that `entry` holds within itself. What is carried, with the
  // entry's start, is too short, and stays so on the way down.
  void Descend(unsigned level, uint64_t entry, bool holds_first_free) {
    if (holds_first_free) first_free_ = kNoPage;  // set again by a child
    if (level == kLeafLevel) {
      const PallocBits::FindResult found =
          pages_.chunks_[entry].used().Find(static_cast<uint32_t>(count_), 0);
      CheckKept(found.index != PallocBits::kNotFound, level, entry);
      page_ = (entry << kLogChunkPages) + found.index;
      if (holds_first_free) {
        first_free_ = (entry << kLogChunkPages) + found.first_free;
      }
      return;
    }
    const uint64_t children = entry << PallocSum::kFanoutBits;
    CheckKept(SearchEntries(level + 1, children, children + PallocSum::kFanout),
              level, entry);
  }

  void CheckKept(bool kept, unsigned level, uint64_t entry) const {
    TRICOLOR_CHECK(kept,
                   "pagealloc: level %u entry at 0x%" PRIx64
                   " promises a run of %u"
                   " pages, no run of %" PRIu64 " is in it",
                   level,
                   pages_.AddressOfPage(entry << LogPages(level)).value(),
                   pages_.levels_[level][entry].max(), count_);
  }

  const PageAlloc& pages_;
  const uint64_t count_;
  uint64_t page_ = kNoPage;
  uint64_t first_free_ = kNoPage;
  // Free pages that end just below the entry to be read.
  uint64_t carried_ = 0;
};

// The lowest run of `count` free pages at or above `from`, an added page.
PageAlloc::FindResult PageAlloc::FindFrom(uint64_t from, uint64_t count) const {
  return Finder(*this, count).Run(from);
}

// The lowest added page at or above `page`, or kNoPage.
uint64_t PageAlloc::FirstAddedPage(uint64_t page) const {
  if (page >= window_.size().value() >> kPageShift) return kNoPage;
  const auto added = in_use_.FindAddrGreaterEqual(AddressOfPage(page));
  return added.has_value() ? PageNumber(*added) : kNoPage;
}

// No page below `first_free`, the result of a search from the search address,
// is free. It may be the base of an entry whose beginning was never added,
// where the search address may not stand: the first chunk of the next search
// must have tables.
void PageAlloc::RaiseSearchPage(uint64_t first_free) {
  if (first_free == kNoPage) {
    search_page_ = kNoPage;
  } else if (first_free > search_page_) {
    search_page_ = FirstAddedPage(first_free);
  }
}

Addr PageAlloc::search_address() const {
  return search_page_ == kNoPage ? Addr() : AddressOfPage(search_page_);
}

}  // namespace tricolor::pagealloc
