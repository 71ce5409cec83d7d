// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// PallocBits: one bit for each of the 512 pages of a chunk (4 MiB), and the
// kernels that work on it a word at a time. PallocData: the two bitmaps of a
// chunk, pages in use and pages scavenged (given back to the operating system).
//
// Go counterpart: pageBits, pallocBits, pallocData (mpallocbits.go). Both are
// plain memory whose zero bytes are valid; they live in a LazyArray of
// PageAlloc. Thread-compatible. Arguments are page indexes within the chunk;
// ranges are not empty and lie within it (checked in debug builds).
//
// INV-PAGEALLOC-2: in a PallocData, a scavenged page is not in use.
// Cost: each call reads the words of its range once, 8 at most.

#ifndef TRICOLOR_PAGEALLOC_PALLOC_BITS_H_
#define TRICOLOR_PAGEALLOC_PALLOC_BITS_H_

#include <bit>
#include <cstdint>

#include "tricolor/base/check.h"
#include "tricolor/base/units.h"
#include "tricolor/pagealloc/palloc_sum.h"

namespace tricolor::pagealloc {

inline constexpr unsigned kLogChunkPages = 9;
inline constexpr uint32_t kChunkPages = uint32_t{1} << kLogChunkPages;
inline constexpr ByteCount kChunkBytes{uint64_t{kChunkPages} << kPageShift};
inline constexpr uint32_t kChunkWords = kChunkPages / 64;

// A range of pages within one chunk.
struct ChunkRange {
  uint32_t first;
  uint32_t count;
  friend constexpr bool operator==(ChunkRange, ChunkRange) = default;
};

class PallocBits {
 public:
  static constexpr uint32_t kNotFound = ~uint32_t{0};

  struct FindResult {
    // The first page of the run, or kNotFound.
    uint32_t index;
    // The first zero bit at or above the hint, or kNotFound.
    uint32_t first_free;
    friend constexpr bool operator==(FindResult, FindResult) = default;
  };

  bool Get(uint32_t i) const { return (words_[i / 64] >> (i % 64)) & 1; }

  void SetRange(uint32_t first, uint32_t count) {
    CheckRange(first, count);
    if (InOneWord(first, count)) {
      words_[first / 64] |= Mask(first, count);
    } else {
      SetRangeSlow(first, count);
    }
  }
  void ClearRange(uint32_t first, uint32_t count) {
    CheckRange(first, count);
    if (InOneWord(first, count)) {
      words_[first / 64] &= ~Mask(first, count);
    } else {
      ClearRangeSlow(first, count);
    }
  }
  void SetAll();
  void ClearAll();

  // The number of ones in the range.
  uint32_t PopcountRange(uint32_t first, uint32_t count) const {
    CheckRange(first, count);
    if (InOneWord(first, count)) {
      return Popcount(words_[first / 64] & Mask(first, count));
    }
    return PopcountRangeSlow(first, count);
  }

  // The lowest run of `count` zeros at or above `hint`, which may be any index
  // below kChunkPages; bits below the hint are not looked at.
  FindResult Find(uint32_t count, uint32_t hint) const;

  // The summary of the zeros.
  PallocSum Summarize() const;

  // The range and the zeros that touch it on both sides; the bits of the range
  // itself are not looked at.
  ChunkRange ExtendOverZeros(uint32_t first, uint32_t count) const;

  // The summary, given that it was `old` before the bits of the range, all of
  // them zeros then, became ones; or all of them ones then, became zeros.
  PallocSum SummarizeAfterSet(PallocSum old, uint32_t first,
                              uint32_t count) const;
  PallocSum SummarizeAfterClear(PallocSum old, uint32_t first,
                                uint32_t count) const;

  // The aligned block of 64 pages that contains page `i`.
  uint64_t Block64(uint32_t i) const { return words_[i / 64]; }
  void SetBlock64(uint32_t i, uint64_t mask) { words_[i / 64] |= mask; }
  void ClearBlock64(uint32_t i, uint64_t mask) { words_[i / 64] &= ~mask; }
  uint64_t word(uint32_t w) const { return words_[w]; }

  friend bool operator==(const PallocBits&, const PallocBits&) = default;

 private:
  static uint32_t Popcount(uint64_t w) {
    return static_cast<uint32_t>(std::popcount(w));
  }
  static void CheckRange(uint32_t first, uint32_t count) {
    TRICOLOR_DCHECK(
        count > 0 && first < kChunkPages && count <= kChunkPages - first,
        "pagealloc: pages [%u, +%u) are not in a chunk", first, count);
    static_cast<void>(first);
    static_cast<void>(count);
  }
  static bool InOneWord(uint32_t first, uint32_t count) {
    return first % 64 + count <= 64;
  }
  // The bits of a range that lies in one word.
  static uint64_t Mask(uint32_t first, uint32_t count) {
    return (~uint64_t{0} >> (64 - count)) << (first % 64);
  }

  void SetRangeSlow(uint32_t first, uint32_t count);
  void ClearRangeSlow(uint32_t first, uint32_t count);
  uint32_t PopcountRangeSlow(uint32_t first, uint32_t count) const;
  FindResult FindOne(uint32_t hint) const;
  template <bool kFitsWord>
  FindResult FindRun(uint32_t count, uint32_t hint) const;

  uint64_t words_[kChunkWords] = {};
};

class PallocData {
 public:
  const PallocBits& used() const { return used_; }
  const PallocBits& scavenged() const { return scavenged_; }

  // Marks free pages used, and returns how many of them were scavenged, which
  // they no longer are.
  uint32_t Allocate(uint32_t first, uint32_t count) {
    const uint32_t scavenged = scavenged_.PopcountRange(first, count);
    used_.SetRange(first, count);
    if (scavenged != 0) scavenged_.ClearRange(first, count);
    return scavenged;
  }
  // Marks used pages free; they are not scavenged.
  void Free(uint32_t first, uint32_t count) { used_.ClearRange(first, count); }
  // Marks free pages scavenged.
  void Scavenge(uint32_t first, uint32_t count) {
    scavenged_.SetRange(first, count);
  }

  // The same for the aligned block of 64 pages that contains page `i`.
  void AllocateBlock64(uint32_t i, uint64_t pages) {
    used_.SetBlock64(i, pages);
    scavenged_.ClearBlock64(i, pages);
  }
  void FreeBlock64(uint32_t i, uint64_t pages, uint64_t scavenged) {
    used_.ClearBlock64(i, pages);
    scavenged_.SetBlock64(i, scavenged);
  }

  // All pages free and scavenged, as the operating system hands them out.
  void Reset() {
    used_.ClearAll();
    scavenged_.SetAll();
  }
  // Clears every scavenged bit; the test hooks build states from there.
  void ClearScavenged() { scavenged_.ClearAll(); }

 private:
  PallocBits used_;
  PallocBits scavenged_;
};

static_assert(sizeof(PallocData) == 128);

}  // namespace tricolor::pagealloc

#endif  // TRICOLOR_PAGEALLOC_PALLOC_BITS_H_
