// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the tests of this floor share: objects to allocate, and ways to be sure
// that no forgotten word keeps one alive. Tests that count objects exactly use
// the exact mode, in which only Roots do.

#ifndef TRICOLOR_RUNTIME_RUNTIME_TESTING_H_
#define TRICOLOR_RUNTIME_RUNTIME_TESTING_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>

#include "absl/base/attributes.h"
#include "tricolor/runtime/heap.h"

namespace tricolor::runtime {

struct Node {
  static constexpr uint64_t kMagic = 0x7269636f6c6f7221;

  TRICOLOR_TRACE(Node, next, other);

  Node() = default;
  explicit Node(uint64_t v) : value(v) {}

  bool intact() const { return magic == kMagic; }

  Ptr<Node> next;
  Ptr<Node> other;
  uint64_t value = 0;
  uint64_t magic = kMagic;
};

struct Leaf {
  TRICOLOR_TRACE(Leaf);
  uint64_t words[8] = {};
};

// 1 MiB without pointers: a span of its own.
struct Large {
  TRICOLOR_TRACE(Large);
  unsigned char bytes[1 << 20];
};

// Nothing but the test's own threads and collections.
inline HeapOptions QuietOptions() {
  HeapOptions options;
  options.gc_percent = -1;
  options.debug = "";
  // Or most collections of a small heap would be.
  options.brief_bytes = 0;
  options.reservation_bytes = size_t{1} << 34;
  return options;
}
inline HeapOptions ExactOptions() {
  HeapOptions options = QuietOptions();
  options.conservative_stacks = false;
  return options;
}

// Collects often, and checks each collection by a second marker.
inline HeapOptions CheckedOptions(bool conservative) {
  HeapOptions options;
  options.debug = "gccheckmark=1";
  options.conservative_stacks = conservative;
  options.min_heap_bytes = 1 << 20;
  options.brief_bytes = 0;
  options.reservation_bytes = size_t{1} << 34;
  return options;
}

// A list of `length` nodes with values 0, 1, ...; its head.
ABSL_ATTRIBUTE_NOINLINE inline Node* MakeList(Mutator& mutator, size_t length) {
  Node* head = nullptr;
  for (size_t i = length; i-- > 0;) {
    Root<Node> rest(mutator, head);
    head = mutator.New<Node>(i);
    if (head == nullptr) return nullptr;
    head->next = rest;
  }
  return head;
}

// Whether the list is that of MakeList.
inline bool ListIsIntact(const Node* head, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    if (head == nullptr || !head->intact() || head->value != i) return false;
    head = head->next;
  }
  return head == nullptr;
}

// Whether `condition` comes true; gives up after minutes.
template <typename Condition>
bool Eventually(const Condition& condition) {
  for (int i = 0; i < 120000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

// Runs on a thread that ends before this returns, so that nothing of it stays
// on a stack.
template <typename Action>
void OnOtherThread(Action action) {
  std::thread(action).join();
}

// A small random number generator (SplitMix64).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t Below(uint64_t n) { return Next() % n; }

 private:
  uint64_t state_;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_RUNTIME_TESTING_H_
