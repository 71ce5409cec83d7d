// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// PiController: a proportional-integral controller with a clamped output, whose
// integral is drawn back while the clamp holds (anti-windup by
// back-calculation):
//
//   e = setpoint - input       raw = gain * e + integral
//   output = clamp(raw)
//   integral += gain * period / integral_time * e
//             + period / tracking_time * (output - raw)
//
// Go counterpart: piController in mgcpacer.go. Thread-compatible; all state is
// in the object, so that it can be tested and fuzzed alone.

#ifndef TRICOLOR_MHEAP_PI_CONTROLLER_H_
#define TRICOLOR_MHEAP_PI_CONTROLLER_H_

namespace tricolor::mheap {

class PiController {
 public:
  struct Parameters {
    double gain = 1;
    // In the unit of the period; positive.
    double integral_time = 1;
    double tracking_time = 1;
    double min = 0;  // of the output; min < max
    double max = 1;
  };

  explicit PiController(const Parameters& parameters)
      : parameters_(parameters) {}

  struct Output {
    double value;  // always within [min, max]
    // False: an argument or the integral was not finite, or the period was
    // negative. The controller has been reset, and `value` is the minimum.
    bool ok;
  };
  // The next output, when `input` has been measured over the last `period`.
  Output Next(double input, double setpoint, double period);

  // Forgets the past.
  void Reset() { integral_ = 0; }

 private:
  const Parameters parameters_;
  double integral_ = 0;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_PI_CONTROLLER_H_
