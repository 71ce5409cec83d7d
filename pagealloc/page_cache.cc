// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/pagealloc/page_cache.h"

#include <cinttypes>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"
#include "tricolor/pagealloc/page_alloc.h"

namespace tricolor::pagealloc {

PageRun PageCache::AllocSlow(PageCount pages) {
  const uint64_t n = pages.value();
  TRICOLOR_CHECK(n >= 1 && n <= kPages,
                 "pagealloc: PageCache::Alloc of %" PRIu64
                 " pages, expected 1 to %u",
                 n, kPages);
  const auto i =
      static_cast<unsigned>(FindBitRange64(free_, static_cast<unsigned>(n)));
  if (i >= kPages) return {};
  const uint64_t mask = (~uint64_t{0} >> (kPages - n)) << i;
  const auto scavenged =
      static_cast<uint64_t>(std::popcount(scavenged_ & mask));
  free_ &= ~mask;
  scavenged_ &= ~mask;
  return {base_ + BytesOf(PageCount(i)), BytesOf(PageCount(scavenged))};
}

void PageCache::Flush(PageAlloc& pages) {
  CheckInvariants();
  if (free_ != 0) pages.FreeCached(base_, free_, scavenged_);
  *this = PageCache();
}

void PageCache::CheckInvariants() const {
  TRICOLOR_CHECK((scavenged_ & ~free_) == 0,
                 "pagealloc: page cache of 0x%" PRIx64
                 ": scavenged bits 0x%" PRIx64 " beyond free bits 0x%" PRIx64
                 " [INV-PAGEALLOC-3]",
                 base_.value(), scavenged_, free_);
  TRICOLOR_CHECK(!base_.is_null() || free_ == 0,
                 "pagealloc: page cache without a base has free bits 0x%" PRIx64
                 " [INV-PAGEALLOC-3]",
                 free_);
  TRICOLOR_CHECK(base_.IsAligned(kPages * kPageSize),
                 "pagealloc: page cache base 0x%" PRIx64
                 " is not aligned to its window [INV-PAGEALLOC-3]",
                 base_.value());
}

}  // namespace tricolor::pagealloc
