// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/lf_stack.h"

#include <bit>
#include <cstdint>

#include "tricolor/base/check.h"

namespace tricolor {
namespace {

// The head: the address's bits 9..47 on top, the tag in the low 25 bits. An
// empty stack is 0, which no packed node is, for its address is not null.
// User space has 47 bits on x86-64 and 48 on AArch64.
constexpr int kAddressBits = 48;
constexpr int kAlignmentBits = 9;
constexpr int kAddressShift = 64 - kAddressBits;
constexpr int kTagBits = kAddressShift + kAlignmentBits;
constexpr uint64_t kTagMask = (uint64_t{1} << kTagBits) - 1;

static_assert(LfStack::kNodeAlignment == uint64_t{1} << kAlignmentBits);
static_assert(kTagBits == 25);

}  // namespace

uint64_t LfStack::Pack(const LfNode* node, uint64_t push_count) {
  return reinterpret_cast<uintptr_t>(node) << kAddressShift |
         (push_count & kTagMask);
}

LfNode* LfStack::Unpack(uint64_t packed) {
  return reinterpret_cast<LfNode*>((packed & ~kTagMask) >> kAddressShift);
}

void LfStack::Push(LfNode* node) {
  TRICOLOR_CHECK(node != nullptr && Unpack(Pack(node, 0)) == node,
                 "node %p put on lock-free stack %p is null, not aligned to "
                 "%d bytes, or beyond %d bits of address",
                 static_cast<void*>(node), static_cast<void*>(this),
                 static_cast<int>(kNodeAlignment), kAddressBits);
  // The pusher owns the node, and has owned it since it popped it.
  node->push_count.AddOwned(1);
  const uint64_t packed = Pack(node, node->push_count.LoadRelaxed());
  uint64_t head = head_.LoadRelaxed();
  do {
    // Relaxed: whoever reads this link for use has acquired the head that the
    // exchange below releases.
    node->next.StoreRelaxed(head);
    // Release, pairs with the acquires in Pop. Every change of the head is a
    // read-modify-write and so continues the release sequences of all earlier
    // pushes: a pop that finds this node again under another thread's pop
    // still synchronizes with this push.
  } while (!head_.CompareExchangeRelease(head, packed));
}

LfNode* LfStack::Pop() {
  // Acquire, pairs with the release in Push, here and when the exchange fails:
  // with a relaxed load this thread could find the new head and yet an old link
  // in its node, and the exchange, which sees only the head, would succeed.
  uint64_t head = head_.LoadAcquire();
  while (head != 0) {
    LfNode* node = Unpack(head);
    // Another thread may pop the node now, use it and push it again with
    // another link. The link read here is then wrong, but the tag differs and
    // the exchange fails. Without the tag: this thread reads A and its link B;
    // another pops A, pops B and pushes A; the exchange would succeed and put
    // B, which is in use, back on the stack.
    const uint64_t next = node->next.LoadRelaxed();
    if (head_.CompareExchangeAcquire(head, next)) return node;
  }
  return nullptr;
}

uint64_t LfStack::CheckInvariants() const {
  uint64_t count = 0;
  for (uint64_t link = head_.LoadAcquire(); link != 0; ++count) {
    const LfNode* node = Unpack(link);
    const uint64_t tag = node->push_count.LoadRelaxed() & kTagMask;
    // A node that is linked twice has been pushed twice, so that the older of
    // the two links has an outdated tag; this also ends the walk of a cycle.
    TRICOLOR_CHECK((link & kTagMask) == tag,
                   "node %p on lock-free stack %p has push tag %#x, its link "
                   "says %#x [INV-BASE-1]",
                   static_cast<const void*>(node),
                   static_cast<const void*>(this), static_cast<unsigned>(tag),
                   static_cast<unsigned>(link & kTagMask));
    link = node->next.LoadRelaxed();
  }
  return count;
}

}  // namespace tricolor
