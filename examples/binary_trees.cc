// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// binary_trees [--threads=T] N: the Benchmarks Game's program, which builds and
// drops perfect binary trees of depths up to N, in a Tricolor heap.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "tricolor/runtime/heap.h"

ABSL_FLAG(int, threads, 1, "threads that build the trees");

namespace {

using tricolor::Heap;
using tricolor::Mutator;
using tricolor::Ptr;
using tricolor::Root;

constexpr int kMinDepth = 4;
constexpr int kMaxDepth = 30;

struct Node {
  TRICOLOR_TRACE(Node, left, right);

  Ptr<Node> left;
  Ptr<Node> right;
};

Node* Build(Mutator& mutator, int depth) {
  Node* node = mutator.New<Node>();
  if (node == nullptr) {
    std::fprintf(stderr, "binary_trees: out of memory\n");
    std::exit(1);
  }
  if (depth > 0) {
    node->left = Build(mutator, depth - 1);
    node->right = Build(mutator, depth - 1);
  }
  return node;
}

int64_t Check(const Node* node) {
  const Node* const left = node->left;
  return left == nullptr ? 1 : 1 + Check(left) + Check(node->right);
}

std::string BuildMany(Mutator& mutator, int depth, int max_depth) {
  const int64_t trees = int64_t{1} << (max_depth - depth + kMinDepth);
  int64_t check = 0;
  for (int64_t i = 0; i < trees; ++i) check += Check(Build(mutator, depth));
  return absl::StrFormat("%d\t trees of depth %d\t check: %d\n", trees, depth,
                         check);
}

void Run(int n, int threads) {
  const int max_depth = std::max(kMinDepth + 2, n);
  Heap heap;
  Mutator mutator(heap);
  std::printf("stretch tree of depth %d\t check: %lld\n", max_depth + 1,
              static_cast<long long>(Check(Build(mutator, max_depth + 1))));
  const Root<Node> long_lived(Build(mutator, max_depth));

  // A line of output for each depth; the threads take the depths in turn.
  std::vector<std::string> lines(
      static_cast<size_t>((max_depth - kMinDepth) / 2 + 1));
  std::atomic<size_t> next_line{0};
  const auto work = [&](Mutator& own) {
    for (size_t i; (i = next_line.fetch_add(1)) < lines.size();) {
      const int depth = kMinDepth + 2 * static_cast<int>(i);
      lines[i] = BuildMany(own, depth, max_depth);
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) {
    others.emplace_back([&] {
      Mutator own(heap);
      work(own);
    });
  }
  work(mutator);
  {
    const Mutator::NativeScope native(mutator);
    for (std::thread& t : others) t.join();
  }
  for (const std::string& line : lines) std::fputs(line.c_str(), stdout);
  std::printf("long lived tree of depth %d\t check: %lld\n", max_depth,
              static_cast<long long>(Check(long_lived.get())));
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("binary_trees [--threads=T] [N]");
  const std::vector<char*> args = absl::ParseCommandLine(argc, argv);
  int n = 10;
  const int threads = absl::GetFlag(FLAGS_threads);
  if (args.size() > 2 || (args.size() == 2 && !absl::SimpleAtoi(args[1], &n)) ||
      n < 0 || n > kMaxDepth || threads < 1) {
    std::fprintf(stderr,
                 "binary_trees: takes a depth from 0 to %d and --threads=T, T "
                 ">= 1\n",
                 kMaxDepth);
    return 1;
  }
  Run(n, threads);
  return 0;
}
