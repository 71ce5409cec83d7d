// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the tests of signals share.

#ifndef TRICOLOR_RUNTIME_SIGNAL_TESTING_H_
#define TRICOLOR_RUNTIME_SIGNAL_TESTING_H_

#include <signal.h>

#include <cstddef>
#include <memory>

#include "absl/base/config.h"
#include "tricolor/base/check.h"

namespace tricolor::runtime {

#ifdef ABSL_HAVE_THREAD_SANITIZER
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

// For the signals of the calling thread, as long as it lives.
class AlternateStack {
 public:
  AlternateStack() : memory_(new char[kBytes]) {
    stack_t stack = {};
    stack.ss_sp = memory_.get();
    stack.ss_size = kBytes;
    TRICOLOR_CHECK(sigaltstack(&stack, &before_) == 0,
                   "the system refuses an alternate stack");
  }
  ~AlternateStack() { sigaltstack(&before_, nullptr); }
  AlternateStack(const AlternateStack&) = delete;
  AlternateStack& operator=(const AlternateStack&) = delete;

 private:
  static constexpr size_t kBytes = 256 << 10;
  std::unique_ptr<char[]> memory_;
  stack_t before_ = {};
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_SIGNAL_TESTING_H_
