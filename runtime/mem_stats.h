// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// MemStats: what Heap::ReadMemStats returns. All sizes are in bytes, all times
// in nanoseconds. The numbers of one MemStats belong to one moment, and fit
// together:
//
//   heap_objects == mallocs - frees           alloc == heap_alloc
//   heap_sys == heap_in_use + work_buf_in_use + heap_idle
//   heap_released <= heap_idle                sys == heap_sys + metadata_sys
//   heap_alloc == total_alloc - (bytes freed) <= heap_in_use
//
// An object counts as freed when it has been swept, not when it is found dead.
// Go counterpart: runtime.MemStats. A plain value.

#ifndef TRICOLOR_RUNTIME_MEM_STATS_H_
#define TRICOLOR_RUNTIME_MEM_STATS_H_

#include <cstdint>

#include "tricolor/runtime/stop_histogram.h"

namespace tricolor {

struct MemStats {
  static constexpr int kPauses = 256;

  // ---- Objects, by the bytes of their slots.
  uint64_t alloc = 0;        // allocated and not yet freed; heap_alloc
  uint64_t total_alloc = 0;  // allocated since the heap was made
  uint64_t mallocs = 0;      // objects allocated, and...
  uint64_t frees = 0;  // ...freed. Objects in one tiny block count as one.
  uint64_t tiny_allocs = 0;  // objects that share tiny blocks
  uint64_t heap_objects = 0;

  // ---- Memory.
  uint64_t sys = 0;              // address space made usable, of all kinds
  uint64_t heap_alloc = 0;       // in objects
  uint64_t heap_sys = 0;         // for spans
  uint64_t heap_in_use = 0;      // in spans of objects
  uint64_t work_buf_in_use = 0;  // in spans of the collector's own
  uint64_t heap_idle = 0;        // in no span
  uint64_t heap_released = 0;    // idle, and given back to the OS
  uint64_t metadata_sys = 0;     // the heap's own structures
  // Of metadata_sys, by kind, free ones included; the rest are tables of roots,
  // of cleanups and of the collector. It never goes back: what is free serves
  // its kind again.
  uint64_t spans_sys = 0;      // structures of spans
  uint64_t mark_bits_sys = 0;  // mark and allocation bits
  uint64_t span_sets_sys = 0;  // lists of spans
  uint64_t specials_sys = 0;   // weak pointers, finalizers and cleanups
  // Given back to the OS since the heap was made: in the background, at once by
  // threads that allocate or collect, and by FreeOsMemory.
  uint64_t scavenged_background = 0;
  uint64_t scavenged_assist = 0;
  uint64_t scavenged_forced = 0;

  // ---- Collections.
  uint64_t next_gc = 0;              // the heap size that the next one aims at
  uint64_t num_gc = 0;               // completed
  uint64_t num_forced_gc = 0;        // of them, asked for by Collect
  uint64_t num_gc_refused = 0;       // not run: no memory for mark bits
  uint64_t last_gc_ns = 0;           // when the last one ended, in Unix time
  uint64_t last_gc_heap_before = 0;  // of the last one: the heap at its start,
  uint64_t last_gc_heap_after = 0;   // what it found live,
  uint64_t last_gc_objects = 0;      // in so many objects,
  uint64_t last_gc_scanned = 0;      // having searched so many bytes
  uint64_t gc_cpu_ns = 0;            // CPU time of all collections
  // Pauses: from the request to stop the world until it runs again. A
  // collection beside the program has two.
  uint64_t pause_total_ns = 0;
  uint64_t pause_max_ns = 0;  // of one
  StopHistogram pauses;
  // The part of each pause in which no thread ran: from when the last one had
  // reached its safepoint.
  StopHistogram stopped;
  // A ring; those of collection k (from 1), added up, are at [(k + 255) % 256].
  uint64_t pause_ns[kPauses] = {};
  uint64_t pause_end_ns[kPauses] = {};  // Unix time

  // ---- Inside the heap.
  uint64_t span_allocs = 0;         // spans allocated
  uint64_t span_allocs_locked = 0;  // of them, by taking the heap's lock
  uint64_t mutators = 0;            // attached threads
};

}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_MEM_STATS_H_
