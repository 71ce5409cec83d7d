// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/weak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include "absl/hash/hash.h"
#include "gtest/gtest.h"
#include "tricolor/mheap/processor_cache.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/runtime_testing.h"
#include "tricolor/runtime/survival.h"

namespace tricolor::runtime {
namespace {

TEST(WeakTest, BecomesNullWhenTheObjectIsDead) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  Root<Node> root(mutator, mutator.New<Node>(uint64_t{4}));
  Weak<Node> weak(root.get());
  EXPECT_EQ(weak.Get(), root.get());
  heap.Collect();
  EXPECT_EQ(weak.Get(), root.get());
  EXPECT_EQ(weak.Get()->value, 4U);
  EXPECT_FALSE(weak.expired());
  root = nullptr;
  EXPECT_FALSE(weak.expired());
  heap.Collect();
  EXPECT_TRUE(weak.expired());
  EXPECT_EQ(weak.Get(), nullptr);
  heap.Collect();
  EXPECT_EQ(weak.Get(), nullptr);
}

TEST(WeakTest, NullIsNull) {
  constexpr Weak<Node> weak;
  EXPECT_EQ(weak.Get(), nullptr);
  EXPECT_EQ(weak, Weak<Node>(nullptr));
  Node* none = nullptr;
  EXPECT_EQ(weak, Weak<Node>(none));
}

TEST(WeakTest, EqualityIsIdentityForEver) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  std::vector<Weak<Node>> weaks;
  for (int round = 0; round < 20; ++round) {
    Root<Node> root(mutator, mutator.New<Node>());
    Weak<Node> a(root.get());
    heap.Collect();
    Weak<Node> b(root.get());
    EXPECT_EQ(a, b);
    for (const Weak<Node>& other : weaks) EXPECT_NE(a, other);
    weaks.push_back(a);
    root = nullptr;
    heap.Collect();
    EXPECT_EQ(a, b);  // dead, and the memory is about to be reused
  }
}

TEST(WeakTest, PointsWhereItWasMadeToPoint) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  Root<Node> root(mutator, mutator.New<Node>(uint64_t{6}));
  Weak<Node> whole(root.get());
  Weak<uint64_t> value(&root->value);
  Weak<Large> large(mutator.New<Large>());
  EXPECT_EQ(value.Get(), &root->value);
  heap.Collect();
  EXPECT_EQ(*value.Get(), 6U);
  EXPECT_EQ(whole.Get(), root.get());
  EXPECT_EQ(large.Get(), nullptr);
  root = nullptr;
  heap.Collect();
  EXPECT_EQ(value.Get(), nullptr);
}

TEST(WeakTest, LivesInHeapObjectsAndIsCopiedAsBytes) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  Root<Node> target(mutator, mutator.New<Node>());
  using Cell = Weak<Node>;
  auto* memory = mutator.Allocate(TypeInfoOf<uint64_t>(), sizeof(Cell) / 8);
  Root<Cell> cell(mutator, ::new (memory) Cell(target.get()));
  heap.Collect();
  Cell copy;
  std::memcpy(static_cast<void*>(&copy), cell.get(), sizeof copy);
  EXPECT_EQ(copy.Get(), target.get());
  target = nullptr;
  heap.Collect();
  EXPECT_EQ(copy.Get(), nullptr);
  EXPECT_EQ(cell->Get(), nullptr);
}

TEST(WeakTest, DoesNotKeepFromTheStack) {
  Heap heap(QuietOptions());
  std::vector<Weak<Node>> weaks;
  OnOtherThread([&] {
    Mutator mutator(heap);
    for (uint64_t i = 0; i < 100; ++i) {
      weaks.emplace_back(mutator.New<Node>(i));
    }
  });
  Weak<Node> local[100];
  std::copy(weaks.begin(), weaks.end(), local);
  heap.Collect();
  for (const Weak<Node>& weak : local) EXPECT_TRUE(weak.expired());
}

// No span is swept before Get is asked: it has to decide by the marks.
TEST(WeakTest, IsDecidedBeforeItsSpanIsSwept) {
  HeapOptions options = ExactOptions();
  options.background_sweep = false;
  options.min_heap_bytes = 1 << 20;
  Heap heap(options);
  Mutator mutator(heap);
  constexpr size_t kObjects = 5000;
  std::vector<Root<Node>> roots;
  std::vector<Weak<Node>> weaks;
  for (size_t i = 0; i < kObjects; ++i) {
    Root<Node> root(mutator, mutator.New<Node>(i));
    weaks.emplace_back(root.get());
    if (i % 3 == 0) roots.push_back(root);
  }
  heap.SetGcPercent(100);
  const uint64_t before = heap.ReadMemStats().num_gc;
  while (heap.ReadMemStats().num_gc == before) mutator.New<Leaf>();
  const size_t unswept = heap.ReadMemStats().heap_objects;
  EXPECT_GT(unswept, kObjects / 2);
  for (size_t i = 0; i < kObjects; ++i) {
    Node* found = weaks[i].Get();
    ASSERT_EQ(found, i % 3 == 0 ? roots[i / 3].get() : nullptr) << i;
    if (found != nullptr) ASSERT_EQ(found->value, i);
  }
}

TEST(WeakTest, WorksOnThreadsThatAreNotAttached) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  Root<Node> root(mutator, mutator.New<Node>());
  Weak<Node> weak;
  {
    Mutator::NativeScope native(mutator);
    OnOtherThread([&] { weak = Weak<Node>(root.get()); });
  }
  EXPECT_EQ(weak.Get(), root.get());
  EXPECT_EQ(weak, Weak<Node>(root.get()));
  root = nullptr;
  heap.Collect();
  OnOtherThread([&] { EXPECT_TRUE(weak.expired()); });
}

// ---- Conversions.

struct Animal {
  uint64_t legs = 4;
};
struct Tagged {
  uint64_t tag = 5;
};
struct Dog : Tagged, Animal {
  uint64_t tricks = 1;
};
struct Shared : virtual Animal {};

TEST(WeakTest, ConvertsToBaseConstAndVoidEvenWhenTheObjectIsDead) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  Root<Dog> root(mutator, mutator.New<Dog>());
  const Weak<Dog> dog(root.get());
  const Weak<Animal> animal = dog;
  EXPECT_EQ(animal.Get(), static_cast<Animal*>(root.get()));
  EXPECT_NE(static_cast<void*>(animal.Get()), static_cast<void*>(dog.Get()));
  EXPECT_EQ(animal.Get()->legs, 4U);
  const Weak<const Animal> constant = animal;
  const Weak<const void> any = dog;
  EXPECT_EQ(any.Get(), root.get());
  const Weak<Animal> made(static_cast<Animal*>(root.get()));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(made, animal);
    EXPECT_EQ(animal, dog);
    EXPECT_EQ(dog, animal);
    EXPECT_EQ(constant, dog);
    EXPECT_EQ(Weak<Animal>(dog), made);
    EXPECT_NE(Weak<const void>(animal), any);  // another place in the object
    root = nullptr;
    heap.Collect();
    EXPECT_EQ(animal.Get(), nullptr);
  }
  Weak<Animal> assigned;
  assigned = dog;
  EXPECT_EQ(assigned, made);
  assigned = Weak<Dog>();
  EXPECT_EQ(assigned, Weak<Animal>());
}

static_assert(std::is_convertible_v<Weak<Dog>, Weak<Animal>>);
static_assert(std::is_convertible_v<Weak<Dog>, Weak<const void>>);
static_assert(!std::is_constructible_v<Weak<Dog>, Weak<Animal>>);
static_assert(!std::is_constructible_v<Weak<Dog>, Weak<const Dog>>);
static_assert(!std::is_constructible_v<Weak<Animal>, Weak<Shared>>);
static_assert(std::is_constructible_v<Weak<Animal>, Shared*>);

TEST(WeakTest, EqualOnesHaveTheSameHash) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  std::unordered_set<Weak<Animal>> set;
  std::unordered_set<size_t> hashes;
  Root<Dog> kept(mutator, mutator.New<Dog>());
  const Weak<Animal> weak = Weak<Dog>(kept.get());
  for (int i = 0; i < 1000; ++i) {
    Weak<Animal> other = Weak<Dog>(mutator.New<Dog>());
    set.insert(other);
    hashes.insert(std::hash<Weak<Animal>>()(other));
  }
  set.insert(weak);
  EXPECT_EQ(set.size(), 1001U);
  EXPECT_GT(hashes.size(), 990U);
  EXPECT_EQ(absl::HashOf(weak), absl::HashOf(Weak<Animal>(kept.get())));
  kept = nullptr;
  heap.Collect();
  EXPECT_EQ(set.count(weak), 1U);
  EXPECT_EQ(set.size(), 1001U);
}

// ---- At any moment of the sweep.

// A manual span, which has no mark bits, with a generation that looks like that
// of a heap span that has not been swept: what Get finds when the object's
// pages were freed and reused after it had read the serial.
TEST(WeakTest, PagesThatAreNoLongerTheObjectsSayNothing) {
  Heap heap(ExactOptions());
  mheap::MHeap& pages = heap.core().mheap();
  mheap::ProcessorCache processor;
  pages.AttachProcessor(processor);
  mheap::MSpan* span = pages.AllocManual(processor, PageCount(1));
  const uint32_t sg = pages.sweep_gen();
  for (const uint32_t gen : {sg - 2, sg + 1, sg - 1}) {
    span->set_sweep_gen(gen);
    EXPECT_EQ(SurvivedLastCycle(pages, span->base()), std::nullopt);
  }
  span->set_sweep_gen(sg);
  EXPECT_EQ(SurvivedLastCycle(pages, span->base()), true);

  // Get waits for the serial to go.
  span->set_sweep_gen(sg - 2);
  mheap::WeakSlot slot;
  slot.heap = &heap.core();
  slot.target.StoreRelaxed(span->base().value());
  slot.serial.StoreRelease(77);
  std::thread reader([&slot] { EXPECT_EQ(GetWeak({&slot, 77, 0}), nullptr); });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  slot.serial.StoreRelease(0);
  reader.join();
  pages.FreeManual(processor, span);
  pages.ReleaseProcessor(processor);
}

// Threads ask for each other's weak pointers, whose objects die, are swept and
// make room for others meanwhile: what Get gives is the object that the weak
// pointer was made of.
TEST(WeakTest, ThreadsNeverTakeOneObjectForAnother) {
  HeapOptions options = QuietOptions();
  options.gc_percent = 100;
  options.min_heap_bytes = 256 << 10;
  Heap heap(options);
  constexpr size_t kCells = 32;
  struct Cell {
    std::mutex mutex;
    Weak<Node> weak;
    uint64_t id = 0;
  };
  std::vector<Cell> cells(kCells);
  std::atomic<uint64_t> last_id{0};
  std::atomic<uint64_t> found_alive{0};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Mutator mutator(heap);
      Random random(t);
      Root<Node> kept[8];
      for (int i = 0; i < 10000; ++i) {
        Cell& cell = cells[random.Below(kCells)];
        Weak<Node> weak;
        uint64_t id = 0;
        {
          std::lock_guard<std::mutex> lock(cell.mutex);  // no allocation in it
          weak = cell.weak;
          id = cell.id;
        }
        if (Node* node = weak.Get()) {
          ASSERT_TRUE(node->intact());
          ASSERT_EQ(node->value, id);
          ++found_alive;
          if (random.Below(4) == 0) kept[random.Below(8)] = node;
        }
        Node* fresh = mutator.New<Node>(++last_id);
        const Weak<Node> fresh_weak(fresh);
        id = fresh->value;
        if (random.Below(3) == 0) kept[random.Below(8)] = fresh;
        {
          std::lock_guard<std::mutex> lock(cell.mutex);
          cell.weak = fresh_weak;
          cell.id = id;
        }
        mutator.New<Leaf>();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(found_alive, 0U);
  EXPECT_GT(heap.ReadMemStats().num_gc, 3U);
  heap.CheckInvariants();
}

// Threads read weak pointers to objects that die and are swept meanwhile, in
// caches of other threads and out of them.
TEST(WeakTest, NeverReturnsADeadObject) {
  HeapOptions options = QuietOptions();
  options.gc_percent = 100;
  options.min_heap_bytes = 256 << 10;
  Heap heap(options);
  constexpr int kThreads = 4;
  constexpr size_t kSlots = 64;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&heap, t] {
      Mutator mutator(heap);
      Random random(static_cast<uint64_t>(t));
      Root<Node> kept[kSlots];
      Weak<Node> weak[kSlots];
      uint64_t expected[kSlots] = {};
      for (uint64_t i = 0; i < 30000; ++i) {
        const size_t s = random.Below(kSlots);
        Node* found = weak[s].Get();
        if (found != nullptr) {
          ASSERT_TRUE(found->intact());
          ASSERT_EQ(found->value, expected[s]);
        } else {
          ASSERT_EQ(kept[s], nullptr);
        }
        if (random.Below(2) == 0) {
          kept[s] = nullptr;
        } else {
          Node* node = mutator.New<Node>(i);
          weak[s] = Weak<Node>(node);
          expected[s] = i;
          kept[s] = random.Below(2) == 0 ? node : nullptr;
        }
        mutator.New<Leaf>();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  heap.CheckInvariants();
  EXPECT_GT(heap.ReadMemStats().num_gc, 3U);
}

// Threads that no stop waits for may sleep in Get while whole cycles pass, and
// wake up to a span that is being swept.
TEST(WeakTest, IsNeverNullForALiveObjectOnThreadsThatAreNotAttached) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  Root<Node> root(mutator, mutator.New<Node>(uint64_t{7}));
  const Weak<Node> weak(root.get());
  std::atomic<bool> done{false};
  std::atomic<uint64_t> null{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&] {
      while (!done) null += weak.expired() ? 1 : 0;
    });
  }
  for (int i = 0; i < 500; ++i) {
    mutator.New<Node>();
    heap.Collect();
  }
  done = true;
  {
    Mutator::NativeScope native(mutator);
    for (std::thread& reader : readers) reader.join();
  }
  EXPECT_EQ(null, 0U);
}

// The sweep that making one asks for is what frees the object.
TEST(WeakTest, MadeOfADeadObjectInAnUnsweptSpanIsFatal) {
  HeapOptions options = ExactOptions();
  options.background_sweep = false;
  // A process that a death test has forked can make no threads under
  // ThreadSanitizer.
  options.cleanup_thread = false;
  options.min_heap_bytes = 1 << 20;
  Heap heap(options);
  Mutator mutator(heap);
  std::vector<Node*> nodes;
  Root<Node> root;
  for (uint64_t i = 0; i < 5000; ++i) {
    nodes.push_back(mutator.New<Node>(i));
    if (i == 2500) root = nodes.back();
  }
  heap.SetGcPercent(100);
  const uint64_t before = heap.ReadMemStats().num_gc;
  while (heap.ReadMemStats().num_gc == before) mutator.New<Leaf>();
  const mheap::MHeap& mheap = heap.core().mheap();
  for (const size_t i :
       {size_t{100}, size_t{2499}}) {  // a span all dead, one not
    ASSERT_EQ(mheap.HeapSpanOf(Addr(nodes[i]))->sweep_gen(),
              mheap.sweep_gen() - 2);
    EXPECT_DEATH(Weak<Node>{nodes[i]}, "is no live object of heap");
    EXPECT_DEATH(AddCleanup(nodes[i], [] {}), "is no live object of heap");
  }
  EXPECT_FALSE(Weak<Node>(nodes[2500]).expired());
}

// Weak pointers to one object made by many threads at once are equal.
TEST(WeakTest, ThreadsThatMakeThemTogetherAgree) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  for (int round = 0; round < 50; ++round) {
    Root<Node> root(mutator, mutator.New<Node>());
    Weak<Node> made[4];
    {
      Mutator::NativeScope native(mutator);
      std::vector<std::thread> threads;
      for (Weak<Node>& weak : made) {
        threads.emplace_back([&] {
          Mutator own(heap);
          weak = Weak<Node>(root.get());
        });
      }
      for (std::thread& thread : threads) thread.join();
    }
    for (const Weak<Node>& weak : made) EXPECT_EQ(weak, made[0]);
  }
}

}  // namespace
}  // namespace tricolor::runtime
