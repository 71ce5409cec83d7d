// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// PageCache: the free pages of one aligned 64-page window, taken out of a
// PageAlloc in one go, from which their owner allocates small runs without the
// heap's lock. The tree counts the pages as allocated.
//
// Go counterpart: pageCache (mpagecache.go). Each processor has one.
// Thread-compatible: Alloc needs only the owner; Flush also needs whatever
// guards the PageAlloc. A cache that is dropped without Flush leaks its pages.
//
// INV-PAGEALLOC-3: scavenged_bits is a subset of free_bits; both are zero when
// base is null. The tree marks every page of free_bits allocated, and no page
// is in two caches (checked by Flush).

#ifndef TRICOLOR_PAGEALLOC_PAGE_CACHE_H_
#define TRICOLOR_PAGEALLOC_PAGE_CACHE_H_

#include <bit>
#include <cstdint>

#include "tricolor/base/units.h"
#include "tricolor/pagealloc/page_run.h"

namespace tricolor::pagealloc {

class PageAlloc;

class PageCache {
 public:
  // Pages of a window.
  static constexpr uint32_t kPages = 64;

  PageCache() = default;
  // `base` is aligned to the window's size, `scavenged` a subset of `free`.
  PageCache(Addr base, uint64_t free, uint64_t scavenged)
      : base_(base), free_(free), scavenged_(scavenged) {}

  // The lowest run of `pages` (1 to kPages), or null when the window has none.
  PageRun Alloc(PageCount pages) {
    if (pages.value() != 1) return AllocSlow(pages);
    if (free_ == 0) return {};
    const auto i = static_cast<unsigned>(std::countr_zero(free_));
    const uint64_t scavenged = (scavenged_ >> i) & 1;
    free_ &= free_ - 1;
    scavenged_ &= ~(uint64_t{1} << i);
    return {base_ + BytesOf(PageCount(i)), BytesOf(PageCount(scavenged))};
  }

  // Gives the pages left back to `pages`, where they came from, and is empty
  // with a null base afterwards. Needs the lock that guards `pages`.
  void Flush(PageAlloc& pages);

  // True when no page is left.
  bool Empty() const { return free_ == 0; }

  Addr base() const { return base_; }
  // Bit i stands for the page at base() + i pages.
  uint64_t free_bits() const { return free_; }
  uint64_t scavenged_bits() const { return scavenged_; }
  PageCount free_pages() const {
    return PageCount(static_cast<uint64_t>(std::popcount(free_)));
  }

  // Fatal unless INV-PAGEALLOC-3's own part holds.
  void CheckInvariants() const;

 private:
  PageRun AllocSlow(PageCount pages);

  Addr base_;
  uint64_t free_ = 0;
  uint64_t scavenged_ = 0;
};

}  // namespace tricolor::pagealloc

#endif  // TRICOLOR_PAGEALLOC_PAGE_CACHE_H_
