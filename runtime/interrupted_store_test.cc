// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A thread that the first stop of a cycle interrupts between the barrier of a
// store, which has found no cycle, and the store itself. What it replaces may
// have been loaded meanwhile by a thread whose stack has been scanned, so that
// stacks are scanned once more in the last stop. The collector stands still in
// its first handshake (marking_testing.h) while that happens.

#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <thread>

#include "gtest/gtest.h"
#include "tricolor/base/atomic.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/marking_testing.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {
namespace {

class InterruptedStoreTest : public testing::Test {
 protected:
  static HeapOptions Options() {
    HeapOptions options = CheckedOptions(/*conservative=*/true);
    options.gc_percent = -1;
    return options;
  }

  InterruptedStoreTest() { heap_.core().world().set_preempt_grace(0); }

  // One thread is interrupted and then clears the holder's field, after the
  // other one, scanned already, has loaded it into a variable or not.
  void ReplaceBehindTheBarrier(bool load) {
    std::thread stores([this] { Store(); });
    std::thread loads([this, load] { Load(load); });
    while (ready_ != 2) std::this_thread::yield();
    // Of native mutators the collector serves the one first that came last.
    PausedHandshake handshake(heap_);
    // When all stacks that are scanned exist, so that none has a word of it.
    OnOtherThread([this] {
      Mutator maker(heap_);
      Node* node = maker.New<Node>(uint64_t{7});
      weak_ = Weak<Node>(node);
      holder_ = maker.New<Node>();
      holder_->next = node;
    });
    handshake_ = &handshake;
    handshake.Collect();
    loads.join();
    done_ = true;
    stores.join();
  }

  void Store() {
    Mutator mutator(heap_);
    ++ready_;
    // No safepoint: the first stop has to send a signal.
    while (!loaded_) usleep(1);
    StoreWordRelaxed(reinterpret_cast<uint64_t*>(&holder_->next), uint64_t{0});
    stored_ = true;
    while (!done_) mutator.Safepoint();
  }

  void Load(bool load) {
    Mutator mutator(heap_);
    {
      Mutator::NativeScope native(mutator);
      ++ready_;
      while (handshake_ == nullptr || !handshake_.load()->paused()) usleep(1);
    }
    mutator.Safepoint();
    EXPECT_TRUE(mutator.context().marking);
    EXPECT_EQ(mutator.context().poll.LoadRelaxed(), 0U) << "was not scanned";
    const Node* node = load ? holder_->next.get() : nullptr;
    loaded_ = true;
    while (!stored_) usleep(1);
    handshake_.load()->Finish(mutator);
    EXPECT_EQ(weak_.expired(), !load);
    EXPECT_TRUE(node == nullptr || node->intact());
  }

  Heap heap_{Options()};
  Root<Node> holder_;
  Weak<Node> weak_;
  std::atomic<PausedHandshake*> handshake_{nullptr};
  std::atomic<int> ready_{0};
  std::atomic<bool> loaded_{false};
  std::atomic<bool> stored_{false};
  std::atomic<bool> done_{false};
};

TEST_F(InterruptedStoreTest, WhatWasLoadedBeforeItIsKept) {
  ReplaceBehindTheBarrier(/*load=*/true);
}

// The test sees what is lost.
TEST_F(InterruptedStoreTest, WhatWasNotLoadedDies) {
  ReplaceBehindTheBarrier(/*load=*/false);
}

}  // namespace
}  // namespace tricolor::runtime
