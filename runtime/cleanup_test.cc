// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/cleanup.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/runtime_testing.h"

namespace {
std::atomic<bool> no_malloc{false};
}  // namespace

// What AddCleanup allocates callables with.
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return no_malloc ? nullptr : ::operator new(size);
}

namespace tricolor::runtime {
namespace {

HeapOptions ByHand() {
  HeapOptions options = ExactOptions();
  options.cleanup_thread = false;
  return options;
}

void WaitFor(const std::atomic<int>& count, int wanted) {
  while (count < wanted) std::this_thread::yield();
}

TEST(CleanupTest, RunsOnceAfterTheObjectIsDead) {
  Heap heap(ByHand());
  Mutator mutator(heap);
  int runs = 0;
  Root<Node> root(mutator, mutator.New<Node>());
  AddCleanup(root.get(), [&runs] { ++runs; });
  heap.Collect();
  EXPECT_EQ(heap.RunCleanups(), 0U);
  root = nullptr;
  heap.Collect();
  EXPECT_EQ(runs, 0);
  EXPECT_EQ(heap.RunCleanups(), 1U);
  EXPECT_EQ(runs, 1);
  heap.Collect();
  EXPECT_EQ(heap.RunCleanups(), 0U);
}

TEST(CleanupTest, ManyOfOneObjectRunInTheOrderOfAdding) {
  Heap heap(ByHand());
  Mutator mutator(heap);
  std::vector<int> order;
  Node* node = mutator.New<Node>();
  for (int i = 0; i < 10; ++i) {
    AddCleanup(
        node, [&order](int k) { order.push_back(k); }, i);
  }
  heap.Collect();
  EXPECT_EQ(heap.RunCleanups(), 10U);
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(CleanupTest, TakesArgumentsThatCanOnlyBeMoved) {
  Heap heap(ByHand());
  Mutator mutator(heap);
  std::string seen;
  AddCleanup(
      mutator.New<Node>(),
      [&seen](std::unique_ptr<std::string> s) { seen = *s; },
      std::make_unique<std::string>("moved"));
  AddCleanup(mutator.New<Large>(),
             [&seen, p = std::make_unique<int>(1)] { seen += *p == 1; });
  heap.Collect();
  EXPECT_EQ(heap.RunCleanups(), 2U);
  EXPECT_NE(seen.find("moved"), std::string::npos);
}

TEST(CleanupTest, WeakPointersAreNullBefore) {
  Heap heap(ByHand());
  Mutator mutator(heap);
  for (int i = 0; i < 100; ++i) {
    Node* node = mutator.New<Node>();
    AddCleanup(node,
               [weak = Weak<Node>(node)] { EXPECT_TRUE(weak.expired()); });
  }
  heap.Collect();
  EXPECT_EQ(heap.RunCleanups(), 100U);
}

TEST(CleanupTest, StopTakesItOff) {
  Heap heap(ByHand());
  Mutator mutator(heap);
  int runs = 0;
  Root<Node> root(mutator, mutator.New<Node>());
  auto token = std::make_shared<int>(0);
  Cleanup first = AddCleanup(root.get(), [&runs, token] { runs += 1; });
  Cleanup second = AddCleanup(root.get(), [&runs, token] { runs += 10; });
  EXPECT_EQ(token.use_count(), 3);
  EXPECT_TRUE(first.Stop());
  EXPECT_EQ(token.use_count(), 2);
  EXPECT_FALSE(first.Stop());
  EXPECT_FALSE(Cleanup().Stop());
  root = nullptr;
  heap.Collect();
  EXPECT_FALSE(second.Stop());
  EXPECT_EQ(heap.RunCleanups(), 1U);
  EXPECT_EQ(runs, 10);
  EXPECT_FALSE(second.Stop());
  EXPECT_EQ(token.use_count(), 1);
}

TEST(CleanupTest, StoppedRecordsAreReusedWithoutConfusingOldHandles) {
  Heap heap(ByHand());
  Mutator mutator(heap);
  Root<Node> root(mutator, mutator.New<Node>());
  int runs = 0;
  std::vector<Cleanup> old;
  for (int i = 0; i < 1000; ++i) {
    Cleanup cleanup = AddCleanup(root.get(), [&runs] { ++runs; });
    for (Cleanup& other : old) ASSERT_FALSE(other.Stop());
    ASSERT_TRUE(cleanup.Stop());
    if (i % 100 == 0) old.push_back(cleanup);
  }
  AddCleanup(root.get(), [&runs] { ++runs; });
  for (Cleanup& other : old) EXPECT_FALSE(other.Stop());
  root = nullptr;
  heap.Collect();
  EXPECT_EQ(heap.RunCleanups(), 1U);
}

TEST(CleanupTest, ExceptionsAreReportedInOneLine) {
  Heap heap(ByHand());
  Mutator mutator(heap);
  int runs = 0;
  Node* node = mutator.New<Node>();
  AddCleanup(node, [] { throw std::runtime_error("the sky fell"); });
  AddCleanup(node, [] { throw 7; });
  AddCleanup(node, [&runs] { ++runs; });
  heap.Collect();
  testing::internal::CaptureStderr();
  EXPECT_EQ(heap.RunCleanups(), 3U);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "tricolor: a cleanup threw an exception: the sky fell\n"
            "tricolor: a cleanup threw an exception\n");
  EXPECT_EQ(runs, 1);
}

TEST(CleanupTest, TheExecutorRunsThemAttached) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  std::atomic<int> runs{0};
  for (int i = 0; i < 1000; ++i) {
    AddCleanup(mutator.New<Node>(), [&heap, &runs] {
      Mutator* own = Mutator::Current(heap);
      EXPECT_NE(own, nullptr);
      EXPECT_NE(own->New<Node>(), nullptr);
      ++runs;
    });
  }
  heap.Collect();
  Mutator::NativeScope native(mutator);
  WaitFor(runs, 1000);
}

TEST(CleanupTest, TheExecutorMayCollect) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  std::atomic<int> runs{0};
  AddCleanup(mutator.New<Node>(), [&] {
    heap.Collect();
    ++runs;
  });
  heap.Collect();
  Mutator::NativeScope native(mutator);
  WaitFor(runs, 1);
}

TEST(CleanupTest, MayHoldRoots) {
  Heap heap(ByHand());
  Mutator mutator(heap);
  Root<Node> partner(mutator, mutator.New<Node>(uint64_t{8}));
  uint64_t seen = 0;
  AddCleanup(mutator.New<Node>(), [partner, &seen] { seen = partner->value; });
  partner = nullptr;
  heap.Collect();
  EXPECT_EQ(heap.RunCleanups(), 1U);
  EXPECT_EQ(seen, 8U);
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
}

TEST(CleanupTest, AreDroppedWithTheHeap) {
  auto token = std::make_shared<int>(0);
  bool ran = false;
  for (const bool thread : {false, true}) {
    HeapOptions options = ExactOptions();
    options.cleanup_thread = thread;
    Heap heap(options);
    Mutator mutator(heap);
    Root<Node> root(mutator, mutator.New<Node>());
    AddCleanup(root.get(), [token, &ran] { ran = true; });
    // Dropped although it holds an object of the heap.
    AddCleanup(root.get(), [token, root] {});
    EXPECT_EQ(token.use_count(), 3);
  }
  EXPECT_FALSE(ran);
  EXPECT_EQ(token.use_count(), 1);
}

TEST(CleanupTest, ANullCallableIsFatal) {
  Heap heap(ByHand());
  Mutator mutator(heap);
  Root<Node> root(mutator, mutator.New<Node>());
  void (*none)() = nullptr;
  void (*none_of_int)(int) = nullptr;
  void (*none_of_node)(Node*) = nullptr;
  bool (Node::*no_member)() const = nullptr;
  const char* const message = "a null pointer as the callable of a cleanup or";
  EXPECT_DEATH(AddCleanup(root.get(), none), message);
  EXPECT_DEATH(AddCleanup(root.get(), none_of_int, 1), message);
  EXPECT_DEATH(SetFinalizer(root.get(), none_of_node), message);
  EXPECT_DEATH(SetFinalizer(root.get(), no_member), message);
}

// Of those that wait in the queue, and those whose objects are found dead while
// the others are dropped.
TEST(CleanupTest, OneThatIsDroppedWithTheHeapMayUseItInItsDestructor) {
  for (const char* debug : {"", "checkcleanups=1"}) {
    int destroyed = 0;
    bool ran = false;
    {
      HeapOptions options = ByHand();
      options.debug = debug;
      Heap heap(options);
      const auto token = [&] {
        return std::shared_ptr<int>(new int(0), [&](const int* p) {
          delete p;
          EXPECT_EQ(heap.RunCleanups(), 0U);
          heap.Collect();
          EXPECT_EQ(heap.RunCleanups(), 0U);
          if (++destroyed > 1) return;
          Mutator mutator(heap);
          AddCleanup(mutator.New<Node>(), [&ran] { ran = true; });
          heap.Collect();
        });
      };
      Mutator mutator(heap);
      for (const bool queued : {true, false}) {
        for (int i = 0; i < 70; ++i) {
          AddCleanup(mutator.New<Node>(), [&ran, t = token()] { ran = true; });
          SetFinalizer(mutator.New<Node>(),
                       [&ran, t = token()](Node*) { ran = true; });
        }
        if (queued) heap.Collect();
      }
    }
    EXPECT_FALSE(ran);
    EXPECT_EQ(destroyed, 280);
  }
}

TEST(CleanupTest, NoMemoryIsAnEmptyCleanup) {
  FakeOsMemory os({.protect = false});
  HeapOptions options = ByHand();
  options.os = &os;
  options.reservation_bytes = size_t{64} << 20;
  Heap heap(options);
  Mutator mutator(heap);
  Root<Node> root(mutator, mutator.New<Node>());
  auto token = std::make_shared<int>(0);
  size_t added = 0;
  EXPECT_TRUE(AddCleanup(root.get(), [token] {}));
  ++added;
  os.FailFrom(1);
  while (added < 20000 && AddCleanup(root.get(), [token] {})) ++added;
  ASSERT_LT(added, 20000U);
  Cleanup none = AddCleanup(root.get(), [token] {});
  EXPECT_FALSE(none);
  EXPECT_FALSE(none.Stop());
  EXPECT_EQ(token.use_count(), static_cast<long>(1 + added));
  heap.CheckInvariants();
  os.StopFailing();
  EXPECT_TRUE(AddCleanup(root.get(), [token] {}));
  no_malloc = true;
  const Cleanup no_callable = AddCleanup(root.get(), [token] {});
  no_malloc = false;
  EXPECT_FALSE(no_callable);
  root = nullptr;
  heap.Collect();
  EXPECT_EQ(heap.RunCleanups(), added + 1);
  EXPECT_EQ(token.use_count(), 1);
}

// ---- Where they run.

TEST(CleanupTest, RunCleanupsAttachesAThreadThatIsNot) {
  Heap heap(ByHand());
  Mutator mutator(heap);
  int runs = 0;
  AddCleanup(mutator.New<Node>(), [&] {
    EXPECT_NE(Mutator::Current(heap)->New<Node>(), nullptr);
    ++runs;
  });
  heap.Collect();
  Mutator::NativeScope native(mutator);
  OnOtherThread([&heap] { EXPECT_EQ(heap.RunCleanups(), 1U); });
  EXPECT_EQ(runs, 1);
}

TEST(CleanupTest, RunCleanupsInANativeScopeIsFatal) {
  Heap heap(ByHand());
  Mutator mutator(heap);
  Mutator::NativeScope native(mutator);
  EXPECT_DEATH(heap.RunCleanups(), "is used inside of its NativeScope");
}

TEST(CleanupTest, OneMayRunTheOthers) {
  Heap heap(ByHand());
  Mutator mutator(heap);
  std::string order;
  Node* first = mutator.New<Node>();
  Node* second = mutator.New<Node>();
  AddCleanup(first, [&] {
    order += "a(";
    EXPECT_EQ(heap.RunCleanups(), 1U);
    order += ")";
  });
  AddCleanup(first, [&order] { order += "b"; });
  AddCleanup(second, [&order] { order += "c"; });
  heap.Collect();
  EXPECT_EQ(heap.RunCleanups(), 2U);
  EXPECT_EQ(order, "a(c)b");
}

// Several threads run cleanups: each is run once, and those of an object in
// their order, one after the other.
TEST(CleanupTest, ThreadsThatRunThemTogetherKeepEachObjectsOrder) {
  constexpr int kObjects = 300;
  constexpr int kEach = 5;
  for (const bool executor : {false, true}) {
    HeapOptions options = ExactOptions();
    options.cleanup_thread = executor;
    Heap heap(options);
    Mutator mutator(heap);
    std::vector<std::atomic<int>> done(kObjects);
    std::atomic<int> total{0};
    for (size_t i = 0; i < kObjects; ++i) {
      Node* node = mutator.New<Node>();
      for (int k = 0; k < kEach; ++k) {
        AddCleanup(node, [&, i, k] {
          EXPECT_EQ(done[i], k);
          std::this_thread::yield();  // for another thread to take the next one
          EXPECT_EQ(done[i]++, k);
          ++total;
        });
      }
    }
    Mutator::NativeScope native(mutator);
    heap.Collect();
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&heap] { heap.RunCleanups(); });
    }
    for (std::thread& thread : threads) thread.join();
    WaitFor(total, kObjects * kEach);
    EXPECT_EQ(total, kObjects * kEach);
  }
}

TEST(CleanupTest, StopIsTooLateForOneThatWaitsOrRuns) {
  Heap heap(ByHand());
  Mutator mutator(heap);
  bool ran = false;
  Cleanup self;
  self = AddCleanup(mutator.New<Node>(), [&] {
    EXPECT_FALSE(self.Stop());
    OnOtherThread([&] { EXPECT_FALSE(self.Stop()); });
    ran = true;
  });
  heap.Collect();
  EXPECT_FALSE(self.Stop());
  heap.RunCleanups();
  EXPECT_TRUE(ran);
  EXPECT_FALSE(self.Stop());
}

TEST(CleanupTest, MayAddOthersCollectAndAllocateUntilNothingIsLeft) {
  HeapOptions options = ByHand();
  options.max_heap_bytes = 16 << 20;
  Heap heap(options);
  Mutator mutator(heap);
  int runs = 0;
  struct Next {
    Heap& heap;
    int& runs;
    void operator()() {
      Mutator& own = *Mutator::Current(heap);
      if (++runs < 5) AddCleanup(own.New<Node>(), *this);
      Root<Large> kept[64];
      for (Root<Large>& large : kept) {
        large = own.New<Large>();
        if (large == nullptr) return;
      }
      FAIL() << "the heap has no limit";
    }
  };
  AddCleanup(mutator.New<Node>(), Next{heap, runs});
  for (int i = 0; i < 5; ++i) {
    heap.Collect();
    heap.RunCleanups();
  }
  EXPECT_EQ(runs, 5);
  heap.CheckInvariants();
}

// The heap's parts are all there until the call has ended.
TEST(CleanupTest, OneThatRunsMayUseTheHeapWhileThatGoes) {
  std::atomic<bool> started{false};
  std::atomic<bool> ended{false};
  std::atomic<bool> going{false};
  {
    Heap heap(ExactOptions());
    {
      Mutator mutator(heap);
      AddCleanup(mutator.New<Node>(), [&] {
        started = true;
        while (!going) std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        Mutator& own = *Mutator::Current(heap);
        Root<Node> root(own, own.New<Node>(uint64_t{1}));
        heap.Collect();
        EXPECT_EQ(Heap::Of(root.get()), &heap);
        EXPECT_EQ(heap.ReadMemStats().mutators, 1U);
        ended = true;
      });
      heap.Collect();
      Mutator::NativeScope native(mutator);
      while (!started) std::this_thread::yield();
    }
    going = true;
  }
  EXPECT_TRUE(ended);
}

TEST(CleanupTest, AHeapMayGoWhileItIsSweptInTheBackground) {
  for (int round = 0; round < 5; ++round) {
    HeapOptions options;
    options.debug = "";
    options.cleanup_thread = false;
    Heap heap(options);
    Mutator mutator(heap);
    // Until a cycle that the program did not ask for has ended.
    while (heap.ReadMemStats().num_gc == 0) {
      for (int i = 0; i < 2000; ++i) {
        AddCleanup(mutator.New<Node>(), [] {});
      }
    }
    // The background sweeper is about to begin, at work, or done.
    std::this_thread::sleep_for(std::chrono::milliseconds(3 + round));
  }
}

// Objects with cleanups die on several threads; some are stopped in time. Every
// cleanup is either run once or stopped.
TEST(CleanupTest, EachIsRunOrStoppedButNotBoth) {
  HeapOptions options = QuietOptions();
  options.gc_percent = 100;
  options.min_heap_bytes = 256 << 10;
  Heap heap(options);
  std::atomic<int> runs{0};
  std::atomic<int> stopped{0};
  std::atomic<int> added{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Mutator mutator(heap);
      Random random(static_cast<uint64_t>(t));
      std::vector<Cleanup> pending(16);
      for (int i = 0; i < 3000; ++i) {
        Cleanup& slot = pending[random.Below(pending.size())];
        if (slot.Stop()) ++stopped;
        slot = AddCleanup(mutator.New<Node>(), [&runs] { ++runs; });
        ++added;
        for (int k = 0; k < 5; ++k) mutator.New<Leaf>();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  heap.Collect();
  WaitFor(runs, added - stopped);
  heap.Collect();
  heap.RunCleanups();
  EXPECT_EQ(runs + stopped, added);
  EXPECT_GT(runs, 0);
  EXPECT_GT(stopped, 0);
  heap.CheckInvariants();
}

}  // namespace
}  // namespace tricolor::runtime
