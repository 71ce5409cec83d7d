// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// ArenaTable: what an MHeap knows of the pages of each 64 MiB arena, beside the
// tables that have a word for each page. Zero when committed. Go counterpart:
// heapArena in mheap.go. Atomics; who may write what: mheap.h.

#ifndef TRICOLOR_MHEAP_ARENA_TABLE_H_
#define TRICOLOR_MHEAP_ARENA_TABLE_H_

#include <cstdint>

#include "absl/base/optimization.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/units.h"

namespace tricolor::mheap {

inline constexpr ByteCount kArenaSize{64 << 20};
inline constexpr PageCount kArenaPages = PagesIn(kArenaSize);

// The bitmaps have one bit for each page; that of a span's first page counts.
// The word of 64 pages is at Place(its number): neighbors lie in different
// cache lines, for they are the windows of processors, each of which would wait
// for the other's line at every span that it makes or frees.
struct ABSL_CACHELINE_ALIGNED ArenaTable {
  static constexpr uint64_t kWords = kArenaPages.value() / 64;
  static constexpr uint64_t kLineWords = 8;
  static constexpr uint64_t kLines = kWords / kLineWords;
  static_assert(kLineWords * sizeof(uint64_t) == ABSL_CACHELINE_SIZE);

  // `word` counts from the heap's base, or from the arena's.
  static constexpr uint64_t Place(uint64_t word) {
    return word % kLines * kLineWords + word % kWords / kLines;
  }

  Atomic<uint64_t> in_use[kWords];
  Atomic<uint64_t> marks[kWords];
  Atomic<uint64_t> specials[kWords];
  // Bytes from the arena's base; nothing from there on has been handed out.
  Atomic<uint64_t> zeroed_base;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_ARENA_TABLE_H_
