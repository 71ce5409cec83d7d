// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Objects that only a stack or a register knows. With AddressSanitizer's
// detect_stack_use_after_return=1, as in --config=asan, locals whose address is
// taken live in its fake frames.

#include "tricolor/runtime/stack_scan.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "absl/base/attributes.h"
#include "gtest/gtest.h"
#include "tricolor/base/units.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/runtime_testing.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {
namespace {

// Keeps the compiler from knowing what happens to the memory at p.
ABSL_ATTRIBUTE_NOINLINE void Escape(void* p) {
  asm volatile("" : : "r"(p) : "memory");
}

TEST(StackScanTest, LocalPointersKeepTheirObjects) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  Node* list = MakeList(mutator, 100);
  Node* second = mutator.New<Node>(uint64_t{5});
  heap.Collect();
  EXPECT_TRUE(ListIsIntact(list, 100));
  EXPECT_TRUE(second->intact());
  EXPECT_EQ(second->value, 5U);
}

TEST(StackScanTest, LocalsWhoseAddressIsTakenKeepTheirObjects) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  Node* nodes[20];
  Escape(nodes);
  for (uint64_t i = 0; i < 20; ++i) nodes[i] = mutator.New<Node>(i);
  Escape(nodes);
  heap.Collect();
  Escape(nodes);
  for (uint64_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(nodes[i]->intact()) << i;
    EXPECT_EQ(nodes[i]->value, i);
  }
}

// Several live frames, each with its own pointers.
ABSL_ATTRIBUTE_NOINLINE uint64_t Recurse(Heap& heap, Mutator& mutator,
                                         uint64_t depth) {
  Node* in_register = mutator.New<Node>(depth);
  Node* in_memory[1] = {mutator.New<Node>(depth)};
  Escape(in_memory);
  uint64_t sum = 0;
  if (depth == 0) {
    heap.Collect();
    for (int i = 0; i < 20000; ++i) mutator.New<Node>(uint64_t{1} << 40);
  } else {
    sum = Recurse(heap, mutator, depth - 1);
  }
  EXPECT_TRUE(in_register->intact() && in_memory[0]->intact());
  return sum + in_register->value + in_memory[0]->value;
}

TEST(StackScanTest, EveryFrameOfADeepStackIsScanned) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  EXPECT_EQ(Recurse(heap, mutator, 200), 200U * 201);
}

// Many values that live across the call: more than there are registers.
TEST(StackScanTest, RegistersKeepTheirObjects) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  for (uint64_t i = 0; i < 20; ++i) {
    Node* a = mutator.New<Node>(i);
    Node* b = mutator.New<Node>(i + 1);
    Node* c = mutator.New<Node>(i + 2);
    Node* d = mutator.New<Node>(i + 3);
    Node* e = mutator.New<Node>(i + 4);
    Node* f = mutator.New<Node>(i + 5);
    Node* g = mutator.New<Node>(i + 6);
    Node* h = mutator.New<Node>(i + 7);
    heap.Collect();
    for (int k = 0; k < 100; ++k) mutator.New<Node>(uint64_t{1} << 40);
    ASSERT_EQ(a->value + b->value + c->value + d->value + e->value + f->value +
                  g->value + h->value,
              8 * i + 28);
  }
}

TEST(StackScanTest, AParkedThreadsStackIsScanned) {
  Heap heap(QuietOptions());
  std::atomic<bool> ready{false};
  std::atomic<bool> done{false};
  std::thread other([&] {
    Mutator mutator(heap);
    Node* list = MakeList(mutator, 1000);
    ready = true;
    while (!done) mutator.Safepoint();
    EXPECT_TRUE(ListIsIntact(list, 1000));
  });
  while (!ready) std::this_thread::yield();
  for (int i = 0; i < 20; ++i) heap.Collect();
  EXPECT_GE(heap.ReadMemStats().heap_objects, 1000U);
  done = true;
  other.join();
}

TEST(StackScanTest, ANativeThreadsStackIsScannedWhileItRuns) {
  Heap heap(QuietOptions());
  std::atomic<bool> ready{false};
  std::atomic<bool> done{false};
  std::thread other([&] {
    Mutator mutator(heap);
    Node* list = MakeList(mutator, 1000);
    uint64_t work[64] = {};
    Escape(work);
    {
      Mutator::NativeScope native(mutator);
      ready = true;
      // Writes its own frame, which the collector reads at the same time.
      for (uint64_t i = 0; !done; ++i) {
        work[i % 64] += i;
        Escape(work);
      }
    }
    EXPECT_TRUE(ListIsIntact(list, 1000));
  });
  while (!ready) std::this_thread::yield();
  for (int i = 0; i < 20; ++i) heap.Collect();
  EXPECT_GE(heap.ReadMemStats().heap_objects, 1000U);
  done = true;
  other.join();
}

// The scope is entered below the frame whose pointer counts, and in that frame
// itself; with pointers in registers and on the stack.
ABSL_ATTRIBUTE_NOINLINE void CollectInScope(Heap& heap, Mutator& mutator) {
  Node* own = mutator.New<Node>(uint64_t{3});
  {
    Mutator::NativeScope outer(mutator);
    Mutator::NativeScope inner(mutator);
    heap.Collect();
  }
  EXPECT_TRUE(own->intact());
  EXPECT_EQ(own->value, 3U);
}

TEST(StackScanTest, ScopesNestAndKeepTheFramesAround) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  Node* a = mutator.New<Node>(uint64_t{1});
  Node* b = mutator.New<Node>(uint64_t{2});
  for (int i = 0; i < 10; ++i) {
    CollectInScope(heap, mutator);
    for (int k = 0; k < 200; ++k) mutator.New<Node>(uint64_t{1} << 40);
  }
  EXPECT_EQ(a->value, 1U);
  EXPECT_EQ(b->value, 2U);
}

TEST(StackScanTest, InteriorPointersOnTheStackKeepTheWholeObject) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  uint64_t* values[10];
  for (uint64_t i = 0; i < 10; ++i) values[i] = &mutator.New<Node>(i)->value;
  Escape(values);
  heap.Collect();
  for (int k = 0; k < 1000; ++k) mutator.New<Node>(uint64_t{1} << 40);
  for (uint64_t i = 0; i < 10; ++i) EXPECT_EQ(*values[i], i);
}

TEST(StackScanTest, AnArrayIsKeptByAPointerOnePastItsEnd) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  constexpr size_t kLength = 16;  // 128 bytes but for the byte past the end
  uint64_t* end = mutator.NewArray<uint64_t>(kLength) + kLength;
  Escape(&end);
  for (size_t i = 1; i <= kLength; ++i) end[-static_cast<ptrdiff_t>(i)] = i;
  heap.Collect();
  for (int k = 0; k < 1000; ++k) mutator.NewArray<uint64_t>(kLength);
  for (size_t i = 1; i <= kLength; ++i) {
    EXPECT_EQ(end[-static_cast<ptrdiff_t>(i)], i);
  }
}

TEST(StackScanTest, ExactModeScansNoStack) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  Node* forgotten = mutator.New<Node>();
  Escape(&forgotten);
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
  Escape(&forgotten);
}

TEST(StackScanTest, AStackThatIsGoneKeepsNothing) {
  Heap heap(QuietOptions());
  OnOtherThread([&] {
    Mutator mutator(heap);
    Node* list = MakeList(mutator, 5000);
    EXPECT_TRUE(ListIsIntact(list, 5000));
  });
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
}

#if defined(__x86_64__)
// Calls tricolor_enter_native(context) with numbers in all callee-saved
// registers, and stores the stack pointer of the call.
extern "C" void enter_native_with_known_registers(MutatorContext* context,
                                                  uintptr_t* stack_pointer);
asm(R"(
  .text
enter_native_with_known_registers:
  pushq %rbx
  pushq %rbp
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  subq $8, %rsp
  movq %rsp, (%rsi)
  movq $0x1111, %rbx
  movq $0x2222, %rbp
  movq $0x3333, %r12
  movq $0x4444, %r13
  movq $0x5555, %r14
  movq $0x6666, %r15
  call tricolor_enter_native
  addq $8, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbp
  popq %rbx
  ret
)");

TEST(StackScanTest, ASnapshotHasTheCallersRegistersAndStackPointer) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  MutatorContext& context = mutator.context();
  context.native_scopes = 1;
  uintptr_t stack_pointer = 0;
  enter_native_with_known_registers(&context, &stack_pointer);
  const StackSnapshot& snapshot = context.stack;
  for (uint64_t i = 0; i < StackSnapshot::kRegisters; ++i) {
    EXPECT_EQ(snapshot.registers[i], 0x1111 * (i + 1));
  }
  EXPECT_EQ(snapshot.stack_pointer, stack_pointer);
  EXPECT_EQ(snapshot.top_words, StackSnapshot::kTopWords);
  EXPECT_EQ(context.state.LoadRelaxed(), MutatorState::kNative);
  context.native_scopes = 0;
  World::LeaveNative(context);
  EXPECT_EQ(context.state.LoadRelaxed(), MutatorState::kManaged);
}
#endif

// The objects that are left of two, when nothing knows them but what
// `put(snapshot, objects)`, with complemented addresses, puts into a native
// thread's snapshot.
template <typename Put>
size_t ObjectsKeptBySnapshot(const Put& put) {
  Heap heap(QuietOptions());
  std::atomic<bool> ready{false};
  std::atomic<bool> done{false};
  std::atomic<uint64_t> hidden[2];
  std::thread other([&] {
    // Not on the stack, where it would be scanned as a part of that.
    auto mutator = std::make_unique<Mutator>(heap);
    MutatorContext& context = mutator->context();
    OnOtherThread([&] {
      Mutator maker(heap);
      for (auto& h : hidden) h = ~reinterpret_cast<uint64_t>(maker.New<Node>());
    });
    {
      Mutator::NativeScope native(*mutator);
      put(context.stack, hidden);
      ready = true;
      while (!done) std::this_thread::yield();
    }
  });
  while (!ready) std::this_thread::yield();
  heap.Collect();
  const size_t kept = heap.ReadMemStats().heap_objects;
  done = true;
  other.join();
  return kept;
}

TEST(StackScanTest, ASnapshotsRegistersAndCopiedTopKeepTheirObjects) {
  EXPECT_EQ(ObjectsKeptBySnapshot([](StackSnapshot& snapshot, auto& hidden) {
              snapshot.registers[0] = ~hidden[0];
              snapshot.top[0] = ~hidden[1];
            }),
            2U);
}

// What a loop over an object goes on to may be all that its thread has.
TEST(StackScanTest, AnEndKeepsTheObjectOfAnInterruptedThreadOnly) {
  for (const bool interrupted : {false, true}) {
    EXPECT_EQ(ObjectsKeptBySnapshot([&](StackSnapshot& snapshot, auto& hidden) {
                const uint64_t last = std::max(~hidden[0], ~hidden[1]);
                snapshot.registers[0] = last + sizeof(Node);
                snapshot.interrupted = interrupted;
              }),
              interrupted ? 1U : 0U);
  }
}

class CollectedWords final : public WordSink {
 public:
  void Take(const uint64_t* words, size_t count) override {
    words_.insert(words, words + count);
  }
  bool Has(uint64_t word) const { return words_.count(word) != 0; }

 private:
  std::set<uint64_t> words_;
};

TEST(StackScanTest, BothStacksOfAnInterruptedThreadAreRead) {
  const uint64_t own[] = {101, 102, 103};
  const uint64_t alternate[] = {201, 202};
  StackSnapshot snapshot{};
  snapshot.bounds = {Addr(own).value(), Addr(std::end(own)).value()};
  snapshot.SetInterrupted(Addr(own + 1).value(),
                          {Addr(alternate), Addr(std::end(alternate))});
  CollectedWords words;
  ReadStack(snapshot, words);
  EXPECT_FALSE(words.Has(101));
  for (const uint64_t word : {102U, 103U, 201U, 202U}) {
    EXPECT_TRUE(words.Has(word)) << word;
  }
}

TEST(StackScanTest, ThreadsKnowTheBoundsOfTheirStacks) {
  const auto check = [] {
    const StackBounds bounds = StackBounds::OfThisThread();
    int local = 0;
    Escape(&local);
    const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    EXPECT_LT(bounds.low, here);
    EXPECT_LT(here, bounds.high);
  };
  check();
  OnOtherThread(check);
}

}  // namespace
}  // namespace tricolor::runtime
