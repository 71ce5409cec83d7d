// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Scavenger: how fast memory goes back to the OS in the background. It works
// in stretches of at least a millisecond and says how long to sleep after each,
// so that it takes about 1 percent of one CPU whatever the OS's calls cost. The
// ratio of work to sleep is what a PiController sets, by what was measured.
//
//   Work() -> Rest() -> caller sleeps -> Slept() -> Work() ...
//
// Go counterpart: scavengerState in mgcscavenge.go. It has no thread and no
// clock: memory and time are the Host's. Thread-compatible; does not allocate.

#ifndef TRICOLOR_MHEAP_SCAVENGER_H_
#define TRICOLOR_MHEAP_SCAVENGER_H_

#include <cstdint>

#include "tricolor/base/units.h"
#include "tricolor/mheap/pi_controller.h"

namespace tricolor::mheap {

class Scavenger {
 public:
  static constexpr double kCpuShare = 0.01;  // of one CPU
  // Asked of the host at a time.
  static constexpr ByteCount kQuantum{64 << 10};
  // A stretch of work goes on for so long, unless there is no more to do.
  static constexpr int64_t kLeastWorkNs = 1'000'000;
  // What releasing an OS page counts for on a clock that is too coarse.
  static constexpr int64_t kAssumedNsPerPage = 10'000;
  // For so long after measurements that made no sense, the ratio stays at its
  // start.
  static constexpr int64_t kCoolDownNs = 5'000'000'000;
  static constexpr double kLeastRatio = 0.001;
  static constexpr double kMostRatio = 1000;

  // What the scavenger works on.
  class Host {
   public:
    // Releases up to `max` bytes, or a little more, of what is over the goals.
    // Zero: there is nothing to do, or the OS refuses. May call the OS; does
    // not allocate or collect.
    virtual ByteCount ReleaseExcess(ByteCount max) = 0;
    // CPU time of the calling thread in nanoseconds.
    virtual int64_t CpuNs() = 0;
    // True ends a stretch of work early.
    virtual bool Interrupted() = 0;

   protected:
    ~Host() = default;
  };

  Scavenger(Host& host, ByteCount os_page);
  Scavenger(const Scavenger&) = delete;
  Scavenger& operator=(const Scavenger&) = delete;

  struct Stretch {
    ByteCount released;
    int64_t cpu_ns = 0;
    bool more = false;  // stopped by time or interruption, not for lack of work
  };
  // One stretch of work.
  Stretch Work();
  // How long to sleep after it, in nanoseconds; 0 after no work.
  int64_t RestAfter(const Stretch& stretch) const;
  // After the sleep, with how long it was in fact: sets the ratio.
  void Rested(const Stretch& stretch, int64_t slept_ns);

  // Of work to sleep.
  double ratio() const { return ratio_; }

 private:
  Host& host_;
  const ByteCount os_page_;
  PiController controller_;
  double ratio_ = kLeastRatio;
  int64_t cool_down_ns_ = 0;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_SCAVENGER_H_
