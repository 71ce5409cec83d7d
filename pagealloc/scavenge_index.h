// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// ScavengeIndex: where PageAlloc looks for pages to give back to the operating
// system. It keeps the number of the page above the highest one that may be
// free and unscavenged; the search goes down from there.
//
// Go counterpart: scavengeIndex (mgcscavenge.go), whose occupancy of each
// chunk, generations and second, background search address this one has not.
// Thread-compatible, guarded like the PageAlloc that owns it.
//
// INV-PAGEALLOC-8: no page at or above limit() is free and unscavenged.

#ifndef TRICOLOR_PAGEALLOC_SCAVENGE_INDEX_H_
#define TRICOLOR_PAGEALLOC_SCAVENGE_INDEX_H_

#include <cstdint>

namespace tricolor::pagealloc {

class ScavengeIndex {
 public:
  // Page numbers count from the base of the PageAlloc's window.
  uint64_t limit() const { return limit_; }

  // Pages below `limit` have been freed and are not scavenged.
  void NoteFree(uint64_t limit) {
    if (limit_ < limit) limit_ = limit;
  }
  // A search found no page to scavenge at or above `limit`.
  void NoteSearched(uint64_t limit) {
    if (limit < limit_) limit_ = limit;
  }

 private:
  uint64_t limit_ = 0;
};

}  // namespace tricolor::pagealloc

#endif  // TRICOLOR_PAGEALLOC_SCAVENGE_INDEX_H_
