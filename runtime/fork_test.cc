// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A child of fork() goes on using its heaps, whatever other threads were doing.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/runtime/fork_testing.h"

extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }

namespace tricolor::runtime {
namespace {

// ---- Who forks, in which mode.

struct Mode {
  const char* name;
  bool conservative;
  bool concurrent;
};

class ForkTest : public testing::TestWithParam<Mode> {
 protected:
  HeapOptions Options() const {
    HeapOptions options = CheckedOptions(GetParam().conservative);
    options.concurrent = GetParam().concurrent;
    return options;
  }
};

INSTANTIATE_TEST_SUITE_P(Modes, ForkTest,
                         testing::Values(Mode{"Conservative", true, true},
                                         Mode{"Exact", false, true},
                                         Mode{"Stopped", true, false}),
                         [](const auto& mode) {
                           return std::string(mode.param.name);
                         });

TEST_P(ForkTest, AnyThreadForks) {
  Heap heap(Options());
  ForkAndCheck(nullptr, [&] { UseHeap(heap); });
  Mutator mutator(heap);
  Root<Node> list(mutator, MakeList(mutator, 1000));
  const auto check = [&] {
    EXPECT_TRUE(ListIsIntact(list.get(), 1000));
    MakeGarbage(mutator, 1000);
    Mutator::NativeScope native(mutator);
    UseHeap(heap);
  };
  ForkAndCheck(&mutator, check);
  {
    Mutator::NativeScope native(mutator);
    ForkAndCheck(nullptr, [&] { UseHeap(heap); });
    OnOtherThread([&] { ForkAndCheck(nullptr, [&] { UseHeap(heap); }); });
    OnOtherThread([&] {
      Mutator other(heap);
      ForkAndCheck(&other, [&] { other.New<Node>(1u)->value = 2; });
    });
  }
  ForkAndCheck(&mutator, check);
  EXPECT_TRUE(ListIsIntact(list.get(), 1000));
}

// What only the stacks of other threads held is garbage in the child; what
// their processors had cached is counted and used.
TEST_P(ForkTest, OtherThreadsAreGone) {
  HeapOptions options = Options();
  options.gc_percent = -1;
  Heap heap(options);
  Mutator mutator(heap);
  Root<Node> shared(mutator, mutator.New<Node>(0u));
  Flag ready;
  Flag native_ready;
  Flag done;
  std::vector<std::thread> others;
  others.emplace_back([&] {
    Mutator other(heap);
    Root<Node> root(other, MakeList(other, 100));
    MakeGarbage(other, 3000);
    ready.Set();
    done.Await(&other);
  });
  others.emplace_back([&] {
    Mutator other(heap);
    Root<Node> root(other, MakeList(other, 100));
    MakeGarbage(other, 3000);
    Mutator::NativeScope native(other);
    native_ready.Set();
    done.Await();
  });
  {
    Mutator::NativeScope native(mutator);
    ready.Await();
    native_ready.Await();
  }
  const uint64_t before = heap.ReadMemStats().mallocs;
  ForkAndCheck(&mutator, [&] {
    const MemStats stats = heap.ReadMemStats();
    EXPECT_EQ(stats.mutators, 1u);
    EXPECT_GE(stats.mallocs, before);
    heap.CheckInvariants();
    heap.Collect();
    heap.Collect();
    if (!GetParam().conservative) {
      EXPECT_EQ(heap.ReadMemStats().heap_objects, 1u + 200u);
    }
    EXPECT_LT(heap.ReadMemStats().heap_objects, 1000u);
    Mutator::NativeScope native(mutator);
    UseHeap(heap);
  });
  done.Set();
  {
    Mutator::NativeScope native(mutator);
    for (std::thread& t : others) t.join();
  }
  heap.CheckInvariants();
}

TEST_P(ForkTest, ChildForksAgain) {
  Heap heap(Options());
  Mutator mutator(heap);
  Root<Node> list(mutator, MakeList(mutator, 1000));
  ForkAndCheck(&mutator, [&] {
    MakeGarbage(mutator, 10000);
    ForkAndCheck(&mutator, [&] {
      ForkAndCheck(&mutator, [&] {
        EXPECT_TRUE(ListIsIntact(list.get(), 1000));
        Mutator::NativeScope native(mutator);
        UseHeap(heap);
      });
      heap.Collect();
    });
    Mutator::NativeScope native(mutator);
    UseHeap(heap);
  });
}

TEST_P(ForkTest, ChildDestroysTheHeap) {
  auto heap = std::make_unique<Heap>(Options());
  Flag ready;
  Flag done;
  std::thread other([&] {
    Mutator mutator(*heap);
    Root<Node> root(mutator, MakeList(mutator, 10));
    ready.Set();
    done.Await(&mutator);
  });
  ready.Await();
  heap->Collect();
  ForkAndCheck(nullptr, [&] { heap.reset(); });
  ForkAndCheck(nullptr, [&] {
    UseHeap(*heap);
    heap.reset();
    Heap fresh(Options());
    UseHeap(fresh);
  });
  done.Set();
  other.join();
}

// Four threads do all that there is while others fork, one at a time or two.
TEST_P(ForkTest, WhileThreadsUseSeveralHeaps) {
  HeapOptions options = Options();
  options.debug = "";
  Heap first(options);
  Heap second(options);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      Random random(seed);
      while (!stop) {
        Heap& heap = random.Below(2) == 0 ? first : second;
        Mutator mutator(heap);
        Root<Node> list(mutator, MakeList(mutator, 500));
        MakeGarbage(mutator, 20000);
        if (random.Below(8) == 0) heap.Collect();
        if (random.Below(16) == 0) heap.FreeOsMemory();
        Weak<Node> weak(list.get());
        AddCleanup(list.get(), [] {});
        EXPECT_NE(weak.Get(), nullptr);
        EXPECT_TRUE(ListIsIntact(list.get(), 500));
      }
    });
  }
  // Not attached, or not at once.
  threads.emplace_back([&] {
    Root<Node> root;
    int64_t limit = int64_t{1} << 30;
    while (!stop) {
      OnOtherThread([&] {
        Mutator mutator(first);
        root = mutator.New<Node>(1u);
      });
      for (int i = 0; i < 100; ++i) Root<Node> copy(root);
      second.SetMemoryLimit(limit ^= int64_t{1} << 22);
      first.ReadMemStats();
      Heap third(options);
      root = nullptr;
    }
  });
  const auto fork_often = [&] {
    for (int i = 0; i < 6; ++i) {
      ForkAndCheck(nullptr, [&] {
        UseHeap(first);
        UseHeap(second);
      });
    }
  };
  std::thread forker(fork_often);
  fork_often();
  forker.join();
  stop = true;
  for (std::thread& t : threads) t.join();
  first.CheckInvariants();
  second.CheckInvariants();
}

}  // namespace
}  // namespace tricolor::runtime
