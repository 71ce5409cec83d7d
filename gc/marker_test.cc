// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/marker.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/test_random.h"
#include "tricolor/gc/gc_testing.h"
#include "tricolor/gc/grey_buffer.h"

namespace tricolor::gc {
namespace {

using Tracing = TypeInfo::Tracing;

constexpr uint64_t kAllOnes[4] = {~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0},
                                  ~uint64_t{0}};
constexpr TypeInfo kPointer = {.size = 8,
                               .align = 8,
                               .tracing = Tracing::kBitmap,
                               .pointer_words = 1,
                               .bitmap = kAllOnes,
                               .name = "Pointer"};
constexpr TypeInfo kPair = {.size = 16,
                            .align = 8,
                            .tracing = Tracing::kBitmap,
                            .pointer_words = 2,
                            .bitmap = kAllOnes,
                            .name = "Pair"};

void**& Words(void*& object) { return reinterpret_cast<void**&>(object); }

class MarkerTest : public testing::TestWithParam<int> {
 protected:
  int workers() const { return GetParam(); }
  MarkStats MarkFrom(const void* root) {
    TestRoots roots;
    roots.AddPointer(root);
    heap_.ClearMarks();
    const MarkStats stats = RunCycle(marker_, roots, workers());
    EXPECT_EQ(stats.marked_objects, heap_.CountMarked());
    marker_.CheckInvariants();
    return stats;
  }

  FakeOsMemory os_;
  TestHeap heap_{os_, SmallHeap()};
  Marker marker_{heap_.heap, 4};
};

INSTANTIATE_TEST_SUITE_P(Workers, MarkerTest, testing::Values(1, 2, 4));

TEST_P(MarkerTest, NoRootsMarkNothing) {
  (void)heap_.New(kPair);
  TestRoots roots;
  const MarkStats stats = RunCycle(marker_, roots, workers());
  EXPECT_EQ(stats.marked_objects, 0u);
  EXPECT_EQ(stats.marked_bytes, 0u);
  EXPECT_EQ(heap_.CountMarked(), 0u);
  EXPECT_EQ(MarkFrom(nullptr).marked_objects, 0u);
}

TEST_P(MarkerTest, CyclesEndAndUnreachableCyclesStayUnmarked) {
  void* a = heap_.New(kPair);
  void* b = heap_.New(kPair);
  Words(a)[0] = b;
  Words(a)[1] = a;
  Words(b)[0] = a;
  void* x = heap_.New(kPair);
  void* y = heap_.New(kPair);
  Words(x)[0] = y;
  Words(y)[1] = x;
  Words(y)[0] = a;
  EXPECT_EQ(MarkFrom(a).marked_objects, 2u);
  EXPECT_FALSE(heap_.IsMarked(x));
  EXPECT_FALSE(heap_.IsMarked(y));
  EXPECT_EQ(MarkFrom(y).marked_objects, 4u);
}

TEST_P(MarkerTest, DeepListNeedsNoRecursionAndNoMemory) {
  constexpr uint64_t kLength = 1'000'000;
  void* head = nullptr;
  for (uint64_t i = 0; i < kLength; ++i) {
    void* node = heap_.New(kPair);
    Words(node)[i % 2] = head;
    head = node;
  }
  const MarkStats stats = MarkFrom(head);
  EXPECT_EQ(stats.marked_objects, kLength);
  EXPECT_EQ(stats.marked_bytes, 16 * kLength);
  EXPECT_EQ(stats.scanned_bytes, 16 * kLength);
  EXPECT_EQ(marker_.work_bufs().free_spans(), 0u);
}

TEST_P(MarkerTest, WideArrayIsMarkedThroughItsSlices) {
  constexpr uint64_t kWidth = 200'000;
  void* array = heap_.New(kPointer, kWidth);
  for (uint64_t i = 0; i < kWidth; ++i) {
    void* node = Words(array)[i] = heap_.New(kPair);
    Words(node)[1] = array;
  }
  const MarkStats stats = MarkFrom(array);
  EXPECT_EQ(stats.marked_objects, 1 + kWidth);
  EXPECT_EQ(stats.rescans, 0u);
}

TEST_P(MarkerTest, ObjectsThatManyRootsReachAreCountedOnce) {
  void* shared = heap_.New(kPair);
  TestRoots roots;
  std::vector<void*> nodes;
  for (int i = 0; i < 1000; ++i) {
    void* node = nodes.emplace_back(heap_.New(kPair));
    Words(node)[0] = shared;
    Words(node)[1] = nodes[static_cast<size_t>(i) / 2];
    roots.AddPointer(node);
    roots.AddPointer(node);
  }
  const MarkStats stats = RunCycle(marker_, roots, workers());
  EXPECT_EQ(stats.marked_objects, 1001u);
  EXPECT_EQ(stats.marked_bytes, 16u * 1001);
}

// ---- Random graphs beside a plain breadth-first search.

// A graph of objects of all kinds, and the model of it.
struct RandomGraph {
  struct Node {
    void* object;
    size_t words;                 // that may hold pointers
    std::vector<uint32_t> edges;  // by index
    uint64_t slot_size;
  };

  RandomGraph(TestHeap& heap, TestRandom& random, uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) AddNode(heap, random);
    for (Node& node : nodes) {
      for (size_t w = 0; w < node.words; ++w) {
        if (!random.OneIn(node.words / 3 + 1)) continue;
        const auto to = static_cast<uint32_t>(random.Below(count));
        node.edges.push_back(to);
        // Anywhere into it.
        char* target = static_cast<char*>(nodes[to].object);
        Words(node.object)[w] = target + random.Below(8);
      }
    }
  }

  void AddNode(TestHeap& heap, TestRandom& random) {
    // No pointers, bitmap, callback, conservative; small to large.
    static const size_t kSizes[] = {8, 16, 48, 64, 208, 512, 600, 3000};
    const size_t size =
        random.OneIn(500) ? 300'000 : kSizes[random.Below(std::size(kSizes))];
    types.push_back(std::make_unique<TypeInfo>());
    TypeInfo& type = *types.back();
    type = {.size = 8, .align = 8, .name = "Random"};
    type.tracing = static_cast<Tracing>(random.Below(4));
    type.pointer_words = 1;
    type.bitmap = kAllOnes;
    type.trace = [](const void* object, PointerVisitor& visitor) {
      visitor.Visit(*static_cast<void* const*>(object));
    };
    const uint64_t count = size / 8;
    void* object = heap.New(type, count);
    nodes.push_back({object,
                     type.has_pointers() ? size_t{count} : 0,
                     {},
                     heap.SpanOf(object).slot_size()});
  }

  // Fatal unless just what can be reached from the roots is marked; returns
  // how many and how many bytes that is.
  std::pair<uint64_t, uint64_t> Check(const TestHeap& heap,
                                      std::vector<uint32_t> todo) const {
    std::vector<bool> reached(nodes.size());
    for (uint32_t i : todo) reached[i] = true;
    for (size_t next = 0; next < todo.size(); ++next) {
      for (uint32_t to : nodes[todo[next]].edges) {
        if (!reached[to]) todo.push_back(to);
        reached[to] = true;
      }
    }
    std::pair<uint64_t, uint64_t> sums;
    for (size_t i = 0; i < nodes.size(); ++i) {
      EXPECT_EQ(heap.IsMarked(nodes[i].object), reached[i]) << "node " << i;
      if (!reached[i]) continue;
      EXPECT_TRUE(heap.HasPageMark(nodes[i].object));
      ++sums.first;
      sums.second += nodes[i].slot_size;
    }
    return sums;
  }

  std::vector<Node> nodes;
  std::vector<std::unique_ptr<TypeInfo>> types;
};

TEST_P(MarkerTest, RandomGraphsAreMarkedAsABreadthFirstSearchFindsThem) {
  TestRandom random(TestSeed());
  RandomGraph graph(heap_, random, 5000);
  for (uint64_t round = 0; round < 10; ++round) {
    std::vector<uint32_t> start;
    TestRoots roots;
    for (uint64_t i = 0; i < round; ++i) {
      start.push_back(static_cast<uint32_t>(random.Below(5000)));
      const void* root = graph.nodes[start.back()].object;
      if (random.OneIn(2)) {
        roots.AddPointer(root);
      } else {
        roots.AddWord(reinterpret_cast<uintptr_t>(root) + 5);
      }
    }
    std::sort(start.begin(), start.end());
    start.erase(std::unique(start.begin(), start.end()), start.end());
    heap_.ClearMarks();
    const MarkStats stats = RunCycle(marker_, roots, workers());
    const auto [objects, bytes] = graph.Check(heap_, start);
    EXPECT_EQ(stats.marked_objects, objects);
    EXPECT_EQ(stats.marked_bytes, bytes);
    EXPECT_EQ(stats.rescans, 0u);
    if (HasFailure()) break;
  }
}

// ---- Work buffers.

// Visits all of a vector: the queues grow as far as it is long.
struct Fan {
  std::vector<void*>* targets;
  static void Trace(const void* object, PointerVisitor& visitor) {
    const std::vector<void*>* targets =
        static_cast<const Fan*>(object)->targets;
    if (targets == nullptr) return;
    for (void* target : *targets) visitor.Visit(target);
  }
};
constexpr TypeInfo kFan = {.size = sizeof(Fan),
                           .align = 8,
                           .tracing = Tracing::kCallback,
                           .trace = &Fan::Trace,
                           .name = "Fan"};

TEST_P(MarkerTest, HighPeakOfWorkLeavesNothingBehind) {
  std::vector<void*> targets;
  for (int i = 0; i < 300'000; ++i) targets.push_back(heap_.New(kPair));
  auto* fan = static_cast<Fan*>(heap_.New(kFan));
  fan->targets = &targets;
  const ByteCount before = heap_.ManualBytes();
  EXPECT_EQ(MarkFrom(fan).marked_objects, 1 + targets.size());
  // 300,000 items fill 1185 buffers in 75 spans; one worker holds them all.
  const uint32_t peak = marker_.work_bufs().free_spans();
  if (workers() == 1) EXPECT_GE(peak, WorkBufs::kFreeBatch + 1);
  EXPECT_EQ(heap_.ManualBytes() - before, kWorkBufSpanSize * peak);

  EXPECT_EQ(marker_.FreeWorkBufSpans(heap_.processor),
            peak > WorkBufs::kFreeBatch);
  while (marker_.FreeWorkBufSpans(heap_.processor)) {
  }
  EXPECT_EQ(heap_.ManualBytes(), before);
  EXPECT_EQ(marker_.work_bufs().free_spans(), 0u);
  heap_.heap.CheckInvariants();

  // A later and smaller cycle needs no buffers at all.
  fan->targets = nullptr;
  EXPECT_EQ(MarkFrom(fan).marked_objects, 1u);
  EXPECT_EQ(heap_.ManualBytes(), before);
}

// ---- Refused memory.

// A heap whose last free page has been taken, so that there are no work
// buffers but the workers' own.
class FullHeap {
 public:
  explicit FullHeap(OsMemory& os)
      : heap_(os, {.reservation = ByteCount(64 << 20),
                   .max_mapped = ByteCount(48 << 20)}) {}
  ~FullHeap() {
    for (mheap::MSpan* span : taken_) {
      heap_.heap.FreeManual(heap_.processor, span);
    }
  }

  // Takes all pages but those of `spans` work-buffer spans.
  void TakeAllPagesBut(uint64_t spans) {
    const auto before = static_cast<ptrdiff_t>(taken_.size());
    while (mheap::MSpan* span = heap_.heap.AllocManual(
               heap_.processor, PagesIn(kWorkBufSpanSize))) {
      taken_.push_back(span);
    }
    while (mheap::MSpan* span =
               heap_.heap.AllocManual(heap_.processor, PageCount(1))) {
      taken_.push_back(span);
    }
    const auto first = taken_.begin() + before;
    std::for_each(first, first + static_cast<ptrdiff_t>(spans),
                  [this](mheap::MSpan* span) {
                    heap_.heap.FreeManual(heap_.processor, span);
                  });
    taken_.erase(first, first + static_cast<ptrdiff_t>(spans));
    heap_.heap.FlushPageCache(heap_.processor);
  }

  // What is allocated later lies above this many pages.
  void TakeFirstPages(PageCount pages) {
    taken_.push_back(heap_.heap.AllocManual(heap_.processor, pages));
  }

  TestHeap& heap() { return heap_; }

 private:
  TestHeap heap_;
  std::vector<mheap::MSpan*> taken_;
};

// Two layers below the fan, and a large array below that: all of it is found
// though most of it has to be dropped on the way.
TEST_P(MarkerTest, WithoutMemoryForWorkBuffersNothingIsLost) {
  for (uint64_t spans : {0u, 1u, 3u}) {
    FullHeap full(os_);
    TestHeap& heap = full.heap();
    // The objects lie on both sides of page 1024, where a step of the rescan
    // ends.
    full.TakeFirstPages(PageCount(900));
    std::vector<void*> targets;
    constexpr uint64_t kWidth = 50'000;
    void* array = heap.New(kPointer, kWidth);
    for (uint64_t i = 0; i < kWidth; ++i) {
      void* first = targets.emplace_back(heap.New(kPair));
      void* second = heap.New(kPair);
      Words(first)[0] = second;
      Words(second)[1] = array;
      Words(array)[i] = heap.New(kPair);
    }
    auto* fan = static_cast<Fan*>(heap.New(kFan));
    fan->targets = &targets;
    full.TakeAllPagesBut(spans);

    Marker marker(heap.heap, 4);
    TestRoots roots;
    roots.AddPointer(fan);
    for (int round = 0; round < 2; ++round) {
      heap.ClearMarks();
      const MarkStats stats = RunCycle(marker, roots, workers());
      EXPECT_EQ(stats.marked_objects, 2 + 3 * kWidth);
      EXPECT_EQ(heap.CountMarked(), 2 + 3 * kWidth);
      EXPECT_EQ(stats.marked_bytes,
                heap.SpanOf(array).bytes().value() + 16 * (3 * kWidth + 1));
      EXPECT_GE(stats.rescans, 1u);
      EXPECT_LE(stats.rescans, 5u);
      EXPECT_EQ(marker.work_bufs().free_spans(), spans);
      marker.CheckInvariants();
    }
    while (marker.FreeWorkBufSpans(heap.processor)) {
    }
  }
}

// What a barrier records is marked on the spot then, and found by the rescan.
TEST_P(MarkerTest, WithoutMemoryForAGreyBufferNothingIsLost) {
  FullHeap full(os_);
  TestHeap& heap = full.heap();
  void* parent = heap.New(kPair);
  void* child = heap.New(kPair);
  Words(parent)[1] = child;
  full.TakeAllPagesBut(0);
  Marker marker(heap.heap, 4);
  TestRoots roots;
  marker.BeginCycle(roots, {.workers = 1});
  {
    GreyBuffer grey(marker);
    grey.Add(Addr(parent).value());
    EXPECT_TRUE(grey.empty());
  }
  EXPECT_TRUE(heap.IsMarked(parent));
  marker.RunWorker(0);
  const MarkStats stats = marker.EndCycle();
  EXPECT_TRUE(heap.IsMarked(child));
  EXPECT_EQ(stats.marked_objects, 2u);
  EXPECT_EQ(stats.rescans, 1u);
}

// Or a stack that is scanned in each handshake would keep the cycle from
// ending.
TEST_P(MarkerTest, AWordThatPointsToAFreeSlotIsNoWork) {
  void* object = heap_.New(kPair);
  const mheap::MSpan& span = heap_.SpanOf(object);
  const Addr free = span.SlotAddress(span.slots() - 1);
  ASSERT_TRUE(span.IsFree(span.slots() - 1));
  TestRoots roots;
  marker_.BeginCycle(roots, {.workers = 1, .concurrent = true});
  {
    GreyBuffer grey(marker_);
    grey.Add(free.value());
    grey.Publish();
    EXPECT_FALSE(marker_.HasWork());
    grey.Add(Addr(object).value());
    grey.Publish();
    EXPECT_TRUE(marker_.HasWork());
  }
  marker_.RunWorker(0);
  EXPECT_FALSE(marker_.HasWork());
  EXPECT_EQ(marker_.EndCycle().marked_objects, 1u);
}

TEST_P(MarkerTest, RandomGraphsAreMarkedTheSameWithoutMemory) {
  TestRandom random(TestSeed());
  FullHeap full(os_);
  RandomGraph graph(full.heap(), random, 2000);
  std::vector<void*> targets;
  std::vector<uint32_t> start;
  for (uint32_t i = 0; i < graph.nodes.size(); i += 2) {
    targets.push_back(graph.nodes[i].object);
    start.push_back(i);
  }
  auto* fan = static_cast<Fan*>(full.heap().New(kFan));
  fan->targets = &targets;
  full.TakeAllPagesBut(0);
  Marker marker(full.heap().heap, 4);
  TestRoots roots;
  roots.AddPointer(fan);
  const MarkStats stats = RunCycle(marker, roots, workers());
  const auto [objects, bytes] = graph.Check(full.heap(), start);
  EXPECT_EQ(stats.marked_objects, 1 + objects);
  EXPECT_EQ(stats.marked_bytes, full.heap().SpanOf(fan).slot_size() + bytes);
}

TEST_P(MarkerTest, WorkersForWhichThereIsNoMemoryAreLeftOut) {
  // Every call of the system from the marker's constructor on fails.
  void* node = heap_.New(kPair);
  Words(node)[0] = heap_.New(kPair);
  while (heap_.heap.metadata().Allocate(ByteCount(512), 8) != nullptr) {
    os_.FailFrom(1);
  }
  Marker marker(heap_.heap, 4);
  TestRoots roots;
  roots.AddPointer(node);
  EXPECT_EQ(RunCycle(marker, roots, workers()).marked_objects, 2u);
  os_.StopFailing();
  heap_.ClearMarks();
  EXPECT_EQ(RunCycle(marker, roots, workers()).marked_objects, 2u);
}

// ---- Rounds that end early.

// Has the round end after a few reports.
class CuttingMonitor final : public MarkMonitor {
 public:
  explicit CuttingMonitor(Marker& marker) : marker_(marker) {}
  bool Worked(int, uint64_t) override {
    if (++reports_ % 8 == 0) marker_.SetPausing(true);
    return true;
  }
  bool Rest(int) override { return true; }

 private:
  Marker& marker_;
  std::atomic<int> reports_{0};
};

// Runs rounds of fewer workers each time, until one is not cut short; how many.
int RunRounds(Marker& marker, int workers) {
  for (int rounds = 1;; ++rounds) {
    std::vector<std::thread> threads;
    for (int i = 1; i < workers; ++i) {
      threads.emplace_back([&marker, i] { marker.RunWorker(i); });
    }
    marker.RunWorker(0);
    for (std::thread& thread : threads) thread.join();
    if (!marker.cycle().pausing.LoadRelaxed()) return rounds;
    marker.SetPausing(false);
    workers = std::max(workers - 1, 1);
    marker.NextRound(workers);
  }
}

TEST_P(MarkerTest, RoundsThatEndEarlyLeaveNothingBehind) {
  TestRandom random(TestSeed());
  RandomGraph graph(heap_, random, 20000);
  std::vector<uint32_t> start;
  TestRoots roots;
  for (uint32_t i = 0; i < graph.nodes.size(); i += 50) {
    roots.AddPointer(graph.nodes[i].object);
    start.push_back(i);
  }
  CuttingMonitor monitor(marker_);
  marker_.BeginCycle(
      roots, {.workers = workers(), .concurrent = true, .monitor = &monitor});
  EXPECT_GT(RunRounds(marker_, workers()), 3);
  const MarkStats stats = marker_.EndCycle();
  const auto [objects, bytes] = graph.Check(heap_, start);
  EXPECT_EQ(stats.marked_objects, objects);
  EXPECT_EQ(stats.marked_bytes, bytes);
}

TEST_P(MarkerTest, RoundsThatEndEarlyLeaveNothingBehindWithoutMemory) {
  TestRandom random(TestSeed());
  FullHeap full(os_);
  RandomGraph graph(full.heap(), random, 20000);
  std::vector<uint32_t> start;
  TestRoots roots;
  for (uint32_t i = 0; i < graph.nodes.size(); i += 50) {
    roots.AddPointer(graph.nodes[i].object);
    start.push_back(i);
  }
  full.TakeAllPagesBut(0);
  Marker marker(full.heap().heap, 4);
  CuttingMonitor monitor(marker);
  marker.BeginCycle(
      roots, {.workers = workers(), .concurrent = true, .monitor = &monitor});
  EXPECT_GT(RunRounds(marker, workers()), 3);
  const MarkStats stats = marker.EndCycle();
  EXPECT_EQ(stats.marked_objects, graph.Check(full.heap(), start).first);
}

// ---- The order of calls.

using MarkerDeathTest = MarkerTest;
INSTANTIATE_TEST_SUITE_P(Workers, MarkerDeathTest, testing::Values(2));

TEST_P(MarkerDeathTest, CallsOutOfOrderAreFatal) {
  TestRoots roots;
  EXPECT_DEATH(marker_.RunWorker(0), "mark worker 0 of 4 runs in a cycle of 0");
  EXPECT_DEATH((void)marker_.EndCycle(), "has not begun");
  EXPECT_DEATH(marker_.BeginCycle(roots, {.workers = 5}), "cycle of 5 workers");
  EXPECT_DEATH(marker_.BeginCycle(roots, {.workers = 0}), "cycle of 0 workers");
  marker_.BeginCycle(roots, {.workers = 1});
  EXPECT_DEATH(marker_.BeginCycle(roots, {.workers = 1}), "running: 1");
  EXPECT_DEATH((void)marker_.EndCycle(), "worker 0 in state 1");
  marker_.RunWorker(0);
  EXPECT_DEATH(marker_.RunWorker(0), "worker 0 runs in state 3");
  (void)marker_.EndCycle();
  EXPECT_DEATH(Marker(heap_.heap, 0), "marker of 0 workers");
}

}  // namespace
}  // namespace tricolor::gc
