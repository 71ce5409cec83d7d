// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Any text as TRICOLOR_DEBUG, against a simpler reader of it.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "tricolor/base/check.h"
#include "tricolor/base/fuzzing.h"
#include "tricolor/runtime/debug_settings.h"

namespace tricolor::runtime {
namespace {

// What is not understood is reported there, at length.
class SilencedStderr {
 public:
  SilencedStderr() : saved_(dup(2)) {
    const int null = open("/dev/null", O_WRONLY);
    if (null < 0) return;
    dup2(null, 2);
    close(null);
  }
  ~SilencedStderr() {
    dup2(saved_, 2);
    close(saved_);
  }
  SilencedStderr(const SilencedStderr&) = delete;
  SilencedStderr& operator=(const SilencedStderr&) = delete;

 private:
  const int saved_;
};

// A number of at most 32 bits, which may begin with zeros; -1: it is none.
int64_t NumberIn(const std::string& text) {
  int64_t number = text.empty() ? -1 : 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return -1;
    number = number * 10 + (c - '0');
    if (number > UINT32_MAX) return -1;
  }
  return number;
}

std::map<std::string, int64_t> Expected(const std::string& text) {
  std::map<std::string, int64_t> settings = {
      {"gctrace", 0},     {"scavtrace", 0},    {"checkcleanups", 0},
      {"gccheckmark", 0}, {"gcpacertrace", 0}, {"gcstoptheworld", 0},
      {"clobberfree", 0}, {"zeal", 0}};
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    begin = end + 1;
    const size_t equals = part.find('=');
    if (equals == std::string::npos) continue;
    const auto setting = settings.find(part.substr(0, equals));
    const int64_t value = NumberIn(part.substr(equals + 1));
    if (setting == settings.end() || value < 0) continue;
    if (value <= 1 || setting->first == "zeal") setting->second = value;
  }
  return settings;
}

void Check(const std::string& text) {
  DebugSettings s;
  {
    const SilencedStderr silenced;
    s = ParseDebugSettings(text);
  }
  const std::map<std::string, int64_t> found = {
      {"gctrace", s.gctrace},
      {"scavtrace", s.scavtrace},
      {"checkcleanups", s.checkcleanups},
      {"gccheckmark", s.gccheckmark},
      {"gcpacertrace", s.gcpacertrace},
      {"gcstoptheworld", s.gcstoptheworld},
      {"clobberfree", s.clobberfree},
      {"zeal", s.zeal}};
  for (const auto& [name, value] : Expected(text)) {
    TRICOLOR_CHECK(found.at(name) == value, "%s is %lld, not %lld",
                   name.c_str(), static_cast<long long>(found.at(name)),
                   static_cast<long long>(value));
  }
}

}  // namespace
}  // namespace tricolor::runtime

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  tricolor::FuzzProgram program("", "");
  program.Note("ParseDebugSettings", text);
  tricolor::runtime::Check(text);
  return 0;
}
