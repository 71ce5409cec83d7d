// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Weak<T>: a pointer that does not keep its object alive. Get returns the
// object, or null from the moment on that the collector has found it dead, or
// unreachable with a finalizer; a weak pointer never comes back, though a
// finalizer may bring back the object. It is null before the finalizer or the
// cleanups of its object run.
//
// A plain value of three words: it may lie anywhere, also inside heap objects
// and in memory that the collector does not know; it may be copied by memcpy
// and need not be destroyed. Two are equal just when they were made of the same
// pointer in the same life of the object, whether that lives or not, and equal
// ones have the same hash. It must not be used when its heap is gone.
//
// Go counterpart: weak.Pointer. Get takes no lock; it yields while a sweeper is
// at the object's span, and waits for nothing else. Objects in one tiny block
// (Mutator::Allocate of less than 16 bytes without pointers) live and die
// together.

#ifndef TRICOLOR_RUNTIME_WEAK_H_
#define TRICOLOR_RUNTIME_WEAK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>

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

// Whether a U* becomes a T* by adding a constant, so that no object is needed:
// everywhere but to a virtual base.
template <typename U, typename T>
constexpr bool ConvertsByOffset() {
  if constexpr (std::is_convertible_v<U*, T*>) {
    return requires(const volatile T* p) { static_cast<const volatile U*>(p); };
  } else {
    return false;
  }
}

template <typename U, typename T>
uint64_t OffsetOfBase() {
  constexpr uint64_t kAnywhere = uint64_t{1} << 40;
  const auto* object = reinterpret_cast<const volatile U*>(kAnywhere);
  return reinterpret_cast<uint64_t>(static_cast<const volatile T*>(object)) -
         kAnywhere;
}

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

  // To a base class, const T or void; of a null or dead one, too. To a virtual
  // base only by way of the object: Weak<Base>(derived.Get()).
  template <typename U,
            typename = std::enable_if_t<!std::is_same_v<U, T> &&
                                        runtime::ConvertsByOffset<U, T>()>>
  Weak(const Weak<U>& other)  // NOLINT(google-explicit-constructor)
      : handle_(other.handle_) {
    if (handle_.slot != nullptr) {
      handle_.offset += runtime::OffsetOfBase<U, T>();
    }
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
  // It would be false of a dead one: ask expired().
  friend bool operator==(const Weak&, std::nullptr_t) = delete;

  // For absl's containers; std::hash is below.
  template <typename H>
  friend H AbslHashValue(H h, const Weak& weak) {
    return H::combine(std::move(h), weak.handle_.slot, weak.handle_.serial,
                      weak.handle_.offset);
  }

 private:
  template <typename U>
  friend class Weak;
  friend struct std::hash<Weak>;

  runtime::WeakHandle handle_;
};

static_assert(std::is_trivially_copyable_v<Weak<int>>);
static_assert(std::is_trivially_destructible_v<Weak<int>>);

}  // namespace tricolor

template <typename T>
struct std::hash<tricolor::Weak<T>> {
  size_t operator()(const tricolor::Weak<T>& weak) const noexcept {
    // Serials differ within a heap; slots do between heaps.
    const auto& h = weak.handle_;
    const uint64_t mixed =
        (reinterpret_cast<uint64_t>(h.slot) / sizeof(*h.slot) + h.offset) *
            0x9e3779b97f4a7c15 +
        h.serial;
    return static_cast<size_t>((mixed ^ mixed >> 32) * 0x9e3779b97f4a7c15);
  }
};

#endif  // TRICOLOR_RUNTIME_WEAK_H_
