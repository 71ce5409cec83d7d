// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/fuzzing.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <string_view>

#include "tricolor/base/check.h"

namespace tricolor {
namespace {

std::atomic<const FuzzProgram*> running{nullptr};

void Write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

// Once, for one failure may bring another about: first a check, then what
// ThreadSanitizer has to say of libFuzzer's handler of the signal.
void PrintRunning() {
  if (const FuzzProgram* program = running.exchange(nullptr)) {
    Write("The operations so far, for a test:\n");
    program->Print();
  }
}

}  // namespace

FuzzProgram::FuzzProgram(std::string_view declaration, std::string_view name)
    : name_(name) {
  if (!declaration.empty()) text_ = "  " + std::string(declaration) + "\n";
  TRICOLOR_CHECK(running.exchange(this) == nullptr,
                 "two fuzz programs at a time");
  SetFatalHook([](const char*) { PrintRunning(); });
}

FuzzProgram::~FuzzProgram() {
  SetFatalHook(nullptr);
  running = nullptr;
}

// Octal escapes end after three digits, whatever follows.
std::string FuzzProgram::Quote(std::string_view text) {
  std::string quoted = "std::string_view(\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      (quoted += '\\') += c;
    } else if (c >= ' ' && c <= '~' && c != '?') {
      quoted += c;
    } else {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\%03o",
                    static_cast<unsigned>(static_cast<unsigned char>(c)));
      quoted += escape;
    }
  }
  return quoted + "\", " + std::to_string(text.size()) + ")";
}

void FuzzProgram::NoteNumber(uint32_t number) {
  if (!open_) return;
  if (!text_.ends_with("{")) text_ += ", ";
  text_ += std::to_string(number);
}

void FuzzProgram::Print() const {
  Write(text_);
  if (open_) Write(kEnd);
}

void FuzzProgram::NoteEnd() {
  text_ = text();
  open_ = false;
}

std::string FuzzProgram::Call(const char* operation) const {
  return "  " + name_ + (name_.empty() ? "" : ".") + operation + "(";
}

void FuzzProgram::NoteCall(const char* operation,
                           const std::string& arguments) {
  text_ += Call(operation) + arguments + ");\n";
}

}  // namespace tricolor

// The sanitizers report without our FatalHook, and let this be redefined, which
// they call last in a report. (Their death callback is libFuzzer's: it saves
// the input.)
extern "C" void __sanitizer_report_error_summary(const char* summary);
extern "C" void __sanitizer_report_error_summary(const char* summary) {
  tricolor::Write(summary);
  tricolor::Write("\n");
  tricolor::PrintRunning();
}

// libFuzzer's handlers of deadly signals allocate.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() {
  return "report_signal_unsafe=0";
}
