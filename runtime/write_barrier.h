// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The write barrier: what every store of a pointer into a heap object or a Root
// does while a collection marks. It is Go's hybrid of Yuasa's deletion barrier
// and Dijkstra's insertion barrier: the overwritten pointer is handed to the
// markers, and so is the new one while the storing thread's stack has not been
// scanned. docs/barrier.md says why no object is lost.
//
// Ptr, AtomicPtr and Root call it; what stores pointers by itself (an
// interpreter, T* fields) calls it, and reaches no safepoint before it has
// stored. barrier_c.h has the same for C.
// Go counterpart: gcWriteBarrier, bulkBarrierPreWrite. On the storing thread,
// managed. Cost when no heap of the process marks: a load and a branch.

#ifndef TRICOLOR_RUNTIME_WRITE_BARRIER_H_
#define TRICOLOR_RUNTIME_WRITE_BARRIER_H_

#include <cstddef>
#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "tricolor/base/atomic.h"

namespace tricolor {
namespace runtime {

// Heaps of this process that mark. Changed with the world of such a heap
// stopped, so a relaxed load by one of its threads is exact as far as its own
// heap is concerned. Its name in C is the same.
extern "C" Atomic<uint32_t> tricolor_marking_heaps;
inline constexpr Atomic<uint32_t>& marking_heaps = tricolor_marking_heaps;

inline bool AnyHeapMarks() {
  return ABSL_PREDICT_FALSE(marking_heaps.LoadRelaxed() != 0);
}

// Each pointer may be null or lie anywhere.
ABSL_ATTRIBUTE_NOINLINE void RecordStore(const void* old_value,
                                         const void* new_value);
// Of `n` words from `slots`, which are about to be replaced by those from
// `values`, or by null pointers if that is null.
ABSL_ATTRIBUTE_NOINLINE void RecordStores(const void* slots, const void* values,
                                          size_t n);

}  // namespace runtime

// Before `new_value` replaces `old_value` in a heap object. For a field that
// has never been written: null and the value.
inline void WriteBarrier(const void* old_value, const void* new_value) {
  if (runtime::AnyHeapMarks()) runtime::RecordStore(old_value, new_value);
}

// Before the `n` pointers from `values` on replace those from `slots` on. The
// two may overlap; `values` may be null, for null pointers.
inline void WriteBarriers(const void* slots, const void* values, size_t n) {
  if (runtime::AnyHeapMarks()) runtime::RecordStores(slots, values, n);
}

// For a T* field of a heap object: the barrier, and the store, which is a
// release as a Ptr's is.
template <typename T>
void StorePointer(T*& field, T* value) {
  static_assert(sizeof(Atomic<T*>) == sizeof(T*));
  auto& word = *reinterpret_cast<Atomic<T*>*>(&field);
  WriteBarrier(word.LoadRelaxed(), value);
  word.StoreRelease(value);
}

}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_WRITE_BARRIER_H_
