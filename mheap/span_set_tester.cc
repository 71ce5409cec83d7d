// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/span_set_tester.h"

#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <string>

#include "tricolor/base/check.h"

namespace tricolor::mheap {
namespace {

// The operations of the tester that exists.
std::string* recorded = nullptr;

void PrintRecorded(const char*) {
  if (recorded == nullptr) return;
  std::fprintf(stderr, "SpanSetTester t;\n%st.Check();\n", recorded->c_str());
}

std::string Call(const char* name, std::initializer_list<uint32_t> arguments) {
  std::string text = std::string("t.") + name + "(";
  const char* separator = "";
  for (const uint32_t argument : arguments) {
    text += separator + std::to_string(argument);
    separator = ", ";
  }
  return text + ");\n";
}

}  // namespace

SpanSetTester::SpanSetTester()
    : os_({.protect = false}),
      memory_(os_),
      pool_(memory_),
      sets_{Set(pool_), Set(pool_), Set(pool_)} {
  recorded = new std::string;
  SetFatalHook(PrintRecorded);
}

SpanSetTester::~SpanSetTester() {
  SetFatalHook(nullptr);
  delete recorded;
  recorded = nullptr;
}

void SpanSetTester::Record(const std::string& operation) {
  *recorded += operation;
}

void SpanSetTester::PushOne(uint32_t set, MSpan* span) {
  Set& s = sets_[set];
  const uint64_t failures = os_.failures();
  const bool edge = s.pushed % Traits::kBlockEntries == 0;
  if (s.set.Push(span)) {
    s.model.push_back(span);
    ++s.pushed;
    return;
  }
  TRICOLOR_CHECK(os_.failures() > failures && edge,
                 "push on set %u refused with %llu refusals of the OS, %llu "
                 "pushed before",
                 set, static_cast<unsigned long long>(os_.failures()),
                 static_cast<unsigned long long>(s.pushed));
}

MSpan* SpanSetTester::PopOne(uint32_t set) {
  Set& s = sets_[set];
  MSpan* expected = s.model.empty() ? nullptr : s.model.front();
  if (!s.model.empty()) s.model.pop_front();
  MSpan* span = s.set.Pop();
  TRICOLOR_CHECK(span == expected, "popped %p from set %u, expected %p",
                 static_cast<void*>(span), set, static_cast<void*>(expected));
  return span;
}

void SpanSetTester::Push(uint32_t set, uint32_t count) {
  Record(Call("Push", {set, count}));
  for (uint32_t i = 0; i < count; ++i) PushOne(set, FakeSpan(next_id_++));
}

void SpanSetTester::Pop(uint32_t set, uint32_t count) {
  Record(Call("Pop", {set, count}));
  for (uint32_t i = 0; i < count; ++i) PopOne(set);
}

void SpanSetTester::Move(uint32_t from, uint32_t to, uint32_t count) {
  Record(Call("Move", {from, to, count}));
  for (uint32_t i = 0; i < count; ++i) {
    MSpan* span = PopOne(from);
    if (span != nullptr) PushOne(to, span);
  }
}

void SpanSetTester::Reset(uint32_t set) {
  Record(Call("Reset", {set}));
  if (!sets_[set].model.empty()) return;
  sets_[set].set.Reset();
  sets_[set].pushed = 0;
}

void SpanSetTester::UseUpMemory() {
  os_.FailFrom(1);
  for (const uint64_t size : {512u, 8u}) {
    while (memory_.Allocate(ByteCount(size), 8) != nullptr) {
    }
  }
}

void SpanSetTester::RefuseMemory(uint32_t k) {
  Record(Call("RefuseMemory", {k}));
  UseUpMemory();
  os_.StopFailing();
  os_.FailAfter(k);
}

void SpanSetTester::RefuseAllMemory() {
  Record(Call("RefuseAllMemory", {}));
  UseUpMemory();
}

void SpanSetTester::Recover() {
  Record(Call("Recover", {}));
  os_.StopFailing();
}

void SpanSetTester::Check() {
  uint64_t linked = 0;
  for (Set& s : sets_) {
    s.set.CheckInvariants();
    TRICOLOR_CHECK(s.set.Size() == s.model.size(),
                   "set %d has %u entries, expected %zu",
                   static_cast<int>(&s - sets_), s.set.Size(), s.model.size());
    // Blocks begun, less those of which all has been popped.
    constexpr uint64_t kN = Traits::kBlockEntries;
    linked += (s.pushed + kN - 1) / kN - (s.pushed - s.model.size()) / kN;
  }
  const uint64_t free = pool_.CheckInvariants();
  TRICOLOR_CHECK(free + linked == pool_.blocks(),
                 "%llu blocks are free and %llu are linked, of %llu",
                 static_cast<unsigned long long>(free),
                 static_cast<unsigned long long>(linked),
                 static_cast<unsigned long long>(pool_.blocks()));
}

}  // namespace tricolor::mheap
