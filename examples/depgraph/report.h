// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What depgraph prints, on standard output.

#ifndef TRICOLOR_EXAMPLES_DEPGRAPH_REPORT_H_
#define TRICOLOR_EXAMPLES_DEPGRAPH_REPORT_H_

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "tricolor/examples/depgraph/graph.h"
#include "tricolor/runtime/heap.h"

namespace depgraph {

struct Row {
  std::string name;
  uint64_t count;
};

void PrintGraph(const Graph& graph);
void PrintRound(int round, int rounds, uint64_t questions,
                const tricolor::MemStats& stats);
// The answers, with at most `top` rows each.
void PrintCycles(const std::set<std::set<std::string>>& cycles, size_t top);
void PrintClosures(const std::vector<Row>& rows);
void PrintBroken(const std::string& without,
                 const std::set<std::string>& broken, size_t top);
// What the collector did in all this.
void PrintCollector(const tricolor::MemStats& stats);

}  // namespace depgraph

#endif  // TRICOLOR_EXAMPLES_DEPGRAPH_REPORT_H_
