// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// AtomicPtr<T>: a pointer field of a heap object with the operations of
// std::atomic<T*>, for lock-free structures of heap objects. One word, null at
// first, traced by TRICOLOR_TRACE; every store passes the write barrier.
//
// Loads have the order that is asked for. Stores are releases at least, for the
// marker's sake, and read-modify-writes acquire and release at least; weak
// compare-and-swap never fails for no reason.
//
// Nodes need no counters against ABA and no hazard pointers: while a thread
// holds a pointer to a node, its memory is not used for another one. In exact
// mode a local variable holds it only up to the next safepoint.
//
// Go counterpart: atomic.Pointer, atomic_pointer.go. Lock-free.

#ifndef TRICOLOR_RUNTIME_ATOMIC_PTR_H_
#define TRICOLOR_RUNTIME_ATOMIC_PTR_H_

#include <atomic>
#include <cstddef>
#include <type_traits>

#include "tricolor/runtime/field_word.h"
#include "tricolor/runtime/write_barrier.h"

namespace tricolor {

template <typename T>
class AtomicPtr {
 public:
  using value_type = T*;
  static constexpr bool is_always_lock_free = true;

  constexpr AtomicPtr() = default;
  constexpr AtomicPtr(T* p)  // NOLINT(google-explicit-constructor)
      : word_(p) {
    if (!std::is_constant_evaluated()) WriteBarrier(nullptr, p);
  }
  AtomicPtr(const AtomicPtr&) = delete;
  AtomicPtr& operator=(const AtomicPtr&) = delete;

  T* load(std::memory_order order = std::memory_order_seq_cst) const {
    switch (order) {
      case std::memory_order_relaxed:
        return word_->LoadRelaxed();
      case std::memory_order_seq_cst:
        return word_->LoadSeqCst();
      default:
        return word_->LoadAcquire();
    }
  }
  operator T*() const { return load(); }  // NOLINT(google-explicit-constructor)

  // If several threads store at once without any order, the first of them in
  // the word's modification order has recorded what was there when marking
  // began; what the others replace has been stored since.
  void store(T* p, std::memory_order order = std::memory_order_seq_cst) {
    WriteBarrier(word_->LoadRelaxed(), p);
    if (order == std::memory_order_seq_cst) {
      word_->StoreSeqCst(p);
    } else {
      word_->StoreRelease(p);
    }
  }
  T* operator=(T* p) {
    store(p);
    return p;
  }

  // As a store.
  T* exchange(T* p, std::memory_order order = std::memory_order_seq_cst) {
    WriteBarrier(word_->LoadRelaxed(), p);
    return order == std::memory_order_seq_cst ? word_->ExchangeSeqCst(p)
                                              : word_->ExchangeAcqRel(p);
  }

  // What it replaces is `expected`, so that is recorded; in vain if it fails,
  // which keeps an object for a cycle at the worst.
  bool compare_exchange_strong(
      T*& expected, T* desired,
      std::memory_order success = std::memory_order_seq_cst) {
    WriteBarrier(expected, desired);
    return success == std::memory_order_seq_cst
               ? word_->CompareExchangeSeqCst(expected, desired)
               : word_->CompareExchangeAcqRel(expected, desired);
  }
  bool compare_exchange_strong(T*& expected, T* desired,
                               std::memory_order success,
                               std::memory_order failure) {
    return compare_exchange_strong(expected, desired,
                                   failure == std::memory_order_seq_cst
                                       ? std::memory_order_seq_cst
                                       : success);
  }
  template <typename... Orders>
  bool compare_exchange_weak(T*& expected, T* desired, Orders... orders) {
    return compare_exchange_strong(expected, desired, orders...);
  }

 private:
  runtime::FieldWord<T> word_;
};

static_assert(sizeof(AtomicPtr<int>) == sizeof(int*));
static_assert(std::is_trivially_destructible_v<AtomicPtr<int>>);

}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_ATOMIC_PTR_H_
