// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/examples/depgraph/report.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_format.h"

namespace depgraph {
namespace {

// "12.3 MB"
std::string Megabytes(uint64_t bytes) {
  return absl::StrFormat("%.1f MB", static_cast<double>(bytes) / 1e6);
}

// "0.123 ms"
std::string Milliseconds(uint64_t nanoseconds) {
  return absl::StrFormat("%.3f ms", static_cast<double>(nanoseconds) / 1e6);
}

// The first names on lines of some 80 columns, then how many are left out.
void PrintNames(const std::set<std::string>& names, size_t top) {
  constexpr size_t kWidth = 76;
  std::string line;
  size_t shown = 0;
  for (const std::string& name : names) {
    if (shown == top) break;
    if (!line.empty() && line.size() + name.size() > kWidth) {
      absl::PrintF("   %s\n", line);
      line.clear();
    }
    line += " " + name;
    ++shown;
  }
  if (shown < names.size()) {
    line += absl::StrFormat(" ... and %d more", names.size() - shown);
  }
  if (!line.empty()) absl::PrintF("   %s\n", line);
}

}  // namespace

void PrintGraph(const Graph& graph) {
  absl::PrintF(
      "%d packages, %d names (%d of them virtual), %d dependencies (%d with "
      "alternatives), %d edges\n",
      graph.packages.size, graph.names.size, graph.CountVirtualNames(),
      graph.dependencies.size, graph.CountWithAlternatives(),
      graph.CountEdges());
  std::fflush(stdout);
}

void PrintRound(int round, int rounds, uint64_t questions,
                const tricolor::MemStats& stats) {
  absl::PrintF(
      "round %d of %d: %d questions answered, %d collections, %s live, %s "
      "from the system\n",
      round, rounds, questions, stats.num_gc,
      Megabytes(stats.last_gc_heap_after),
      Megabytes(stats.sys - stats.heap_released));
  std::fflush(stdout);
}

void PrintCycles(const std::set<std::set<std::string>>& cycles, size_t top) {
  absl::PrintF("\nCycles: %d groups of packages that all need each other\n",
               cycles.size());
  std::vector<const std::set<std::string>*> by_size;
  for (const auto& cycle : cycles) by_size.push_back(&cycle);
  std::sort(by_size.begin(), by_size.end(), [](const auto* a, const auto* b) {
    return a->size() != b->size() ? a->size() > b->size() : *a < *b;
  });
  for (size_t i = 0; i < std::min(top, by_size.size()); ++i) {
    absl::PrintF("%6d packages\n", by_size[i]->size());
    PrintNames(*by_size[i], top);
  }
}

void PrintClosures(const std::vector<Row>& rows) {
  absl::PrintF("\nMost needed: others that depend on a package in the end\n");
  for (const Row& row : rows) {
    absl::PrintF("%6d  %s\n", row.count, row.name);
  }
}

void PrintBroken(const std::string& without,
                 const std::set<std::string>& broken, size_t top) {
  absl::PrintF("\nWithout %s: %d packages would break\n", without,
               broken.size());
  PrintNames(broken, top);
}

void PrintCollector(const tricolor::MemStats& stats) {
  const auto row = [](const char* what, const std::string& value) {
    absl::PrintF("  %-30s %12s\n", what, value);
  };
  absl::PrintF("\nCollector\n");
  row("cycles", absl::StrFormat("%d", stats.num_gc));
  row("stops", absl::StrFormat("%d", stats.pauses.total()));
  row("from request to go, half in", Milliseconds(stats.pauses.Quantile(0.5)));
  row("99 % in", Milliseconds(stats.pauses.Quantile(0.99)));
  row("longest", Milliseconds(stats.pause_max_ns));
  row("all threads stopped, half in",
      Milliseconds(stats.stopped.Quantile(0.5)));
  row("longest", Milliseconds(stats.stopped.Quantile(1)));
  row("heap before the last cycle", Megabytes(stats.last_gc_heap_before));
  row("heap after the last cycle", Megabytes(stats.last_gc_heap_after));
  row("allocated in all", Megabytes(stats.total_alloc));
  row("objects allocated in all", absl::StrFormat("%d", stats.mallocs));
  row("memory from the system", Megabytes(stats.sys - stats.heap_released));
}

}  // namespace depgraph
