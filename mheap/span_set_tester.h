// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Operations on a few SpanSets that share a pool, beside their models. Stops
// the program at the first difference, and prints the operations so far as
// fuzzing.h has it. Blocks have four entries. One more set, with large blocks,
// can be put near the end of its index.
//
// Thread-compatible; one at a time in a process.

#ifndef TRICOLOR_MHEAP_SPAN_SET_TESTER_H_
#define TRICOLOR_MHEAP_SPAN_SET_TESTER_H_

#include <cstdint>
#include <deque>

#include "tricolor/base/fuzzing.h"
#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/mheap/span_set_testing.h"

namespace tricolor::mheap {

class SpanSetTester {
 public:
  static constexpr uint32_t kSets = 3;

  SpanSetTester();
  ~SpanSetTester() { Check(); }
  SpanSetTester(const SpanSetTester&) = delete;
  SpanSetTester& operator=(const SpanSetTester&) = delete;

  // Pushes `count` spans that are on no set.
  void Push(uint32_t set, uint32_t count);
  void Pop(uint32_t set, uint32_t count);
  // Pops up to `count` spans from one set and pushes them on another, or on
  // the same. Those that are refused are lost.
  void Move(uint32_t from, uint32_t to, uint32_t count);
  // Does nothing unless the set is empty.
  void Reset(uint32_t set);
  // Uses up the memory that the allocator still has and lets the k-th call of
  // the OS from then on fail.
  void RefuseMemory(uint32_t k);
  // The same for all calls until Recover.
  void RefuseAllMemory();
  void Recover();
  // Resets the last set, as if all but `left` of the pushes that a set allows
  // had been done. Does nothing unless it is empty.
  void StartNearEnd(uint32_t left);
  // As Push and Pop, for the last set. What would be one push too many, which
  // is fatal, is left out.
  void PushNearEnd(uint32_t count);
  void PopNearEnd(uint32_t count);
  // Compares everything with the model.
  void Check();

 private:
  using Traits = SmallBlockTraits<4, 2>;

  // Blocks so large that a spine for all indexes is small.
  using EndTraits = SmallBlockTraits<1 << 14, 1 << 17>;

  template <typename SetTraits>
  struct Modeled {
    explicit Modeled(BasicSpanSetBlockPool<SetTraits>& pool) : set(pool) {}
    BasicSpanSet<SetTraits> set;
    std::deque<MSpan*> model;
    uint64_t pushed = 0;  // since Reset
  };
  using Set = Modeled<Traits>;

  template <typename SetTraits>
  void PushOne(Modeled<SetTraits>& s, MSpan* span);
  template <typename SetTraits>
  static MSpan* PopOne(Modeled<SetTraits>& s);
  // Compares a set with its model; returns the blocks that are linked.
  template <typename SetTraits>
  static uint64_t CheckSet(Modeled<SetTraits>& s);
  template <typename SetTraits>
  static void CheckPool(BasicSpanSetBlockPool<SetTraits>& pool,
                        uint64_t linked);
  void UseUpMemory();

  FuzzProgram program_{"SpanSetTester t;"};
  FakeOsMemory os_;
  PersistentAlloc memory_;
  BasicSpanSetBlockPool<Traits> pool_;
  Set sets_[kSets];
  BasicSpanSetBlockPool<EndTraits> end_pool_;
  Modeled<EndTraits> end_;
  uint64_t next_id_ = 0;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_SPAN_SET_TESTER_H_
