// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The system's calls that wait or tell the time, for all of a test's program:
// to a thread that is scheduled they are what the scheduler says, to all others
// what they always are. The program's own definitions come before the C
// library's.

#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "tricolor/base/schedule_hooks.h"

namespace {

constexpr int64_t kSecond = 1'000'000'000;

}  // namespace

extern "C" {

// What one schedule has freed the next one gets: else no two schedules have
// anything at the same address (schedule_runner.h, Conflicts).
const char* __asan_default_options();
const char* __asan_default_options() {
  return "quarantine_size_mb=0:thread_local_quarantine_size_kb=0";
}

int sched_yield() noexcept {
  if (tricolor::schedule::hooks == nullptr) {
    return static_cast<int>(syscall(SYS_sched_yield));
  }
  tricolor::schedule::hooks->Yield();
  return 0;
}

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  if (tricolor::schedule::hooks == nullptr) {
    return static_cast<int>(syscall(SYS_clock_gettime, clock, time));
  }
  const int64_t now = tricolor::schedule::hooks->Now();
  time->tv_sec = now / kSecond;
  time->tv_nsec = now % kSecond;
  return 0;
}

// A nap is a wait for what nobody signals.
int nanosleep(const timespec* time, timespec* left) {
  if (tricolor::schedule::hooks == nullptr) {
    return static_cast<int>(syscall(SYS_nanosleep, time, left));
  }
  tricolor::schedule::hooks->Block(time,
                                   time->tv_sec * kSecond + time->tv_nsec);
  return 0;
}

}  // extern "C"
