// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Between the first stop and the scan of a thread's stack: the collector stands
// still in its first handshake (marking_testing.h), and the thread, which was
// native in the stop, goes on unscanned.

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

#include "absl/base/attributes.h"
#include "gtest/gtest.h"
#include "tricolor/base/atomic.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/marking_testing.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {
namespace {

class FirstHandshakeTest : public testing::Test {
 protected:
  // Signals would have the thread scanned where the tests do not want it.
  static HeapOptions Options() {
    HeapOptions options = CheckedOptions(/*conservative=*/true);
    options.gc_percent = -1;
    options.preempt_signal = 0;
    return options;
  }

  void MakeHidden() {
    Mutator mutator(heap_);
    Node* node = mutator.New<Node>(uint64_t{7});
    weak_ = Weak<Node>(node);
    hidden_.Set(node);
  }

  // Runs unscanned(mutator) on a thread in the window, and scanned(mutator) on
  // it when its stack has been scanned, before marking ends. To that thread,
  // what it gets from hidden_ in `unscanned` is as what it has on its stack: no
  // one else knows of it.
  void InTheWindow(const std::function<void(Mutator&)>& unscanned,
                   const std::function<void(Mutator&)>& scanned) {
    std::atomic<PausedHandshake*> handshake{nullptr};
    std::atomic<bool> native{false};
    std::thread thread([&] {
      Mutator mutator(heap_);
      MutatorContext& context = mutator.context();
      // Scanned in a cycle before, which must not count in this one.
      heap_.Collect();
      OnOtherThread([this] { MakeHidden(); });
      // As in a NativeScope, whose end would be a safepoint.
      context.native_scopes = 1;
      tricolor_enter_native(&context);
      native = true;
      while (handshake == nullptr) std::this_thread::yield();
      handshake.load()->Collect();
      while (!handshake.load()->paused()) std::this_thread::yield();
      context.native_scopes = 0;
      World::LeaveNative(context);
      ASSERT_TRUE(context.marking && !context.stack_scanned);
      unscanned(mutator);
      mutator.Safepoint();
      ASSERT_TRUE(context.marking && context.stack_scanned);
      scanned(mutator);
      handshake.load()->Finish(mutator);
    });
    while (!native) std::this_thread::yield();
    // Of two native mutators the collector serves the one first that came last.
    PausedHandshake paused(heap_);
    handshake = &paused;
    thread.join();
  }

  // In frames that are gone when they return.
  ABSL_ATTRIBUTE_NOINLINE void StoreHidden(Ptr<Node>& field) {
    field = hidden_.Get();
  }
  ABSL_ATTRIBUTE_NOINLINE void StoreHidden(Node*& word) {
    StoreWordRelaxed(&word, hidden_.Get());
  }

  Heap heap_{Options()};
  HiddenNode hidden_;
  Weak<Node> weak_;
  Root<Node> black_;
};

// The insertion half of the barrier: the object is in no snapshot, and what it
// is stored into, born since, is not looked at again.
TEST_F(FirstHandshakeTest, WhatAnUnscannedStackStoresIsKept) {
  InTheWindow(
      [this](Mutator&) {
        // An allocation on this thread would be a safepoint.
        OnOtherThread([this] {
          Mutator maker(heap_);
          black_ = maker.New<Node>();
        });
        StoreHidden(black_->next);
      },
      [](Mutator&) {});
  EXPECT_FALSE(weak_.expired());
  EXPECT_EQ(black_->next, weak_.Get());
  EXPECT_TRUE(black_->next->intact());
}

// From the stack to a range before the stack is scanned, and back after it: in
// the first stop and in the last the range is empty.
TEST_F(FirstHandshakeTest, WhatGoesThroughARangeIsKept) {
  static Node* in_range = nullptr;
  heap_.AddRootRange(&in_range, sizeof in_range);
  InTheWindow([this](Mutator&) { StoreHidden(in_range); },
              [](Mutator&) {
                StoreWordRelaxed(&in_range, static_cast<Node*>(nullptr));
              });
  EXPECT_FALSE(weak_.expired());
  heap_.RemoveRootRange(&in_range);
}

// The tests see what is lost.
TEST_F(FirstHandshakeTest, WhatIsNotStoredDies) {
  InTheWindow([](Mutator&) {}, [](Mutator&) {});
  EXPECT_TRUE(weak_.expired());
}

}  // namespace
}  // namespace tricolor::runtime
