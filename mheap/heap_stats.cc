// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/heap_stats.h"

#include "tricolor/base/check.h"

namespace tricolor::mheap {
namespace {

// For reports.
using Number = unsigned long long;
using Signed = long long;

}  // namespace

uint64_t HeapStats::object_bytes() const {
  uint64_t bytes = large_allocated_bytes - large_freed_bytes;
  for (int c = 1; c < kSizeClasses; ++c) {
    bytes += (small_allocated[c] - small_freed[c]) * kClassSize[c];
  }
  return bytes;
}

void HeapStats::Add(const HeapStats& changes) {
  mapped_bytes += changes.mapped_bytes;
  heap_span_bytes += changes.heap_span_bytes;
  manual_span_bytes += changes.manual_span_bytes;
  free_bytes += changes.free_bytes;
  released_bytes += changes.released_bytes;
  alloc_span_calls += changes.alloc_span_calls;
  alloc_span_locked += changes.alloc_span_locked;
  free_span_calls += changes.free_span_calls;
  free_span_locked += changes.free_span_locked;
  spans_swept += changes.spans_swept;
  for (int c = 0; c < kSizeClasses; ++c) {
    small_allocated[c] += changes.small_allocated[c];
    small_freed[c] += changes.small_freed[c];
  }
  large_allocated_bytes += changes.large_allocated_bytes;
  large_freed_bytes += changes.large_freed_bytes;
  tiny_allocated += changes.tiny_allocated;
}

void HeapStats::CheckBytes() const {
  TRICOLOR_CHECK(
      heap_span_bytes >= 0 && manual_span_bytes >= 0 && free_bytes >= 0 &&
          released_bytes >= 0 &&
          mapped_bytes ==
              heap_span_bytes + manual_span_bytes + free_bytes + released_bytes,
      "INV-MHEAP-BYTES: %lld bytes mapped, expected the sum of %lld in heap "
      "spans, %lld in manual spans, %lld free and %lld released",
      static_cast<Signed>(mapped_bytes), static_cast<Signed>(heap_span_bytes),
      static_cast<Signed>(manual_span_bytes), static_cast<Signed>(free_bytes),
      static_cast<Signed>(released_bytes));
  TRICOLOR_CHECK(
      alloc_span_locked <= alloc_span_calls &&
          free_span_locked <= free_span_calls &&
          free_span_calls <= alloc_span_calls,
      "INV-MHEAP-BYTES: spans allocated in %llu calls, %llu with the "
      "lock, and freed in %llu calls, %llu with the lock",
      static_cast<Number>(alloc_span_calls),
      static_cast<Number>(alloc_span_locked),
      static_cast<Number>(free_span_calls),
      static_cast<Number>(free_span_locked));
}

void HeapStats::CheckObjects() const {
  for (int c = 0; c < kSizeClasses; ++c) {
    TRICOLOR_CHECK(small_allocated[c] >= small_freed[c],
                   "INV-MHEAP-OBJECTS: %llu objects of size class %d "
                   "allocated, %llu freed",
                   static_cast<Number>(small_allocated[c]), c,
                   static_cast<Number>(small_freed[c]));
  }
  TRICOLOR_CHECK(large_allocated_bytes >= large_freed_bytes &&
                     object_bytes() <= static_cast<uint64_t>(heap_span_bytes),
                 "INV-MHEAP-OBJECTS: %llu bytes in objects, expected at most "
                 "%lld, those of heap spans; %llu bytes of large objects "
                 "allocated, %llu freed",
                 static_cast<Number>(object_bytes()),
                 static_cast<Signed>(heap_span_bytes),
                 static_cast<Number>(large_allocated_bytes),
                 static_cast<Number>(large_freed_bytes));
}

}  // namespace tricolor::mheap
