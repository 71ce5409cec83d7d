// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Weak pointers, cleanups and finalizers in the order that the input says. An
// operation is one byte, its kind, and one byte for each number.

#include <cstddef>
#include <cstdint>

#include "tricolor/base/fuzzing.h"
#include "tricolor/fuzz/cleanup_tester.h"

namespace tricolor::fuzz {
namespace {

constexpr int kMostOperations = 400;

void Step(CleanupTester& t, ByteSource& in) {
  const uint32_t kind = in.Below(20);
  // Two roots, or other numbers, in one byte.
  const uint32_t a = in.Byte();
  const uint32_t b = a / 16;
  switch (kind) {
    case 0:
    case 1:
    case 2:
      return t.New(a, in.Byte());
    case 3:
    case 4:
      return t.Link(a, a / 4, b);
    case 5:
      return t.Follow(a, a / 4, b);
    case 6:
      return t.CopyRoot(a, b);
    case 7:
    case 8:
      return t.DropRoot(a);
    case 9:
      return t.MakeWeak(a, b);
    case 10:
      return t.GetWeak(in.Byte(), a);
    case 11:
      return t.CompareWeak(a, in.Byte());
    case 12:
    case 13:
      return t.AddCleanup(a, b, in.Byte());
    case 14:
      return t.StopCleanup(a);
    case 15:
      return t.SetFinalizer(a, b, in.Byte());
    case 16:
      return t.ClearFinalizer(a);
    case 17:
    case 18:
      return t.Collect();
    default:
      return t.RunCleanups();
  }
}

}  // namespace
}  // namespace tricolor::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tricolor::fuzz::CleanupTester t;
  tricolor::ByteSource in(data, size);
  for (int i = 0; i < tricolor::fuzz::kMostOperations && !in.empty(); ++i) {
    tricolor::fuzz::Step(t, in);
  }
  t.RunCleanups();
  t.Collect();
  return 0;
}
