// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/lf_stack.h"

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/test_random.h"
#include "tricolor/base/units.h"

namespace tricolor {

class LfStackTestPeer {
 public:
  static uint64_t Pack(const LfNode* node, uint64_t count) {
    return LfStack::Pack(node, count);
  }
  static LfNode* Unpack(uint64_t packed) { return LfStack::Unpack(packed); }
};

namespace {

struct alignas(LfStack::kNodeAlignment) Node : LfNode {
  // Set while a thread has popped the node and not pushed it again.
  Atomic<bool> owned;
  // Plain on purpose: ThreadSanitizer reports a push that does not happen
  // before the next pop.
  uint64_t plain = 0;
};

Node* PopNode(LfStack& stack) { return static_cast<Node*>(stack.Pop()); }

TEST(LfStack, IsEmptyAtFirst) {
  LfStack stack;
  EXPECT_TRUE(stack.Empty());
  EXPECT_EQ(stack.Pop(), nullptr);
  EXPECT_EQ(stack.CheckInvariants(), 0u);
}

TEST(LfStack, LastInFirstOut) {
  LfStack stack;
  const auto nodes = std::make_unique<Node[]>(3);
  for (size_t i = 0; i < 3; ++i) stack.Push(&nodes[i]);
  EXPECT_FALSE(stack.Empty());
  EXPECT_EQ(stack.CheckInvariants(), 3u);
  EXPECT_EQ(stack.Pop(), &nodes[2]);
  EXPECT_EQ(stack.Pop(), &nodes[1]);
  stack.Push(&nodes[2]);
  EXPECT_EQ(stack.Pop(), &nodes[2]);
  EXPECT_EQ(stack.Pop(), &nodes[0]);
  EXPECT_EQ(stack.Pop(), nullptr);
  EXPECT_TRUE(stack.Empty());
}

TEST(LfStack, ResetForgetsAllNodes) {
  LfStack stack;
  const auto nodes = std::make_unique<Node[]>(2);
  stack.Push(&nodes[0]);
  stack.Push(&nodes[1]);
  stack.Reset();
  EXPECT_TRUE(stack.Empty());
  stack.Push(&nodes[0]);
  EXPECT_EQ(stack.CheckInvariants(), 1u);
}

TEST(LfStack, TagSurvivesItsOwnOverflow) {
  LfStack stack;
  const auto nodes = std::make_unique<Node[]>(2);
  nodes[0].push_count.StoreRelaxed((uint64_t{1} << 25) - 2);
  nodes[1].push_count.StoreRelaxed(~uint64_t{0} - 1);
  for (int i = 0; i < 4; ++i) {
    stack.Push(&nodes[0]);
    stack.Push(&nodes[1]);
    EXPECT_EQ(stack.CheckInvariants(), 2u);
    EXPECT_EQ(stack.Pop(), &nodes[1]);
    EXPECT_EQ(stack.Pop(), &nodes[0]);
  }
}

// At the ends of what user space can be, with and without a full tag: neither
// part spills into the other.
TEST(LfStack, HeadHoldsTheLowestAndTheHighestAddresses) {
  constexpr uint64_t kTags = uint64_t{1} << 25;
  for (const uint64_t address :
       {LfStack::kNodeAlignment, uint64_t{1} << 46, uint64_t{1} << 47,
        (uint64_t{1} << 47) - LfStack::kNodeAlignment,
        (uint64_t{1} << 48) - LfStack::kNodeAlignment}) {
    const LfNode* node = Addr(address).as<LfNode>();
    for (const uint64_t count : {uint64_t{0}, kTags - 1, ~uint64_t{0}}) {
      const uint64_t packed = LfStackTestPeer::Pack(node, count);
      EXPECT_EQ(LfStackTestPeer::Unpack(packed), node);
      EXPECT_EQ(packed % kTags, count % kTags);
    }
  }
}

// The interleaving that the tag prevents, played by hand: a popper has read
// the head and its link when another thread takes both nodes and puts the
// first one back. The head must then look different to the popper.
TEST(LfStack, PoppedAndPushedAgainLooksDifferent) {
  LfStack stack;
  const auto nodes = std::make_unique<Node[]>(3);
  stack.Push(&nodes[0]);
  stack.Push(&nodes[1]);
  stack.Push(&nodes[2]);
  stack.Pop();
  // The link below nodes[2] is the packed head for nodes[1], as a popper
  // would have read it.
  const uint64_t before = nodes[2].next.LoadRelaxed();
  EXPECT_EQ(stack.Pop(), &nodes[1]);
  EXPECT_EQ(stack.Pop(), &nodes[0]);
  stack.Push(&nodes[1]);
  stack.Push(&nodes[2]);
  const uint64_t after = nodes[2].next.LoadRelaxed();
  EXPECT_NE(before, after);
  EXPECT_EQ(stack.Pop(), &nodes[2]);
  EXPECT_EQ(stack.Pop(), &nodes[1]);
}

TEST(LfStackDeathTest, MisalignedNodeIsFatal) {
  LfStack stack;
  const auto nodes = std::make_unique<Node[]>(1);
  LfNode* inside = reinterpret_cast<LfNode*>(
      reinterpret_cast<unsigned char*>(&nodes[0]) + 256);
  EXPECT_DEATH(stack.Push(inside), "not aligned to 512 bytes");
}

TEST(LfStackDeathTest, NodeBeyondTheAddressBitsIsFatal) {
  // Memory beyond cannot be had on x86-64 without asking for it, so this is an
  // address that nothing is at: its check comes before any access.
  LfStack stack;
  EXPECT_DEATH(stack.Push(Addr(uint64_t{1} << 48).as<LfNode>()),
               "beyond 48 bits of address");
  EXPECT_DEATH(stack.Push(nullptr), "is null");
}

TEST(LfStackDeathTest, NodePushedTwiceIsFoundByTheCheck) {
  LfStack stack;
  const auto nodes = std::make_unique<Node[]>(2);
  stack.Push(&nodes[0]);
  stack.Push(&nodes[1]);
  stack.Push(&nodes[0]);
  EXPECT_DEATH(stack.CheckInvariants(), "push tag");
}

void TakeAndMark(Node* node) {
  ASSERT_FALSE(node->owned.ExchangeAcquire(true)) << "popped twice";
  ++node->plain;
}

void MarkAndGive(Node* node, LfStack& stack) {
  ++node->plain;
  ASSERT_TRUE(node->owned.LoadRelaxed());
  node->owned.StoreRelaxed(false);
  stack.Push(node);
}

// Threads move nodes between two stacks, holding up to three at a time. Few
// nodes and many threads make the same node come back again and again.
void Stress(uint64_t threads, uint64_t nodes_count, int rounds, uint64_t seed) {
  LfStack stacks[2];
  const auto nodes = std::make_unique<Node[]>(nodes_count);
  for (uint64_t i = 0; i < nodes_count; ++i) stacks[0].Push(&nodes[i]);
  Atomic<uint64_t> marks;
  std::vector<std::thread> workers;
  for (uint64_t t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      TestRandom random(seed + t);
      Node* held[3];
      for (int i = 0; i < rounds; ++i) {
        int count = 0;
        const uint64_t wanted = 1 + random.Below(3);
        for (uint64_t k = 0; k < wanted; ++k) {
          Node* node = PopNode(stacks[random.Below(2)]);
          if (node == nullptr) continue;
          TakeAndMark(node);
          held[count++] = node;
        }
        while (count > 0) {
          MarkAndGive(held[--count], stacks[random.Below(2)]);
          marks.FetchAddRelaxed(2);
        }
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(stacks[0].CheckInvariants() + stacks[1].CheckInvariants(),
            nodes_count);
  uint64_t total = 0;
  for (uint64_t i = 0; i < nodes_count; ++i) total += nodes[i].plain;
  EXPECT_EQ(total, marks.LoadRelaxed());
  uint64_t popped = 0;
  for (LfStack& stack : stacks) {
    while (Node* node = PopNode(stack)) {
      TakeAndMark(node);
      ++popped;
    }
  }
  EXPECT_EQ(popped, nodes_count);
}

TEST(LfStackStress, FewNodesComeBackAtOnce) { Stress(4, 3, 30000, TestSeed()); }

TEST(LfStackStress, ManyNodesAreNeitherLostNorDoubled) {
  Stress(4, 200, 30000, TestSeed());
}

}  // namespace
}  // namespace tricolor
