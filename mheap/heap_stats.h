// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Statistics of the page heap and of allocation: the changes that one processor
// has made, or the sum of the changes of all, which is the heap's state at some
// moment (consistent_stats.h). In a sum the identities below hold; in the
// changes of one processor they do not, for a byte may be counted in by one and
// out by another.
//
// Go counterpart: heapStatsDelta in mstats.go. A plain value.

#ifndef TRICOLOR_MHEAP_HEAP_STATS_H_
#define TRICOLOR_MHEAP_HEAP_STATS_H_

#include <cstdint>

#include "tricolor/mheap/size_classes.h"

namespace tricolor::mheap {

struct HeapStats {
  // Every mapped byte is in one of the four that follow.
  int64_t mapped_bytes = 0;
  int64_t heap_span_bytes = 0;    // in spans of objects
  int64_t manual_span_bytes = 0;  // in the collector's own spans
  int64_t free_bytes = 0;         // in no span; the OS holds memory for it
  int64_t released_bytes = 0;     // in no span; the OS holds none

  uint64_t alloc_span_calls = 0;
  uint64_t alloc_span_locked = 0;  // those that took the heap lock
  uint64_t free_span_calls = 0;
  uint64_t free_span_locked = 0;
  uint64_t spans_swept = 0;

  // Objects by size class; class 0 counts large objects, and large_* bytes.
  uint64_t small_allocated[kSizeClasses] = {};
  uint64_t small_freed[kSizeClasses] = {};
  uint64_t large_allocated_bytes = 0;
  uint64_t large_freed_bytes = 0;
  uint64_t tiny_allocated = 0;  // objects served from tiny blocks

  // What the OS holds memory for.
  int64_t ready_bytes() const { return mapped_bytes - released_bytes; }
  // In objects allocated and not freed, by the bytes of their slots.
  uint64_t object_bytes() const;

  void Add(const HeapStats& changes);
  // Fatal unless INV-MHEAP-BYTES holds.
  void CheckBytes() const;
  // Fatal unless INV-MHEAP-OBJECTS holds, for which the floors above count.
  void CheckObjects() const;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_HEAP_STATS_H_
