// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the tests of SpanSet share: pointers that stand for spans, traits with
// small blocks, and a look inside.

#ifndef TRICOLOR_MHEAP_SPAN_SET_TESTING_H_
#define TRICOLOR_MHEAP_SPAN_SET_TESTING_H_

#include <cstdint>
#include <thread>

#include "tricolor/base/mutex.h"
#include "tricolor/mheap/span_set-inl.h"

namespace tricolor::mheap {

// A set never looks into a span, so any distinct pointers will do.
inline MSpan* FakeSpan(uint64_t id) {
  return reinterpret_cast<MSpan*>((id + 1) * 64);
}
inline uint64_t FakeSpanId(const MSpan* span) {
  return reinterpret_cast<uintptr_t>(span) / 64 - 1;
}

// Small blocks meet their edges often.
template <uint32_t kEntries, uint32_t kSegment>
struct SmallBlockTraits {
  static constexpr uint32_t kBlockEntries = kEntries;
  static constexpr uint32_t kFirstSegment = kSegment;
  static void AtStep(SpanSetStep) {}
  static void Wait(uint32_t) { std::this_thread::yield(); }
};

class SpanSetTestPeer {
 public:
  // As if `index` spans had been pushed and popped. The set is unused, and the
  // index a multiple of its block size.
  template <typename Set>
  static void StartAt(Set& set, uint32_t index) {
    MutexLock lock(set.spine_mutex_);
    set.linked_ = index / Set::kBlockEntries;
    SetIndex(set, index, index);
  }
  template <typename Set>
  static void SetIndex(Set& set, uint32_t head, uint32_t tail) {
    set.head_tail_.StoreRelaxed(uint64_t{head} << 32 | tail);
  }
  template <typename Set>
  static Atomic<MSpan*>& Entry(Set& set, uint32_t index) {
    return set.FindBlock(index / Set::kBlockEntries)
        ->entries[index % Set::kBlockEntries];
  }
  template <typename Set>
  static Atomic<uint32_t>& Popped(Set& set, uint32_t block) {
    return set.FindBlock(block)->popped;
  }
  template <typename Set>
  static bool IsLinked(Set& set, uint32_t block) {
    return set.FindBlock(block) != nullptr;
  }
  // Puts a block on the free list that was not cleaned.
  template <typename Pool>
  static void FreeDirtyBlock(Pool& pool) {
    auto* block = pool.Allocate();
    block->entries[1].StoreRelaxed(FakeSpan(1));
    pool.Free(block);
  }
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_SPAN_SET_TESTING_H_
