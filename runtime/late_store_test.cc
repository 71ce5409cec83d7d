// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Stores that come late in a cycle: by a thread that attaches while the cycle
// marks, and after the last handshake. Stacks are no roots here, so that
// nothing else keeps what the tests move (marking_testing.h).

#include <sched.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "gtest/gtest.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/marking_testing.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {
namespace {

class LateStoreTest : public testing::Test {
 protected:
  Heap& heap() { return paused_.heap(); }
  // What has been stored behind the marker.
  void ExpectKept(uint64_t value) {
    const Node* node = paused_.behind().ptr;
    ASSERT_TRUE(node->intact());
    EXPECT_EQ(node->value, value);
  }

  PausedHeap paused_{/*conservative_stacks=*/false};
};

TEST_F(LateStoreTest, WhatANewThreadOverwritesIsKept) {
  OnOtherThread([this] {
    Mutator mutator(heap());
    paused_.ahead().ptr = mutator.New<Node>(uint64_t{7});
  });
  {
    PausedMarking pause(heap());
    OnOtherThread([this] {
      Mutator mutator(heap());
      paused_.behind().ptr = paused_.ahead().ptr;
      paused_.ahead().ptr = nullptr;
    });
  }
  ExpectKept(7);
}

TEST_F(LateStoreTest, WhatANewThreadAllocatesIsKept) {
  {
    PausedMarking pause(heap());
    OnOtherThread([this] {
      Mutator mutator(heap());
      paused_.behind().ptr = mutator.New<Node>(uint64_t{8});
    });
  }
  ExpectKept(8);
}

// All that is reachable has been marked by then, but not what a weak pointer
// gives.
TEST_F(LateStoreTest, WhatIsRecordedAfterTheLastHandshakeIsMarkedInTheStop) {
  Mutator mutator(heap());
  Weak<Node> weak;
  bool late = false;
  for (int attempt = 0; attempt < 1000 && !late; ++attempt) {
    weak = Weak<Node>(mutator.New<Node>(uint64_t{9}));
    std::optional<PausedMarking> pause(std::in_place, heap(), &mutator);
    GateKeeper::Open();
    // With nothing to publish, this handshake is the last one. The stop may
    // follow so soon that the safepoint takes part in it, too.
    while (mutator.context().poll.LoadRelaxed() == 0) sched_yield();
    mutator.Safepoint();
    late = mutator.context().marking;
    if (late) paused_.behind().ptr = weak.Get();
    pause.reset();
    EXPECT_FALSE(mutator.context().marking);
  }
  ASSERT_TRUE(late);
  ExpectKept(9);
  EXPECT_EQ(weak.Get(), paused_.behind().ptr.get());
}

// By its birth, not by a mark that the marker would count.
TEST_F(LateStoreTest, WhatIsAllocatedMeanwhileCountsAsLive) {
  constexpr uint64_t kLarge = 8;
  {
    PausedMarking pause(heap());
    OnOtherThread([this] {
      Mutator mutator(heap());
      for (uint64_t i = 0; i < kLarge; ++i) mutator.New<Large>();
    });
  }
  EXPECT_GE(heap().core().pacer().heap_live(), kLarge * sizeof(Large));
}

}  // namespace
}  // namespace tricolor::runtime
