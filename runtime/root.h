// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Root<T>: keeps the object alive that it points to, wherever the Root itself
// lies: on the stack, in a global, in a std container. The heap is found by the
// address; a null Root belongs to no heap and costs nothing.
//
// Making and dropping a Root on a thread that is attached (and not in a
// NativeScope) takes no lock. It must be gone, or null, when its heap is
// destroyed: ~Heap checks that. Thread-compatible; different Roots may be used
// on different threads, attached or not. Making one, or giving one an object
// that was null or held one of another heap, throws std::bad_alloc when there
// is no memory for it; then it holds what it held.
//
// Go counterpart: any variable outside the heap.

#ifndef TRICOLOR_RUNTIME_ROOT_H_
#define TRICOLOR_RUNTIME_ROOT_H_

#include <cstddef>
#include <type_traits>
#include <utility>

#include "tricolor/runtime/mutator.h"
#include "tricolor/runtime/root_table.h"

namespace tricolor {

template <typename T>
class Root {
 public:
  using element_type = T;

  constexpr Root() = default;
  constexpr Root(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)
  Root(T* p) {
    runtime::AssignRoot(&slot_, p);
  }  // NOLINT(google-explicit-constructor)
  // `p` is null or in the mutator's heap.
  Root(Mutator& mutator, T* p)
      : slot_(runtime::NewRootIn(mutator.root_table(), p)) {}
  Root(const Root& other) : Root(other.get()) {}
  Root(Root&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
  template <typename U>
  requires std::is_convertible_v<U*, T*> Root(
      const Root<U>& other)  // NOLINT(google-explicit-constructor)
      : Root(static_cast<T*>(other.get())) {}
  ~Root() { runtime::FreeRoot(slot_); }

  // Also of nullptr and {}.
  Root& operator=(T* p) {
    runtime::AssignRoot(&slot_, p);
    return *this;
  }
  Root& operator=(const Root& other) { return *this = other.get(); }
  Root& operator=(Root&& other) noexcept {
    Root moved(std::move(other));
    std::swap(slot_, moved.slot_);
    return *this;
  }
  template <typename U,
            typename = std::enable_if_t<std::is_convertible_v<U*, T*>>>
  Root& operator=(const Root<U>& other) {
    return *this = static_cast<T*>(other.get());
  }

  T* get() const {
    return slot_ == nullptr ? nullptr
                            : reinterpret_cast<T*>(slot_->LoadRelaxed());
  }
  operator T*() const { return get(); }  // NOLINT(google-explicit-constructor)
  T* operator->() const { return get(); }
  std::add_lvalue_reference_t<T> operator*() const
      requires(!std::is_void_v<T>) {
    return *get();
  }

 private:
  runtime::RootSlot* slot_ = nullptr;
};

}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_ROOT_H_
