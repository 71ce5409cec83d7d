// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/fuzz/thread_program.h"

#include <sched.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tricolor/base/check.h"
#include "tricolor/runtime/atomic_ptr.h"
#include "tricolor/runtime/fiber_testing.h"
#include "tricolor/runtime/heap.h"

namespace tricolor::fuzz {
namespace {

constexpr uint32_t kPlaces = 4;
constexpr uint32_t kBoards = 3;
constexpr int kMostLive = 20'000;  // objects of one program, about

constexpr const char* kOpNames[kThreadOps] = {
    "kNew",     "kNewBefore",  "kStore",   "kLoad",    "kPublish",
    "kTake",    "kExchange",   "kReplace", "kDrop",    "kMakeWeak",
    "kGetWeak", "kAddCleanup", "kNative",  "kGarbage", "kCollect",
    "kVerify",  "kFiber",      "kCompute", "kStats",   "kFreeMemory"};

struct Item {
  static constexpr uint32_t kFields = 2;
  static constexpr uint64_t kSalt = 0x9e3779b97f4a7c15;

  TRICOLOR_TRACE(Item, next);

  explicit Item(uint64_t the_id) : id(the_id), check(the_id ^ kSalt) {}

  AtomicPtr<Item> next[kFields];
  const uint64_t id;
  const uint64_t check;
};

struct Board {
  TRICOLOR_TRACE(Board, places);
  AtomicPtr<Item> places[kBoards];
};

// What all threads share.
struct Shared {
  explicit Shared(const HeapOptions& options) : heap(options) {}

  Heap heap;
  Root<Board> board;
  std::atomic<uint64_t> next_id{1};
  std::atomic<uint64_t> cleanups_added{0};
  std::atomic<uint64_t> cleanups_run{0};
};

void CheckItem(const Item* item) {
  TRICOLOR_CHECK(item->check == (item->id ^ Item::kSalt),
                 "item %p is not whole: id %llx, check %llx",
                 static_cast<const void*>(item),
                 static_cast<unsigned long long>(item->id),
                 static_cast<unsigned long long>(item->check));
}

// One thread. `Place` holds a pointer to an item and keeps it.
template <typename Place>
class Actor {
 public:
  explicit Actor(Shared& shared)
      : shared_(shared), mutator_(shared.heap), places_(), weak_() {}
  ~Actor() {
    if (fiber_ == nullptr) return;
    fiber_ends_ = true;
    SwapWithFiber(places_[0]);
  }

  void Do(const ThreadStep& step) {
    Place& a = places_[step.a % kPlaces];
    Place& b = places_[step.b % kPlaces];
    switch (step.op) {
      case ThreadOp::kNew:
        a = NewItem();
        return;
      case ThreadOp::kNewBefore:
        return NewBefore(a, step.c);
      case ThreadOp::kStore:
        if (Item* item = a) FieldOf(item, step.c).store(b);
        return;
      case ThreadOp::kLoad:
        if (Item* item = a) b = Checked(FieldOf(item, step.c).load());
        return;
      case ThreadOp::kPublish:
        BoardPlace(step.b).store(a);
        return;
      case ThreadOp::kTake:
        a = Checked(BoardPlace(step.b).load());
        return;
      case ThreadOp::kExchange:
        a = Checked(BoardPlace(step.b).exchange(a));
        return;
      case ThreadOp::kReplace: {
        Item* expected = places_[step.c % kPlaces];
        (void)BoardPlace(step.b).compare_exchange_strong(expected, a);
        return;
      }
      default:
        return DoMore(step, a);
    }
  }

 private:
  void DoMore(const ThreadStep& step, Place& a) {
    switch (step.op) {
      case ThreadOp::kDrop:
        a = nullptr;
        return;
      case ThreadOp::kMakeWeak:
        weak_ = Weak<Item>(static_cast<Item*>(a));
        return;
      case ThreadOp::kGetWeak:
        a = Checked(weak_.Get());
        return;
      case ThreadOp::kAddCleanup:
        return AddCleanup(a);
      case ThreadOp::kNative:
        return BeNative(step.c);
      case ThreadOp::kGarbage:
        for (int i = 0; i < step.c * 4; ++i) (void)NewItem();
        return;
      case ThreadOp::kCollect:
        if (step.c % 8 == 0) shared_.heap.Collect();
        return mutator_.Safepoint();
      case ThreadOp::kFiber:
        return SwapWithFiber(a);
      case ThreadOp::kCompute:
        return Compute(a);
      case ThreadOp::kStats:
        return step.c % 4 == 0 ? shared_.heap.CheckInvariants() : CheckStats();
      case ThreadOp::kFreeMemory:
        return shared_.heap.FreeOsMemory();
      default:
        return Verify(a, step.c);
    }
  }

  // Briefly, or now and then for whole cycles, in which its stack and Roots are
  // all that keeps what it holds.
  void BeNative(uint8_t how_long) {
    const Mutator::NativeScope native(mutator_);
    if (how_long % 4 != 0) {
      sched_yield();
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(how_long / 4 % 8));
    }
  }

  Item* NewItem() {
    return mutator_.New<Item>(
        shared_.next_id.fetch_add(1, std::memory_order_relaxed));
  }

  void NewBefore(Place& place, uint8_t field) {
    Item* item = NewItem();
    if (item == nullptr) return;
    FieldOf(item, field).store(place);
    place = item;
  }

  void AddCleanup(Item* item) {
    if (item == nullptr) return;
    shared_.cleanups_added.fetch_add(1, std::memory_order_relaxed);
    tricolor::AddCleanup(item, [shared = &shared_] {
      shared->cleanups_run.fetch_add(1, std::memory_order_relaxed);
    });
  }

  // The fiber's stack, or a Root on it, is all that holds it meanwhile.
  void SwapWithFiber(Place& place) {
    passed_ = &place;
    if (fiber_ == nullptr) {
      fiber_ = std::make_unique<runtime::Fiber>(
          shared_.heap, [this](runtime::Fiber& self) {
            while (!fiber_ends_) {
              Place held = Passed(nullptr);
              self.Yield();
              if (Item* item = held) CheckItem(item);
              Passed(held);
              held = nullptr;
            }
          });
    }
    fiber_->Resume(mutator_);
  }

  // On the fiber: takes what is passed from the thread's own stack, which is
  // suspended, and leaves `item` there.
  Item* Passed(Item* item) {
    Item* before = *passed_;
    WriteBarrier(before, item);
    *passed_ = item;
    return before;
  }

  // Where stacks are roots, only a signal stops it.
  static void Compute(Item* item) {
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
    while (std::chrono::steady_clock::now() < end) {
      if (item != nullptr) CheckItem(item);
    }
  }

  void CheckStats() {
    const MemStats stats = shared_.heap.ReadMemStats();
    TRICOLOR_CHECK(
        stats.heap_objects == stats.mallocs - stats.frees &&
            stats.heap_sys ==
                stats.heap_in_use + stats.work_buf_in_use + stats.heap_idle &&
            stats.heap_released <= stats.heap_idle,
        "the statistics do not fit together");
  }

  static Item* Checked(Item* item) {
    if (item != nullptr) CheckItem(item);
    return item;
  }
  static AtomicPtr<Item>& FieldOf(Item* item, uint32_t field) {
    return item->next[field % Item::kFields];
  }
  AtomicPtr<Item>& BoardPlace(uint32_t i) {
    return shared_.board->places[i % kBoards];
  }

  // No safepoint on the way, so plain pointers will do.
  static void Verify(Item* item, uint8_t turns) {
    for (int i = 0; i < 100 && item != nullptr; ++i) {
      CheckItem(item);
      item = item->next[turns >> (i % 8) & 1].load(std::memory_order_acquire);
    }
  }

  Shared& shared_;
  Mutator mutator_;
  std::array<Place, kPlaces> places_;
  Weak<Item> weak_;
  std::unique_ptr<runtime::Fiber> fiber_;
  Place* passed_ = nullptr;  // to the fiber, and by it
  bool fiber_ends_ = false;
};

template <typename Place>
void RunThread(Shared& shared, int rounds, const ThreadSteps& steps) {
  Actor<Place> actor(shared);
  for (int round = 0; round < rounds; ++round) {
    for (const ThreadStep& step : steps) {
      if (shared.next_id.load(std::memory_order_relaxed) > kMostLive) return;
      actor.Do(step);
    }
  }
}

size_t CountReachable(Board& board) {
  std::set<const Item*> seen;
  std::vector<const Item*> queue;
  const auto add = [&](const Item* item) {
    if (item != nullptr && seen.insert(item).second) queue.push_back(item);
  };
  for (const auto& place : board.places) add(place.load());
  while (!queue.empty()) {
    const Item* item = queue.back();
    queue.pop_back();
    CheckItem(item);
    for (const auto& next : item->next) add(next.load());
  }
  return seen.size();
}

HeapOptions OptionsFor(bool conservative) {
  HeapOptions options;
  options.conservative_stacks = conservative;
  options.gc_threads = 2;
  options.min_heap_bytes = 32 << 10;  // collections begin at once
  options.reservation_bytes = size_t{256} << 20;
  options.debug = "clobberfree=1,gccheckmark=1,zeal=11";
  return options;
}

}  // namespace

void RunThreads(bool conservative, int rounds,
                const std::vector<ThreadSteps>& threads) {
  Shared shared(OptionsFor(conservative));
  {
    Mutator mutator(shared.heap);
    shared.board = mutator.New<Board>();
  }
  TRICOLOR_CHECK(shared.board != nullptr, "no memory for a board");
  std::vector<std::thread> running;
  for (const ThreadSteps& steps : threads) {
    running.emplace_back([&shared, conservative, rounds, &steps] {
      if (conservative) {
        RunThread<Item*>(shared, rounds, steps);
      } else {
        RunThread<Root<Item>>(shared, rounds, steps);
      }
    });
  }
  for (std::thread& thread : running) thread.join();

  // This thread is not attached, and what the heap's own threads have on their
  // stacks counts only if stacks do.
  shared.heap.Collect();
  const size_t reachable = CountReachable(*shared.board);
  const uint64_t objects = shared.heap.ReadMemStats().heap_objects;
  TRICOLOR_CHECK(
      objects == reachable + 1 || (conservative && objects > reachable + 1),
      "the heap holds %llu objects, of which %zu are reachable",
      static_cast<unsigned long long>(objects), reachable + 1);
  for (auto& place : shared.board->places) place.store(nullptr);
  shared.heap.Collect();
  shared.heap.RunCleanups();
  // Some may be in the hands of the cleanup thread.
  while (!conservative &&
         shared.cleanups_run.load() != shared.cleanups_added.load()) {
    sched_yield();
  }
  TRICOLOR_CHECK(shared.cleanups_run.load() <= shared.cleanups_added.load(),
                 "a cleanup has run twice");
  shared.heap.CheckInvariants();
}

std::string Spell(const std::vector<ThreadSteps>& threads) {
  std::string text = "{";
  for (const ThreadSteps& steps : threads) {
    text += text.size() > 1 ? ",\n      {" : "{";
    for (const ThreadStep& step : steps) {
      text += std::string("{ThreadOp::") +
              kOpNames[static_cast<uint8_t>(step.op) % kThreadOps] + ", " +
              std::to_string(step.a) + ", " + std::to_string(step.b) + ", " +
              std::to_string(step.c) + "},\n       ";
    }
    text += "}";
  }
  return text + "}";
}

}  // namespace tricolor::fuzz
