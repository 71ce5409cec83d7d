// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A fork in each phase of a collection, of its sweep and of its cleanups.

#include <sched.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/base/config.h"
#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/runtime/fiber_testing.h"
#include "tricolor/runtime/fork_testing.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/marking_testing.h"

extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }

namespace tricolor::runtime {
namespace {

bool Marking(Heap& heap) { return heap.core().pacer().marking(); }

// The gate opens when a fork waits for the marker that stands there.
std::thread OpenForFork(Heap& heap) {
  return std::thread([&heap] {
    while (!heap.core().collector().fork_waits()) sched_yield();
    GateKeeper::Open();
  });
}

// ---- Marking.

class MarkingForkTest : public testing::TestWithParam<bool> {
 protected:
  static constexpr size_t kLength = 100000;

  MarkingForkTest() : heap_(Options()), mutator_(heap_) {
    holder_ = mutator_.New<Holder>();
    holder_->gate = mutator_.New<Gate>();
    holder_->gate->fields.ptr = MakeList(mutator_, kLength);
  }
  static HeapOptions Options() {
    HeapOptions options = PausableOptions(GetParam());
    options.gc_threads = 2;
    return options;
  }
  void Check() {
    EXPECT_TRUE(ListIsIntact(holder_->gate->fields.ptr.get(), kLength));
  }

  Heap heap_;
  Mutator mutator_;
  Root<Holder> holder_;
};

INSTANTIATE_TEST_SUITE_P(Stacks, MarkingForkTest, testing::Bool(),
                         [](const auto& conservative) {
                           return conservative.param ? "Conservative" : "Exact";
                         });

TEST_P(MarkingForkTest, ChildFinishesTheCycle) {
  PausedMarking paused(heap_, &mutator_);
  std::thread opener = OpenForFork(heap_);
  ForkAndCheck(&mutator_, [&] {
    EXPECT_TRUE(Marking(heap_)) << "the cycle came to its end first";
    Check();
    heap_.Collect();
    EXPECT_FALSE(Marking(heap_));
    Check();
    Mutator::NativeScope native(mutator_);
    UseHeap(heap_);
  });
  opener.join();
}

// Nobody asks for a collection: those who allocate have the cycle finished.
TEST_P(MarkingForkTest, ChildThatAllocatesHasTheCycleFinished) {
  heap_.SetGcPercent(100);
  PausedMarking paused(heap_, &mutator_);
  std::thread opener = OpenForFork(heap_);
  ForkAndCheck(&mutator_, [&] {
    EXPECT_TRUE(Marking(heap_));
    EXPECT_TRUE(Eventually([&] {
      MakeGarbage(mutator_, 1000);
      return !Marking(heap_);
    }));
    Check();
    heap_.CheckInvariants();
  });
  opener.join();
}

TEST_P(MarkingForkTest, ChildForksBeforeTheCycleIsFinished) {
  PausedMarking paused(heap_, &mutator_);
  std::thread opener = OpenForFork(heap_);
  ForkAndCheck(&mutator_, [&] {
    ForkAndCheck(&mutator_, [&] {
      EXPECT_TRUE(Marking(heap_));
      heap_.Collect();
      Check();
      heap_.CheckInvariants();
    });
    EXPECT_TRUE(Marking(heap_));
    MakeGarbage(mutator_, 10000);
    Check();
    heap_.CheckInvariants();
  });
  opener.join();
}

// A thread has moved the only pointer from an object that has not been scanned
// to one that has been: its barrier's record is all that keeps the target.
TEST_P(MarkingForkTest, WhatBarriersOfOtherThreadsRecordedIsKept) {
  holder_->gate->fields.array[0] = mutator_.New<Node>(77u);
  Flag moved;
  Flag done;
  Flag paused_flag;
  std::thread other([&] {
    Mutator mutator(heap_);
    {
      Mutator::NativeScope native(mutator);
      paused_flag.Await();
    }
    Root<Holder> holder(holder_);
    holder->fields.array[0] = holder->gate->fields.array[0].get();
    holder->gate->fields.array[0] = nullptr;
    moved.Set();
    Mutator::NativeScope native(mutator);
    done.Await();
  });
  {
    PausedMarking paused(heap_, &mutator_);
    paused_flag.Set();
    moved.Await(&mutator_);
    std::thread opener = OpenForFork(heap_);
    ForkAndCheck(&mutator_, [&] {
      EXPECT_TRUE(Marking(heap_));
      heap_.Collect();
      MakeGarbage(mutator_, 10000);
      EXPECT_TRUE(holder_->fields.array[0]->intact());
      EXPECT_EQ(holder_->fields.array[0]->value, 77u);
      Check();
      heap_.CheckInvariants();
    });
    opener.join();
  }
  done.Set();
  Mutator::NativeScope native(mutator_);
  other.join();
}

TEST_P(MarkingForkTest, ChildDestroysTheHeapInMidCycle) {
  auto heap = std::make_unique<Heap>(Options());
  Flag paused_flag;
  std::thread owner([&] {
    Mutator mutator(*heap);
    Root<Holder> holder(mutator, mutator.New<Holder>());
    holder->gate = mutator.New<Gate>();
    holder->gate->fields.ptr = MakeList(mutator, kLength);
    PausedMarking paused(*heap, &mutator);
    paused_flag.Set();
    Mutator::NativeScope native(mutator);
    while (GateKeeper::paused()) sched_yield();
  });
  {
    Mutator::NativeScope native(mutator_);
    paused_flag.Await();
    std::thread opener = OpenForFork(*heap);
    ForkAndCheck(nullptr, [&] {
      EXPECT_TRUE(Marking(*heap));
      heap.reset();
    });
    opener.join();
    owner.join();
  }
}

// ---- Waits of the collector.

TEST(ForkPhasesTest, CollectorWaitsForAThreadToStop) {
  Heap heap(ExactOptions());
  Flag attached;
  std::atomic<bool> stop{false};
  std::thread slow([&] {
    Mutator mutator(heap);
    attached.Set();
    while (!stop) {
      // Without a safepoint for a while.
      for (int i = 0; i < 100; ++i) sched_yield();
      mutator.Safepoint();
    }
  });
  std::thread collecting([&] {
    while (!stop) heap.Collect();
  });
  attached.Await();
  for (int i = 0; i < 10; ++i) {
    ForkAndCheck(nullptr, [&] { UseHeap(heap); });
  }
  stop = true;
  slow.join();
  collecting.join();
}

// ---- Sweeping and scavenging.

TEST(ForkPhasesTest, BackgroundSweepsAndScavenges) {
  HeapOptions options = CheckedOptions(/*conservative=*/false);
  options.debug = "";
  options.gc_percent = 50;
  Heap heap(options);
  Mutator mutator(heap);
  Root<Node> list(mutator, MakeList(mutator, 20000));
  for (int i = 0; i < 8; ++i) {
    MakeGarbage(mutator, 50000);
    if (i % 4 == 0) mutator.New<Large>();
    // At another moment of the sweep each time.
    Mutator::NativeScope native(mutator);
    std::this_thread::sleep_for(std::chrono::microseconds(1700 * i));
    OnOtherThread([&] {
      ForkAndCheck(nullptr, [&] {
        heap.CheckInvariants();
        EXPECT_TRUE(ListIsIntact(list.get(), 20000));
        UseHeap(heap);
        heap.FreeOsMemory();
        heap.CheckInvariants();
      });
    });
  }
}

TEST(ForkPhasesTest, BackgroundGoesOnInTheChild) {
  HeapOptions options = ExactOptions();
  options.gc_percent = 100;
  options.min_heap_bytes = 1 << 20;
  Heap heap(options);
  Mutator mutator(heap);
  MakeGarbage(mutator, 100000);
  heap.Collect();
  ForkAndCheck(&mutator, [&] {
    const uint64_t cycles = heap.ReadMemStats().num_gc;
    const uint64_t forced = heap.ReadMemStats().num_forced_gc;
    std::atomic<int> ran{0};
    EXPECT_TRUE(Eventually([&] {
      AddCleanup(mutator.New<Node>(), [&ran] { ++ran; });
      MakeGarbage(mutator, 10000);
      const MemStats stats = heap.ReadMemStats();
      return stats.num_gc > cycles + 1 && ran != 0;
    }));
    EXPECT_EQ(heap.ReadMemStats().num_forced_gc, forced);
  });
}

TEST(ForkPhasesTest, ThreadsHaveTheHeapsMemoryInTheirHands) {
  HeapOptions options = ExactOptions();
  Heap heap(options);
  std::atomic<bool> stop{false};
  std::thread scavenging([&] {
    while (!stop) heap.FreeOsMemory();
  });
  std::thread limiting([&] {
    while (!stop) {
      heap.SetMemoryLimit(1 << 20);
      heap.SetMemoryLimit(1 << 30);
    }
  });
  std::thread allocating([&] {
    Mutator mutator(heap);
    while (!stop) {
      Root<Large> large(mutator, mutator.New<Large>());
      MakeGarbage(mutator, 10000);
    }
  });
  for (int i = 0; i < 10; ++i) {
    ForkAndCheck(nullptr, [&] {
      heap.CheckInvariants();
      UseHeap(heap);
      const MemStats stats = heap.ReadMemStats();
      EXPECT_LT(stats.heap_in_use, stats.heap_sys);
    });
  }
  stop = true;
  scavenging.join();
  limiting.join();
  allocating.join();
}

// ---- Cleanups.

// Three cleanups on one object, and one on another.
struct Cleanups {
  explicit Cleanups(Heap& heap) {
    OnOtherThread([&] {
      Mutator mutator(heap);
      Node* first = mutator.New<Node>();
      AddCleanup(first, [this, &heap] {
        begun.Set();
        Mutator* own = Mutator::Current(heap);
        if (fork_inside != nullptr) fork_inside(own);
        Mutator::NativeScope native(*own);
        go_on.Await();
        ++finished;
      });
      AddCleanup(first, [this] { order = order * 10 + 2; });
      AddCleanup(first, [this] { order = order * 10 + 3; });
    });
    OnOtherThread([&] {
      Mutator mutator(heap);
      AddCleanup(mutator.New<Node>(), [this] { ++others; });
    });
  }
  Flag begun;
  Flag go_on;
  std::function<void(Mutator*)> fork_inside;
  std::atomic<int> finished{0};
  std::atomic<int> order{0};
  std::atomic<int> others{0};
};

TEST(ForkPhasesTest, CallThatRunsElsewhereNeverEndsAndTheOthersRunOnce) {
  Heap heap(ExactOptions());
  Cleanups cleanups(heap);
  heap.Collect();
  cleanups.begun.Await();
  ForkAndCheck(nullptr, [&] {
    heap.ReadMemStats();  // the executor is made again
    EXPECT_TRUE(Eventually([&] { return cleanups.order == 23; }));
    EXPECT_TRUE(Eventually([&] { return cleanups.others == 1; }));
    cleanups.go_on.Set();
    heap.RunCleanups();
    EXPECT_EQ(cleanups.finished, 0);
    UseHeap(heap);
    EXPECT_EQ(cleanups.order, 23);
    EXPECT_EQ(cleanups.others, 1);
  });
  cleanups.go_on.Set();
  EXPECT_TRUE(
      Eventually([&] { return cleanups.order == 23 && cleanups.others == 1; }));
  EXPECT_EQ(cleanups.finished, 1);
}

// The executor's thread is the child's: it goes on with what it has taken.
TEST(ForkPhasesTest, CleanupForks) {
  Heap heap(ExactOptions());
  Cleanups cleanups(heap);
  cleanups.go_on.Set();
  std::atomic<int> forks{0};
  cleanups.fork_inside = [&](Mutator* own) {
    ForkAndCheck(own, [&] {
      heap.RunCleanups();  // its own object's come after it
      EXPECT_EQ(cleanups.order, 0);
      {
        Mutator::NativeScope native(*own);
        UseHeap(heap);
      }
      EXPECT_EQ(cleanups.order, 0);
      EXPECT_TRUE(Eventually([&] { return cleanups.others == 1; }));
    });
    ++forks;
  };
  heap.Collect();
  EXPECT_TRUE(Eventually([&] { return cleanups.order == 23; }));
  EXPECT_EQ(forks, 1);
}

// ---- Fibers.

// Holds a list over what `wait` does.
template <typename Wait>
std::function<void(Fiber&)> HoldListOver(Wait wait) {
  return [wait](Fiber& fiber) {
    Node* list = MakeList(fiber.mutator(), 10000);
    wait(fiber);
    EXPECT_TRUE(ListIsIntact(list, 10000));
  };
}

TEST(ForkPhasesTest, SuspendedFiberGoesOnInTheChild) {
  Heap heap(CheckedOptions(/*conservative=*/true));
  Mutator mutator(heap);
  Fiber fiber(heap, HoldListOver([](Fiber& self) { self.Yield(); }));
  fiber.Resume(mutator);
  ForkAndCheck(&mutator, [&] {
    heap.Collect();
    MakeGarbage(mutator, 20000);
    EXPECT_GE(heap.ReadMemStats().heap_objects, 10000u);
    heap.CheckInvariants();
#ifndef ABSL_HAVE_THREAD_SANITIZER
    // That looks away in the child, but not on fibers of the parent, and would
    // not have seen the handlers unlock.
    fiber.Resume(mutator);
    EXPECT_TRUE(fiber.ended());
    heap.Collect();
    EXPECT_LT(heap.ReadMemStats().heap_objects, 5000u);
    heap.CheckInvariants();
#endif
  });
  fiber.Resume(mutator);
  EXPECT_TRUE(fiber.ended());
}

// One fiber is what a thread runs, the other is suspended, but known on that
// thread's stack only, which the child's next thread is given.
TEST(ForkPhasesTest, FibersOfOtherThreadsAreGone) {
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  constexpr uint64_t kKept = 10000;  // local variables are in fake frames
#else
  constexpr uint64_t kKept = 0;
#endif
  Heap heap(CheckedOptions(/*conservative=*/true));
  Flag running;
  Flag done;
  Fiber runs(heap, HoldListOver([&](Fiber& self) {
               Mutator::NativeScope native(self.mutator());
               running.Set();
               done.Await();
             }));
  std::thread other([&] {
    Mutator mutator(heap);
    std::optional<FiberStack> stack;
    Fiber local(heap, HoldListOver([](Fiber& self) { self.Yield(); }), &stack);
    local.Resume(mutator);
    runs.Resume(mutator);
    local.Resume(mutator);
  });
  running.Await();
  ForkAndCheck(nullptr, [&] {
    runs.stack().Clear();
    for (int i = 0; i < 3; ++i) UseHeap(heap);
    EXPECT_LT(heap.ReadMemStats().heap_objects, kKept + 5000);
  });
  done.Set();
  other.join();
}

// ---- Whatever else.

TEST(ForkPhasesTest, MutatorOfAnotherThreadIsDetached) {
  Heap heap(ExactOptions());
  std::unique_ptr<Mutator> others;
  Flag attached;
  Flag done;
  std::thread other([&] {
    others = std::make_unique<Mutator>(heap);
    others->New<Node>();
    {
      Mutator::NativeScope native(*others);
      attached.Set();
      done.Await();
    }
    others.reset();
  });
  attached.Await();
  ForkAndCheck(nullptr, [&] {
    EXPECT_EQ(heap.ReadMemStats().mutators, 0u);
    others.reset();
    UseHeap(heap);
  });
  done.Set();
  other.join();
}

class ForkingSampler final : public AllocationSampler {
 public:
  explicit ForkingSampler(Heap& heap) : heap_(heap) {}
  void OnSample(const AllocationSample& sample) override {
    if (++samples_ != 10) return;
    Mutator* own = Mutator::Current(heap_);
    Root<Node> held(*own, static_cast<Node*>(sample.object));
    ForkAndCheck(own, [&] {
      Mutator::NativeScope native(*own);
      UseHeap(heap_);
    });
  }
  int samples() const { return samples_; }

 private:
  Heap& heap_;
  std::atomic<int> samples_{0};
};

TEST(ForkPhasesTest, AllocationSamplerForks) {
  HeapOptions options = ExactOptions();
  options.profile_rate_bytes = 1;
  Heap heap(options);
  ForkingSampler sampler(heap);
  heap.SetAllocationSampler(&sampler);
  {
    Mutator mutator(heap);
    Root<Node> list(mutator, MakeList(mutator, 100));
    EXPECT_TRUE(ListIsIntact(list.get(), 100));
  }
  EXPECT_GE(sampler.samples(), 100);
  heap.SetAllocationSampler(nullptr);
}

TEST(ForkPhasesTest, HeapOfAFakeSystem) {
  FakeOsMemory os({.protect = false});
  {
    HeapOptions options = ExactOptions();
    options.os = &os;
    options.reservation_bytes = size_t{1} << 28;
    Heap heap(options);
    Heap ordinary(ExactOptions());
    Mutator mutator(heap);
    Root<Node> list(mutator, MakeList(mutator, 1000));
    ForkAndCheck(&mutator, [&] {
      EXPECT_TRUE(ListIsIntact(list.get(), 1000));
      Mutator::NativeScope native(mutator);
      UseHeap(heap);
      UseHeap(ordinary);
    });
  }
}

}  // namespace
}  // namespace tricolor::runtime
