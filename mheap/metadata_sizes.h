// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// MetadataSizes: what the heap's own structures take, by kind. None of it goes
// back to the OS before the heap does; what is free serves its kind again.
//
// Go counterpart: MSpanInuse, MSpanSys, GCSys and OtherSys of MemStats. A plain
// value.

#ifndef TRICOLOR_MHEAP_METADATA_SIZES_H_
#define TRICOLOR_MHEAP_METADATA_SIZES_H_

#include <cstdint>

#include "tricolor/base/units.h"

namespace tricolor::mheap {

struct MetadataSizes {
  ByteCount all;  // with what the floors above have allocated
  // Of that, free ones included:
  ByteCount spans;      // span structures
  ByteCount mark_bits;  // mark-bit arenas
  ByteCount span_sets;  // blocks and spines
  ByteCount specials;   // specials and weak slots

  // How many of them are in use: of span structures also those that processors
  // have in their caches.
  uint64_t spans_in_use = 0;
  uint64_t specials_in_use = 0;
  uint64_t weak_slots_in_use = 0;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_METADATA_SIZES_H_
