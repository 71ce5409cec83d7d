// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a loop does that waits for another processor's next few instructions.

#ifndef TRICOLOR_BASE_CPU_PAUSE_H_
#define TRICOLOR_BASE_CPU_PAUSE_H_

namespace tricolor {

// Some tens of cycles in which the processor leaves its resources to others.
inline void CpuPause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace tricolor

#endif  // TRICOLOR_BASE_CPU_PAUSE_H_
