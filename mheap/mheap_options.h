// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What an MHeap can be told when it is made. A plain value.

#ifndef TRICOLOR_MHEAP_MHEAP_OPTIONS_H_
#define TRICOLOR_MHEAP_MHEAP_OPTIONS_H_

#include <cstdint>

#include "tricolor/base/units.h"

namespace tricolor::mheap {

struct MHeapOptions {
  // Address space to reserve, rounded up to whole arenas; halved until the OS
  // grants it, down to one arena.
  ByteCount reservation{uint64_t{1} << 40};
  // Most bytes that may be mapped for spans; growth beyond fails.
  ByteCount max_mapped{UINT64_MAX};
  // The part of the heap beyond its first so many bytes asks for huge pages; a
  // heap that stays smaller holds no more memory than it touches. The greatest
  // value: never.
  ByteCount huge_pages_from{32 << 20};
  // A chunk of such memory does without while a part of it is given back to the
  // OS. Off: the OS may fill it up again.
  bool split_huge_pages = true;
  // Off: every AllocSpan and FreeSpan takes the lock (for comparison).
  bool use_processor_caches = true;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_MHEAP_OPTIONS_H_
