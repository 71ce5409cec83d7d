// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A storm of signals: at random times, to random threads that allocate, store,
// compute, wait natively and collect. They are those of the collector itself,
// with its tag and without; a user's own, on the thread's stack or on an
// alternate one, whose handlers have state of their own and last a while, so
// that signals interrupt handlers, too. Every cycle is checked by a second
// marker, every thread's data by sums.

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/test_random.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/preempt.h"
#include "tricolor/runtime/runtime_testing.h"
#include "tricolor/runtime/signal_testing.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {
namespace {

constexpr int kThreads = 4;
constexpr int kCollections = kThreadSanitizer ? 60 : 300;

// ---- The user's signals.

constexpr int kOnOwnStack = SIGUSR1;
constexpr int kOnAlternateStack = SIGUSR2;

// What the handlers keep, one for each thread.
struct HandlerState {
  std::atomic<uint64_t> begun{0};
  std::atomic<uint64_t> ended{0};
  uint64_t words[32] = {};  // the sum stays 0
  uint64_t damaged = 0;
};
thread_local HandlerState* handler_state = nullptr;

std::atomic<uint64_t> untagged{0};

// Moves numbers about in its own state, some microseconds long. Another one of
// these does not interrupt it; the collector's may.
void OnUserSignal(int) {
  const int saved_errno = errno;
  HandlerState* const state = handler_state;
  if (state == nullptr) return;
  const uint64_t turn = state->begun.fetch_add(1, std::memory_order_relaxed);
  for (uint64_t i = 0; i < 2000; ++i) {
    state->words[(turn + i) % 32] += i;
    state->words[(turn + i * 7) % 32] -= i;
  }
  uint64_t sum = 0;
  for (const uint64_t word : state->words) sum += word;
  if (sum != 0) ++state->damaged;
  state->ended.fetch_add(1, std::memory_order_relaxed);
  errno = saved_errno;
}

// Was there before the heap's handler, which hands on what is not its own.
void OnUntagged(int) { untagged.fetch_add(1, std::memory_order_relaxed); }

void Install(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART | flags;
  sigemptyset(&action.sa_mask);
  if (signal != SIGURG) {
    sigaddset(&action.sa_mask, kOnOwnStack);
    sigaddset(&action.sa_mask, kOnAlternateStack);
  }
  ASSERT_EQ(sigaction(signal, &action, nullptr), 0);
}

// Before the first heap.
void InstallHandlers() {
  static const bool once = [] {
    Install(SIGURG, &OnUntagged, 0);
    Install(kOnOwnStack, &OnUserSignal, 0);
    Install(kOnAlternateStack, &OnUserSignal, SA_ONSTACK);
    return true;
  }();
  ASSERT_TRUE(once);
}

// ---- What the threads do.

// Words without pointers are stored as a marker reads them: it may look at an
// object whose thread was interrupted in the middle of making it.
struct Vertex {
  TRICOLOR_TRACE(Vertex, ring, chord);
  explicit Vertex(uint64_t v) {
    StoreWordRelaxed(&value, v);
    StoreWordRelaxed(&check, v ^ Node::kMagic);
  }
  bool whole() const { return check == (value ^ Node::kMagic); }

  Ptr<Vertex> ring;
  Ptr<Vertex> chord;
  uint64_t value;
  uint64_t check;
};

struct Table {
  static constexpr size_t kSlots = 200;
  TRICOLOR_TRACE(Table, slots);
  Ptr<Vertex> slots[kSlots];
};

class Worker {
 public:
  Worker(Heap& heap, uint64_t seed, std::atomic<uint64_t>& cleanups_run)
      : heap_(heap), mutator_(heap), random_(seed), run_(cleanups_run) {
    table_ = mutator_.New<Table>();
    for (auto& slot : table_->slots) {
      const uint64_t value = random_.Below(1000);
      sum_ += value;
      slot = mutator_.New<Vertex>(value);
    }
  }

  void Work() {
    switch (random_.Below(8)) {
      case 0:
        return BuildRing();
      case 1:
        return AllocateOnly();
      case 2:
      case 3:
        return Replace();
      case 4:
      case 5:
        return Shuffle();
      case 6:
        return AddCleanups();
      default:
        return WaitNatively();
    }
  }
  void Check() {
    uint64_t sum = 0;
    for (const auto& slot : table_->slots) {
      ASSERT_TRUE(slot->whole());
      sum += slot->value;
    }
    ASSERT_EQ(sum, sum_);
  }
  uint64_t cleanups_added() const { return added_; }

 private:
  // Only the stack knows it until it is complete.
  void BuildRing() {
    Vertex* const first = mutator_.New<Vertex>(uint64_t{0});
    Vertex* last = first;
    const uint64_t length = 1 + random_.Below(300);
    for (uint64_t i = 1; i < length; ++i) {
      auto* v = mutator_.New<Vertex>(i);
      v->chord = last;
      last->ring = v;
      last = v;
    }
    last->ring = first;
    const Vertex* v = first;
    for (uint64_t i = 0; i < length; ++i, v = v->ring) {
      ASSERT_TRUE(v->whole());
      ASSERT_EQ(v->value, i);
      if (i > 0) ASSERT_EQ(v->chord->value, i - 1);
    }
    ASSERT_EQ(v, first);
  }

  // Some types of one size, in a row: an allocation is a few instructions.
  void AllocateOnly() {
    std::array<Vertex*, 8> last = {};
    std::array<Node*, 8> last_nodes = {};
    for (uint64_t i = 0; i < 5000; ++i) {
      auto* v = mutator_.New<Vertex>(i);
      v->chord = last[i % 8];
      if (v->chord != nullptr) v->chord->chord = nullptr;
      last[i % 8] = v;
      last_nodes[i % 8] = mutator_.New<Node>();
    }
    for (uint64_t i = 0; i < 8; ++i) {
      ASSERT_TRUE(last[i]->whole());
      ASSERT_TRUE(last[i]->chord->whole());
      ASSERT_EQ(last[i]->chord->value + 8, last[i]->value);
      ASSERT_TRUE(last_nodes[i]->intact());
    }
  }

  void Replace() {
    for (int i = 0; i < 100; ++i) {
      Ptr<Vertex>& slot = table_->slots[random_.Below(Table::kSlots)];
      const Weak<Vertex> weak(slot.get());
      auto* v = mutator_.New<Vertex>(slot->value);
      ASSERT_EQ(weak.Get(), slot.get());
      slot = v;
    }
  }

  // No allocation, no poll: errno stays, whatever comes.
  void Shuffle() {
    errno = EDOM;
    for (int i = 0; i < 20'000; ++i) {
      Ptr<Vertex>& a = table_->slots[random_.Below(Table::kSlots)];
      Ptr<Vertex>& b = table_->slots[random_.Below(Table::kSlots)];
      Vertex* const at_a = a;
      Vertex* const at_b = b;
      a = nullptr;
      b = at_a;
      if (&a != &b) a = at_b;
    }
    const int error = errno;
    ASSERT_EQ(error, EDOM);
    // ThreadSanitizer delivers signals in calls that it knows.
    if (kThreadSanitizer) usleep(1);
  }

  void AddCleanups() {
    for (int i = 0; i < 10; ++i) {
      auto* v = mutator_.New<Vertex>(uint64_t{1});
      ASSERT_TRUE(AddCleanup(v, [run = &run_] { ++*run; }));
      ++added_;
    }
    if (random_.OneIn(4)) heap_.RunCleanups();
    if (random_.OneIn(20)) heap_.Collect();
  }

  void WaitNatively() {
    auto* v = mutator_.New<Vertex>(uint64_t{5});
    {
      const Mutator::NativeScope native(mutator_);
      usleep(static_cast<useconds_t>(random_.Below(500)));
    }
    ASSERT_TRUE(v->whole());
  }

  Heap& heap_;
  Mutator mutator_;
  TestRandom random_;
  std::atomic<uint64_t>& run_;
  Table* table_ = nullptr;
  uint64_t sum_ = 0;
  uint64_t added_ = 0;
};

// ---- The storm.

struct Target {
  pthread_t thread = {};
  HandlerState state;
};

// `concurrent`, and whether the collector sends its signals at once.
class SignalStormTest : public testing::TestWithParam<std::tuple<bool, bool>> {
 protected:
  static constexpr int kKinds = 4;

  static HeapOptions Options() {
    HeapOptions options = CheckedOptions(/*conservative=*/true);
    options.concurrent = std::get<0>(GetParam());
    // Signals do not reach that thread.
    options.cleanup_thread = false;
    return options;
  }

  // Until the collections are done.
  void Send(uint64_t seed) {
    TestRandom random(seed);
    while (!over_) {
      const Target& target = targets_[random.Below(kThreads)];
      const uint64_t kind = random.Below(kKinds);
      ++sent_[kind];
      switch (kind) {
        case 0:
          SendPreemptSignal(target.thread, SIGURG);
          break;
        case 1:
          pthread_kill(target.thread, SIGURG);
          break;
        case 2:
          pthread_kill(target.thread, kOnOwnStack);
          break;
        default:
          pthread_kill(target.thread, kOnAlternateStack);
          break;
      }
      // Some come together.
      if (!random.OneIn(4)) usleep(static_cast<useconds_t>(random.Below(150)));
    }
  }

  void RunWorker(Heap& heap, Target& target, uint64_t seed) {
    const AlternateStack alternate;
    target.thread = pthread_self();
    handler_state = &target.state;
    {
      Worker worker(heap, seed, cleanups_run_);
      ++ready_;
      while (!over_ && !HasFatalFailure()) {
        worker.Work();
        worker.Check();
      }
      cleanups_added_ += worker.cleanups_added();
    }
    // The storm must have somebody to send to.
    while (!calm_) usleep(100);
    handler_state = nullptr;
  }

  std::array<Target, kThreads> targets_;
  std::array<uint64_t, kKinds> sent_ = {};
  std::atomic<int> ready_{0};
  std::atomic<bool> over_{false};
  std::atomic<bool> calm_{false};
  std::atomic<uint64_t> cleanups_added_{0};
  std::atomic<uint64_t> cleanups_run_{0};
};

INSTANTIATE_TEST_SUITE_P(
    All, SignalStormTest, testing::Combine(testing::Bool(), testing::Bool()),
    [](const auto& all) {
      return std::string(std::get<0>(all.param) ? "Beside" : "Stopped") +
             (std::get<1>(all.param) ? "AtOnce" : "AfterAMillisecond");
    });

TEST_P(SignalStormTest, NothingIsLost) {
  const uint64_t seed = TestSeed();
  InstallHandlers();
  untagged = 0;
  Heap heap(Options());
  if (std::get<1>(GetParam())) heap.core().world().set_preempt_grace(0);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, &heap, t, seed] {
      RunWorker(heap, targets_[static_cast<size_t>(t)],
                seed + 1 + static_cast<uint64_t>(t));
    });
  }
  while (ready_ != kThreads) usleep(100);
  std::thread sender([this, seed] { Send(seed); });
  for (int i = 0; i < kCollections && !HasFailure(); ++i) {
    heap.Collect();
    if (i % 10 == 0) heap.CheckInvariants();
  }
  over_ = true;
  sender.join();
  calm_ = true;
  for (std::thread& thread : threads) thread.join();

  uint64_t handled = 0;
  for (const Target& target : targets_) {
    EXPECT_EQ(target.state.begun, target.state.ended);
    EXPECT_EQ(target.state.damaged, 0U);
    handled += target.state.ended;
  }
  EXPECT_GT(handled, 0U);
  EXPECT_LE(handled, sent_[2] + sent_[3]);
  // Two of one kind that wait for the same thread are one.
  EXPECT_GT(untagged, 0U);
  EXPECT_LE(untagged, sent_[1]);
  EXPECT_GE(heap.ReadMemStats().num_gc, uint64_t{kCollections});
  heap.Collect();
  heap.RunCleanups();
  EXPECT_EQ(cleanups_run_, cleanups_added_);
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
  heap.CheckInvariants();
  if (HasFailure()) {
    fprintf(stderr, "the seed was %llu\n",
            static_cast<unsigned long long>(seed));
  }
}

}  // namespace
}  // namespace tricolor::runtime
