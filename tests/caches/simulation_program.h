// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// SimulationProgram: a simulation whose operations come from an input or are
// written out, with the numbers that each of them chooses. It notes them as it
// goes, so that a crash prints, as C++, what led to it.
//
// Test-only. On one thread. One exists at a time.

#ifndef TRICOLOR_TESTS_CACHES_SIMULATION_PROGRAM_H_
#define TRICOLOR_TESTS_CACHES_SIMULATION_PROGRAM_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tricolor/base/fuzzing.h"
#include "tricolor/tests/caches/simulation.h"

namespace tricolor::caches {

class SimulationProgram final : private Choices {
 public:
  explicit SimulationProgram(int processors);

  // The next operation of the input, with its numbers.
  void DoNext(ByteSource& in);
  // An operation with these numbers, then zeros. Each is taken modulo what
  // there is to choose from.
  void Do(Operation operation, std::vector<uint32_t> numbers);

  std::string text() const { return program_.text(); }
  const Simulation& simulation() const { return simulation_; }

 private:
  uint32_t Below(uint32_t n) override;
  void DoNoted(Operation operation);

  FuzzProgram program_;
  ByteSource* input_ = nullptr;    // of DoNext
  std::vector<uint32_t> numbers_;  // of Do
  size_t next_number_ = 0;
  Simulation simulation_;
};

}  // namespace tricolor::caches

#endif  // TRICOLOR_TESTS_CACHES_SIMULATION_PROGRAM_H_
