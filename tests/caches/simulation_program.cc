// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/tests/caches/simulation_program.h"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace tricolor::caches {
namespace {

constexpr const char* kNames[] = {
    "kAllocate",
    "kAllocateUntilNull",
    "kAttachSpecial",
    "kBeginOrEndMark",
    "kCheckQuiescent",
    "kClearFinalizer",
    "kDrop",
    "kEnsureSwept",
    "kFlush",
    "kMarkConservatively",
    "kMarkSome",
    "kPublishStats",
    "kReclaim",
    "kRelease",
    "kReplaceProcessor",
    "kSetFinalizer",
    "kStopTheWorldCycle",
    "kSweepSome",
    "kVerify",
};

static_assert(std::size(kNames) == static_cast<size_t>(Operation::kVerify) + 1);

}  // namespace

SimulationProgram::SimulationProgram(int processors)
    : program_("SimulationProgram t(" + std::to_string(processors) + ");"),
      simulation_(*this, processors) {}

void SimulationProgram::DoNext(ByteSource& in) {
  input_ = &in;
  DoNoted(Simulation::ChooseOperation(*this));
  input_ = nullptr;
}

void SimulationProgram::Do(Operation operation, std::vector<uint32_t> numbers) {
  numbers_ = std::move(numbers);
  next_number_ = 0;
  DoNoted(operation);
  numbers_.clear();
}

void SimulationProgram::DoNoted(Operation operation) {
  program_.NoteBegin("Do", FuzzCode{std::string("Operation::") +
                                    kNames[static_cast<size_t>(operation)]});
  simulation_.Do(operation);
  program_.NoteEnd();
}

uint32_t SimulationProgram::Below(uint32_t n) {
  uint32_t number = 0;
  if (input_ != nullptr) {
    number = input_->Below(n);
  } else if (next_number_ < numbers_.size()) {
    number = numbers_[next_number_++] % n;
  }
  program_.NoteNumber(number);
  return number;
}

}  // namespace tricolor::caches
