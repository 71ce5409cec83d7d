// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Statistics of the page heap and of allocation. Each processor counts into its
// own delta with plain relaxed adds (one writer); a reader sums the deltas of
// all processors and what departed processors left behind. Every counter is
// exact when no thread is allocating or sweeping; otherwise two counters of one
// sum may be a moment apart. A byte may be counted in by one processor and out
// by another, so that only sums mean anything.
//
// Go counterpart: heapStatsDelta in mstats.go.

#ifndef TRICOLOR_MHEAP_HEAP_STATS_H_
#define TRICOLOR_MHEAP_HEAP_STATS_H_

#include <cstdint>

#include "tricolor/base/atomic.h"
#include "tricolor/mheap/size_classes.h"

namespace tricolor::mheap {

// One processor's counters. Only its owner adds.
struct HeapStatsDelta {
  Atomic<int64_t> heap_span_bytes;    // in use by heap spans
  Atomic<int64_t> manual_span_bytes;  // in use by manual spans
  Atomic<int64_t> released_bytes;     // scavenged and not committed again
  Atomic<uint64_t> alloc_span_calls;
  Atomic<uint64_t> alloc_span_locked;  // those that took the heap lock
  Atomic<uint64_t> free_span_calls;
  Atomic<uint64_t> free_span_locked;

  // Objects by size class; class 0 counts large objects, and large_* bytes.
  Atomic<uint64_t> small_allocated[kSizeClasses];
  Atomic<uint64_t> small_freed[kSizeClasses];
  Atomic<uint64_t> large_allocated_bytes;
  Atomic<uint64_t> large_freed_bytes;
  Atomic<uint64_t> tiny_allocated;  // objects served from tiny blocks

  // By the owner: all counters become zero.
  void Clear();
};

// A sum of deltas, in plain integers.
struct HeapStats {
  int64_t heap_span_bytes = 0;
  int64_t manual_span_bytes = 0;
  int64_t released_bytes = 0;
  uint64_t alloc_span_calls = 0;
  uint64_t alloc_span_locked = 0;
  uint64_t free_span_calls = 0;
  uint64_t free_span_locked = 0;
  uint64_t small_allocated[kSizeClasses] = {};
  uint64_t small_freed[kSizeClasses] = {};
  uint64_t large_allocated_bytes = 0;
  uint64_t large_freed_bytes = 0;
  uint64_t tiny_allocated = 0;

  void Add(const HeapStatsDelta& delta);
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_HEAP_STATS_H_
