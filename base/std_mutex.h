// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What Mutex and CondVar are made of: the standard library's, or under
// --config=schedule those that are steps of a scheduler.

#ifndef TRICOLOR_BASE_STD_MUTEX_H_
#define TRICOLOR_BASE_STD_MUTEX_H_

#ifdef TRICOLOR_SCHEDULE
#include "tricolor/base/scheduled_mutex.h"
#else
#include <condition_variable>
#include <mutex>
#endif

namespace tricolor {

#ifdef TRICOLOR_SCHEDULE
using StdMutex = schedule::ScheduledMutex;
using StdCondition = schedule::ScheduledCondition;
inline constexpr int kMutexSpins = 0;
#else
using StdMutex = std::mutex;
using StdCondition = std::condition_variable;
// How often a lock is tried before the thread sleeps: for a few microseconds,
// longer than most locks are held, and much less than a sleep and a wake take.
inline constexpr int kMutexSpins = 64;
#endif

}  // namespace tricolor

#endif  // TRICOLOR_BASE_STD_MUTEX_H_
