// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A thread of the heap's own: all signals blocked, named for debuggers, made
// with no exception when the system refuses. Also the clocks that such threads
// are measured by. Thread-compatible.

#ifndef TRICOLOR_RUNTIME_SERVICE_THREAD_H_
#define TRICOLOR_RUNTIME_SERVICE_THREAD_H_

#include <pthread.h>

#include <cstdint>

#include "tricolor/base/scheduled_thread.h"

namespace tricolor::runtime {

class ServiceThread {
 public:
  using Body = void (*)(void* argument);

  ServiceThread() = default;
  // Fatal unless joined or never started.
  ~ServiceThread();
  ServiceThread(const ServiceThread&) = delete;
  ServiceThread& operator=(const ServiceThread&) = delete;

  // Runs body(argument) on a new thread. `name` has at most 15 characters.
  // False when the system has no more threads.
  [[nodiscard]] bool Start(const char* name, Body body, void* argument);
  // Waits for the body to return; nothing if it was not started.
  void Join();
  bool started() const { return started_; }
  // In a child of fork(): the thread is gone, unless it is the one that forked.
  // Whether it was there and is gone; then it may be started again.
  bool ForgetAfterFork();

 private:
  static void* Run(void* self);

  Body body_ = nullptr;
  void* argument_ = nullptr;
  pthread_t thread_ = {};
  bool started_ = false;
  schedule::ScheduledThread scheduled_;
};

// Nanoseconds: of the steady clock, of the CPU time of the calling thread, and
// since 1970.
uint64_t SteadyNanoseconds();
uint64_t ThreadCpuNanoseconds();
uint64_t UnixNanoseconds();

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_SERVICE_THREAD_H_
