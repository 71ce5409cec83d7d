// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A lock-free stack of nodes that live outside the collected heap (Treiber's
// stack with an ABA tag). The head packs a node's address with a count of
// pushes; nodes are aligned to 512 bytes, which leaves 25 bits for the tag.
//
// Nodes are type-stable: Pop reads the link of a node that another thread may
// have popped already, so the memory of a node must stay mapped, and its link
// untouched by anything but this stack, for as long as any stack that has held
// it is in use.
//
// Go counterpart: lfstack.go, tagptr_64bit.go. Lock-free, see the table of
// atomics in this floor's README.
// INV-BASE-1: the tag in the link to a node is the node's push count.

#ifndef TRICOLOR_BASE_LF_STACK_H_
#define TRICOLOR_BASE_LF_STACK_H_

#include <cstdint>

#include "tricolor/base/atomic.h"

namespace tricolor {

// The first member (or first base) of anything that is put on an LfStack.
// Aligned to LfStack::kNodeAlignment.
struct LfNode {
  Atomic<uint64_t> next;        // packed head below this node
  Atomic<uint64_t> push_count;  // the ABA tag's source
};

class LfStack {
 public:
  static constexpr uint64_t kNodeAlignment = 512;

  constexpr LfStack() = default;
  LfStack(const LfStack&) = delete;
  LfStack& operator=(const LfStack&) = delete;

  // Makes what this thread wrote to the node visible to the thread that pops
  // it. A misaligned node or one beyond 48 bits of address is fatal.
  void Push(LfNode* node);
  // Null when the stack is empty.
  LfNode* Pop();
  // May be out of date when it returns, unless nobody else uses the stack.
  bool Empty() const { return head_.LoadRelaxed() == 0; }
  // Forgets all nodes. No other thread may use the stack at the same time.
  void Reset() { head_.StoreRelaxed(0); }

  // Walks the whole stack and returns the number of nodes on it. Fatal when a
  // link disagrees with the node it leads to. No other thread may use the
  // stack at the same time.
  uint64_t CheckInvariants() const;

 private:
  friend class LfStackTestPeer;

  // A head for the node and its push count, and the node of a head.
  static uint64_t Pack(const LfNode* node, uint64_t push_count);
  static LfNode* Unpack(uint64_t packed);

  Atomic<uint64_t> head_;
};

}  // namespace tricolor

#endif  // TRICOLOR_BASE_LF_STACK_H_
