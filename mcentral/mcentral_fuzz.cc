// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A list of operations on central lists and their model; all spans are checked
// after each. The first byte says how large the heap may become; an operation
// is one byte, its kind, and one byte for each argument; the list ends with the
// input.

#include <cstddef>
#include <cstdint>

#include "tricolor/base/fuzzing.h"
#include "tricolor/mcentral/mcentral_tester.h"

namespace tricolor::mcentral {
namespace {

void Step(MCentralTester& t, ByteSource& in) {
  const uint32_t kind = in.Below(17);
  const uint32_t a = in.Byte();
  // One byte for both the processor and the class.
  const uint32_t processor = a % 16;
  const uint32_t span_class = a / 16;
  switch (kind) {
    case 0:
    case 1:
    case 2:
      return t.Cache(processor, span_class);
    case 3:
    case 4:
    case 5:
      return t.Take(processor, span_class, in.Byte());
    case 6:
    case 7:
    case 8:
      return t.Uncache(processor, span_class);
    case 9:
    case 10:
      return t.SweepListed(span_class, a % 2 != 0, in.Byte());
    case 11:
    case 12:
      return t.SweepDirectly(a);
    case 13:
      return t.Cycle(a);
    case 14:
      return t.OpenSweeper(a % 2 != 0);
    case 15:
      return t.RefuseMemory(a);
    default:
      return t.Recover();
  }
}

}  // namespace
}  // namespace tricolor::mcentral

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tricolor::ByteSource in(data, size);
  tricolor::mcentral::MCentralTester t(in.Byte());
  while (!in.empty()) {
    tricolor::mcentral::Step(t, in);
    t.Check();
  }
  return 0;
}
