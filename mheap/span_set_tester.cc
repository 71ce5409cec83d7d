// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/span_set_tester.h"

#include <cstdint>

#include "tricolor/base/check.h"

namespace tricolor::mheap {
SpanSetTester::SpanSetTester()
    : os_({.protect = false}),
      memory_(os_),
      pool_(memory_),
      sets_{Set(pool_), Set(pool_), Set(pool_)},
      end_pool_(memory_),
      end_(end_pool_) {}

template <typename SetTraits>
void SpanSetTester::PushOne(Modeled<SetTraits>& s, MSpan* span) {
  const uint64_t failures = os_.failures();
  const bool edge = s.pushed % SetTraits::kBlockEntries == 0;
  if (s.set.Push(span)) {
    s.model.push_back(span);
    ++s.pushed;
    return;
  }
  TRICOLOR_CHECK(
      os_.failures() > failures && edge,
      "push refused with %llu refusals of the OS, %llu pushed before",
      static_cast<unsigned long long>(os_.failures()),
      static_cast<unsigned long long>(s.pushed));
}

template <typename SetTraits>
MSpan* SpanSetTester::PopOne(Modeled<SetTraits>& s) {
  MSpan* expected = s.model.empty() ? nullptr : s.model.front();
  if (!s.model.empty()) s.model.pop_front();
  MSpan* span = s.set.Pop();
  TRICOLOR_CHECK(span == expected, "popped %p, expected %p",
                 static_cast<void*>(span), static_cast<void*>(expected));
  return span;
}

void SpanSetTester::Push(uint32_t set, uint32_t count) {
  program_.Note("Push", set, count);
  for (uint32_t i = 0; i < count; ++i)
    PushOne(sets_[set], FakeSpan(next_id_++));
}

void SpanSetTester::Pop(uint32_t set, uint32_t count) {
  program_.Note("Pop", set, count);
  for (uint32_t i = 0; i < count; ++i) PopOne(sets_[set]);
}

void SpanSetTester::Move(uint32_t from, uint32_t to, uint32_t count) {
  program_.Note("Move", from, to, count);
  for (uint32_t i = 0; i < count; ++i) {
    MSpan* span = PopOne(sets_[from]);
    if (span != nullptr) PushOne(sets_[to], span);
  }
}

void SpanSetTester::Reset(uint32_t set) {
  program_.Note("Reset", set);
  if (!sets_[set].model.empty()) return;
  sets_[set].set.Reset();
  sets_[set].pushed = 0;
}

void SpanSetTester::StartNearEnd(uint32_t left) {
  program_.Note("StartNearEnd", left);
  if (!end_.model.empty()) return;
  end_.set.Reset();
  end_.pushed = uint64_t{UINT32_MAX} + 1 - EndTraits::kBlockEntries;
  SpanSetTestPeer::StartAt(end_.set, static_cast<uint32_t>(end_.pushed));
  while (UINT32_MAX - end_.pushed > left) {
    PushOne(end_, FakeSpan(next_id_++));
    if (end_.model.empty()) return;  // refused
    PopOne(end_);
  }
}

void SpanSetTester::PushNearEnd(uint32_t count) {
  program_.Note("PushNearEnd", count);
  for (uint32_t i = 0; i < count && end_.pushed < UINT32_MAX; ++i) {
    PushOne(end_, FakeSpan(next_id_++));
  }
}

void SpanSetTester::PopNearEnd(uint32_t count) {
  program_.Note("PopNearEnd", count);
  for (uint32_t i = 0; i < count; ++i) PopOne(end_);
}

void SpanSetTester::UseUpMemory() {
  os_.FailFrom(1);
  for (const uint64_t size : {512u, 8u}) {
    while (memory_.Allocate(ByteCount(size), 8) != nullptr) {
    }
  }
}

void SpanSetTester::RefuseMemory(uint32_t k) {
  program_.Note("RefuseMemory", k);
  UseUpMemory();
  os_.StopFailing();
  os_.FailAfter(k);
}

void SpanSetTester::RefuseAllMemory() {
  program_.Note("RefuseAllMemory");
  UseUpMemory();
}

void SpanSetTester::Recover() {
  program_.Note("Recover");
  os_.StopFailing();
}

template <typename SetTraits>
uint64_t SpanSetTester::CheckSet(Modeled<SetTraits>& s) {
  s.set.CheckInvariants();
  TRICOLOR_CHECK(s.set.Size() == s.model.size(),
                 "a set has %u entries, expected %zu", s.set.Size(),
                 s.model.size());
  // Blocks begun, less those of which all has been popped.
  constexpr uint64_t kN = SetTraits::kBlockEntries;
  return (s.pushed + kN - 1) / kN - (s.pushed - s.model.size()) / kN;
}

template <typename SetTraits>
void SpanSetTester::CheckPool(BasicSpanSetBlockPool<SetTraits>& pool,
                              uint64_t linked) {
  const uint64_t free = pool.CheckInvariants();
  TRICOLOR_CHECK(free + linked == pool.blocks(),
                 "%llu blocks are free and %llu are linked, of %llu",
                 static_cast<unsigned long long>(free),
                 static_cast<unsigned long long>(linked),
                 static_cast<unsigned long long>(pool.blocks()));
}

void SpanSetTester::Check() {
  uint64_t linked = 0;
  for (Set& s : sets_) linked += CheckSet(s);
  CheckPool(pool_, linked);
  if (end_.pushed != 0) CheckPool(end_pool_, CheckSet(end_));
}

}  // namespace tricolor::mheap
