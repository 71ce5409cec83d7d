// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/pagealloc/scavenge_candidate.h"

#include <algorithm>
#include <bit>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"

namespace tricolor::pagealloc {

// Collects each group's bits in its lowest one by doubling, then multiplies
// that bit by a group of ones.
uint64_t FillAligned(uint64_t bits, uint32_t group) {
  TRICOLOR_DCHECK(group >= 1 && group <= 64 && IsPowerOfTwo(group),
                  "pagealloc: group of %u pages, expected a power of two to 64",
                  group);
  // One bit at the bottom of each group: 2^64 - 1 divided by a group of ones.
  static constexpr uint64_t kBottoms[] = {
      0xffffffffffffffff, 0x5555555555555555, 0x1111111111111111,
      0x0101010101010101, 0x0001000100010001, 0x0000000100000001,
      0x0000000000000001};
  const uint64_t bottoms = kBottoms[std::countr_zero(group)];
  for (uint32_t step = 1; step < group; step *= 2) bits |= bits >> step;
  return (bits & bottoms) * LowMask(group);
}

namespace {

// The pages of word `w` that may not be scavenged, as ones.
uint64_t Unusable(const PallocData& data, uint32_t w, uint32_t os_page) {
  return FillAligned(data.used().word(w) | data.scavenged().word(w), os_page);
}

// Bit w is one for each word of the bitmaps that lies in a dense huge page.
uint32_t DenseWords(const PallocData& data, ScavengeGranularity granularity) {
  const uint32_t huge_page = granularity.huge_page;
  if (huge_page < 64 || huge_page > kChunkPages ||
      huge_page <= granularity.os_page) {
    return 0;
  }
  uint32_t dense = 0;
  for (uint32_t first = 0; first < kChunkPages; first += huge_page) {
    if (data.used().PopcountRange(first, huge_page) >= huge_page / 32 * 31) {
      dense |= static_cast<uint32_t>(LowMask(huge_page / 64)) << first / 64;
    }
  }
  return dense;
}

// The highest run of usable pages outside of `excluded` words, whole.
ChunkRange HighestRun(const PallocData& data, uint32_t excluded,
                      uint32_t os_page) {
  uint32_t end = 0;  // of the run, once one has been met
  for (uint32_t w = kChunkWords; w-- > 0;) {
    const uint64_t ones =
        (excluded >> w & 1) != 0 ? ~uint64_t{0} : Unusable(data, w, os_page);
    if (end == 0) {
      if (~ones == 0) continue;
      end = w * 64 + 64 - static_cast<uint32_t>(std::countl_one(ones));
    }
    // The ones of this word below the end of the run.
    const uint64_t below = ones & LowMask(std::min(end - w * 64, 64u));
    if (below != 0) {
      const uint32_t first =
          w * 64 + 64 - static_cast<uint32_t>(std::countl_zero(below));
      return {first, end - first};
    }
  }
  return {0, end};
}

}  // namespace

bool HasScavengeCandidate(const PallocData& data,
                          ScavengeGranularity granularity) {
  return HighestRun(data, /*excluded=*/0, granularity.os_page).count != 0;
}

ChunkRange FindScavengeCandidate(const PallocData& data, uint32_t max,
                                 ScavengeGranularity granularity,
                                 ScavengeMode mode) {
  const uint32_t excluded =
      mode == ScavengeMode::kBackground ? DenseWords(data, granularity) : 0;
  const ChunkRange run = HighestRun(data, excluded, granularity.os_page);
  const auto wanted = static_cast<uint32_t>(
      AlignUp(std::clamp(max, 1u, kChunkPages), granularity.os_page));
  if (run.count <= wanted) return run;

  const uint32_t end = run.first + run.count;
  uint32_t first = end - wanted;
  if (granularity.huge_page > granularity.os_page) {
    const auto below =
        static_cast<uint32_t>(AlignDown(first, granularity.huge_page));
    const auto above =
        static_cast<uint32_t>(AlignUp(first, granularity.huge_page));
    if (run.first <= below && above <= end) first = below;
  }
  return {first, end - first};
}

}  // namespace tricolor::pagealloc
