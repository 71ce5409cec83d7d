// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Ptr<T>: a pointer field inside a heap object. It is one word, starts out null
// and needs no destructor. Every store passes the write barrier. Stores, that
// of the constructor too, are releases, for the collector, which reads the
// field meanwhile and must find what it points to initialized; reads are
// relaxed, so that the program's own threads are ordered by other means.
//
// A Ptr only keeps its target alive while it lies in a heap object whose type
// names it in TRICOLOR_TRACE; on the stack a plain T* does, elsewhere Root<T>.
// AtomicPtr (atomic_ptr.h) has compare-and-swap, ptr_array.h copies many.
//
// Go counterpart: a pointer field, and the store that the compiler emits for
// it. Thread-compatible in what it points to, lock-free in itself.

#ifndef TRICOLOR_RUNTIME_PTR_H_
#define TRICOLOR_RUNTIME_PTR_H_

#include <cstddef>
#include <type_traits>

#include "tricolor/runtime/field_word.h"
#include "tricolor/runtime/write_barrier.h"

namespace tricolor {
namespace internal {
struct PtrArrayAccess;
}  // namespace internal

template <typename T>
class Ptr {
 public:
  using element_type = T;

  constexpr Ptr() = default;
  constexpr Ptr(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)
  constexpr Ptr(T* p)               // NOLINT(google-explicit-constructor)
      : word_(p) {
    if (!std::is_constant_evaluated()) WriteBarrier(nullptr, p);
  }
  Ptr(const Ptr& other) : Ptr(other.get()) {}
  template <typename U>
  requires std::is_convertible_v<U*, T*> Ptr(
      const Ptr<U>& other)  // NOLINT(google-explicit-constructor)
      : Ptr(static_cast<T*>(other.get())) {}

  // Also of nullptr and {}.
  Ptr& operator=(T* p) {
    WriteBarrier(get(), p);
    word_->StoreRelease(p);
    return *this;
  }
  Ptr& operator=(const Ptr& other) { return *this = other.get(); }
  template <typename U>
  requires std::is_convertible_v<U*, T*> Ptr& operator=(const Ptr<U>& other) {
    return *this = static_cast<T*>(other.get());
  }

  T* get() const { return word_->LoadRelaxed(); }
  operator T*() const { return get(); }  // NOLINT(google-explicit-constructor)
  T* operator->() const { return get(); }
  std::add_lvalue_reference_t<T> operator*() const
      requires(!std::is_void_v<T>) {
    return *get();
  }

 private:
  friend struct internal::PtrArrayAccess;

  runtime::FieldWord<T> word_;
};

static_assert(sizeof(Ptr<int>) == sizeof(int*));
static_assert(std::is_trivially_destructible_v<Ptr<int>>);

}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_PTR_H_
