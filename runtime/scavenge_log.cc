// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/scavenge_log.h"

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <string>

namespace tricolor::runtime {

std::string FormatScavenge(const ScavengeRecord& r) {
  const uint64_t percent = r.ready == 0 ? 100 : r.in_use * 100 / r.ready;
  char line[160];
  std::snprintf(line, sizeof line,
                "scav %" PRIu64 " KiB work (bg), %" PRIu64
                " KiB work (eager), %" PRIu64 " KiB now, %" PRIu64 "%% util%s",
                r.background >> 10, r.eager >> 10, r.ready >> 10, percent,
                r.forced ? " (forced)" : "");
  return line;
}

void ScavengeLog::Print(bool forced) {
  ScavengeRecord record;
  {
    MutexLock lock(mutex_);
    const mheap::ScavengeTotals totals = heap_.scavenge_totals();
    const uint64_t eager = (totals.assist + totals.forced).value();
    record.background = totals.background.value() - background_;
    record.eager = eager - eager_;
    background_ = totals.background.value();
    eager_ = eager;
  }
  if (record.background == 0 && record.eager == 0) return;
  const mheap::HeapStats stats = heap_.ReadStats();
  record.ready = heap_.ready().value();
  record.in_use =
      static_cast<uint64_t>(stats.heap_span_bytes + stats.manual_span_bytes);
  record.forced = forced;
  const std::string line = FormatScavenge(record) + "\n";
  std::fputs(line.c_str(), stderr);
}

}  // namespace tricolor::runtime
