// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/pi_controller.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "gtest/gtest.h"
#include "tricolor/base/test_random.h"

namespace tricolor::mheap {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

PiController::Parameters Plain() {
  return {.gain = 0.5,
          .integral_time = 2,
          .tracking_time = 1,
          .min = -10,
          .max = 10};
}

// The controlled thing answers with factor * output + offset.
double Settle(PiController& controller, double factor, double offset,
              double setpoint, int steps) {
  double input = offset;
  for (int i = 0; i < steps; ++i) {
    const PiController::Output output = controller.Next(input, setpoint, 0.5);
    EXPECT_TRUE(output.ok);
    input = factor * output.value + offset;
  }
  return input;
}

TEST(PiControllerTest, FirstOutputIsProportional) {
  PiController controller(Plain());
  EXPECT_DOUBLE_EQ(controller.Next(1, 3, 1).value, 1);
}

TEST(PiControllerTest, TheIntegralGrowsWithErrorAndPeriod) {
  PiController controller(Plain());
  EXPECT_DOUBLE_EQ(controller.Next(1, 3, 4).value, 1);
  // 0.5 * 4 / 2 * 2 have been added; no error now.
  EXPECT_DOUBLE_EQ(controller.Next(3, 3, 1).value, 2);
  controller.Reset();
  EXPECT_DOUBLE_EQ(controller.Next(3, 3, 1).value, 0);
}

TEST(PiControllerTest, ConvergesWhateverTheProcessAnswers) {
  for (const double factor : {0.5, 1.0, 1.5}) {
    for (const double offset : {-2.0, 0.0, 1.0}) {
      PiController controller(Plain());
      EXPECT_NEAR(Settle(controller, factor, offset, 1, 2000), 1, 1e-6)
          << factor << " " << offset;
      // And to another setpoint from there.
      EXPECT_NEAR(Settle(controller, factor, offset, -1, 2000), -1, 1e-6)
          << factor << " " << offset;
    }
  }
}

TEST(PiControllerTest, TheOutputIsClampedAndComesBackAtOnce) {
  PiController controller(Plain());
  // Out of reach for long: without tracking, the integral would need as long
  // to come down again.
  for (int i = 0; i < 10000; ++i) {
    EXPECT_LE(controller.Next(0, 1000, 0.5).value, 10);
  }
  EXPECT_EQ(controller.Next(0, 1000, 0.5).value, 10);
  int steps = 0;
  while (controller.Next(0, -1, 0.5).value > 0 && steps < 1000) ++steps;
  EXPECT_LT(steps, 20);
  for (int i = 0; i < 10000; ++i) {
    EXPECT_GE(controller.Next(0, -1000, 0.5).value, -10);
  }
  EXPECT_EQ(controller.Next(0, -1000, 0.5).value, -10);
}

TEST(PiControllerTest, WhatIsNotFiniteResetsIt) {
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    for (int argument = 0; argument < 3; ++argument) {
      PiController controller(Plain());
      controller.Next(0, 4, 1);
      const PiController::Output output =
          controller.Next(argument == 0 ? bad : 0, argument == 1 ? bad : 1,
                          argument == 2 ? bad : 1);
      EXPECT_FALSE(output.ok) << bad << " " << argument;
      EXPECT_EQ(output.value, -10);
      // As if new.
      EXPECT_DOUBLE_EQ(controller.Next(1, 3, 1).value, 1);
    }
  }
  PiController controller(Plain());
  EXPECT_FALSE(controller.Next(0, 1, -1).ok);
}

// Any bit patterns for arguments: the output is in range, and afterwards the
// controller still works.
TEST(PiControllerTest, RandomBitsNeverEscapeTheRange) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(seed);
  TestRandom random(seed);
  const auto any = [&random] {
    double value = 0;
    const uint64_t bits = random.Next();
    std::memcpy(&value, &bits, sizeof value);
    return random.Below(2) == 0 ? value : std::fmod(value, 100);
  };
  PiController controller(Plain());
  int refused = 0;
  for (int i = 0; i < 100000; ++i) {
    const PiController::Output output = controller.Next(any(), any(), any());
    ASSERT_GE(output.value, -10);
    ASSERT_LE(output.value, 10);
    if (!output.ok) ++refused;
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LT(refused, 99000);
  controller.Reset();
  EXPECT_NEAR(Settle(controller, 1, 0, 1, 2000), 1, 1e-6);
}

}  // namespace
}  // namespace tricolor::mheap
