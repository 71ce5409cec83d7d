// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/debug_settings.h"

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace tricolor::runtime {
namespace {

struct Switch {
  std::string_view name;
  bool DebugSettings::*value;
};
constexpr Switch kSwitches[] = {
    {"gctrace", &DebugSettings::gctrace},
    {"scavtrace", &DebugSettings::scavtrace},
    {"checkcleanups", &DebugSettings::checkcleanups},
    {"gccheckmark", &DebugSettings::gccheckmark},
    {"gcpacertrace", &DebugSettings::gcpacertrace},
    {"gcstoptheworld", &DebugSettings::gcstoptheworld},
    {"clobberfree", &DebugSettings::clobberfree},
};

struct Number {
  std::string_view name;
  uint32_t DebugSettings::*value;
};
constexpr Number kNumbers[] = {
    {"zeal", &DebugSettings::zeal},
};

// All of `text`, in decimal.
bool ParseNumber(std::string_view text, uint32_t& number) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end;
}

bool ParseOne(std::string_view part, DebugSettings& settings) {
  const size_t equals = part.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = part.substr(0, equals);
  uint32_t value = 0;
  if (!ParseNumber(part.substr(equals + 1), value)) return false;
  for (const Number& n : kNumbers) {
    if (name != n.name) continue;
    settings.*n.value = value;
    return true;
  }
  if (value > 1) return false;
  for (const Switch& s : kSwitches) {
    if (name != s.name) continue;
    settings.*s.value = value == 1;
    return true;
  }
  return false;
}

}  // namespace

DebugSettings ParseDebugSettings(std::string_view text) {
  DebugSettings settings;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size()
                                                       : comma + 1);
    if (part.empty() || ParseOne(part, settings)) continue;
    std::fprintf(stderr,
                 "tricolor: TRICOLOR_DEBUG: \"%.*s\" is ignored (known: "
                 "gctrace, scavtrace, checkcleanups, gccheckmark, "
                 "gcpacertrace, gcstoptheworld, clobberfree: 0 or 1; zeal: a "
                 "number)\n",
                 static_cast<int>(part.size()), part.data());
  }
  return settings;
}

DebugSettings DebugSettingsFrom(const char* text) {
  if (text == nullptr) text = std::getenv("TRICOLOR_DEBUG");
  return text == nullptr ? DebugSettings() : ParseDebugSettings(text);
}

}  // namespace tricolor::runtime
