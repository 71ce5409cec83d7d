// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// PlainBits: a bitmap of a chunk with one bool a page, every answer by a loop
// over them: what PallocBits is compared with.
//
// Test-only. Thread-compatible.

#ifndef TRICOLOR_PAGEALLOC_PLAIN_BITS_H_
#define TRICOLOR_PAGEALLOC_PLAIN_BITS_H_

#include <algorithm>
#include <array>
#include <cstdint>

#include "tricolor/pagealloc/palloc_bits.h"
#include "tricolor/pagealloc/palloc_sum.h"

namespace tricolor::pagealloc {

class PlainBits {
 public:
  void Set(uint32_t first, uint32_t count, bool value) {
    for (uint32_t i = first; i < first + count; ++i) bits_[i] = value;
  }
  bool Get(uint32_t i) const { return bits_[i]; }

  uint32_t Ones(uint32_t first, uint32_t count) const {
    uint32_t n = 0;
    for (uint32_t i = first; i < first + count; ++i) n += bits_[i] ? 1u : 0u;
    return n;
  }
  // The length of the run of pages from `i` on that are as that one.
  uint32_t RunFrom(uint32_t i) const {
    uint32_t n = 0;
    while (i + n < kChunkPages && bits_[i + n] == bits_[i]) ++n;
    return n;
  }
  PallocBits::FindResult Find(uint32_t count, uint32_t hint) const {
    PallocBits::FindResult result{PallocBits::kNotFound, PallocBits::kNotFound};
    uint32_t zeros = 0;  // from i on
    for (uint32_t i = kChunkPages; i-- > hint;) {
      zeros = bits_[i] ? 0 : zeros + 1;
      if (zeros > 0) result.first_free = i;
      if (zeros >= count) result.index = i;
    }
    return result;
  }
  PallocSum Summarize() const {
    uint32_t start = 0;
    uint32_t max = 0;
    uint32_t zeros = 0;  // up to i
    for (uint32_t i = 0; i < kChunkPages; ++i) {
      zeros = bits_[i] ? 0 : zeros + 1;
      if (zeros == i + 1) start = zeros;
      max = std::max(max, zeros);
    }
    return PallocSum::Pack(start, max, zeros);
  }
  ChunkRange ExtendOverZeros(uint32_t first, uint32_t count) const {
    uint32_t begin = first;
    uint32_t end = first + count;
    while (begin > 0 && !bits_[begin - 1]) --begin;
    while (end < kChunkPages && !bits_[end]) ++end;
    return {begin, end - begin};
  }
  PallocBits Bits() const {
    PallocBits bits;
    for (uint32_t i = 0; i < kChunkPages; ++i) {
      if (bits_[i]) bits.SetRange(i, 1);
    }
    return bits;
  }

 private:
  std::array<bool, kChunkPages> bits_ = {};
};

}  // namespace tricolor::pagealloc

#endif  // TRICOLOR_PAGEALLOC_PLAIN_BITS_H_
