// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// How the type of an object is written into its slot, by the owner of the span
// and before the object is published.
//
// Pointer bits (bit i: word i of the slot) are found from the address alone: a
// kPointerBitmap span is one page, whose last kPointerBitmapBytes hold one bit
// for each of its words. No span is looked up. Only the span's owner writes
// them, so no read-modify-write is needed; markers read them meanwhile.
//
// Go counterpart: heapSetType* in mbitmap.go.

#ifndef TRICOLOR_MCACHE_SLOT_TYPE_H_
#define TRICOLOR_MCACHE_SLOT_TYPE_H_

#include <cstddef>
#include <cstdint>

#include "tricolor/base/atomic.h"
#include "tricolor/base/bits.h"
#include "tricolor/mheap/type_info.h"

namespace tricolor::mcache {

// The first word of a slot of a kTypeHeader span. Release: a marker that finds
// the type also finds the zeroed memory behind it.
inline void WriteTypeHeader(void* slot, const TypeInfo& type) {
  static_cast<Atomic<const TypeInfo*>*>(slot)->StoreRelease(&type);
}

// The pointer bits of one slot.
void WritePointerBits(void* slot, size_t slot_bytes, uint64_t bits);

// The same bits for each of the slots in [first, limit), which lie in one span.
void WritePointerBitsOfRun(uintptr_t first, uintptr_t limit, size_t slot_bytes,
                           uint64_t bits);

// 64 bits of the endless repetition of the low `period` bits of `bits`, from
// index `phase` on; 1 <= period <= 64, phase < period, and `bits` has no
// others.
constexpr uint64_t RepeatedBits(uint64_t bits, unsigned period,
                                unsigned phase) {
  uint64_t repeated = bits;
  for (unsigned filled = period; filled < 64; filled *= 2) {
    repeated |= repeated << filled;
  }
  if (phase == 0) return repeated;
  // From the last whole repetition on, it begins again.
  const unsigned again = 64 / period * period - phase;
  return ((repeated >> phase) & LowMask(again)) | repeated << again;
}

}  // namespace tricolor::mcache

#endif  // TRICOLOR_MCACHE_SLOT_TYPE_H_
