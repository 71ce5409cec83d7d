// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/check.h"

#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tricolor/base/atomic.h"
#include "tricolor/base/schedule_hooks.h"

namespace tricolor {
namespace {

constexpr char kPrefix[] = "tricolor: fatal: ";
constexpr size_t kPrefixSize = sizeof(kPrefix) - 1;
constexpr size_t kMaxMessage = 1000;

// How long a thread that fails while another one's hook runs waits for that
// hook before it ends the process.
constexpr unsigned kHookPatienceSeconds = 5;

// Release on exchange, acquire on load in Fatal: what the embedder prepared
// for its hook is visible to the hook.
constinit Atomic<FatalHook> fatal_hook{nullptr};

// Set by the first thread that fails; only that one runs the hook.
constinit Atomic<bool> someone_failed{false};

// This thread is inside Fatal: a second failure comes from the hook itself.
constinit thread_local bool failing = false;

// One write(2) a report, so that reports of several threads do not mix;
// repeated only when the kernel took part of the line.
void WriteLine(const char* line, size_t size) {
  while (size > 0) {
    const ssize_t written = write(STDERR_FILENO, line, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      return;
    }
    line += written;
    size -= static_cast<size_t>(written);
  }
}

// Formats into `line` (terminated by "\n\0") and returns the length without
// the newline. Control characters become spaces: a report is one line.
ABSL_PRINTF_ATTRIBUTE(2, 0)
size_t FormatLine(char* line, const char* format, va_list args) {
  std::memcpy(line, kPrefix, kPrefixSize);
  const int wanted =
      std::vsnprintf(line + kPrefixSize, kMaxMessage + 1, format, args);
  size_t length = wanted < 0 ? 0 : static_cast<size_t>(wanted);
  if (length > kMaxMessage) length = kMaxMessage;
  for (size_t i = kPrefixSize; i < kPrefixSize + length; ++i) {
    if (static_cast<unsigned char>(line[i]) < ' ') line[i] = ' ';
  }
  length += kPrefixSize;
  line[length] = '\n';
  line[length + 1] = '\0';
  return length;
}

// Runs the hook unless a hook is running already.
void RunHookOnce(const char* message, bool recursive) {
  if (recursive) return;
  if (someone_failed.ExchangeAcqRel(true)) {
    sleep(kHookPatienceSeconds);
    return;
  }
  if (const FatalHook hook = fatal_hook.LoadAcquire()) hook(message);
}

}  // namespace

FatalHook SetFatalHook(FatalHook hook) {
  return fatal_hook.ExchangeAcqRel(hook);
}

void Fatal(const char* format, ...) {
  const bool recursive = failing;
  failing = true;
  schedule::hooks = nullptr;  // nothing runs before the report
  char line[kPrefixSize + kMaxMessage + 2];
  va_list args;
  va_start(args, format);
  const size_t length = FormatLine(line, format, args);
  va_end(args);
  WriteLine(line, length + 1);
  line[length] = '\0';
  RunHookOnce(line, recursive);
  std::abort();
}

}  // namespace tricolor
