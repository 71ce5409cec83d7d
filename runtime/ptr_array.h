// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Arrays of Ptr: copy, move and clear with one look at whether a heap marks,
// where std::copy and std::fill, which are as right, look at each element.
// Elements are stored one by one, each atomically, in no promised order; they
// may be of several heaps, and lie in heap objects or not.
//
// Go counterpart: typedslicecopy, memclrHasPointers, with bulkBarrierPreWrite.
// As for single stores, the program orders its threads by other means. Cost: a
// move an element; while a heap marks, a record or two more. There is no
// safepoint in between: copy very large arrays in pieces.

#ifndef TRICOLOR_RUNTIME_PTR_ARRAY_H_
#define TRICOLOR_RUNTIME_PTR_ARRAY_H_

#include <cstddef>
#include <functional>

#include "tricolor/runtime/no_preempt.h"
#include "tricolor/runtime/ptr.h"
#include "tricolor/runtime/write_barrier.h"

namespace tricolor {
namespace internal {

// Stores without a barrier, which has been passed for all elements at once.
struct PtrArrayAccess {
  // Relaxed: no marker runs, and the stop that begins marking comes later.
  template <typename T>
  static void StoreUnmarked(Ptr<T>& element, T* p) {
    element.word_->StoreRelaxed(p);
  }
  template <typename T>
  static void StoreMarking(Ptr<T>& element, T* p) {
    element.word_->StoreRelease(p);
  }

  template <typename T>
  static void Move(Ptr<T>* to, const Ptr<T>* from, size_t n, auto store) {
    // Addresses as std::less, for elements of different arrays.
    if (std::less<const Ptr<T>*>()(from, to)) {
      for (size_t i = n; i-- > 0;) store(to[i], from[i].get());
    } else {
      for (size_t i = 0; i < n; ++i) store(to[i], from[i].get());
    }
  }
};

}  // namespace internal

// The two may overlap.
template <typename T>
void MovePtrs(Ptr<T>* to, const Ptr<T>* from, size_t n) {
  using Access = internal::PtrArrayAccess;
  const runtime::NoPreempt one_look_at_the_flag;
  if (runtime::AnyHeapMarks()) {
    runtime::RecordStores(to, from, n);
    Access::Move(to, from, n, Access::StoreMarking<T>);
  } else {
    Access::Move(to, from, n, Access::StoreUnmarked<T>);
  }
}

// They do not overlap, or are the same.
template <typename T>
void CopyPtrs(Ptr<T>* to, const Ptr<T>* from, size_t n) {
  MovePtrs(to, from, n);
}

template <typename T>
void ClearPtrs(Ptr<T>* elements, size_t n) {
  const runtime::NoPreempt one_look_at_the_flag;
  WriteBarriers(elements, nullptr, n);
  for (size_t i = 0; i < n; ++i) {
    internal::PtrArrayAccess::StoreUnmarked<T>(elements[i], nullptr);
  }
}

}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_PTR_ARRAY_H_
