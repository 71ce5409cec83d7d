// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/scavenger.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace tricolor::mheap {
namespace {

// In nanoseconds; gain and tracking time are Go's. The loop is stable for
// periods up to several times the integral time, which therefore is of the
// order of a rest; longer ones count as that.
constexpr PiController::Parameters kParameters{.gain = 0.3375,
                                               .integral_time = 3.2e9,
                                               .tracking_time = 1e9,
                                               .min = Scavenger::kLeastRatio,
                                               .max = Scavenger::kMostRatio};

// Of a sleep: an hour.
constexpr double kLongestSleepNs = 3.6e12;

}  // namespace

Scavenger::Scavenger(Host& host, ByteCount os_page)
    : host_(host), os_page_(os_page), controller_(kParameters) {}

Scavenger::Stretch Scavenger::Work() {
  Stretch stretch;
  while (stretch.cpu_ns < kLeastWorkNs) {
    if (host_.Interrupted()) {
      stretch.more = true;
      return stretch;
    }
    const int64_t start = host_.CpuNs();
    const ByteCount released = host_.ReleaseExcess(kQuantum);
    const int64_t spent = host_.CpuNs() - start;
    stretch.cpu_ns += std::max<int64_t>(spent, 0);
    if (released == ByteCount(0)) return stretch;
    stretch.released += released;
    if (spent > 0) continue;
    const auto pages = static_cast<int64_t>(released / os_page_);
    stretch.cpu_ns += std::max<int64_t>(pages, 1) * kAssumedNsPerPage;
  }
  stretch.more = true;
  return stretch;
}

int64_t Scavenger::RestAfter(const Stretch& stretch) const {
  const double sleep = static_cast<double>(stretch.cpu_ns) / ratio_;
  return static_cast<int64_t>(std::min(sleep, kLongestSleepNs));
}

void Scavenger::Rested(const Stretch& stretch, int64_t slept_ns) {
  const double worked = static_cast<double>(stretch.cpu_ns);
  const double period = worked + static_cast<double>(slept_ns);
  if (cool_down_ns_ > 0) {
    cool_down_ns_ -= std::min(cool_down_ns_,
                              std::max<int64_t>(stretch.cpu_ns + slept_ns, 0));
    return;
  }
  const PiController::Output output = controller_.Next(
      worked / period, kCpuShare, std::min(period, kParameters.integral_time));
  ratio_ = output.value;
  if (!output.ok) cool_down_ns_ = kCoolDownNs;
}

}  // namespace tricolor::mheap
