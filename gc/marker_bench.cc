// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Full marking of heaps of one shape each, beside a plain depth-first marker
// without prefetching (class PlainMarker) on the same heap, in the same run.
// `vs_plain` is the plain marker's time divided by ours, `cpu_vs_plain` the
// same of processor time, which is steadier on a busy machine: more is better.
// `huge`: the heap asks for huge pages.
//
// For the figures of docs/marking.md: --benchmark_filter=objects:10000000

#include <time.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "benchmark/benchmark.h"
#include "tricolor/base/sys/linux_memory.h"
#include "tricolor/base/test_random.h"
#include "tricolor/gc/gc_testing.h"
#include "tricolor/gc/marker.h"

namespace tricolor::gc {
namespace {

constexpr int kPointers = 4;
constexpr uint64_t kNodeBits = 0xf;

struct Node {
  Node* to[kPointers];
  uint64_t payload[4];
};
constexpr TypeInfo kNode = {.size = sizeof(Node),
                            .align = 8,
                            .tracing = TypeInfo::Tracing::kBitmap,
                            .pointer_words = kPointers,
                            .bitmap = &kNodeBits,
                            .name = "Node"};

// 32 bytes, as in the ordered heaps of the peers' measurements.
constexpr uint64_t kCellBits = 0x3;
struct Cell {
  Cell* to[2];
  uint64_t payload[2];
};
constexpr TypeInfo kCell = {.size = sizeof(Cell),
                            .align = 8,
                            .tracing = TypeInfo::Tracing::kBitmap,
                            .pointer_words = 2,
                            .bitmap = &kCellBits,
                            .name = "Cell"};

// The process's memory, with huge pages for everything that is large.
class HugePageMemory final : public OsMemory {
 public:
  explicit HugePageMemory(OsMemory& os) : os_(os) {}
  ByteCount page_size() const override { return os_.page_size(); }
  ByteCount huge_page_size() const override { return os_.huge_page_size(); }
  bool unused_memory_is_zero() const override {
    return os_.unused_memory_is_zero();
  }
  Addr Reserve(ByteCount size, ByteCount alignment) override {
    return os_.Reserve(size, alignment);
  }
  bool Map(AddrRange range) override {
    if (!os_.Map(range)) return false;
    if (range.size() >= os_.huge_page_size()) os_.HugePage(range);
    return true;
  }
  bool Used(AddrRange range) override { return os_.Used(range); }
  bool Unused(AddrRange range) override { return os_.Unused(range); }
  void HugePage(AddrRange range) override { os_.HugePage(range); }
  void NoHugePage(AddrRange range) override { os_.NoHugePage(range); }
  void Free(AddrRange range) override { os_.Free(range); }

 private:
  OsMemory& os_;
};

struct Times {
  double wall = 0;
  double cpu = 0;  // of all threads

  static Times Now() {
    const auto read = [](clockid_t clock) {
      timespec t;
      clock_gettime(clock, &t);
      return static_cast<double>(t.tv_sec) +
             static_cast<double>(t.tv_nsec) * 1e-9;
    };
    return {read(CLOCK_MONOTONIC), read(CLOCK_PROCESS_CPUTIME_ID)};
  }
  Times operator-(const Times& since) const {
    return {wall - since.wall, cpu - since.cpu};
  }
  void operator+=(const Times& other) {
    wall += other.wall;
    cpu += other.cpu;
  }
};

enum class Shape { kRandomGraph, kList, kTree };

// A heap of one shape, kept from one benchmark to the next.
struct ShapedHeap {
  ShapedHeap(Shape the_shape, uint64_t count, bool huge)
      : huge_memory(ProcessMemory()),
        heap(huge ? static_cast<OsMemory&>(huge_memory) : ProcessMemory(), {}),
        shape(the_shape),
        objects(count),
        huge_pages(huge) {
    switch (shape) {
      case Shape::kRandomGraph:
        MakeGraph();
        break;
      case Shape::kList:
        MakeLists();
        break;
      case Shape::kTree:
        MakeTree();
        break;
    }
  }

  void MakeGraph() {
    std::vector<Node*> nodes(objects);
    for (Node*& node : nodes) node = static_cast<Node*>(heap.New(kNode));
    TestRandom random(1);
    for (Node* node : nodes) {
      for (Node*& to : node->to) to = nodes[random.Below(objects)];
    }
    roots.AddPointer(nodes[0]);
    plain_roots.push_back(nodes[0]);
  }
  // Lists of 1000 cells, their heads in one array.
  void MakeLists() {
    static constexpr uint64_t kOne = 1;
    static constexpr TypeInfo kHead = {.size = 8,
                                       .align = 8,
                                       .tracing = TypeInfo::Tracing::kBitmap,
                                       .pointer_words = 1,
                                       .bitmap = &kOne,
                                       .name = "Head"};
    const uint64_t lists = objects / 1000;
    auto** heads = static_cast<Cell**>(heap.New(kHead, lists));
    for (uint64_t i = 0; i < lists; ++i) {
      Cell* last = nullptr;
      for (int k = 0; k < 1000; ++k) {
        auto* cell = static_cast<Cell*>(heap.New(kCell));
        (last == nullptr ? heads[i] : last->to[0]) = cell;
        last = cell;
      }
      plain_roots.push_back(heads[i]);
    }
    roots.AddPointer(heads);
  }
  // Binary, in breadth-first order.
  void MakeTree() {
    std::vector<Cell*> cells(objects);
    for (Cell*& cell : cells) cell = static_cast<Cell*>(heap.New(kCell));
    for (uint64_t i = 1; i < objects; ++i) {
      cells[(i - 1) / 2]->to[(i - 1) % 2] = cells[i];
    }
    roots.AddPointer(cells[0]);
    plain_roots.push_back(cells[0]);
  }

  HugePageMemory huge_memory;
  TestHeap heap;
  Shape shape;
  uint64_t objects;
  bool huge_pages;
  TestRoots roots;
  std::vector<const void*> plain_roots;
  Times plain;
};

// The textbook's marker: a stack, a mark test at the push, and the span's own
// functions for everything.
class PlainMarker {
 public:
  explicit PlainMarker(mheap::MHeap& heap) : heap_(heap) {}

  uint64_t Mark(const std::vector<const void*>& roots) {
    for (const void* root : roots) Visit(root);
    while (!stack_.empty()) {
      const Addr slot = stack_.back();
      stack_.pop_back();
      mheap::MSpan* span = heap_.SpanOf(slot);
      uint64_t bits = span->PointerBits(span->IndexOf(slot));
      for (; bits != 0; bits &= bits - 1) {
        Visit(slot.as<void*>()[std::countr_zero(bits)]);
      }
    }
    return marked_;
  }

 private:
  void Visit(const void* pointer) {
    const Addr a(pointer);
    mheap::MSpan* span = heap_.SpanOf(a);
    if (span == nullptr) return;
    const uint32_t index = span->IndexOf(a);
    mheap::MarkWord& word = span->mark_bits()[index >> 6];
    const uint64_t bit = uint64_t{1} << (index & 63);
    const uint64_t old = word.LoadRelaxed();
    if ((old & bit) != 0) return;
    word.StoreRelaxed(old | bit);
    ++marked_;
    stack_.push_back(span->SlotAddress(index));
  }

  mheap::MHeap& heap_;
  uint64_t marked_ = 0;
  std::vector<Addr> stack_;
};

// The heap of the benchmark that ran last is kept: they come in groups.
ShapedHeap& HeapFor(Shape shape, uint64_t objects, bool huge) {
  static std::unique_ptr<ShapedHeap> kept;
  if (kept == nullptr || kept->shape != shape || kept->objects != objects ||
      kept->huge_pages != huge) {
    kept.reset();
    kept = std::make_unique<ShapedHeap>(shape, objects, huge);
    // Mark bits lie densely from the second cycle on.
    Marker marker(kept->heap.heap, 1);
    (void)RunCycle(marker, kept->roots, 1);
    kept->heap.Sweep();
    PlainMarker plain(kept->heap.heap);
    const Times start = Times::Now();
    benchmark::DoNotOptimize(plain.Mark(kept->plain_roots));
    kept->plain = Times::Now() - start;
    kept->heap.ClearMarks();
  }
  return *kept;
}

void BM_Mark(benchmark::State& state, Shape shape) {
  const auto objects = static_cast<uint64_t>(state.range(0));
  const int workers = static_cast<int>(state.range(2));
  ShapedHeap& shaped = HeapFor(shape, objects, state.range(1) != 0);
  Marker marker(shaped.heap.heap, workers);
  MarkStats stats;
  Times sum;
  for (auto _ : state) {
    const Times start = Times::Now();
    stats = RunCycle(marker, shaped.roots, workers);
    const Times time = Times::Now() - start;
    state.SetIterationTime(time.wall);
    sum += time;
    shaped.heap.Sweep();
  }
  const auto n = static_cast<double>(state.iterations());
  const auto marked = static_cast<double>(stats.marked_objects);
  const double wall = sum.wall / n;
  const double cpu = sum.cpu / n;
  state.counters["marked"] = marked;
  state.counters["ns_per_object"] = wall / marked * 1e9;
  state.counters["cpu_ns_per_object"] = cpu / marked * 1e9;
  state.counters["MB_per_s"] =
      static_cast<double>(stats.marked_bytes) / 1e6 / wall;
  state.counters["vs_plain"] = shaped.plain.wall / wall;
  state.counters["cpu_vs_plain"] = shaped.plain.cpu / cpu;
}

void Sizes(benchmark::internal::Benchmark* b) {
  for (int64_t objects : {100'000, 10'000'000}) {
    for (int64_t huge : {0, 1}) {
      for (int64_t workers : {1, 2}) b->Args({objects, huge, workers});
    }
  }
  b->ArgNames({"objects", "huge", "workers"})
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

BENCHMARK_CAPTURE(BM_Mark, random_graph, Shape::kRandomGraph)->Apply(Sizes);
BENCHMARK_CAPTURE(BM_Mark, lists, Shape::kList)->Apply(Sizes);
BENCHMARK_CAPTURE(BM_Mark, tree, Shape::kTree)->Apply(Sizes);

}  // namespace
}  // namespace tricolor::gc
