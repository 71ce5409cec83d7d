// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Fatal reports: misuse and corruption stop the program with one line on
// standard error, `tricolor: fatal: <what was found, where, in which state>`.
// Nothing here allocates, throws, or takes a lock, so that a report is safe
// under any lock and with a corrupt heap.
//
// Go counterpart: throw() in runtime/panic.go. Thread-safe.

#ifndef TRICOLOR_BASE_CHECK_H_
#define TRICOLOR_BASE_CHECK_H_

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"

namespace tricolor {

// Called with the complete one-line message before the process aborts, for
// embedders who log or dump. It runs on the failing thread, may be called
// under any lock of the heap, and must not call into the heap. If it returns,
// the process aborts. Returns the previous hook; null means none.
using FatalHook = void (*)(const char* message);
FatalHook SetFatalHook(FatalHook hook);

// Reports and aborts. printf-style; the message is one line, is cut at 1000
// bytes, and needs no trailing newline.
[[noreturn]] ABSL_ATTRIBUTE_NOINLINE ABSL_ATTRIBUTE_COLD void Fatal(
    const char* format, ...) ABSL_PRINTF_ATTRIBUTE(1, 2);

}  // namespace tricolor

// TRICOLOR_CHECK(condition, format, ...): checked in every build.
#define TRICOLOR_CHECK(condition, ...)                 \
  (ABSL_PREDICT_TRUE(condition) ? static_cast<void>(0) \
                                : ::tricolor::Fatal(__VA_ARGS__))

// TRICOLOR_DCHECK: checked unless NDEBUG is defined; otherwise the condition
// is compiled but not evaluated.
#ifdef NDEBUG
#define TRICOLOR_DCHECK(condition, ...) \
  (true || (condition) ? static_cast<void>(0) : ::tricolor::Fatal(__VA_ARGS__))
#else
#define TRICOLOR_DCHECK(condition, ...) TRICOLOR_CHECK(condition, __VA_ARGS__)
#endif

#endif  // TRICOLOR_BASE_CHECK_H_
