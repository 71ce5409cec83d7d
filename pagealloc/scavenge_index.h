// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// ScavengeIndex: where PageAlloc looks for pages to give back to the operating
// system. It keeps one page number that all such pages lie below; the search
// goes down from there.
//
// Go counterpart: scavengeIndex (mgcscavenge.go), whose occupancy of each
// chunk, generations and second, background search address this one has not.
// Thread-compatible, guarded like the PageAlloc that owns it.
//
// INV-PAGEALLOC-8: no aligned group of pages that makes up an OS page lies at
// or above limit() and is free and unscavenged as a whole.

#ifndef TRICOLOR_PAGEALLOC_SCAVENGE_INDEX_H_
#define TRICOLOR_PAGEALLOC_SCAVENGE_INDEX_H_

#include <cstdint>

#include "tricolor/base/bits.h"

namespace tricolor::pagealloc {

class ScavengeIndex {
 public:
  // A multiple of kGrain. Page numbers count from the base of the PageAlloc's
  // window.
  uint64_t limit() const { return limit_; }

  // Pages below `end` have become free and are not scavenged.
  void NoteFree(uint64_t end) {
    const uint64_t limit = AlignUp(end, kGrain);
    if (limit_ < limit) limit_ = limit;
  }
  // A search has found nothing to scavenge at or above `end`.
  void NoteSearched(uint64_t end) {
    const uint64_t limit = AlignUp(end, kGrain);
    if (limit < limit_) limit_ = limit;
  }

 private:
  // The word of a bitmap; an OS page is never larger, so that a group of which
  // any page is below the limit is below it as a whole.
  static constexpr uint64_t kGrain = 64;

  uint64_t limit_ = 0;
};

}  // namespace tricolor::pagealloc

#endif  // TRICOLOR_PAGEALLOC_SCAVENGE_INDEX_H_
