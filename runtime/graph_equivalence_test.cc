// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The same random program in heaps that collect in different ways: what is
// reachable in the end, and what is left after a collection, must be the same.
// Threads change graphs while collections run. They own one graph at a time and
// pass it on at fixed steps, so that what they do to it does not depend on how
// they are interleaved.

#include <array>
#include <atomic>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/test_random.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

constexpr uint64_t kThreads = 3;
constexpr int kPhases = 6;
constexpr int kSteps = 2500;

struct Vertex {
  static constexpr size_t kEdges = 4;
  TRICOLOR_TRACE(Vertex, edges);
  explicit Vertex(uint64_t i) : id(i) {}
  Ptr<Vertex> edges[kEdges];
  uint64_t id;
};

struct Graph {
  static constexpr size_t kEntries = 100;
  TRICOLOR_TRACE(Graph, entries);
  Ptr<Vertex> entries[kEntries];
};

// Holds nothing across an allocation but Roots.
class Rewirer {
 public:
  Rewirer(Mutator& mutator, uint64_t seed, uint64_t first_id)
      : mutator_(mutator), random_(seed), next_id_(first_id) {}

  void Step(const Root<Graph>& root) {
    if (random_.Below(3) == 0) {
      Vertex* fresh = mutator_.New<Vertex>(next_id_++);
      const Ptr<Vertex>& entry = Entry(*root);
      fresh->edges[0] = entry;
      fresh->edges[1] = Walk(*root);
      Entry(*root) = fresh;
      return;
    }
    Graph& graph = *root;
    switch (random_.Below(6)) {
      case 0:
        Entry(graph) = nullptr;
        break;
      case 1:
        Entry(graph) = Walk(graph);
        break;
      case 2: {  // moved on, and gone where it was
        Ptr<Vertex>& from = Entry(graph);
        Ptr<Vertex>& to = Entry(graph);
        if (&from == &to) break;
        to = from;
        from = nullptr;
        break;
      }
      case 3: {
        const size_t n = random_.Below(Graph::kEntries / 2);
        const size_t to = random_.Below(Graph::kEntries / 2);
        const size_t from = random_.Below(Graph::kEntries / 2);
        if (random_.OneIn(8)) {
          MovePtrs(graph.entries + to, graph.entries + from, n);
        }
        break;
      }
      case 4:
        if (Vertex* vertex = Walk(graph)) {
          ClearPtrs(vertex->edges + random_.Below(Vertex::kEdges), 1);
        }
        break;
      default:
        Vertex* vertex = Walk(graph);
        Vertex* target = Walk(graph);
        if (vertex != nullptr) {
          vertex->edges[random_.Below(Vertex::kEdges)] = target;
        }
    }
  }

 private:
  Ptr<Vertex>& Entry(Graph& graph) {
    return graph.entries[random_.Below(Graph::kEntries)];
  }
  // To some vertex, or null.
  Vertex* Walk(Graph& graph) {
    Vertex* at = Entry(graph);
    for (uint64_t i = random_.Below(6); i > 0 && at != nullptr; --i) {
      Vertex* next = at->edges[random_.Below(Vertex::kEdges)];
      if (next == nullptr) break;
      at = next;
    }
    return at;
  }

  Mutator& mutator_;
  TestRandom random_;
  uint64_t next_id_;
};

// What a program leaves.
struct Outcome {
  uint64_t hash = 0;       // of all that is reachable: identities and edges
  size_t reachable = 0;    // objects
  uint64_t survivors = 0;  // objects in the heap after a collection
};

class Hasher {
 public:
  void Add(const Graph& graph) {
    ++reachable_;
    for (const Ptr<Vertex>& entry : graph.entries) AddVertex(entry);
    while (done_ < queue_.size()) {
      const Vertex* vertex = queue_[done_++];
      Mix(vertex->id);
      for (const Ptr<Vertex>& edge : vertex->edges) AddVertex(edge);
    }
  }
  uint64_t hash() const { return hash_; }
  size_t reachable() const { return reachable_; }

 private:
  void Mix(uint64_t word) {
    hash_ = (hash_ ^ word) * 0x9e3779b97f4a7c15;
    hash_ ^= hash_ >> 29;
  }
  // By its number in the order of discovery.
  void AddVertex(const Vertex* vertex) {
    if (vertex == nullptr) return Mix(0);
    const auto [it, fresh] = numbers_.try_emplace(vertex, numbers_.size() + 1);
    Mix(it->second);
    if (!fresh) return;
    ++reachable_;
    queue_.push_back(vertex);
  }

  uint64_t hash_ = 1;
  size_t reachable_ = 0;
  size_t done_ = 0;
  std::vector<const Vertex*> queue_;
  std::unordered_map<const Vertex*, uint64_t> numbers_;
};

using Graphs = std::array<Root<Graph>, kThreads>;

Hasher HashOf(const Graphs& graphs) {
  Hasher hasher;
  for (const Root<Graph>& graph : graphs) hasher.Add(*graph);
  return hasher;
}

// The threads' part, while `heap` is collected in between if `collecting`.
void Mutate(Heap& heap, Graphs& graphs, uint64_t seed, bool collecting) {
  std::barrier phase_ends(kThreads);
  std::atomic<uint64_t> running{kThreads};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Mutator mutator(heap);
      Rewirer rewirer(mutator, seed * kThreads + t, (t + 1) << 32);
      for (uint64_t phase = 0; phase < kPhases; ++phase) {
        const Root<Graph>& graph = graphs[(t + phase) % kThreads];
        for (int i = 0; i < kSteps; ++i) rewirer.Step(graph);
        Mutator::NativeScope native(mutator);
        phase_ends.arrive_and_wait();
      }
      --running;
    });
  }
  while (collecting && running != 0) heap.Collect();
  for (std::thread& thread : threads) thread.join();
}

Outcome RunIn(HeapOptions options, uint64_t seed) {
  const bool collecting = options.gc_percent >= 0;
  options.min_heap_bytes = 256 << 10;
  Heap heap(options);
  Graphs graphs;
  OnOtherThread([&] {
    Mutator mutator(heap);
    for (Root<Graph>& graph : graphs) graph = mutator.New<Graph>();
  });
  Mutate(heap, graphs, seed, collecting);
  const Hasher before = HashOf(graphs);
  heap.Collect();
  const Hasher after = HashOf(graphs);
  EXPECT_EQ(after.hash(), before.hash());
  heap.CheckInvariants();
  return {before.hash(), before.reachable(), heap.ReadMemStats().heap_objects};
}

class GraphEquivalenceTest : public testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(ConservativeStacks, GraphEquivalenceTest,
                         testing::Bool());

TEST_P(GraphEquivalenceTest, EveryWayToCollectLeavesWhatIsReachable) {
  const uint64_t first_seed = TestSeed();
  for (uint64_t seed = first_seed; seed < first_seed + 4; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    HeapOptions options = QuietOptions();
    options.conservative_stacks = GetParam();
    const Outcome uncollected = RunIn(options, seed);
    EXPECT_EQ(uncollected.survivors, uncollected.reachable);
    options.gc_percent = 50;
    for (const char* debug : {"gccheckmark=1", "gcstoptheworld=1,gccheckmark=1",
                              "gccheckmark=1,clobberfree=1,zeal=5"}) {
      SCOPED_TRACE(debug);
      options.debug = debug;
      const Outcome outcome = RunIn(options, seed);
      EXPECT_EQ(outcome.hash, uncollected.hash);
      EXPECT_EQ(outcome.reachable, uncollected.reachable);
      EXPECT_EQ(outcome.survivors, uncollected.reachable);
    }
  }
}

}  // namespace
}  // namespace tricolor::runtime
