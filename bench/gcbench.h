// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The shape of GCBench (Ellis, Kovac and Boehm, 1997): binary trees of all
// sizes, built from the root down and from the leaves up, that live for a short
// time beside a tree and an array that live for long. SIZE is the depth of the
// largest tree, 18 in the original; written anew over a Backend of workloads.h.

#ifndef TRICOLOR_BENCH_GCBENCH_H_
#define TRICOLOR_BENCH_GCBENCH_H_

#include <cstdint>
#include <cstdlib>

#include "workloads_base.h"

namespace bench {

template <typename Backend>
struct BenchNode {
  TRICOLOR_TRACE(BenchNode, left, right);
  typename Backend::template Field<BenchNode> left, right;
  int32_t i, j;
};

template <typename Backend>
class GcBench {
 public:
  GcBench(Backend& backend, int depth) : backend_(backend), depth_(depth) {}

  void Run() {
    Drop(BottomUp(depth_));  // makes the heap as large as it will be
    typename Backend::template Keep<Node> long_lived(
        backend_.template New<Node>());
    Populate(long_lived, depth_ - 2);
    typename Backend::template Keep<double> array(
        backend_.template NewArray<double>(kArray));
    for (size_t i = 1; i < kArray / 2; ++i) {
      static_cast<double*>(array)[i] = 1.0 / static_cast<double>(i);
    }
    for (int depth = 4; depth <= depth_ - 2; depth += 2) {
      for (int64_t n = Iterations(depth); n > 0; --n) {
        typename Backend::template Keep<Node> root(
            backend_.template New<Node>());
        Populate(root, depth);
        Drop(root);
        Drop(BottomUp(depth));
      }
    }
    if (static_cast<double*>(array)[1000] != 1.0 / 1000) std::abort();
    Drop(long_lived);
  }

 private:
  using Node = BenchNode<Backend>;
  static constexpr size_t kArray = 500000;

  static constexpr int64_t Nodes(int depth) {
    return (int64_t{1} << (depth + 1)) - 1;
  }
  // So that trees of each depth take as much memory together.
  int64_t Iterations(int depth) const {
    return 2 * Nodes(depth_) / Nodes(depth);
  }
  Node* BottomUp(int depth) {
    if (depth <= 0) return backend_.template New<Node>();
    Node* const left = BottomUp(depth - 1);
    typename Backend::template Keep<Node> left_stays(left);
    Node* const right = BottomUp(depth - 1);
    typename Backend::template Keep<Node> right_stays(right);
    auto* const node = backend_.template New<Node>();
    node->left = left;
    node->right = right;
    return node;
  }
  void Populate(Node* node, int depth) {
    if (depth <= 0) return;
    node->left = backend_.template New<Node>();
    node->right = backend_.template New<Node>();
    Populate(node->left, depth - 1);
    Populate(node->right, depth - 1);
  }
  // Where memory is freed by hand.
  void Drop(Node* node) {
    if constexpr (!Backend::kCollects) {
      if (node == nullptr) return;
      Drop(node->left);
      Drop(node->right);
      backend_.Free(node);
    }
  }

  Backend& backend_;
  const int depth_;
};

template <typename Backend>
void RunGcBench(Backend& backend, int depth) {
  const double wall = WallSeconds();
  const double cpu = CpuSeconds();
  GcBench<Backend>(backend, depth).Run();
  Print("gcbench-cpu-s", CpuSeconds() - cpu);
  Print("gcbench-wall-s", WallSeconds() - wall);
  Print("gcbench-peak-MB", PeakMegabytes());
}

}  // namespace bench

#endif  // TRICOLOR_BENCH_GCBENCH_H_
