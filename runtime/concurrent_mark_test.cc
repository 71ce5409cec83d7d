// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Collections that mark while threads change the graph. A second marker checks
// each of them (gccheckmark), and the program its own data.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/test_random.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/runtime_testing.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {
namespace {

// An array of pointers.
struct Table {
  static constexpr size_t kSlots = 200;
  TRICOLOR_TRACE(Table, slots);
  Ptr<Node> slots[kSlots];
};

// Moves nodes about in a table that only Roots and stacks hold: each step loads
// one, often hides it where marking has been already, and clears where it was.
class Shuffler {
 public:
  // `length` of its lists.
  Shuffler(Mutator& mutator, uint64_t seed, size_t length)
      : mutator_(mutator),
        random_(seed),
        length_(length),
        table_(mutator, nullptr) {
    table_ = mutator.New<Table>();
    for (size_t i = 0; i < Table::kSlots; ++i) {
      Node* list = MakeList(mutator, length_);
      table_->slots[i] = list;
    }
  }

  void Step() {
    Table* table = table_.get();
    const size_t from = random_.Below(Table::kSlots);
    const size_t to = random_.Below(Table::kSlots);
    switch (random_.Below(7)) {
      case 0: {  // a new node before an old one
        Node* node = mutator_.New<Node>(next_value_++);
        table = table_.get();
        node->next = table->slots[from];
        table->slots[to] = node;
        if (from != to) table->slots[from] = nullptr;
        break;
      }
      case 1: {  // off the head, and on elsewhere
        Node* node = table->slots[from];
        if (node == nullptr) break;
        ASSERT_TRUE(node->intact());
        table->slots[from] = node->next;
        node->next = nullptr;
        node->other = table->slots[to];
        table->slots[to] = node;
        break;
      }
      case 2:  // a cycle
        if (Node* node = table->slots[from]) node->other = node;
        break;
      case 3: {  // a list of its own for an empty place
        if (table->slots[from] != nullptr && !random_.OneIn(200)) break;
        Node* list = MakeList(mutator_, length_);
        table_->slots[from] = list;
        break;
      }
      case 4: {  // through a root
        Root<Node> held(mutator_, table->slots[from]);
        table->slots[from] = nullptr;
        mutator_.Safepoint();
        table_->slots[to] = held;
        break;
      }
      case 5: {  // from the stack alone to where marking may have been
        Node* node = mutator_.New<Node>(next_value_++);
        table = table_.get();
        node->next = table->slots[from];
        table->slots[from] = nullptr;
        for (uint64_t i = random_.Below(2000); i > 0; --i) {
          asm volatile("" ::: "memory");
        }
        table->slots[to] = node;
        break;
      }
      default:  // along the lists
        size_t length = 0;
        for (Node* n = table->slots[from]; n != nullptr && length < 100;
             n = n->next, ++length) {
          ASSERT_TRUE(n->intact());
        }
    }
  }

 private:
  Mutator& mutator_;
  TestRandom random_;
  const size_t length_;
  Root<Table> table_;
  uint64_t next_value_ = 0;
};

class ConcurrentMarkTest : public testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(ConservativeStacks, ConcurrentMarkTest,
                         testing::Bool());

// Threads that shuffle lists of some length, while this one collects so many
// times.
void Shuffle(Heap& heap, size_t length, int collections) {
  const uint64_t seed = TestSeed();
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 3; ++t) {
    threads.emplace_back([&heap, &done, seed, length, t] {
      Mutator mutator(heap);
      Shuffler shuffler(mutator, seed + t, length);
      while (!done.load(std::memory_order_relaxed)) {
        shuffler.Step();
        mutator.New<Leaf>();
      }
    });
  }
  for (int i = 0; i < collections; ++i) heap.Collect();
  done = true;
  for (std::thread& thread : threads) thread.join();
  heap.CheckInvariants();
}

TEST_P(ConcurrentMarkTest, NothingIsLostWhileThreadsChangeTheGraph) {
  Heap heap(CheckedOptions(GetParam()));
  Shuffle(heap, /*length=*/500, /*collections=*/30);
}

// The threads collect, too, whenever they need a few runs of slots.
TEST_P(ConcurrentMarkTest, NothingIsLostWhenThreadsCollectAllTheTime) {
  HeapOptions options = CheckedOptions(GetParam());
  options.debug = "gccheckmark=1,clobberfree=1,zeal=3";
  Heap heap(options);
  Shuffle(heap, /*length=*/10, /*collections=*/20);
}

// Threads come and go in mid-cycle, enter native code, allocate, poll, or only
// compute, and are stopped by signals where stacks are roots.
TEST_P(ConcurrentMarkTest, ThreadsComeAndGoWhileACycleMarks) {
  const uint64_t seed = TestSeed();
  Heap heap(CheckedOptions(GetParam()));
  heap.core().world().set_preempt_grace(100'000);
  std::atomic<bool> done{false};
  std::atomic<uint64_t> lives{0};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      TestRandom random(seed + t);
      while (!done.load(std::memory_order_relaxed)) {
        OnOtherThread([&] {
          Mutator mutator(heap);
          Root<Node> list(mutator, MakeList(mutator, 200));
          for (uint64_t i = random.Below(20); i > 0; --i) {
            Node* head = list;
            if (random.OneIn(3)) {
              Mutator::NativeScope native(mutator);
              std::this_thread::yield();
            }
            if (random.OneIn(3)) mutator.Safepoint();
            Root<Node> rest(mutator, head->next);
            head->next = nullptr;
            Node* first = mutator.New<Node>(list->value);
            first->next = rest;
            list = first;
            for (uint64_t k = random.Below(100'000); k > 0; --k) {
              asm volatile("" ::: "memory");
            }
            if (random.OneIn(50)) heap.Collect();
          }
          ASSERT_TRUE(ListIsIntact(list, 200));
          ++lives;
        });
      }
    });
  }
  for (int i = 0; i < 20 || lives < 20; ++i) heap.Collect();
  done = true;
  for (std::thread& thread : threads) thread.join();
  heap.CheckInvariants();
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
}

}  // namespace
}  // namespace tricolor::runtime
