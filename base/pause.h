// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a loop does that waits for a store which another thread is about to
// make: for a moment only, and gives up no processor.

#ifndef TRICOLOR_BASE_PAUSE_H_
#define TRICOLOR_BASE_PAUSE_H_

#ifdef TRICOLOR_SCHEDULE
#include "tricolor/base/schedule_hooks.h"
#endif

namespace tricolor {

#ifdef TRICOLOR_SCHEDULE
inline void PauseCpu() {
  if (schedule::hooks != nullptr) schedule::hooks->Yield();
}
#elif defined(__x86_64__)
inline void PauseCpu() { __builtin_ia32_pause(); }
#elif defined(__aarch64__)
inline void PauseCpu() { asm volatile("yield"); }
#else
inline void PauseCpu() {}
#endif

}  // namespace tricolor

#endif  // TRICOLOR_BASE_PAUSE_H_
