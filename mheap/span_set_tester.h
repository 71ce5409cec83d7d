// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Operations on a few SpanSets that share a pool, beside their models. Stops
// the program at the first difference, and prints the operations so far as
// C++ that can be pasted into a test. Blocks have four entries.
//
// Thread-compatible; one at a time in a process.

#ifndef TRICOLOR_MHEAP_SPAN_SET_TESTER_H_
#define TRICOLOR_MHEAP_SPAN_SET_TESTER_H_

#include <cstdint>
#include <deque>
#include <string>

#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/mheap/span_set_testing.h"

namespace tricolor::mheap {

class SpanSetTester {
 public:
  static constexpr uint32_t kSets = 3;

  SpanSetTester();
  ~SpanSetTester();
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
  // Compares everything with the model.
  void Check();

 private:
  using Traits = SmallBlockTraits<4, 2>;

  struct Set {
    explicit Set(BasicSpanSetBlockPool<Traits>& pool) : set(pool) {}
    BasicSpanSet<Traits> set;
    std::deque<MSpan*> model;
    uint64_t pushed = 0;  // since Reset
  };

  void Record(const std::string& operation);
  void PushOne(uint32_t set, MSpan* span);
  MSpan* PopOne(uint32_t set);
  void UseUpMemory();

  FakeOsMemory os_;
  PersistentAlloc memory_;
  BasicSpanSetBlockPool<Traits> pool_;
  Set sets_[kSets];
  uint64_t next_id_ = 0;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_SPAN_SET_TESTER_H_
