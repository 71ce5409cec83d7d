// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Stopping threads by a signal: those that neither allocate nor poll. The
// handler makes the interrupted thread native in all of its heaps that use
// signals, with its registers (in the signal's frame) and stack as a snapshot,
// and waits there. docs/safepoints.md says where that is sound.
//
// A signal that no heap has sent goes on to the handler that was there before.
// Handlers are installed once and stay. Go counterpart: preemptM, doSigPreempt.
// Thread-safe; what is said to run in the handler is async-signal-safe.

#ifndef TRICOLOR_RUNTIME_PREEMPT_H_
#define TRICOLOR_RUNTIME_PREEMPT_H_

#include <pthread.h>

#include <cstdint>

#include "tricolor/base/units.h"

namespace tricolor::runtime {

// Fatal when the system does not know the signal.
void InstallPreemptHandler(int signal);

// Held around a fork.
void LockPreemptHandlersForFork();
void UnlockPreemptHandlersAfterFork();

// `thread` lives. A signal that cannot be sent is as one that is ignored.
void SendPreemptSignal(pthread_t thread, int signal);

// What the handler knows of the thread that it runs on.
struct Interruption {
  // The lowest address of the thread's own stack that may matter.
  uintptr_t stack_pointer = 0;
  // When the handler runs on an alternate stack: that, from its frame up.
  AddrRange alternate;
};

// Waits, at most until a wake, while the word has that value.
void FutexWait(const void* word, uint32_t value);
void FutexWakeAll(const void* word);

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_PREEMPT_H_
