// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Heaps for tests under chosen schedules: without signals, which no scheduler
// sends.

#ifndef TRICOLOR_RUNTIME_SCHEDULE_TESTING_H_
#define TRICOLOR_RUNTIME_SCHEDULE_TESTING_H_

#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {

// No thread but the test's own, no cycle but those it asks for, and each with
// the world stopped. Only Roots keep objects.
inline HeapOptions ScheduledOptions() {
  HeapOptions options = ExactOptions();
  options.preempt_signal = 0;
  options.concurrent = false;
  options.gc_threads = 1;
  options.min_heap_bytes = 64 << 10;
  options.background_sweep = false;
  options.background_scavenge = false;
  options.cleanup_thread = false;
  return options;
}

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_SCHEDULE_TESTING_H_
