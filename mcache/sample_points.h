// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// SamplePoints: which objects of a cache are sampled. Each span class has its
// own sequence: the number of slots up to the next sampled one has a geometric
// distribution, drawn anew after each sample. Since each class counts its own
// slots, in the order in which they are handed out, a run can be cut so that
// the sampled slot is the first of the next run, and nothing is left to do for
// the slots in between. Large objects count bytes.
//
// Go counterpart: nextSample in malloc.go, where all objects share a count and
// each object is compared with it. Owned by an MCache; thread-compatible.

#ifndef TRICOLOR_MCACHE_SAMPLE_POINTS_H_
#define TRICOLOR_MCACHE_SAMPLE_POINTS_H_

#include <cstdint>

#include "tricolor/mheap/span_class.h"

namespace tricolor::mcache {

class SamplePoints {
 public:
  // One byte in `rate` from now on; 0: none, 1: every object.
  void Start(uint64_t rate, uint64_t seed);
  bool on() const { return rate_ != 0; }
  uint64_t rate() const { return rate_; }

  // A run of `span_class` is about to be taken: whether its first slot is to be
  // sampled, and how many slots it may have at most.
  struct Run {
    bool sampled;
    uint64_t most;
  };
  Run BeginRun(mheap::SpanClass span_class);
  // `count` slots, at most Run::most, have been taken; or given back.
  void Took(mheap::SpanClass span_class, uint32_t count) {
    until_[span_class.index()] -= count;
  }
  void GaveBack(mheap::SpanClass span_class, uint32_t count) {
    until_[span_class.index()] += count;
  }

  // Whether to sample a large object.
  bool TakeLarge(uint64_t bytes);

 private:
  // Bytes up to a sample, exponentially distributed.
  double Distance();
  uint64_t SlotsToNext(mheap::SpanClass span_class);

  uint64_t rate_ = 0;
  uint64_t random_ = 0;
  double large_until_ = 0;  // bytes
  // Slots before the next one that is sampled.
  uint64_t until_[mheap::kSpanClasses] = {};
};

}  // namespace tricolor::mcache

#endif  // TRICOLOR_MCACHE_SAMPLE_POINTS_H_
