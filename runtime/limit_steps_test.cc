// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// One program at each limit, from none at all to more than it needs: at the
// hard one it gets null pointers and goes on, at the soft one it gets
// everything.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

constexpr size_t kUnit = size_t{4} << 20;  // in which a heap grows

// 512 bytes, nearly all pointers: a type header.
struct Wide {
  TRICOLOR_TRACE(Wide, nodes);
  std::array<Ptr<Node>, 80> nodes;
};

// What a program could get, and what it could not.
struct Result {
  uint64_t got = 0;
  uint64_t nulls = 0;
};

// About 6 MiB of objects of all sizes, which stay as long as the roots do.
// Exact mode: between two allocations only the roots hold them.
struct Program {
  static constexpr uint64_t kSteps = 400;

  explicit Program(std::atomic<uint64_t>& the_dead) : dead(the_dead) {}

  Result Run(Mutator& mutator) {
    Result result;
    const auto count = [&result](const void* object) {
      ++(object == nullptr ? result.nulls : result.got);
      return object != nullptr;
    };
    for (uint64_t i = 0; i < kSteps; ++i) {
      Node* node = mutator.New<Node>(length);
      if (count(node)) {
        node->next = list;
        list = node;
        ++length;
        if (AddCleanup(node, [died = &dead] { ++*died; })) ++cleanups;
      }
      Wide* wide = mutator.New<Wide>();
      if (count(wide)) {
        wide->nodes[79] = list;
        kept.emplace_back(wide);
      }
      if (i % 100 == 0) {
        uint64_t* array = mutator.NewArray<uint64_t>(100'000);
        if (count(array)) {
          array[99'999] = i + 1;
          arrays.emplace_back(array);
        }
        Large* large = mutator.New<Large>();
        if (count(large)) kept_large.emplace_back(large);
      }
      for (int garbage = 0; garbage < 50; ++garbage) {
        count(mutator.New<Leaf>());
      }
    }
    return result;
  }
  void Check() const {
    uint64_t left = length;
    for (const Node* node = list; node != nullptr; node = node->next) {
      ASSERT_TRUE(node->intact());
      ASSERT_EQ(node->value, --left);
    }
    ASSERT_EQ(left, 0U);
    for (const Root<Wide>& wide : kept) {
      ASSERT_TRUE(wide->nodes[79] == nullptr || wide->nodes[79]->intact());
    }
    for (const Root<uint64_t>& array : arrays) {
      ASSERT_EQ(array.get()[99'999] % 100, 1U);
    }
  }
  void Drop() {
    list = nullptr;
    length = 0;
    kept.clear();
    arrays.clear();
    kept_large.clear();
  }

  std::atomic<uint64_t>& dead;
  uint64_t cleanups = 0;
  uint64_t length = 0;
  Root<Node> list;
  std::vector<Root<Wide>> kept;
  std::vector<Root<uint64_t>> arrays;
  std::vector<Root<Large>> kept_large;
};

HeapOptions OptionsFor(size_t most) {
  HeapOptions options = ExactOptions();
  options.gc_percent = 100;
  options.max_heap_bytes = most;
  options.cleanup_thread = false;
  return options;
}

TEST(HardLimitTest, AtEachTheProgramGetsNullAndGoesOn) {
  uint64_t nulls = 1;
  size_t units = 0;
  while (nulls != 0 && !HasFailure()) {
    SCOPED_TRACE(++units);
    std::atomic<uint64_t> dead{0};
    Heap heap(OptionsFor(units * kUnit));
    Mutator mutator(heap);
    Program program(dead);
    nulls = 0;
    for (int round = 0; round < 3; ++round) {
      const Result result = program.Run(mutator);
      nulls += result.nulls;
      EXPECT_GT(result.got, 0U) << round;
      program.Check();
      heap.CheckInvariants();
      EXPECT_LE(heap.ReadMemStats().heap_sys, units * kUnit);
      program.Drop();
      heap.Collect();
      EXPECT_EQ(heap.RunCleanups(), program.cleanups);
      EXPECT_EQ(dead, program.cleanups);
      program.cleanups = 0;
      dead = 0;
      EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
      // As if nothing had been there.
      EXPECT_NE(mutator.New<Large>(), nullptr);
      EXPECT_NE(mutator.NewArray<char>(units * kUnit / 2), nullptr);
    }
  }
  EXPECT_GT(units, 1U) << "one unit was enough: nothing was tested";
}

TEST(HardLimitTest, AtEachThreadsGetNullTogetherAndGoOn) {
  constexpr int kThreads = 3;
  std::atomic<uint64_t> nulls{1};
  size_t units = 0;
  while (nulls != 0 && !HasFailure()) {
    SCOPED_TRACE(++units);
    nulls = 0;
    std::atomic<uint64_t> dead{0};
    std::atomic<uint64_t> cleanups{0};
    Heap heap(OptionsFor(units * kUnit));
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        Mutator mutator(heap);
        for (int round = 0; round < 2; ++round) {
          Program program(dead);
          const Result result = program.Run(mutator);
          nulls += result.nulls;
          cleanups += program.cleanups;
          program.Check();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    heap.Collect();
    heap.RunCleanups();
    EXPECT_EQ(dead, cleanups);
    EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
    heap.CheckInvariants();
    Mutator mutator(heap);
    EXPECT_NE(mutator.NewArray<char>(units * kUnit / 2), nullptr);
  }
  EXPECT_GT(units, 1U) << "one unit was enough: nothing was tested";
}

// A limit that is set while the program runs, so below what is live, too.
TEST(SoftLimitTest, AtEachTheProgramGetsEverything) {
  constexpr int64_t kStep = 512 << 10;
  std::atomic<uint64_t> dead{0};
  Heap heap(OptionsFor(SIZE_MAX));
  Mutator mutator(heap);
  Program program(dead);
  uint64_t cycles_with_limit = 0;
  for (int64_t limit = 0; limit <= 48 * kStep; limit += kStep) {
    SCOPED_TRACE(limit);
    const MemStats before = heap.ReadMemStats();
    heap.SetMemoryLimit(limit);
    EXPECT_EQ(program.Run(mutator).nulls, 0U);
    program.Check();
    const MemStats after = heap.ReadMemStats();
    cycles_with_limit += after.num_gc - before.num_gc;
    // The program goes on: it is not collecting all the time.
    EXPECT_LE(after.num_gc - before.num_gc, 25U);
    heap.SetMemoryLimit(INT64_MAX);
    program.Drop();
    heap.Collect();
    EXPECT_EQ(heap.RunCleanups(), program.cleanups);
    program.cleanups = 0;
    EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
  }
  EXPECT_GT(cycles_with_limit, 0U);
  heap.CheckInvariants();
}

}  // namespace
}  // namespace tricolor::runtime
