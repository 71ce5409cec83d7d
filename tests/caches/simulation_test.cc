// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Central lists, caches and sweeper together, in a random order of operations.

#include "tricolor/tests/caches/simulation.h"

#include <cstdint>

#include "gtest/gtest.h"
#include "tricolor/base/test_random.h"

namespace tricolor::caches {
namespace {

class RandomChoices final : public Choices {
 public:
  explicit RandomChoices(uint64_t seed) : random_(seed) {}
  uint32_t Below(uint32_t n) override {
    return static_cast<uint32_t>(random_.Below(n));
  }

 private:
  TestRandom random_;
};

class SimulationTest : public testing::TestWithParam<int> {};

TEST_P(SimulationTest, NoSlotIsHandedOutTwiceAndNoneIsLost) {
  RandomChoices choices(TestSeed());
  Simulation simulation(choices, GetParam());
  for (int i = 0; i < 1500; ++i) simulation.Step();
  simulation.CheckQuiescent();
  EXPECT_GT(simulation.objects_allocated(), 2000u);
  EXPECT_GT(simulation.cycles(), 10u);
}

INSTANTIATE_TEST_SUITE_P(Processors, SimulationTest,
                         testing::Values(1, 2, 3, 8));

}  // namespace
}  // namespace tricolor::caches
