// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include <memory>

#include "benchmark/benchmark.h"
#include "tricolor/base/lf_stack.h"

namespace tricolor {
namespace {

struct alignas(LfStack::kNodeAlignment) Node : LfNode {};

// One round: a pop and a push by each thread, on one stack.
void BM_PopAndPush(benchmark::State& state) {
  static LfStack stack;
  static std::unique_ptr<Node[]> nodes;
  if (state.thread_index() == 0) {
    nodes = std::make_unique<Node[]>(64);
    stack.Reset();
    for (size_t i = 0; i < 64; ++i) stack.Push(&nodes[i]);
  }
  for (auto _ : state) {
    LfNode* node = stack.Pop();
    benchmark::DoNotOptimize(node);
    stack.Push(node);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_PopAndPush)->ThreadRange(1, 4)->UseRealTime();

}  // namespace
}  // namespace tricolor
