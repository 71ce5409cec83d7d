// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// NoPreempt: while one lives on a thread, a preemption signal leaves that
// thread alone, and the collector asks again later. All code of the runtime
// that a managed thread calls out of line runs in one: it may hold locks, or be
// about to change what the collector would find. So does every operation that
// looks at the write barrier's flag once for several stores.
//
// Go counterpart: acquirem, and the marks of unsafe points. Nests; one thread.
// Cost: two additions to a thread-local word.

#ifndef TRICOLOR_RUNTIME_NO_PREEMPT_H_
#define TRICOLOR_RUNTIME_NO_PREEMPT_H_

#include <atomic>
#include <cstdint>

#include "tricolor/base/atomic.h"

namespace tricolor::runtime {

inline constinit thread_local Atomic<uint32_t> no_preempt_depth;

class NoPreempt {
 public:
  // The fences are for the compiler: the handler runs on the same thread.
  NoPreempt() {
    no_preempt_depth.AddOwned(1);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  ~NoPreempt() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    no_preempt_depth.AddOwned(uint32_t{0} - 1);
  }
  NoPreempt(const NoPreempt&) = delete;
  NoPreempt& operator=(const NoPreempt&) = delete;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_NO_PREEMPT_H_
