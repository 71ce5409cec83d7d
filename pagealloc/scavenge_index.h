// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// ScavengeIndex: in which chunk PageAlloc looks for pages to give back to the
// operating system. One word for each chunk says how full it is and was, and
// whether there may be something in it; one limit for each mode, from which the
// search goes down. The background mode passes over dense chunks, so that their
// huge pages stay whole, for as long as they are dense and a generation more.
//
// Go counterpart: scavengeIndex, scavChunkData (mgcscavenge.go).
// Thread-compatible, guarded like the PageAlloc that owns it.
//
// INV-PAGEALLOC-8, -9, -10: pagealloc/README.md; PageAlloc::CheckInvariants.
// Cost: a change of a chunk is one word and a comparison; NextGeneration O(1).

#ifndef TRICOLOR_PAGEALLOC_SCAVENGE_INDEX_H_
#define TRICOLOR_PAGEALLOC_SCAVENGE_INDEX_H_

#include <cstdint>

#include "tricolor/base/check.h"
#include "tricolor/base/lazy_array.h"
#include "tricolor/base/os_memory.h"
#include "tricolor/pagealloc/palloc_bits.h"
#include "tricolor/pagealloc/scavenge_candidate.h"

namespace tricolor::pagealloc {

// What the index knows of one chunk. Zero, as of a chunk that was never added
// or is wholly scavenged, says that nothing is in use or to be scavenged.
class ChunkOccupancy {
 public:
  // A chunk with this many pages in use, or more, is dense: 31/32 of it.
  static constexpr uint32_t kDensePages = kChunkPages / 32 * 31;
  static constexpr unsigned kGenerationBits = 43;

  // `generation` is the present one; its lower kGenerationBits count, enough
  // for 278 years of one a millisecond.
  void Add(uint32_t pages, uint64_t generation) {
    Enter(generation);
    TRICOLOR_DCHECK(in_use() + pages <= kChunkPages,
                    "pagealloc: %u pages allocated, %u of the chunk in use",
                    pages, in_use());
    bits_ += pages;
  }
  // The pages are now free and, if so said, may be scavenged.
  void Remove(uint32_t pages, bool may_scavenge, uint64_t generation) {
    Enter(generation);
    TRICOLOR_DCHECK(pages <= in_use(),
                    "pagealloc: %u pages freed, %u of the chunk in use", pages,
                    in_use());
    bits_ -= pages;
    bits_ |= uint64_t{may_scavenge} << kMayScavengeShift;
  }
  void ClearMayScavenge() { bits_ &= ~(uint64_t{1} << kMayScavengeShift); }

  uint32_t in_use() const { return Field(0); }
  // Pages in use when `generation`, the present one, began.
  uint32_t last_in_use(uint64_t generation) const {
    return IsFrom(generation) ? Field(kLastShift) : in_use();
  }
  // False when no whole OS page is free and unscavenged.
  bool may_scavenge() const { return (bits_ >> kMayScavengeShift & 1) != 0; }
  bool IsDense(uint64_t generation) const {
    return in_use() >= kDensePages || last_in_use(generation) >= kDensePages;
  }

 private:
  static constexpr unsigned kFieldBits = 10;
  static constexpr unsigned kLastShift = kFieldBits;
  static constexpr unsigned kMayScavengeShift = 2 * kFieldBits;
  static constexpr unsigned kGenerationShift = kMayScavengeShift + 1;
  static_assert(kGenerationShift + kGenerationBits == 64);
  static_assert(kChunkPages < 1u << kFieldBits);

  uint32_t Field(unsigned shift) const {
    return static_cast<uint32_t>(bits_ >> shift) & ((1u << kFieldBits) - 1);
  }
  bool IsFrom(uint64_t generation) const {
    return ((bits_ >> kGenerationShift ^ generation) << kGenerationShift) == 0;
  }
  // Before the first change in a generation: what is in use was so when it
  // began.
  void Enter(uint64_t generation) {
    if (IsFrom(generation)) return;
    const uint64_t may = bits_ & (uint64_t{1} << kMayScavengeShift);
    bits_ = generation << kGenerationShift | may |
            uint64_t{in_use()} << kLastShift | in_use();
  }

  uint64_t bits_ = 0;
};

static_assert(sizeof(ChunkOccupancy) == 8);

// Chunks count from the base of the PageAlloc's window.
class ScavengeIndex {
 public:
  explicit ScavengeIndex(OsMemory& os) : chunks_(os) {}

  // As in LazyArray.
  [[nodiscard]] bool Init(uint64_t length) { return chunks_.Init(length); }
  [[nodiscard]] bool EnsureCommitted(uint64_t first, uint64_t count) {
    return chunks_.EnsureCommitted(first, count);
  }
  ByteCount committed() const { return chunks_.committed(); }
  void CheckInvariants() const { chunks_.CheckInvariants(); }

  void NoteAlloc(uint64_t chunk, uint32_t pages) {
    chunks_[chunk].Add(pages, generation_);
  }
  // `may_scavenge`: not all of the pages are scavenged. The limits rise even
  // when all are, for the chunk may no longer be dense.
  void NoteFree(uint64_t chunk, uint32_t pages, bool may_scavenge) {
    chunks_[chunk].Remove(pages, may_scavenge, generation_);
    if (freed_limit_ <= chunk) freed_limit_ = chunk + 1;
  }
  // A search of this mode has found nothing from chunk `limit` on. It went down
  // from limit(mode), and nothing has changed since.
  void NoteSearched(ScavengeMode mode, uint64_t limit);
  // No whole OS page of the chunk is free and unscavenged.
  void NoteNothing(uint64_t chunk) { chunks_[chunk].ClearMayScavenge(); }
  // Chunks that are dense now count as dense until the next call.
  void NextGeneration();

  // Nothing can be scavenged in this mode from this chunk on.
  uint64_t limit(ScavengeMode mode) const {
    const uint64_t limit = limits_[static_cast<int>(mode)];
    return limit < freed_limit_ ? freed_limit_ : limit;
  }
  // False when there is no use in looking at the chunk.
  bool MayScavenge(uint64_t chunk, ScavengeMode mode) const {
    const ChunkOccupancy c = chunks_[chunk];
    if (!c.may_scavenge() || c.in_use() == kChunkPages) return false;
    return mode == ScavengeMode::kForce || !c.IsDense(generation_);
  }
  uint64_t generation() const { return generation_; }
  const ChunkOccupancy& chunk(uint64_t chunk) const { return chunks_[chunk]; }

  // The chunk has this many pages in use, had none when the generation began,
  // and others that may be scavenged.
  void SetForTest(uint64_t chunk, uint32_t in_use);

 private:
  void RaiseLimits();

  uint64_t generation_ = 0;
  // Above all chunks in which pages have become free since the limits were last
  // raised to it; so that a free compares with one number.
  uint64_t freed_limit_ = 0;
  uint64_t limits_[kScavengeModes] = {};
  // Above those in which pages have become free in this generation: among them
  // are all that are sparse but count as dense, which the next one lets in.
  uint64_t generation_limit_ = 0;
  LazyArray<ChunkOccupancy> chunks_;
};

}  // namespace tricolor::pagealloc

#endif  // TRICOLOR_PAGEALLOC_SCAVENGE_INDEX_H_
