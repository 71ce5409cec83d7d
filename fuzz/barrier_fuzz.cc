// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Mutators beside a marker, in the order that the input says. A step is two
// bytes: what is done (four bits), by whom (two), and three numbers of two
// bits. A round of marking has one byte that says how many of the steps behind
// it come in its midst. With the highest bit of its first byte set, it is a
// burst, a whole cycle from a seed: it takes more steps to lose an object than
// a fuzzer puts together in a short time.

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

#include "tricolor/base/fuzzing.h"
#include "tricolor/base/test_random.h"
#include "tricolor/fuzz/barrier_tester.h"

namespace tricolor::fuzz {
namespace {

constexpr int kMostSteps = 100;

// Beside the mutators' own.
constexpr uint32_t kStart = kMutatorOps;
constexpr uint32_t kMark = kMutatorOps + 1;
constexpr uint32_t kFinish = kMutatorOps + 2;
static_assert(kFinish == 15);

MutatorStep StepFrom(uint8_t first, ByteSource& in) {
  MutatorStep step;
  step.op = static_cast<MutatorOp>(first % 16 % kMutatorOps);
  step.m = first / 16 % 4;
  const uint8_t numbers = in.Byte();
  step.a = numbers % 4;
  step.b = numbers / 4 % 4 + (numbers >= 192 ? 4 : 0);
  step.c = numbers / 16 % 4;
  return step;
}

// What moves objects about is more frequent than what marks them.
MutatorStep RandomStep(TestRandom& random) {
  using enum MutatorOp;
  constexpr MutatorOp kOps[] = {
      kAllocate,   kAllocate,  kAllocate,  kLoad,     kStore,     kStore,
      kStoreBegin, kPutIn,     kPutIn,     kPutIn,    kTakeOut,   kTakeOut,
      kTakeOut,    kCopy,      kDrop,      kLoadRoot, kStoreRoot, kStoreRoot,
      kHandshake,  kHandshake, kHandshake, kAssist,   kSweep};
  const uint64_t numbers = random.Next();
  return {.op = kOps[random.Below(std::size(kOps))],
          .m = static_cast<uint8_t>(numbers % 3),
          .a = static_cast<uint8_t>(numbers >> 8 & 3),
          .b = static_cast<uint8_t>(numbers >> 16 & 7),
          .c = static_cast<uint8_t>(numbers >> 24 & 3)};
}

void DoRandomSteps(BarrierTester& t, TestRandom& random, uint64_t most) {
  for (uint64_t n = random.Below(most); n > 0; --n) t.Do(RandomStep(random));
}

void Burst(BarrierTester& t, uint64_t seed) {
  TestRandom random(seed);
  DoRandomSteps(t, random, 24);
  t.Start();
  DoRandomSteps(t, random, 10);
  if (random.OneIn(2)) {
    std::vector<MutatorStep> beside(random.Below(24));
    for (MutatorStep& step : beside) step = RandomStep(random);
    t.Mark(beside);
    DoRandomSteps(t, random, 10);
  }
  t.Finish();
}

void Step(BarrierTester& t, ByteSource& in) {
  const uint8_t first = in.Byte();
  if (first >= 128) return Burst(t, in.Below(65536));
  switch (first % 16) {
    case kStart:
      if (first >= 112) return t.RefuseMemory(in.Byte());
      if (first >= 96) return t.Recover();
      return t.Start();
    case kMark: {
      std::vector<MutatorStep> beside;
      for (uint32_t n = in.Below(64); n > 0 && !in.empty(); --n) {
        const uint8_t byte = in.Byte();
        beside.push_back(StepFrom(byte, in));
      }
      return t.Mark(beside);
    }
    case kFinish:
      return t.Finish();
    default:
      return t.Do(StepFrom(first, in));
  }
}

}  // namespace
}  // namespace tricolor::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tricolor::fuzz::BarrierTester t;
  tricolor::ByteSource in(data, size);
  for (int i = 0; i < tricolor::fuzz::kMostSteps && !in.empty(); ++i) {
    tricolor::fuzz::Step(t, in);
  }
  return 0;
}
