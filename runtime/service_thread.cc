// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/service_thread.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <cstdint>

#include "tricolor/base/check.h"

namespace tricolor::runtime {
namespace {

uint64_t Read(clockid_t clock) {
  timespec t = {};
  clock_gettime(clock, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 +
         static_cast<uint64_t>(t.tv_nsec);
}

}  // namespace

ServiceThread::~ServiceThread() {
  TRICOLOR_CHECK(!started_, "service thread %p destroyed while it runs",
                 static_cast<void*>(this));
}

bool ServiceThread::Start(const char* name, Body body, void* argument) {
  TRICOLOR_CHECK(!started_, "service thread %p started twice",
                 static_cast<void*>(this));
  body_ = body;
  argument_ = argument;
  // The new thread inherits the mask: it never sees a signal unblocked, but for
  // those that its own faults raise, and the profiler's.
  sigset_t blocked;
  sigset_t before;
  sigfillset(&blocked);
  constexpr int kOwn[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                          SIGTRAP, SIGABRT, SIGPROF};
  for (const int own : kOwn) {
    sigdelset(&blocked, own);
  }
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  scheduled_.Make();
  started_ = pthread_create(&thread_, nullptr, &Run, this) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (started_) pthread_setname_np(thread_, name);
  return started_;
}

void* ServiceThread::Run(void* self) {
  auto* thread = static_cast<ServiceThread*>(self);
  thread->scheduled_.Begin();
  thread->body_(thread->argument_);
  thread->scheduled_.End();
  return nullptr;
}

void ServiceThread::Join() {
  if (!started_) return;
  scheduled_.AwaitEnd();
  pthread_join(thread_, nullptr);
  started_ = false;
}

bool ServiceThread::ForgetAfterFork() {
  if (!started_ || pthread_equal(thread_, pthread_self()) != 0) return false;
  started_ = false;
  return true;
}

uint64_t SteadyNanoseconds() { return Read(CLOCK_MONOTONIC); }
uint64_t ThreadCpuNanoseconds() { return Read(CLOCK_THREAD_CPUTIME_ID); }
uint64_t UnixNanoseconds() { return Read(CLOCK_REALTIME); }

}  // namespace tricolor::runtime
