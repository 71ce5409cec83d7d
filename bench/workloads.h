// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The workloads by which Tricolor is compared with other collectors and with
// malloc, written once over a Backend:
//
//   Backend::Field<T>      a pointer field of a heap object
//   backend.New<T>()       a new, zeroed T
//   backend.NewBytes(n)    n zeroed bytes without pointers
//   backend.NewArray<T>(n) n zeroed T
//   backend.Free(p)        where memory is freed by hand; else does nothing
//   backend.Collect()      a full collection
//   Backend::kCollects     whether that means anything
//   Backend::Thread        made on another thread from the backend: a backend
//                          there; void: none
//   backend.ForgetStops()  from now on stops of the world count,
//   backend.PrintStops()   which this prints, if it knows them
//   backend.Await(join)    calls join(), which waits for such threads
//   Backend::Keep<T>       a variable on the stack that keeps a T alive
//   TRICOLOR_TRACE(...)    a macro; it may stand for nothing
//
// Include the backend's headers first.
//
// Each workload prints lines of the form `figure value`; bench/compare.py puts
// them side by side.

#ifndef TRICOLOR_BENCH_WORKLOADS_H_
#define TRICOLOR_BENCH_WORKLOADS_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "gcbench.h"
#include "workloads_base.h"

namespace bench {

template <size_t n>
struct Block {
  TRICOLOR_TRACE(Block);
  char bytes[n];
};

// Objects that die at once: nanoseconds an object.
template <size_t size, typename Backend>
void AllocateSize(Backend& backend, double seconds) {
  const double begin = CpuSeconds();
  double end;
  uint64_t objects = 0;
  do {
    for (int i = 0; i < 100000; ++i) {
      auto* block = backend.template New<Block<size>>();
      Use(block);
      backend.Free(block);
    }
    objects += 100000;
    end = CpuSeconds();
  } while (end - begin < seconds);
  const std::string figure = "alloc-" + std::to_string(size) + "-ns";
  Print(figure.c_str(), (end - begin) / static_cast<double>(objects) * 1e9);
}

// Calls body(Size<n>()) for each of the sizes.
template <size_t n>
using Size = std::integral_constant<size_t, n>;
template <typename Body>
void ForEachSize(const Body& body) {
  body(Size<16>());
  body(Size<24>());
  body(Size<32>());
  body(Size<64>());
  body(Size<128>());
  body(Size<256>());
  body(Size<512>());
}

template <typename Backend>
void Allocate(Backend& backend, double seconds) {
  ForEachSize([&](auto size) { AllocateSize<size()>(backend, seconds); });
}

template <size_t size, typename Backend>
void AllocateMany(Backend& backend, uint64_t objects) {
  for (uint64_t i = 0; i < objects; ++i) {
    auto* block = backend.template New<Block<size>>();
    Use(block);
    backend.Free(block);
  }
}

// `objects` of the size in `workload`, alloc-SIZE, for a program that counts
// instructions from outside. False when there is no such size.
template <typename Backend>
bool AllocateObjects(Backend& backend, const std::string& workload,
                     uint64_t objects) {
  bool known = false;
  ForEachSize([&](auto size) {
    if (workload != "alloc-" + std::to_string(size())) return;
    AllocateMany<size()>(backend, objects);
    known = true;
  });
  return known;
}

struct Throughput {
  double wall, cpu;  // objects a second
};

// Objects of a size that die at once, on so many threads at the same time.
template <size_t size, typename Backend>
Throughput AllocateOn(int threads, Backend& backend, double seconds) {
  std::atomic<uint64_t> objects{0};
  std::vector<std::thread> running;
  const double begin = WallSeconds();
  const double cpu_begin = CpuSeconds();
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&] {
      typename Backend::Thread thread(backend);
      uint64_t own = 0;
      for (; WallSeconds() - begin < seconds; own += 10000) {
        AllocateMany<size>(thread, 10000);
      }
      objects += own;
    });
  }
  backend.Await([&] {
    for (std::thread& thread : running) thread.join();
  });
  const auto done = static_cast<double>(objects);
  return {.wall = done / (WallSeconds() - begin),
          .cpu = done / (CpuSeconds() - cpu_begin) * threads};
}

// The throughput of two threads divided by that of one: the median of pairs of
// short runs, for a virtual machine has two processors in one moment and little
// more than one in the next. By the wall clock, and by processor time: what two
// threads lose by sharing, but not by waiting.
template <size_t size, typename Backend>
void AllocateOnTwo(Backend& backend, double seconds) {
  constexpr int kPairs = 15;
  std::vector<double> one, two, wall, cpu;
  for (int i = 0; i < kPairs; ++i) {
    const Throughput of_one = AllocateOn<size>(1, backend, seconds / kPairs);
    const Throughput of_two = AllocateOn<size>(2, backend, seconds / kPairs);
    one.push_back(1e9 / of_one.wall);
    two.push_back(2e9 / of_two.wall);
    wall.push_back(of_two.wall / of_one.wall);
    cpu.push_back(of_two.cpu / of_one.cpu);
  }
  const std::string bytes = std::to_string(size);
  Print(("two-threads-" + bytes + "-ns").c_str(), Median(two));
  Print(("one-thread-" + bytes + "-ns").c_str(), Median(one));
  Print(("two-threads-" + bytes + "-wall").c_str(), Median(wall));
  Print(("two-threads-" + bytes + "-cpu").c_str(), Median(cpu));
}

template <typename Backend>
struct TreeNode {
  TRICOLOR_TRACE(TreeNode, left, right);
  typename Backend::template Field<TreeNode> left, right;
};

template <typename Backend>
TreeNode<Backend>* BuildTree(Backend& backend, int depth) {
  auto* node = backend.template New<TreeNode<Backend>>();
  if (depth > 0) {
    node->left = BuildTree(backend, depth - 1);
    node->right = BuildTree(backend, depth - 1);
  }
  return node;
}
template <typename Backend>
int64_t CountAndFree(Backend& backend, TreeNode<Backend>* node) {
  int64_t count = 1;
  if (node->left != nullptr) {
    count += CountAndFree<Backend>(backend, node->left);
    count += CountAndFree<Backend>(backend, node->right);
  }
  backend.Free(node);
  return count;
}

// The Benchmarks Game's binary trees without its output.
template <typename Backend>
void Trees(Backend& backend, int max_depth) {
  constexpr int kMinDepth = 4;
  const double wall = WallSeconds();
  const double cpu = CpuSeconds();
  int64_t check = CountAndFree(backend, BuildTree(backend, max_depth + 1));
  typename Backend::template Keep<TreeNode<Backend>> long_lived(
      BuildTree(backend, max_depth));
  for (int depth = kMinDepth; depth <= max_depth; depth += 2) {
    for (int64_t i = int64_t{1} << (max_depth - depth + kMinDepth); i > 0;
         --i) {
      check += CountAndFree(backend, BuildTree(backend, depth));
    }
  }
  check += CountAndFree<Backend>(backend, long_lived);
  if (check == 0) std::abort();
  Print("trees-cpu-s", CpuSeconds() - cpu);
  Print("trees-wall-s", WallSeconds() - wall);
  Print("trees-peak-MB", PeakMegabytes());
}

// A million live objects of 16 to 512 bytes, of which a random one is replaced:
// nanoseconds a step.
template <typename Backend>
void Churn(Backend& backend, int steps) {
  constexpr uint32_t kLive = 1000000;
  using Field = typename Backend::template Field<char>;
  Random random(1);
  typename Backend::template Keep<Field> live(
      backend.template NewArray<Field>(kLive));
  const auto replace = [&](uint32_t i) {
    Field& field = static_cast<Field*>(live)[i];
    char* const old = field;
    char* const fresh = backend.NewBytes(16 + random.Below(497));
    *fresh = 1;
    field = fresh;
    if (old != nullptr) backend.Free(old);
  };
  for (uint32_t i = 0; i < kLive; ++i) replace(i);
  // The kernel's work for new memory is over when the heap has its full size.
  for (uint32_t i = 0; i < 2 * kLive; ++i) replace(random.Below(kLive));
  const double cpu = CpuSeconds();
  for (int i = 0; i < steps; ++i) replace(random.Below(kLive));
  Print("churn-cpu-ns", (CpuSeconds() - cpu) / steps * 1e9);
  Print("churn-peak-MB", PeakMegabytes());
}

// The quickest of three collections, in milliseconds.
template <typename Backend>
void TimeCollection(Backend& backend, const char* figure) {
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    const double begin = WallSeconds();
    backend.Collect();
    best = std::min(best, (WallSeconds() - begin) * 1e3);
  }
  Print(figure, best);
}

template <typename Backend>
struct GraphNode {
  TRICOLOR_TRACE(GraphNode, edges);
  typename Backend::template Field<GraphNode> edges[4];
  uint64_t data[4];
};

// A full collection of a graph of 64-byte nodes with 4 random pointers each.
template <typename Backend>
void MarkGraph(Backend& backend, uint32_t nodes) {
  using Node = GraphNode<Backend>;
  using Field = typename Backend::template Field<Node>;
  Random random(2);
  typename Backend::template Keep<Field> all(
      backend.template NewArray<Field>(nodes));
  Field* const index = all;
  for (uint32_t i = 0; i < nodes; ++i) {
    index[i] = backend.template New<Node>();
  }
  for (uint32_t i = 0; i < nodes; ++i) {
    for (auto& edge : index[i]->edges) edge = index[random.Below(nodes)];
  }
  // From now on, only the first node and its edges keep the graph.
  typename Backend::template Keep<Node> root(index[0]);
  for (uint32_t i = 0; i < nodes; ++i) index[i] = nullptr;
  TimeCollection(backend, "mark-graph-ms");
  Use(static_cast<Node*>(root));
}

template <typename Backend>
struct ListNode {
  TRICOLOR_TRACE(ListNode, next);
  typename Backend::template Field<ListNode> next;
  uint64_t data[3];
};

// A full collection of `megabytes` of 32-byte nodes in lists of 1000, laid out
// in allocation order.
template <typename Backend>
void MarkLists(Backend& backend, uint32_t megabytes) {
  using Node = ListNode<Backend>;
  using Field = typename Backend::template Field<Node>;
  constexpr uint32_t kLength = 1000;
  const auto lists = static_cast<uint32_t>(uint64_t{megabytes} * 1000000 /
                                           (sizeof(Node) * kLength));
  typename Backend::template Keep<Field> heads(
      backend.template NewArray<Field>(lists));
  for (uint32_t i = 0; i < lists; ++i) {
    Node* last = backend.template New<Node>();
    static_cast<Field*>(heads)[i] = last;
    for (uint32_t j = 1; j < kLength; ++j) {
      Node* const node = backend.template New<Node>();
      last->next = node;
      last = node;
    }
  }
  TimeCollection(backend, "mark-lists-ms");
  Use(static_cast<Field*>(heads));
}

// What a program sees that serves requests from a large heap: a live graph of
// `megabytes`, whose nodes are replaced in random order. Microseconds for a
// step of 100 replacements: median, 99th and 99.9th percentile, worst; and what
// the collector says of its own stops.
template <typename Backend>
void Delays(Backend& backend, uint32_t megabytes) {
  using Node = GraphNode<Backend>;
  using Field = typename Backend::template Field<Node>;
  const auto nodes =
      static_cast<uint32_t>(uint64_t{megabytes} * 1000000 / sizeof(Node));
  Random random(3);
  typename Backend::template Keep<Field> all(
      backend.template NewArray<Field>(nodes));
  const auto replace = [&](uint32_t i) {
    auto* const node = backend.template New<Node>();
    Field* const index = all;
    for (auto& edge : node->edges) edge = index[random.Below(nodes)];
    // Or all of the past would live.
    if (Node* old = index[i]) {
      for (auto& edge : old->edges) edge = nullptr;
    }
    index[i] = node;
  };
  for (uint32_t i = 0; i < nodes; ++i) replace(i);
  backend.ForgetStops();
  // Five times each node; of a graph that takes minutes, twice: two cycles.
  const size_t count = nodes / (megabytes > 1024 ? 50 : 20);
  std::vector<double> steps;
  steps.reserve(count);
  double last = WallSeconds();
  while (steps.size() < count) {
    for (int i = 0; i < 100; ++i) replace(random.Below(nodes));
    const double now = WallSeconds();
    steps.push_back((now - last) * 1e6);
    last = now;
  }
  std::sort(steps.begin(), steps.end());
  const auto percentile = [&](double q) {
    return steps[static_cast<size_t>(q *
                                     static_cast<double>(steps.size() - 1))];
  };
  Print("delay-p50-us", percentile(0.5));
  Print("delay-p99-us", percentile(0.99));
  Print("delay-p99.9-us", percentile(0.999));
  Print("delay-max-us", percentile(1));
  Print("delay-mean-us", std::accumulate(steps.begin(), steps.end(), 0.0) /
                             static_cast<double>(steps.size()));
  backend.PrintStops();
  Print("delay-peak-MB", PeakMegabytes());
}

// WORKLOAD SIZE: `alloc SECONDS`, `alloc-512 OBJECTS` (or another of the
// sizes), `threads SECONDS`, `trees DEPTH`, `gcbench DEPTH`, `churn STEPS`,
// `graph NODES`, `lists MEGABYTES`, `delays MEGABYTES`.
template <typename Backend>
int Main(int argc, char** argv) {
  const std::string workload = argc == 3 ? argv[1] : "";
  const double size = argc == 3 ? std::atof(argv[2]) : 0;
  Backend backend;
  if (size > 0 && workload == "alloc") {
    Allocate(backend, size);
  } else if (size > 0 && workload.starts_with("alloc-") &&
             AllocateObjects(backend, workload, static_cast<uint64_t>(size))) {
    return 0;
  } else if (size > 0 && workload == "trees") {
    Trees(backend, static_cast<int>(size));
  } else if (size > 0 && workload == "gcbench") {
    RunGcBench(backend, static_cast<int>(size));
  } else if (size > 0 && workload == "churn") {
    Churn(backend, static_cast<int>(size));
  } else if (Backend::kCollects && size > 0 && workload == "graph") {
    MarkGraph(backend, static_cast<uint32_t>(size));
  } else if (Backend::kCollects && size > 0 && workload == "lists") {
    MarkLists(backend, static_cast<uint32_t>(size));
  } else if (Backend::kCollects && size > 0 && workload == "delays") {
    Delays(backend, static_cast<uint32_t>(size));
  } else if (size > 0 && workload == "threads") {
    if constexpr (!std::is_void_v<typename Backend::Thread>) {
      AllocateOnTwo<16>(backend, size);
      AllocateOnTwo<64>(backend, size);
      AllocateOnTwo<512>(backend, size);
    }
  } else {
    std::fprintf(
        stderr,
        "usage: %s "
        "alloc|alloc-BYTES|threads|trees|gcbench|churn|graph|lists|delays "
        "SIZE\n",
        argv[0]);
    return 1;
  }
  return 0;
}

}  // namespace bench

#endif  // TRICOLOR_BENCH_WORKLOADS_H_
