// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The switches of the environment variable TRICOLOR_DEBUG, as in
// "gctrace=1,zeal=10,other=0". Go counterpart: GODEBUG. A plain value.

#ifndef TRICOLOR_RUNTIME_DEBUG_SETTINGS_H_
#define TRICOLOR_RUNTIME_DEBUG_SETTINGS_H_

#include <cstdint>
#include <string_view>

namespace tricolor::runtime {

struct DebugSettings {
  bool gctrace = false;    // one line a collection on stderr
  bool scavtrace = false;  // lines when memory is given back to the OS
  // Callables of cleanups and finalizers that lead to their own object are
  // fatal: looked for when they are added, and at each collection. Slow.
  bool checkcleanups = false;
  bool gccheckmark = false;     // a second marker checks each collection
  bool gcpacertrace = false;    // one line a collection on its pacing
  bool gcstoptheworld = false;  // the program does not run while one marks
  bool clobberfree = false;     // the sweeper overwrites dead objects
  // Of so many slow allocations one collects before it. 0: none.
  uint32_t zeal = 0;
};

// Each part that is not understood is reported on stderr in one line, and
// ignored.
DebugSettings ParseDebugSettings(std::string_view text);
// Those of `text`, or of the environment if it is null.
DebugSettings DebugSettingsFrom(const char* text);

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_DEBUG_SETTINGS_H_
