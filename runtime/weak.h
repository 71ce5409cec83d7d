// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Weak<T>: a pointer that does not keep its object alive. Get returns the
// object, or null from the moment on that the collector has found it dead; an
// object never comes back. Weak pointers are null before the cleanups of their
// object run.
//
// A plain value of three words: it may lie anywhere, also inside heap objects
// and in memory that the collector does not know; it may be copied by memcpy
// and need not be destroyed. Two are equal just when they were made of the same
// pointer, whether the object lives or not. It must not be used when its heap
// is gone.
//
// Go counterpart: weak.Pointer. Get: lock-free, never waits for another
// thread's cache. Objects in one tiny block (Mutator::Allocate of less than 16
// bytes without pointers) live and die together.

#ifndef TRICOLOR_RUNTIME_WEAK_H_
#define TRICOLOR_RUNTIME_WEAK_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "tricolor/mheap/special.h"

namespace tricolor {
namespace runtime {

// An object's identity: the slot that all its weak pointers share, with the
// serial that the slot has while the object lives, and where in it they point.
struct WeakHandle {
  mheap::WeakSlot* slot = nullptr;
  uint64_t serial = 0;
  uint64_t offset = 0;

  friend bool operator==(const WeakHandle&, const WeakHandle&) = default;
};

// Of the object that `p` points into. Fatal when that is no live heap object.
// Null when there is no memory for the record.
WeakHandle MakeWeak(const void* p);
// What the handle was made of, or null.
void* GetWeak(const WeakHandle& handle);

}  // namespace runtime

template <typename T>
class Weak {
 public:
  using element_type = T;

  constexpr Weak() = default;
  constexpr Weak(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)
  // `p` is null or points into a live heap object. A null Weak when the system
  // has no memory for the object's weak record.
  explicit Weak(T* p) {
    if (p != nullptr) handle_ = runtime::MakeWeak(p);
  }

  // Null once the object has been found dead. On an attached thread the result
  // is an ordinary pointer, kept alive like any other; on other threads, and in
  // a NativeScope, nothing keeps the object.
  T* Get() const {
    if (handle_.slot == nullptr) return nullptr;
    return static_cast<T*>(runtime::GetWeak(handle_));
  }
  bool expired() const { return Get() == nullptr; }

  friend bool operator==(const Weak&, const Weak&) = default;

 private:
  runtime::WeakHandle handle_;
};

static_assert(std::is_trivially_copyable_v<Weak<int>>);
static_assert(std::is_trivially_destructible_v<Weak<int>>);

}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_WEAK_H_
