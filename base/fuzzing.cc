// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/fuzzing.h"

#include <cstdio>
#include <string>
#include <string_view>

#include "tricolor/base/check.h"

// Present under the sanitizers, which report without our FatalHook.
extern "C" [[gnu::weak]] void __sanitizer_set_death_callback(void (*)());

namespace tricolor {
namespace {

const FuzzProgram* running = nullptr;

void Print() {
  if (running == nullptr) return;
  std::fprintf(stderr, "The operations so far, for a test:\n%s",
               running->text().c_str());
}

}  // namespace

FuzzProgram::FuzzProgram(std::string_view declaration, std::string_view name)
    : name_(name) {
  if (!declaration.empty()) text_ = "  " + std::string(declaration) + "\n";
  TRICOLOR_CHECK(running == nullptr, "two fuzz programs at a time");
  running = this;
  SetFatalHook([](const char*) { Print(); });
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(Print);
  }
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
