// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/preempt.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/base/thread_annotations.h"
#include "tricolor/base/check.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/units.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {
namespace {

constexpr int kMostSignals = 65;

constinit Mutex install_mutex(LockRank::kLeaf);

// By signal. What was there before is written before the handler is installed.
constinit bool installed[kMostSignals] ABSL_GUARDED_BY(install_mutex) = {};
constinit struct sigaction handlers_before[kMostSignals] = {};
// Its address tells the signals that a heap has sent.
constinit char tag = 0;

// Below the interrupted stack pointer the code may keep data: the red zone.
constexpr uintptr_t kRedZone = 128;

uintptr_t InterruptedStackPointer(const ucontext_t& context) {
#if defined(__x86_64__)
  return static_cast<uintptr_t>(context.uc_mcontext.gregs[REG_RSP]);
#else
  return context.uc_mcontext.sp;
#endif
}

// The frame of the handler lies below that of the signal, in which the system
// has stored all registers: on the thread's stack, or on an alternate one.
Interruption Describe(uintptr_t frame, const ucontext_t& context) {
  const auto alternate = reinterpret_cast<uintptr_t>(context.uc_stack.ss_sp);
  const uintptr_t alternate_end = alternate + context.uc_stack.ss_size;
  const bool on_alternate = (context.uc_stack.ss_flags & SS_DISABLE) == 0 &&
                            alternate <= frame && frame < alternate_end;
  // Not the context's stack pointer: ThreadSanitizer calls handlers later, from
  // wherever the thread has come to, with the context of then.
  if (!on_alternate) return {.stack_pointer = frame, .alternate = {}};
  return {.stack_pointer = InterruptedStackPointer(context) - kRedZone,
          .alternate = {Addr(frame), Addr(alternate_end)}};
}

// A frame of its own, below that in which the callee-saved registers are.
ABSL_ATTRIBUTE_NOINLINE void Park(const ucontext_t& context) {
  const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  World::ParkInterrupted(Describe(frame, context));
}

void Chain(int signal, siginfo_t* info, void* context) {
  const struct sigaction& before = handlers_before[signal];
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(signal, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  }
}

void OnSignal(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  if (info->si_code == SI_QUEUE && info->si_value.sival_ptr == &tag) {
    __builtin_unwind_init();  // stores the callee-saved registers
    Park(*static_cast<const ucontext_t*>(context));
  } else {
    Chain(signal, info, context);
  }
  errno = saved_errno;
}

}  // namespace

void InstallPreemptHandler(int signal) {
  TRICOLOR_CHECK(signal > 0 && signal < kMostSignals,
                 "preempt_signal is %d, expected a signal or 0", signal);
  MutexLock lock(install_mutex);
  if (installed[signal]) return;
  struct sigaction action = {};
  action.sa_sigaction = &OnSignal;
  // On the alternate stack, for threads that have one may have no room.
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  // First, for the handler may run as soon as it is there.
  int error = sigaction(signal, nullptr, &handlers_before[signal]);
  if (error == 0) error = sigaction(signal, &action, nullptr);
  TRICOLOR_CHECK(error == 0, "preempt_signal is %d, which the system refuses",
                 signal);
  installed[signal] = true;
}

void LockPreemptHandlersForFork() { install_mutex.LockForFork(); }
void UnlockPreemptHandlersAfterFork() { install_mutex.UnlockAfterFork(); }

void SendPreemptSignal(pthread_t thread, int signal) {
  sigval value = {};
  value.sival_ptr = &tag;
  pthread_sigqueue(thread, signal, value);
}

void FutexWait(const void* word, uint32_t value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void FutexWakeAll(const void* word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
}

}  // namespace tricolor::runtime
