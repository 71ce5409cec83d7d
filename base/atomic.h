// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Atomics with the memory order in the name of the operation, so that no
// access has an order by default and each one can be read at its place of use.
// docs/atomics.md pairs each release with the acquire it synchronizes with.
//
// The model is mimalloc's atomic.h. Lock-free for every T used here
// (static_assert below).

#ifndef TRICOLOR_BASE_ATOMIC_H_
#define TRICOLOR_BASE_ATOMIC_H_

#include <atomic>

#include "tricolor/base/std_atomic.h"

namespace tricolor {

template <typename T>
class Atomic {
  static_assert(std::atomic<T>::is_always_lock_free);

 public:
  constexpr Atomic() : value_() {}
  constexpr explicit Atomic(T value) : value_(value) {}
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  T LoadRelaxed() const { return value_.load(std::memory_order_relaxed); }
  T LoadAcquire() const { return value_.load(std::memory_order_acquire); }
  T LoadSeqCst() const { return value_.load(std::memory_order_seq_cst); }

  void StoreRelaxed(T v) { value_.store(v, std::memory_order_relaxed); }
  void StoreRelease(T v) { value_.store(v, std::memory_order_release); }
  void StoreSeqCst(T v) { value_.store(v, std::memory_order_seq_cst); }

  T ExchangeRelaxed(T v) {
    return value_.exchange(v, std::memory_order_relaxed);
  }
  T ExchangeAcquire(T v) {
    return value_.exchange(v, std::memory_order_acquire);
  }
  T ExchangeAcqRel(T v) {
    return value_.exchange(v, std::memory_order_acq_rel);
  }
  T ExchangeSeqCst(T v) {
    return value_.exchange(v, std::memory_order_seq_cst);
  }

  // Strong compare-and-swap: true when `expected` was replaced by `desired`;
  // otherwise `expected` receives the value found (read with acquire order, or
  // relaxed for the Relaxed and Release forms).
  bool CompareExchangeRelaxed(T& expected, T desired) {
    return value_.compare_exchange_strong(expected, desired,
                                          std::memory_order_relaxed,
                                          std::memory_order_relaxed);
  }
  bool CompareExchangeAcquire(T& expected, T desired) {
    return value_.compare_exchange_strong(expected, desired,
                                          std::memory_order_acquire,
                                          std::memory_order_acquire);
  }
  bool CompareExchangeRelease(T& expected, T desired) {
    return value_.compare_exchange_strong(expected, desired,
                                          std::memory_order_release,
                                          std::memory_order_relaxed);
  }
  bool CompareExchangeAcqRel(T& expected, T desired) {
    return value_.compare_exchange_strong(expected, desired,
                                          std::memory_order_acq_rel,
                                          std::memory_order_acquire);
  }
  bool CompareExchangeSeqCst(T& expected, T desired) {
    return value_.compare_exchange_strong(expected, desired,
                                          std::memory_order_seq_cst,
                                          std::memory_order_seq_cst);
  }

  // Read-modify-write; each returns the value before.
  T FetchAddRelaxed(T n) {
    return value_.fetch_add(n, std::memory_order_relaxed);
  }
  T FetchAddAcqRel(T n) {
    return value_.fetch_add(n, std::memory_order_acq_rel);
  }
  T FetchAddSeqCst(T n) {
    return value_.fetch_add(n, std::memory_order_seq_cst);
  }
  T FetchSubRelaxed(T n) {
    return value_.fetch_sub(n, std::memory_order_relaxed);
  }
  T FetchSubAcqRel(T n) {
    return value_.fetch_sub(n, std::memory_order_acq_rel);
  }
  T FetchOrRelaxed(T bits) {
    return value_.fetch_or(bits, std::memory_order_relaxed);
  }
  T FetchOrRelease(T bits) {
    return value_.fetch_or(bits, std::memory_order_release);
  }
  T FetchOrAcqRel(T bits) {
    return value_.fetch_or(bits, std::memory_order_acq_rel);
  }
  T FetchAndSeqCst(T bits) {
    return value_.fetch_and(bits, std::memory_order_seq_cst);
  }
  T FetchAndRelaxed(T bits) {
    return value_.fetch_and(bits, std::memory_order_relaxed);
  }
  T FetchAndRelease(T bits) {
    return value_.fetch_and(bits, std::memory_order_release);
  }

  // For a value with one writer at a time: an update that needs no
  // read-modify-write instruction, while readers on other threads are allowed.
  void AddOwned(T n) { StoreRelaxed(static_cast<T>(LoadRelaxed() + n)); }

 private:
  StdAtomic<T> value_;
};

// Word access to memory that other threads may read or write at the same time
// and whose objects are not declared atomic (fields of heap objects).
template <typename T>
T LoadWordRelaxed(const T* p) {
  return StdAtomicRef<T>(*const_cast<T*>(p)).load(std::memory_order_relaxed);
}
template <typename T>
T LoadWordAcquire(const T* p) {
  return StdAtomicRef<T>(*const_cast<T*>(p)).load(std::memory_order_acquire);
}
template <typename T>
void StoreWordRelaxed(T* p, T v) {
  StdAtomicRef<T>(*p).store(v, std::memory_order_relaxed);
}

}  // namespace tricolor

#endif  // TRICOLOR_BASE_ATOMIC_H_
