// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Central lists, caches and sweeper together, in the order that the input says.

#include <cstddef>
#include <cstdint>

#include "tricolor/base/fuzzing.h"
#include "tricolor/tests/caches/simulation.h"

namespace tricolor::caches {
namespace {

class InputChoices final : public Choices {
 public:
  InputChoices(const uint8_t* data, size_t size) : source_(data, size) {}
  uint32_t Below(uint32_t n) override { return source_.Below(n); }
  bool empty() const { return source_.empty(); }

 private:
  ByteSource source_;
};

}  // namespace
}  // namespace tricolor::caches

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using tricolor::caches::InputChoices;
  InputChoices choices(data, size);
  const int processors = 1 + static_cast<int>(choices.Below(4));
  tricolor::caches::Simulation simulation(choices, processors);
  while (!choices.empty()) simulation.Step();
  return 0;
}
