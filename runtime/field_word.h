// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// FieldWord<T>: the word of a pointer field, an Atomic<T*> but for one thing:
// its constructor stores atomically. A thread may be stopped by a signal
// between the allocation of an object and its constructor; a marker that has
// found the object by then reads the field while the constructor runs.
//
// Lock-free. Cost: that of a plain store.

#ifndef TRICOLOR_RUNTIME_FIELD_WORD_H_
#define TRICOLOR_RUNTIME_FIELD_WORD_H_

#include <memory>
#include <type_traits>

#include "tricolor/base/atomic.h"

namespace tricolor::runtime {

template <typename T>
class FieldWord {
 public:
  constexpr FieldWord() noexcept {
    if (std::is_constant_evaluated()) {
      std::construct_at(&word_);
    } else {
      word_.StoreRelaxed(nullptr);
    }
  }
  // Release, as every store of a pointer that a marker may read.
  constexpr explicit FieldWord(T* p) noexcept {
    if (std::is_constant_evaluated()) {
      std::construct_at(&word_, p);
    } else {
      word_.StoreRelease(p);
    }
  }

  Atomic<T*>* operator->() { return &word_; }
  const Atomic<T*>* operator->() const { return &word_; }

 private:
  // In a union nothing initializes it before the store.
  union {
    Atomic<T*> word_;
  };
};

static_assert(sizeof(FieldWord<int>) == sizeof(int*));
static_assert(std::is_trivially_destructible_v<FieldWord<int>>);

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_FIELD_WORD_H_
