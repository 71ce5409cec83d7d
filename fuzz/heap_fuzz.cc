// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs a program of typed operations on a whole heap and on a model of it.
// When a check fails, the operations so far are printed as C++ that can be
// pasted into tests/heap_regression_test.cc.

#include <cstdint>

#include "tricolor/base/fuzzing.h"
#include "tricolor/fuzz/shadow_heap.h"

namespace tricolor::fuzz {
namespace {

constexpr int kMaxOperations = 400;

#define DO(operation, ...)           \
  DoNoted(program, #operation, heap, \
          &ShadowHeap::operation __VA_OPT__(, ) __VA_ARGS__)

// Of the second sixteen operations, which came later.
void StepFurther(FuzzProgram& program, ShadowHeap& heap, ByteSource& in,
                 uint32_t operation, uint32_t a) {
  const uint32_t b = in.Byte();
  const auto number = [&in] { return uint32_t{in.Byte()}; };
  switch (operation) {
    case 0: {
      const uint32_t root = number();
      return DO(AllocateTyped, a, b, root);
    }
    case 1:
      if (b % 8 == 0) return DO(AllocateTooMuch, a, b / 8);
      if (b % 8 == 4) return DO(AllocateFan, a, b / 8 * 8);
      if (b % 8 == 1) return DO(AddHoldingCleanup, a, b / 8);
      if (b % 8 == 5) return DO(MakeManyRoots, a, b);
      return b % 4 == 2 ? DO(AddThrowingCleanup, a) : DO(CheckInvariants);
    case 2:
    case 3: {
      const uint32_t to = number();
      const uint32_t way = number();
      return DO(LinkOtherwise, a, b, to, way);
    }
    case 4: {
      const uint32_t to = number();
      const uint32_t to_slot = number();
      const uint32_t n = number();
      const uint32_t way = number();
      return DO(MovePointers, a, b, to, to_slot, n, way);
    }
    case 5: {
      const uint32_t n = number();
      const uint32_t way = number();
      return DO(ClearPointers, a, b, n, way);
    }
    case 6:
      return DO(SetMemoryLimit, a);
    case 7:
      return DO(PutInRange, a, b);
    case 8:
      return DO(TakeFromRange, a, b);
    case 9:
      return a % 2 == 0 ? DO(SwitchRange) : DO(SwitchSampler);
    case 10:
    case 11: {
      const uint32_t root = number();
      return DO(DoApart, a, b, root);
    }
    case 12: {
      const uint32_t root = number();
      return DO(DoOnFiber, a % 4 == 0, b, root);
    }
    case 13:
      return DO(RefuseNext, a);
    case 14:
      return DO(Restart, a | b << 8);
    default:
      return a % 2 == 0 ? DO(CheckStats) : DO(BeginMarking);
  }
}

void Step(FuzzProgram& program, ShadowHeap& heap, ByteSource& in) {
  const auto number = [&in] { return uint32_t{in.Byte()}; };
  // Arguments are read one by one: their order of evaluation is unspecified.
  const uint32_t operation = in.Below(16);
  const uint32_t a = number();
  const uint32_t b = number();
  switch (operation) {
    case 0:
    case 1:
    case 2:
    case 3: {
      const uint32_t root = number();
      return DO(Allocate, a, b, root);
    }
    case 4:
    case 5:
    case 6: {
      const uint32_t to = number();
      const uint32_t offset = in.Below(65536);
      return DO(Link, a, b, to, offset);
    }
    case 7: {
      const uint32_t to = number();
      return DO(Follow, a, b, to);
    }
    case 8:
      return DO(CopyRoot, a, b);
    case 9:
      return DO(DropRoot, a);
    case 10:
      return DO(AllocateGarbage, a, b);
    case 11:
      return DO(MakeWeak, a);
    case 12:
      return b % 3 == 0 ? DO(StopCleanup, a) : DO(AddCleanup, a);
    case 13:
      return DO(Collect);
    case 14:
      return b % 8 == 0 ? DO(FreeOsMemory) : DO(SetGcPercent, a);
    default:
      if (b % 4 == 1) {
        const uint32_t save = number();
        return DO(SetFinalizer, a, save);
      }
      if (b % 4 == 0) return StepFurther(program, heap, in, b / 4 % 16, a);
      return b % 4 == 2 ? DO(ClearFinalizer, a) : DO(CheckReachable);
  }
}

}  // namespace
}  // namespace tricolor::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using tricolor::fuzz::ShadowHeap;
  tricolor::FuzzProgram program("ShadowHeap heap;", "heap");
  ShadowHeap heap;
  tricolor::ByteSource in(data, size);
  for (int i = 0; i < tricolor::fuzz::kMaxOperations && !in.empty(); ++i) {
    tricolor::fuzz::Step(program, heap, in);
  }
  heap.Collect();
  for (uint32_t root = 0; root < ShadowHeap::kRoots; ++root) {
    heap.DropRoot(root);
  }
  heap.Collect();  // and now nothing is left
  return 0;
}
