// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/heap_stats.h"

namespace tricolor::mheap {

void HeapStats::Add(const HeapStatsDelta& delta) {
  heap_span_bytes += delta.heap_span_bytes.LoadRelaxed();
  manual_span_bytes += delta.manual_span_bytes.LoadRelaxed();
  released_bytes += delta.released_bytes.LoadRelaxed();
  alloc_span_calls += delta.alloc_span_calls.LoadRelaxed();
  alloc_span_locked += delta.alloc_span_locked.LoadRelaxed();
  free_span_calls += delta.free_span_calls.LoadRelaxed();
  free_span_locked += delta.free_span_locked.LoadRelaxed();
  for (int i = 0; i < kSizeClasses; ++i) {
    small_allocated[i] += delta.small_allocated[i].LoadRelaxed();
    small_freed[i] += delta.small_freed[i].LoadRelaxed();
  }
  large_allocated_bytes += delta.large_allocated_bytes.LoadRelaxed();
  large_freed_bytes += delta.large_freed_bytes.LoadRelaxed();
  tiny_allocated += delta.tiny_allocated.LoadRelaxed();
}

void HeapStatsDelta::Clear() {
  heap_span_bytes.StoreRelaxed(0);
  manual_span_bytes.StoreRelaxed(0);
  released_bytes.StoreRelaxed(0);
  alloc_span_calls.StoreRelaxed(0);
  alloc_span_locked.StoreRelaxed(0);
  free_span_calls.StoreRelaxed(0);
  free_span_locked.StoreRelaxed(0);
  for (int i = 0; i < kSizeClasses; ++i) {
    small_allocated[i].StoreRelaxed(0);
    small_freed[i].StoreRelaxed(0);
  }
  large_allocated_bytes.StoreRelaxed(0);
  large_freed_bytes.StoreRelaxed(0);
  tiny_allocated.StoreRelaxed(0);
}

}  // namespace tricolor::mheap
