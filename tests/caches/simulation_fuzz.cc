// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Central lists, caches and sweeper together, in the order that the input says.
// What a crash prints is for simulation_program_test.cc.

#include <cstddef>
#include <cstdint>

#include "tricolor/base/fuzzing.h"
#include "tricolor/tests/caches/simulation_program.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tricolor::ByteSource in(data, size);
  const int processors = 1 + static_cast<int>(in.Below(4));
  tricolor::caches::SimulationProgram program(processors);
  while (!in.empty()) program.DoNext(in);
  return 0;
}
