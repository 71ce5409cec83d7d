// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The choice of pages to give back to the operating system within one chunk:
// from the top down, in whole OS pages, without leaving half a huge page behind
// that was free as a whole, and, in the background, none of a huge page that is
// nearly full.
//
// Go counterpart: fillAligned, findScavengeCandidate (mgcscavenge.go). Pure
// functions.

#ifndef TRICOLOR_PAGEALLOC_SCAVENGE_CANDIDATE_H_
#define TRICOLOR_PAGEALLOC_SCAVENGE_CANDIDATE_H_

#include <cstdint>

#include "tricolor/pagealloc/palloc_bits.h"

namespace tricolor::pagealloc {

enum class ScavengeMode : uint8_t {
  kBackground,  // leaves dense memory alone
  kForce,       // takes all there is
};
inline constexpr int kScavengeModes = 2;

// `bits` with each aligned group of `group` bits all ones that was not all
// zeros. `group` is a power of two, 1 to 64.
uint64_t FillAligned(uint64_t bits, uint32_t group);

// In heap pages, powers of two.
struct ScavengeGranularity {
  uint32_t os_page;    // 1 to 64; 1 also when an OS page is smaller
  uint32_t huge_page;  // 0 when huge pages need no care
};

// The highest run of pages that are free and unscavenged, in whole OS pages: at
// most `max` pages from its upper end, rounded up to OS pages. When the cut
// would go through a huge page that lies within the run, all of that huge page
// is taken. The background mode takes nothing from a huge page of which 31/32
// or more are used. A count of zero when there is none.
ChunkRange FindScavengeCandidate(const PallocData& data, uint32_t max,
                                 ScavengeGranularity granularity,
                                 ScavengeMode mode);

// True when the chunk has any for kForce.
bool HasScavengeCandidate(const PallocData& data,
                          ScavengeGranularity granularity);

}  // namespace tricolor::pagealloc

#endif  // TRICOLOR_PAGEALLOC_SCAVENGE_CANDIDATE_H_
