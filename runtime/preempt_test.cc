// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Threads that neither allocate nor poll, and are stopped by a signal.

#include "tricolor/runtime/preempt.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/config.h"
#include "gtest/gtest.h"
#include "tricolor/base/test_random.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/no_preempt.h"
#include "tricolor/runtime/runtime_testing.h"
#include "tricolor/runtime/signal_testing.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {
namespace {

// A step of a computation: ThreadSanitizer delivers signals in calls that it
// knows.
inline void Compute() {
  if (kThreadSanitizer) usleep(1);
}

HeapOptions CheckedOptions(bool concurrent) {
  HeapOptions options = QuietOptions();
  options.concurrent = concurrent;
  options.debug = "gccheckmark=1";
  return options;
}

class PreemptTest : public testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(Concurrent, PreemptTest, testing::Bool());

// Runs body(mutator, done) on a thread until done, beside `collections`
// collections that begin when the body sets *ready.
void Beside(Heap& heap, int collections,
            const std::function<void(Mutator&, std::atomic<bool>& ready,
                                     std::atomic<bool>& done)>& body) {
  std::atomic<bool> ready{false};
  std::atomic<bool> done{false};
  std::thread thread([&] {
    Mutator mutator(heap);
    body(mutator, ready, done);
  });
  while (!ready) std::this_thread::yield();
  for (int i = 0; i < collections; ++i) heap.Collect();
  done = true;
  thread.join();
}

TEST_P(PreemptTest, AThreadThatOnlyComputesHoldsUpNoCollection) {
  Heap heap(CheckedOptions(GetParam()));
  Beside(heap, 10, [](Mutator& mutator, auto& ready, auto& done) {
    Node* list = MakeList(mutator, 1000);
    ready = true;
    while (!done.load(std::memory_order_relaxed)) Compute();
    EXPECT_TRUE(ListIsIntact(list, 1000));
  });
  const MemStats stats = heap.ReadMemStats();
  EXPECT_EQ(stats.num_gc, 10U);
  EXPECT_GE(heap.core().world().signals_sent(), 1U);
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
}

TEST_P(PreemptTest, StatisticsAndChecksStopItToo) {
  Heap heap(CheckedOptions(GetParam()));
  std::atomic<bool> ready{false};
  std::atomic<bool> done{false};
  std::thread thread([&] {
    Mutator mutator(heap);
    Node* list = MakeList(mutator, 1000);
    ready = true;
    while (!done.load(std::memory_order_relaxed)) Compute();
    EXPECT_TRUE(ListIsIntact(list, 1000));
  });
  while (!ready) std::this_thread::yield();
  EXPECT_GE(heap.ReadMemStats().heap_objects, 1000U);
  heap.CheckInvariants();
  heap.FreeOsMemory();
  heap.CheckInvariants();
  done = true;
  thread.join();
}

#if defined(__x86_64__) && !defined(ABSL_HAVE_THREAD_SANITIZER)
// The one pointer is in a vector register, or below the stack pointer, while
// the thread spins.
ABSL_ATTRIBUTE_NOINLINE Node* SpinInVectorRegister(
    Node* list, const std::atomic<bool>* done) {
  asm volatile(
      "movq %[list], %%xmm7\n"
      "xorl %k[list], %k[list]\n"
      "1: pause\n"
      "cmpb $0, (%[done])\n"
      "je 1b\n"
      "movq %%xmm7, %[list]\n"
      : [list] "+r"(list)
      : [done] "r"(done)
      : "xmm7", "memory", "cc");
  return list;
}

ABSL_ATTRIBUTE_NOINLINE Node* SpinInRedZone(Node* list,
                                            const std::atomic<bool>* done) {
  asm volatile(
      "movq %[list], -120(%%rsp)\n"
      "xorl %k[list], %k[list]\n"
      "1: pause\n"
      "cmpb $0, (%[done])\n"
      "je 1b\n"
      "movq -120(%%rsp), %[list]\n"
      : [list] "+r"(list)
      : [done] "r"(done)
      : "memory", "cc");
  return list;
}

using Spin = Node* (*)(Node* list, const std::atomic<bool>* done);

// A list that only `spin` knows: its address is hidden everywhere else.
void TestHidden(const HeapOptions& options, Spin spin) {
  Heap heap(options);
  Beside(heap, 5, [&](Mutator&, auto& ready, auto& done) {
    std::atomic<uint64_t> hidden{0};
    OnOtherThread([&] {
      Mutator maker(heap);
      hidden = ~reinterpret_cast<uint64_t>(MakeList(maker, 1000));
    });
    ready = true;
    Node* list = spin(reinterpret_cast<Node*>(~hidden.exchange(0)), &done);
    EXPECT_TRUE(ListIsIntact(list, 1000));
  });
}

TEST_P(PreemptTest, VectorRegistersKeepTheirObjects) {
  TestHidden(CheckedOptions(GetParam()), &SpinInVectorRegister);
}

TEST_P(PreemptTest, TheRedZoneKeepsItsObjects) {
  TestHidden(CheckedOptions(GetParam()), &SpinInRedZone);
}
#endif

TEST_P(PreemptTest, ThreadsWithAnAlternateStackAreStopped) {
  Heap heap(CheckedOptions(GetParam()));
  Beside(heap, 5, [](Mutator& mutator, auto& ready, auto& done) {
    AlternateStack alternate;
    Node* list = MakeList(mutator, 1000);
    ready = true;
    while (!done.load(std::memory_order_relaxed)) Compute();
    EXPECT_TRUE(ListIsIntact(list, 1000));
  });
}

#if defined(__x86_64__) && !defined(ABSL_HAVE_THREAD_SANITIZER)
Node* SpinOnAlternateStack(Node* list, const std::atomic<bool>* done) {
  AlternateStack alternate;
  Node* a = SpinInVectorRegister(list, done);
  return a;
}

TEST_P(PreemptTest, RegistersInAFrameOnTheAlternateStackKeepTheirObjects) {
  TestHidden(CheckedOptions(GetParam()), &SpinOnAlternateStack);
}
#endif

// Moves pointers about, with no allocation and no safepoint. With no grace,
// most stops are by signals, at any instruction.
void Shuffle(Ptr<Node>* slots, size_t count, uint64_t seed,
             const std::atomic<bool>& done) {
  Random random(seed);
  while (!done.load(std::memory_order_relaxed)) {
    for (int i = 0; i < 1000; ++i) {
      const size_t a = random.Below(count);
      const size_t b = random.Below(count);
      Node* at_a = slots[a];
      Node* at_b = slots[b];
      slots[a] = nullptr;
      slots[b] = at_a;
      if (a != b) slots[a] = at_b;
    }
    Compute();
  }
}

struct Slots {
  static constexpr size_t kCount = 500;
  TRICOLOR_TRACE(Slots, slots);
  Ptr<Node> slots[kCount];
};

TEST_P(PreemptTest, NothingIsLostWhenStoresAreInterrupted) {
  const uint64_t seed = TestSeed();
  Heap heap(CheckedOptions(GetParam()));
  heap.core().world().set_preempt_grace(0);
  std::atomic<int> ready{0};
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      Mutator mutator(heap);
      Slots* table = mutator.New<Slots>();
      for (uint64_t i = 0; i < Slots::kCount; ++i) {
        table->slots[i] = mutator.New<Node>(i);
      }
      ++ready;
      Shuffle(table->slots, Slots::kCount, seed + t, done);
      uint64_t sum = 0;
      for (const Ptr<Node>& slot : table->slots) {
        ASSERT_TRUE(slot->intact());
        sum += slot->value;
      }
      EXPECT_EQ(sum, Slots::kCount * (Slots::kCount - 1) / 2);
    });
  }
  while (ready != 3) std::this_thread::yield();
  for (int i = 0; i < 20; ++i) heap.Collect();
  done = true;
  for (std::thread& thread : threads) thread.join();
  heap.CheckInvariants();
}

// A store whose barrier has found no cycle before the first stop, and which is
// carried out when another thread, scanned already, has loaded what it
// replaces.
TEST(PreemptBarrierTest, AStoreInterruptedBehindItsBarrierLosesNothing) {
  Heap heap(CheckedOptions(true));
  heap.core().world().set_preempt_grace(50'000'000);
  Root<Slots> table;
  OnOtherThread([&] {
    Mutator maker(heap);
    table = maker.New<Slots>();
    table->slots[7] = maker.New<Node>(uint64_t{1});
  });
  // The next threads get the same memory as stacks.
  OnOtherThread([] {
    volatile char forgotten[64 << 10];
    for (volatile char& c : forgotten) c = 0;
  });
  std::atomic<int> ready{0};
  std::atomic<bool> loaded{false};
  std::atomic<bool> done{false};
  std::thread stores([&] {
    Mutator own(heap);
    Slots* slots = table;
    ASSERT_FALSE(AnyHeapMarks());
    ++ready;
    while (!loaded) Compute();
    StoreWordRelaxed(reinterpret_cast<uint64_t*>(&slots->slots[7]),
                     uint64_t{0});
    while (!done) Compute();
  });
  std::thread loads([&] {
    Mutator own(heap);
    const MutatorContext& context = own.context();
    ++ready;
    // On a busy machine the cycle may pass by: nothing is tested then.
    while (!context.marking && !done) own.Safepoint();
    // By now the handshake has been asked for: it comes here, or came before.
    usleep(10'000);
    own.Safepoint();
    Node* node = table->slots[7];
    Weak<Node> weak(node);
    loaded = true;
    while (!done) own.Safepoint();
    EXPECT_FALSE(weak.expired());
    EXPECT_TRUE(node->intact());
  });
  while (ready != 2) std::this_thread::yield();
  heap.Collect();
  done = true;
  stores.join();
  loads.join();
}

// Types of one span class with different pointer bits, and one with a header.
// A slot that was taken and has the bits of before may be scanned by these when
// its thread was interrupted: so words without pointers, too, are stored as a
// marker reads them.
struct OneNode {
  TRICOLOR_TRACE(OneNode, next, other);
  OneNode() { StoreWordRelaxed(&magic, Node::kMagic); }
  Ptr<OneNode> next;
  Ptr<OneNode> other;
  uint64_t value;
  uint64_t magic;
};
struct OtherNode {
  TRICOLOR_TRACE(OtherNode, a, b);
  OtherNode() { StoreWordRelaxed(&magic, Node::kMagic); }
  uint64_t value;
  Ptr<OneNode> a;
  uint64_t magic;
  Ptr<OtherNode> b;
};
struct Wide {
  TRICOLOR_TRACE(Wide, links);
  Ptr<OneNode> links[80];
};

TEST_P(PreemptTest, NothingIsLostWhenAllocationsAreInterrupted) {
  const uint64_t seed = TestSeed();
  HeapOptions options = CheckedOptions(GetParam());
  options.gc_percent = 100;
  options.min_heap_bytes = 1 << 20;
  Heap heap(options);
  heap.core().world().set_preempt_grace(0);
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      Mutator mutator(heap);
      Random random(seed + t);
      OtherNode* list = nullptr;
      uint64_t length = 0;
      while (!done.load(std::memory_order_relaxed)) {
        auto* node = mutator.New<OtherNode>();
        node->a = mutator.New<OneNode>();
        StoreWordRelaxed(&node->a->value, length);
        if (random.Below(4) == 0) {
          Wide* wide = mutator.New<Wide>();
          wide->links[random.Below(80)] = node->a.get();
        }
        mutator.New<Leaf>();
        StoreWordRelaxed(&node->value, length++);
        node->b = list;
        list = node;
        if (length < 200) continue;
        for (OtherNode* n = list; n != nullptr; n = n->b) {
          ASSERT_EQ(n->value, --length);
          ASSERT_EQ(n->magic, Node::kMagic);
          ASSERT_EQ(n->a->magic, Node::kMagic);
          ASSERT_EQ(n->a->value, n->value);
        }
        list = nullptr;
        ASSERT_EQ(length, 0U);
      }
    });
  }
  for (int i = 0; i < 100; ++i) {
    heap.Collect();
    if (i % 10 == 0) heap.CheckInvariants();
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  heap.CheckInvariants();
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
}

// Each thread is interrupted for one heap while it is managed in the other.
TEST_P(PreemptTest, ThreadsInTwoHeapsAreStoppedForBoth) {
  Heap a(CheckedOptions(GetParam()));
  Heap b(CheckedOptions(GetParam()));
  a.core().world().set_preempt_grace(0);
  b.core().world().set_preempt_grace(0);
  std::atomic<int> ready{0};
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      Mutator in_a(t % 2 == 0 ? a : b);
      Mutator in_b(t % 2 == 0 ? b : a);
      Node* list_a = MakeList(in_a, 100);
      Node* list_b = MakeList(in_b, 100);
      ++ready;
      while (!done.load(std::memory_order_relaxed)) Compute();
      EXPECT_TRUE(ListIsIntact(list_a, 100));
      EXPECT_TRUE(ListIsIntact(list_b, 100));
    });
  }
  while (ready != 3) std::this_thread::yield();
  std::thread collects_b([&] {
    for (int i = 0; i < 20; ++i) b.Collect();
  });
  for (int i = 0; i < 20; ++i) a.Collect();
  collects_b.join();
  done = true;
  for (std::thread& thread : threads) thread.join();
}

// As when a lock of malloc's is held by a thread that is stopped, and wanted by
// one that cannot stop before it has it.
TEST(PreemptHoldTest, AThreadThatWaitsForAnInterruptedOneGetsItsTurn) {
  Heap heap(CheckedOptions(true));
  std::atomic<uint64_t> progress{0};
  std::atomic<bool> done{false};
  std::thread computes([&] {
    Mutator mutator(heap);
    while (!done.load(std::memory_order_relaxed)) {
      ++progress;
      Compute();
    }
  });
  std::thread waits([&] {
    Mutator mutator(heap);
    while (!done.load(std::memory_order_relaxed)) {
      {
        const NoPreempt no_preempt;
        const uint64_t from = progress;
        while (progress < from + 2 && !done) std::this_thread::yield();
      }
      mutator.Safepoint();
    }
  });
  while (progress < 10) std::this_thread::yield();
  for (int i = 0; i < 5; ++i) heap.Collect();
  done = true;
  computes.join();
  waits.join();
}

TEST(PreemptSignalTest, WithoutASignalASafepointStopsTheThread) {
  HeapOptions options = CheckedOptions(true);
  options.preempt_signal = 0;
  Heap heap(options);
  Beside(heap, 5, [](Mutator& mutator, auto& ready, auto& done) {
    Node* list = MakeList(mutator, 1000);
    ready = true;
    while (!done.load(std::memory_order_relaxed)) mutator.Safepoint();
    EXPECT_TRUE(ListIsIntact(list, 1000));
  });
  EXPECT_EQ(heap.core().world().signals_sent(), 0U);
}

void SetSignalBlocked(bool blocked) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGURG);
  pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &signals, nullptr);
}

TEST(PreemptSignalTest, AThreadThatBlocksTheSignalStopsAtItsSafepoint) {
  Heap heap(CheckedOptions(true));
  heap.core().world().set_preempt_grace(0);
  Beside(heap, 5, [](Mutator& mutator, auto& ready, auto& done) {
    SetSignalBlocked(true);
    Node* list = MakeList(mutator, 1000);
    ready = true;
    while (!done.load(std::memory_order_relaxed)) {
      usleep(2000);
      mutator.Safepoint();
    }
    EXPECT_TRUE(ListIsIntact(list, 1000));
  });
}

TEST(PreemptSignalTest, AThreadThatBlocksTheSignalStopsInItsNativeScope) {
  Heap heap(CheckedOptions(true));
  heap.core().world().set_preempt_grace(0);
  Beside(heap, 5, [](Mutator& mutator, auto& ready, auto& done) {
    SetSignalBlocked(true);
    Node* list = MakeList(mutator, 1000);
    ready = true;
    while (!done.load(std::memory_order_relaxed)) {
      usleep(2000);
      Mutator::NativeScope native(mutator);
    }
    EXPECT_TRUE(ListIsIntact(list, 1000));
  });
}

// What was sent while they blocked it arrives when nobody waits for them.
TEST(PreemptSignalTest, ThreadsThatBlockTheSignalComeAndGoInMidCycle) {
  Heap heap(CheckedOptions(true));
  heap.core().world().set_preempt_grace(0);
  std::atomic<bool> done{false};
  std::atomic<int> lives{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      while (!done) {
        OnOtherThread([&] {
          SetSignalBlocked(true);
          {
            Mutator mutator(heap);
            Node* list = MakeList(mutator, 100);
            usleep(500);
            if (t == 1) mutator.Safepoint();
            if (t == 2) SetSignalBlocked(false);
            EXPECT_TRUE(ListIsIntact(list, 100));
          }
          SetSignalBlocked(false);
          ++lives;
        });
      }
    });
  }
  for (int i = 0; i < 20 || lives < 20; ++i) heap.Collect();
  EXPECT_GE(heap.core().world().signals_sent(), 1U);
  done = true;
  for (std::thread& thread : threads) thread.join();
  heap.CheckInvariants();
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
}

TEST(PreemptSignalTest, ExactHeapsSendNone) {
  Heap heap(ExactOptions());
  heap.core().world().set_preempt_grace(0);
  Beside(heap, 5, [](Mutator& mutator, auto& ready, auto& done) {
    Root<Node> list(mutator, MakeList(mutator, 1000));
    ready = true;
    while (!done.load(std::memory_order_relaxed)) mutator.Safepoint();
    EXPECT_TRUE(ListIsIntact(list, 1000));
  });
  EXPECT_EQ(heap.core().world().signals_sent(), 0U);
}

std::atomic<int> foreign_signals{0};

TEST(PreemptSignalTest, OtherSignalsGoToTheHandlerThatWasThereBefore) {
  struct sigaction own = {};
  own.sa_handler = [](int) { ++foreign_signals; };
  ASSERT_EQ(sigaction(SIGUSR2, &own, nullptr), 0);
  HeapOptions options = CheckedOptions(true);
  options.preempt_signal = SIGUSR2;
  Heap heap(options);
  foreign_signals = 0;
  Beside(heap, 5, [](Mutator&, auto& ready, auto& done) {
    ready = true;
    while (!done.load(std::memory_order_relaxed)) Compute();
  });
  EXPECT_GE(heap.core().world().signals_sent(), 1U);
  EXPECT_EQ(foreign_signals, 0);
  raise(SIGUSR2);
  EXPECT_EQ(foreign_signals, 1);
}

TEST(PreemptSignalTest, ErrnoSurvives) {
  Heap heap(CheckedOptions(true));
  heap.core().world().set_preempt_grace(0);
  Beside(heap, 20, [](Mutator&, auto& ready, auto& done) {
    ready = true;
    errno = 4711;
    while (!done.load(std::memory_order_relaxed)) {
      ASSERT_EQ(errno, 4711);
      Compute();
      errno = 4711;
    }
  });
}

TEST(PreemptSignalDeathTest, ASignalThatDoesNotExistIsFatal) {
  HeapOptions options = QuietOptions();
  options.preempt_signal = 1000;
  EXPECT_DEATH(Heap{options}, "preempt_signal is 1000");
  options.preempt_signal = SIGKILL;
  EXPECT_DEATH(Heap{options}, "preempt_signal is 9");
}

}  // namespace
}  // namespace tricolor::runtime
