// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A program of two to four threads: the first byte says how many, how often
// each repeats its steps, and whether stacks are conservative; then each thread
// in turn has a step of two bytes. For ThreadSanitizer: --config=fuzz_tsan.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tricolor/base/fuzzing.h"
#include "tricolor/fuzz/thread_program.h"

namespace tricolor::fuzz {
namespace {

constexpr size_t kMostSteps = 100;  // of a thread

ThreadStep StepFrom(ByteSource& in) {
  ThreadStep step;
  const uint8_t first = in.Byte();
  step.op = static_cast<ThreadOp>(first % 16);
  step.a = first / 16 % 4;
  step.b = first / 64;
  step.c = in.Byte();
  // The operations that came later share one of the sixteen.
  if (step.op == ThreadOp::kNative && step.c >= 128) {
    step.op = static_cast<ThreadOp>(16 + step.c % 4);
    step.c /= 4;
  }
  return step;
}

}  // namespace
}  // namespace tricolor::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using tricolor::fuzz::ThreadSteps;
  tricolor::ByteSource in(data, size);
  const uint8_t kind = in.Byte();
  std::vector<ThreadSteps> threads(2 + kind % 3);
  const bool conservative = (kind & 64) == 0;
  const int rounds = 1 + kind / 4 % 16;
  for (size_t i = 0; !in.empty(); ++i) {
    ThreadSteps& steps = threads[i % threads.size()];
    if (steps.size() == tricolor::fuzz::kMostSteps) break;
    steps.push_back(tricolor::fuzz::StepFrom(in));
  }
  tricolor::FuzzProgram program("", "");
  program.Note("RunThreads", conservative, rounds,
               tricolor::FuzzCode{Spell(threads)});
  RunThreads(conservative, rounds, threads);
  return 0;
}
