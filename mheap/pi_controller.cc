// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/pi_controller.h"

#include <algorithm>
#include <cmath>

namespace tricolor::mheap {

PiController::Output PiController::Next(double input, double setpoint,
                                        double period) {
  const Parameters& p = parameters_;
  const double error = setpoint - input;
  const double raw = p.gain * error + integral_;
  const double output = std::clamp(raw, p.min, p.max);
  const double integral = integral_ +
                          p.gain * period / p.integral_time * error +
                          period / p.tracking_time * (output - raw);
  // Whatever is not finite in `raw` or in an argument is so in the integral.
  if (!std::isfinite(integral) || !(period >= 0)) {
    Reset();
    return {p.min, false};
  }
  integral_ = integral;
  return {output, true};
}

}  // namespace tricolor::mheap
