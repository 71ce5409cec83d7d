// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A list of operations on span sets and their models; all invariants are
// checked after each. A failure prints the operations as C++ for a test.
//
// An operation is one byte, its kind in the low four bits and a set in the
// next two (3: the set near the end of its index), and for most kinds one more
// byte: a count, or a number of calls.
// The list ends with the input. Threads are the part of
// span_set_interleaving_test and span_set_stress_test.

#include <cstddef>
#include <cstdint>

#include "tricolor/base/fuzzing.h"
#include "tricolor/mheap/span_set_tester.h"

namespace tricolor::mheap {
namespace {

void StepNearEnd(SpanSetTester& t, uint32_t kind, ByteSource& in) {
  switch (kind % 4) {
    case 0:
      return t.StartNearEnd(in.Below(256));
    case 1:
      return t.PopNearEnd(1 + in.Below(256) % 64);
    default:
      return t.PushNearEnd(1 + in.Below(256) % 64);
  }
}

void Step(SpanSetTester& t, ByteSource& in) {
  const uint32_t byte = in.Below(256);
  const uint32_t set = byte / 16 % 4;
  if (set == SpanSetTester::kSets) return StepNearEnd(t, byte % 16, in);
  switch (byte % 16) {
    case 0:
    case 1:
    case 2:
      return t.Push(set, 1 + in.Below(256) % 16);
    case 3:
    case 4:
    case 5:
      return t.Pop(set, 1 + in.Below(256) % 16);
    case 6:
      return t.Push(set, 1);
    case 7:
      return t.Pop(set, 1);
    case 8:
      return t.Push(set, in.Below(256));
    case 9:
      return t.Pop(set, in.Below(256));
    case 10:
    case 11: {
      const uint32_t to = in.Below(256);
      return t.Move(set, to % SpanSetTester::kSets, 1 + to / 4 % 16);
    }
    case 12:
      return t.Reset(set);
    case 13:
      return t.RefuseMemory(1 + in.Below(256) % 8);
    case 14:
      return t.RefuseAllMemory();
    default:
      return t.Recover();
  }
}

}  // namespace
}  // namespace tricolor::mheap

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tricolor::mheap::SpanSetTester t;
  tricolor::ByteSource in(data, size);
  while (!in.empty()) {
    tricolor::mheap::Step(t, in);
    t.Check();
  }
  return 0;
}
