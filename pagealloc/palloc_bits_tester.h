// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// PallocBitsTester: does each operation on the bitmaps of eight chunks, and on
// the summaries of them and of their parent, as well as on a bool a page, and
// stops the program with one line when the answers differ. Every operation is
// total: numbers are reduced to what makes sense.
//
// Test-only. Thread-compatible. One exists at a time.

#ifndef TRICOLOR_PAGEALLOC_PALLOC_BITS_TESTER_H_
#define TRICOLOR_PAGEALLOC_PALLOC_BITS_TESTER_H_

#include <array>
#include <cstdint>

#include "tricolor/base/fuzzing.h"
#include "tricolor/pagealloc/palloc_bits.h"
#include "tricolor/pagealloc/palloc_sum.h"
#include "tricolor/pagealloc/plain_bits.h"

namespace tricolor::pagealloc {

class PallocBitsTester {
 public:
  PallocBitsTester();

  // The pages of the first free run (used run) at or above `first`, at most
  // `count`.
  void Allocate(uint32_t chunk, uint32_t first, uint32_t count);
  void Free(uint32_t chunk, uint32_t first, uint32_t count);
  // Those pages of a run that are free.
  void Scavenge(uint32_t chunk, uint32_t first, uint32_t count);
  // Of the aligned 64 pages around `page`: what of `mask` is free, or used;
  // half of what becomes free is scavenged, if so said.
  void AllocateBlock(uint32_t chunk, uint32_t page, uint64_t mask);
  void FreeBlock(uint32_t chunk, uint32_t page, uint64_t mask, bool scavenged);
  void Reset(uint32_t chunk);

  // Bits at will, in one more chunk.
  void SetBits(uint32_t first, uint32_t count);
  void ClearBits(uint32_t first, uint32_t count);

  void Find(uint32_t chunk, uint32_t count, uint32_t hint);
  void Extend(uint32_t first, uint32_t count);
  void Popcount(uint32_t first, uint32_t count);

  // A parent of eight children of 2^log_pages pages, the kinds of which are
  // two bits each: all free, none free, or with free runs of a few sizes, that
  // `sizes` has one byte each of.
  void Merge(uint32_t log_pages, uint32_t kinds, uint64_t sizes);

  // base/bits.h.
  void WordRuns(uint64_t word, uint32_t count);
  void Divide(uint32_t n, uint32_t divisor);
  void Logarithms(uint64_t n, uint32_t shift);

 private:
  static constexpr uint32_t kChunks = PallocSum::kFanout;

  struct Chunk {
    PallocData data;
    PlainBits used;
    PlainBits scavenged;
  };

  static ChunkRange Clip(uint32_t first, uint32_t count);
  // The first run of pages with that bit at or above `first`, cut to `count`;
  // none: 0 pages.
  static ChunkRange RunOf(const PlainBits& bits, bool value, uint32_t first,
                          uint32_t count);
  // Pages of the chunk, all used or all free until now, have become the other.
  void Changed(uint32_t chunk, ChunkRange range, bool used);
  // Any pages of the chunk have.
  void Recompute(uint32_t chunk);
  void Check(uint32_t chunk);
  static void CheckEqual(const PallocBits& bits, const PlainBits& plain,
                         const char* name);

  FuzzProgram program_;
  std::array<Chunk, kChunks> chunks_;
  std::array<PallocSum, kChunks> sums_;
  PallocSum parent_;
  PallocBits bits_;
  PlainBits plain_;
};

}  // namespace tricolor::pagealloc

#endif  // TRICOLOR_PAGEALLOC_PALLOC_BITS_TESTER_H_
