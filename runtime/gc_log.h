// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// One collection in numbers, and the lines that TRICOLOR_DEBUG=gctrace=1 prints
// of it, or of one that could not take place. Go counterpart: the gctrace line
// of gcMarkTermination. A plain value.

#ifndef TRICOLOR_RUNTIME_GC_LOG_H_
#define TRICOLOR_RUNTIME_GC_LOG_H_

#include <cstdint>
#include <string>

#include "tricolor/gc/gc_pacer.h"
#include "tricolor/gc/marker.h"

namespace tricolor::runtime {

// Sizes in bytes, times in nanoseconds.
struct CycleRecord {
  uint64_t number = 0;         // from 1
  bool forced = false;         // asked for
  int workers = 0;             // threads that marked
  uint64_t since_start = 0;    // of the heap, at the end of the stop
  uint64_t first_stop = 0;     // from the request to stop until the start,
  uint64_t stop = 0;           // and of the second; if there is one only, 0
  uint64_t first_stopped = 0;  // of these, after the last thread had stopped
  uint64_t stopped = 0;
  uint64_t heap_at_trigger = 0;  // heap in use when the cycle was decided on,
  uint64_t heap_at_stop = 0;     // and with the world stopped
  gc::MarkStats mark;
  uint64_t allocated = 0;    // while the cycle marked, and so not found by it
  uint64_t range_words = 0;  // of registered ranges
  uint64_t goal = 0;         // of the next cycle
  gc::CycleResult pace;
  uint64_t total_cpu = 0;     // of this and all former cycles
  uint64_t machine_time = 0;  // of all CPUs since the heap was made
};

// Without a newline:
// gc 12 @3.021s 2%: 0.05+0.31 ms stops, 17->18->9 MB, 20 MB goal, 812345
// objects, 2 threads (forced)
std::string FormatCycle(const CycleRecord& record);
// What its pacing came to (gcpacertrace=1). Without a newline:
// pacer 12: 19.80 MB (20 MB goal), 8.51 MB scanned, 26% used, cons/mark 0.42,
// next goal 20 MB
std::string FormatPace(const CycleRecord& record);
// Of a cycle that did not take place, `since_start` nanoseconds after the heap
// was made, for which there were `heap` bytes in use. Without a newline:
// gc refused: no memory for mark bits @3.021s, 17 MB (forced)
std::string FormatRefusal(uint64_t since_start, uint64_t heap, bool forced);

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_GC_LOG_H_
