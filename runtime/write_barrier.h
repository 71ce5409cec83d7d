// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The write barrier: what every store of a pointer into a heap object or a Root
// does while a collection marks. It is Go's hybrid of Yuasa's deletion barrier
// and Dijkstra's insertion barrier: the overwritten pointer is handed to the
// markers, and so is the new one while the storing thread's stack has not been
// scanned. docs/runtime.md says why no object is lost.
//
// Ptr and Root call it; an interpreter that stores pointers by itself calls
// WriteBarrier before each store.
// Go counterpart: gcWriteBarrier. On the storing thread, managed. Cost when
// no heap of the process marks: a load and a branch.

#ifndef TRICOLOR_RUNTIME_WRITE_BARRIER_H_
#define TRICOLOR_RUNTIME_WRITE_BARRIER_H_

#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "tricolor/base/atomic.h"

namespace tricolor {
namespace runtime {

// Heaps of this process that mark. Changed with the world of such a heap
// stopped, so a relaxed load by one of its threads is exact as far as its own
// heap is concerned.
inline constinit Atomic<uint32_t> marking_heaps;

// Each pointer may be null or lie anywhere.
ABSL_ATTRIBUTE_NOINLINE void RecordStore(const void* old_value,
                                         const void* new_value);

}  // namespace runtime

// Before `new_value` replaces `old_value` in a heap object. For a field that
// has never been written: null and the value.
inline void WriteBarrier(const void* old_value, const void* new_value) {
  if (ABSL_PREDICT_FALSE(runtime::marking_heaps.LoadRelaxed() != 0)) {
    runtime::RecordStore(old_value, new_value);
  }
}

}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_WRITE_BARRIER_H_
