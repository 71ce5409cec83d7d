// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/gc_log.h"

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <string>

namespace tricolor::runtime {
namespace {

uint64_t Megabytes(uint64_t bytes) {
  constexpr uint64_t kHalf = uint64_t{1} << 19;
  return (bytes >> 20) + ((bytes & (2 * kHalf - 1)) >= kHalf ? 1 : 0);
}

double Milliseconds(uint64_t ns) { return static_cast<double>(ns) / 1e6; }

double ExactMegabytes(uint64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

std::string Goal(uint64_t goal) {
  return goal == UINT64_MAX ? "no" : std::to_string(Megabytes(goal)) + " MB";
}

}  // namespace

std::string FormatCycle(const CycleRecord& r) {
  const uint64_t percent =
      r.machine_time == 0 ? 0 : r.total_cpu * 100 / r.machine_time;
  char stops[64];
  if (r.first_stop == 0) {
    std::snprintf(stops, sizeof stops, "%.2f ms stop", Milliseconds(r.stop));
  } else {
    std::snprintf(stops, sizeof stops, "%.2f+%.2f ms stops",
                  Milliseconds(r.first_stop), Milliseconds(r.stop));
  }
  char line[256];
  std::snprintf(line, sizeof line,
                "gc %" PRIu64 " @%.3fs %" PRIu64 "%%: %s, %" PRIu64 "->%" PRIu64
                "->%" PRIu64 " MB, %s goal, %" PRIu64 " objects, %d thread%s%s",
                r.number, static_cast<double>(r.since_start) / 1e9, percent,
                stops, Megabytes(r.heap_at_trigger), Megabytes(r.heap_at_stop),
                Megabytes(r.mark.marked_bytes), Goal(r.goal).c_str(),
                r.mark.marked_objects, r.workers, r.workers == 1 ? "" : "s",
                r.forced ? " (forced)" : "");
  return line;
}

std::string FormatPace(const CycleRecord& r) {
  char line[256];
  std::snprintf(line, sizeof line,
                "pacer %" PRIu64
                ": %.2f MB (%s goal), %.2f MB scanned, %.0f%% used, cons/mark "
                "%.3g, next goal %s",
                r.number, ExactMegabytes(r.pace.live),
                Goal(r.pace.goal).c_str(), ExactMegabytes(r.pace.work),
                r.pace.utilization * 100, r.pace.cons_mark,
                Goal(r.goal).c_str());
  return line;
}

std::string FormatRefusal(uint64_t since_start, uint64_t heap, bool forced) {
  char line[128];
  std::snprintf(line, sizeof line,
                "gc refused: no memory for mark bits @%.3fs, %" PRIu64 " MB%s",
                static_cast<double>(since_start) / 1e9, Megabytes(heap),
                forced ? " (forced)" : "");
  return line;
}

}  // namespace tricolor::runtime
