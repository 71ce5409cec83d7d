// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What Atomic and the word accesses are made of: the standard library's, or
// under --config=schedule those that are steps of a scheduler.

#ifndef TRICOLOR_BASE_STD_ATOMIC_H_
#define TRICOLOR_BASE_STD_ATOMIC_H_

#ifdef TRICOLOR_SCHEDULE
#include "tricolor/base/scheduled_atomic.h"
#else
#include <atomic>
#endif

namespace tricolor {

#ifdef TRICOLOR_SCHEDULE
template <typename T>
using StdAtomic = schedule::ScheduledAtomic<T>;
template <typename T>
using StdAtomicRef = schedule::ScheduledAtomicRef<T>;
#else
template <typename T>
using StdAtomic = std::atomic<T>;
template <typename T>
using StdAtomicRef = std::atomic_ref<T>;
#endif

}  // namespace tricolor

#endif  // TRICOLOR_BASE_STD_ATOMIC_H_
