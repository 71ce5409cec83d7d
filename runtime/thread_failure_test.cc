// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Programs to which the system refuses threads: the k-th of a heap's life, for
// each k, or all from the k-th on; and the same in a child of fork(), which
// makes them again. The heap works on without: who allocates collects and
// sweeps, memory goes back, and cleanups wait for RunCleanups, which is said.
//
// The linker has the heap's calls of pthread_create come here (--wrap). Those
// of std::thread, and so the test's own, do not.

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/runtime/fork_testing.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/marking_testing.h"
#include "tricolor/runtime/runtime_testing.h"

extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }

namespace tricolor::runtime {
namespace {

// Which threads the system refuses to the process that said so last. Lies in
// memory that it shares with its parent.
struct Threads {
  void FailAfter(uint64_t k) { Restart(k, k); }
  void FailFrom(uint64_t k) { Restart(k, UINT64_MAX); }
  void Restart(uint64_t first, uint64_t last) {
    first_refused = first;
    last_refused = last;
    asked = 0;
    refused = 0;
    process = getpid();
  }
  bool Refuse() {
    if (getpid() != process) return false;
    const uint64_t k = ++asked;
    if (k < first_refused || k > last_refused) return false;
    ++refused;
    return true;
  }

  std::atomic<pid_t> process{0};
  std::atomic<uint64_t> first_refused{0};
  std::atomic<uint64_t> last_refused{0};
  std::atomic<uint64_t> asked{0};
  std::atomic<uint64_t> refused{0};
};

Threads& TheThreads() {
  static auto* threads =
      new (mmap(nullptr, sizeof(Threads), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Threads;
  return *threads;
}

}  // namespace
}  // namespace tricolor::runtime

using ThreadMain = void* (*)(void*);
extern "C" int __real_pthread_create(pthread_t*, const pthread_attr_t*,
                                     ThreadMain, void*);
extern "C" int __wrap_pthread_create(pthread_t*, const pthread_attr_t*,
                                     ThreadMain, void*);
extern "C" int __wrap_pthread_create(pthread_t* thread,
                                     const pthread_attr_t* attributes,
                                     ThreadMain main, void* argument) {
  if (tricolor::runtime::TheThreads().Refuse()) return EAGAIN;
  return __real_pthread_create(thread, attributes, main, argument);
}

namespace tricolor::runtime {
namespace {

constexpr int kMutators = 2;
constexpr int kRounds = 3;
constexpr int kCleanups = 20;  // a round of a mutator

// Everything that a heap has a thread for: collections beside the program by
// several workers, sweeping, memory beyond a limit, cleanups.
HeapOptions OptionsFor() {
  HeapOptions options;
  options.debug = "gccheckmark=1";
  options.conservative_stacks = false;
  options.min_heap_bytes = 256 << 10;
  options.gc_threads = 3;
  options.brief_bytes = 16 << 10;
  options.reservation_bytes = size_t{1} << 30;
  return options;
}

void RunMutator(Heap& heap, std::atomic<int>& run) {
  Mutator mutator(heap);
  Root<Node> kept(mutator, MakeList(mutator, 2000));
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < kCleanups; ++i) {
      Node* node = mutator.New<Node>();
      ASSERT_TRUE(AddCleanup(node, [&run] { ++run; }));
    }
    const Root<Node> list(mutator, MakeList(mutator, 2000));
    const Weak<Node> weak(list.get());
    ASSERT_NE(mutator.New<Large>(), nullptr);
    for (int i = 0; i < 10000; ++i) ASSERT_NE(mutator.New<Leaf>(), nullptr);
    EXPECT_EQ(weak.Get(), list.get());
    EXPECT_TRUE(ListIsIntact(list, 2000));
  }
  EXPECT_TRUE(ListIsIntact(kept, 2000));
}

// All cleanups run once, by the heap's thread or by this one.
void CheckCleanups(Heap& heap, const std::atomic<int>& run) {
  heap.RunCleanups();
  constexpr int kAll = kMutators * kRounds * kCleanups;
  EXPECT_TRUE(Eventually([&] { return run == kAll; })) << run;
  EXPECT_EQ(heap.RunCleanups(), 0U);
  EXPECT_EQ(run, kAll);
}

void RunProgram(const HeapOptions& options) {
  std::atomic<int> run{0};  // outlives the heap, whose cleanups count here
  Heap heap(options);
  std::vector<std::thread> threads;
  for (int t = 0; t < kMutators; ++t) {
    threads.emplace_back([&] { RunMutator(heap, run); });
  }
  for (std::thread& thread : threads) thread.join();
  const MemStats stats = heap.ReadMemStats();
  // Nobody has asked for one.
  EXPECT_GE(stats.num_gc, 3U);
  EXPECT_EQ(stats.num_gc_refused, 0U);
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
  // Some MiB are free. At once, but for what the thread does at its pace.
  heap.SetMemoryLimit(1 << 20);
  const MemStats limited = heap.ReadMemStats();
  EXPECT_GT(limited.scavenged_background + limited.scavenged_assist, 0U);
  EXPECT_LE(limited.sys - limited.heap_released, uint64_t{2} << 20);
  CheckCleanups(heap, run);
  heap.CheckInvariants();
  heap.FreeOsMemory();
  const MemStats end = heap.ReadMemStats();
  EXPECT_LE(end.heap_sys - end.heap_released, uint64_t{2} << 20);
}

// The thread that drives collections, two that mark, one each that sweeps,
// gives memory back, and calls cleanups.
constexpr uint64_t kThreads = 6;

TEST(ThreadFailureTest, EachThreadMayBeRefused) {
  uint64_t k = 0;
  do {
    TheThreads().FailAfter(++k);
    RunProgram(OptionsFor());
  } while (TheThreads().refused != 0 && !HasFailure());
  EXPECT_EQ(k, kThreads + 1);
}

TEST(ThreadFailureTest, AllThreadsMayBeRefusedFromAnyOn) {
  uint64_t k = 0;
  do {
    TheThreads().FailFrom(++k);
    RunProgram(OptionsFor());
  } while (TheThreads().refused != 0 && !HasFailure());
  EXPECT_EQ(k, kThreads + 1);
}

TEST(ThreadFailureTest, WithTheProgramStoppedTheyMayBeRefusedToo) {
  HeapOptions options = OptionsFor();
  options.concurrent = false;
  uint64_t k = 0;
  do {
    TheThreads().FailFrom(++k);
    RunProgram(options);
  } while (TheThreads().refused != 0 && !HasFailure());
  // Nobody drives.
  EXPECT_EQ(k, kThreads);
}

// Said once, and the cleanups wait.
TEST(ThreadFailureTest, WithoutAThreadForCleanupsTheyWait) {
  TheThreads().FailFrom(1);
  std::atomic<int> run{0};
  Heap heap(ExactOptions());
  testing::internal::CaptureStderr();
  {
    Mutator mutator(heap);
    for (int i = 0; i < kCleanups; ++i) {
      ASSERT_TRUE(AddCleanup(mutator.New<Node>(), [&run] { ++run; }));
    }
  }
  heap.Collect();
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "tricolor: no thread for cleanups; they wait for RunCleanups\n");
  EXPECT_EQ(run, 0);
  EXPECT_EQ(heap.RunCleanups(), static_cast<size_t>(kCleanups));
  EXPECT_EQ(run, kCleanups);
}

TEST(ThreadFailureTest, WithoutAThreadForItMemoryGoesBackAtOnce) {
  constexpr uint64_t kLimit = 8 << 20;
  TheThreads().FailFrom(1);
  Heap heap(ExactOptions());
  OnOtherThread([&heap] {
    Mutator mutator(heap);
    for (int i = 0; i < 20; ++i) ASSERT_NE(mutator.New<Large>(), nullptr);
  });
  heap.Collect();
  heap.SetMemoryLimit(kLimit);
  const MemStats stats = heap.ReadMemStats();
  EXPECT_EQ(stats.scavenged_background, 0U);
  EXPECT_LE(stats.sys - stats.heap_released, kLimit / 100 * 95);
}

// ---- In a child.

// Forks while a collection marks, which the child must bring to its end.
void RunInChild(const std::function<void()>& refuse) {
  HeapOptions options = PausableOptions(/*conservative_stacks=*/false);
  options.gc_percent = 100;
  options.min_heap_bytes = 256 << 10;
  options.gc_threads = 3;
  options.cleanup_thread = true;
  Heap heap(options);
  Mutator mutator(heap);
  const Root<Holder> holder(mutator, mutator.New<Holder>());
  holder->gate = mutator.New<Gate>();
  holder->gate->fields.ptr = MakeList(mutator, 5000);
  std::atomic<int> run{0};
  AddCleanup(mutator.New<Node>(), [&run] { ++run; });  // has the thread made
  PausedMarking paused(heap, &mutator);
  std::thread opener([&heap] {
    while (!heap.core().collector().fork_waits()) sched_yield();
    GateKeeper::Open();
  });
  ForkAndCheck(&mutator, [&] {
    refuse();
    EXPECT_TRUE(heap.core().pacer().marking());
    // Who allocates has the cycle finished, and then others run.
    EXPECT_TRUE(Eventually([&] {
      MakeGarbage(mutator, 5000);
      return !heap.core().pacer().marking();
    }));
    const uint64_t cycles = heap.ReadMemStats().num_gc;
    EXPECT_TRUE(Eventually([&] {
      MakeGarbage(mutator, 5000);
      return heap.ReadMemStats().num_gc > cycles + 2;
    }));
    EXPECT_TRUE(ListIsIntact(holder->gate->fields.ptr.get(), 5000));
    heap.RunCleanups();
    EXPECT_TRUE(Eventually([&] { return run == 1; }));
    {
      Mutator::NativeScope native(mutator);
      UseHeap(heap);
    }
    EXPECT_TRUE(ListIsIntact(holder->gate->fields.ptr.get(), 5000));
    EXPECT_EQ(run, 1);
  });
  opener.join();
}

TEST(ThreadFailureForkTest, EachThreadMayBeRefusedToTheChild) {
  uint64_t k = 0;
  do {
    ++k;
    RunInChild([k] { TheThreads().FailAfter(k); });
  } while (TheThreads().refused != 0 && !HasFailure());
  EXPECT_GE(k, 3U);
}

TEST(ThreadFailureForkTest, AllThreadsMayBeRefusedToTheChildFromAnyOn) {
  uint64_t k = 0;
  do {
    ++k;
    RunInChild([k] { TheThreads().FailFrom(k); });
  } while (TheThreads().refused != 0 && !HasFailure());
  EXPECT_GE(k, 3U);
}

}  // namespace
}  // namespace tricolor::runtime
