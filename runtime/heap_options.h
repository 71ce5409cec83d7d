// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a Heap can be told when it is made. Every field has a default that suits
// a program which says nothing.
//
// Go counterpart: GOGC, GOMEMLIMIT, GOMAXPROCS, GODEBUG. A plain value.

#ifndef TRICOLOR_RUNTIME_HEAP_OPTIONS_H_
#define TRICOLOR_RUNTIME_HEAP_OPTIONS_H_

#include <signal.h>

#include <cstddef>
#include <cstdint>
#include <limits>

#include "tricolor/base/os_memory.h"

namespace tricolor {

struct HeapOptions {
  // A collection starts when the heap has grown by this many percent of what
  // was live after the last one. Negative: only by request, or by the limit.
  int gc_percent = 100;
  // Soft limit on the memory that the heap holds, in bytes. Collections start
  // earlier, and memory goes back to the OS, to stay below it.
  int64_t memory_limit = std::numeric_limits<int64_t>::max();
  // No collection starts by itself below min_heap_bytes * gc_percent / 100 for
  // each CPU that the program allocates on: threads that allocated since the
  // last collection, but no more than there are CPUs.
  int64_t min_heap_bytes = 4 << 20;
  // Hard limit: the most bytes of objects' memory that are ever mapped;
  // allocation fails beyond. Rounded up to the heap's unit of growth, 4 MiB.
  size_t max_heap_bytes = std::numeric_limits<size_t>::max();
  // Address space to reserve, which costs no memory; halved until the OS grants
  // it.
  size_t reservation_bytes = size_t{1} << 40;
  // The part of the heap beyond its first so many bytes asks the OS for huge
  // pages, from which marking a large heap gains much. The greatest value:
  // never.
  size_t huge_pages_from_bytes = size_t{32} << 20;
  // Whether a part of such memory (by 4 MiB) does without huge pages while some
  // of it is given back to the OS, which would fill it up again. Off: less work
  // for the OS, but what was given back may come back within minutes.
  bool split_huge_pages = true;
  // Threads that mark, with the one that runs the collection. 0: at most one
  // for each CPU, as many as the program leaves CPUs for, at least for a
  // quarter of them, and fewer for a small heap.
  int gc_threads = 0;
  // Whether the program runs while a collection marks. Off: it is stopped.
  bool concurrent = true;
  // A collection that is expected to scan no more than so many bytes, stacks
  // included, is brief: the thread that has found it due marks while the others
  // stand still, which is over sooner than another thread would be awake. If
  // there turns out to be more, the rest is marked while the program runs. 0:
  // no collection is brief.
  size_t brief_bytes = 64 << 10;
  // A collection runs when there has been none for so many milliseconds, though
  // the heap may not have grown. 0: never. (None before the first one.)
  uint64_t longest_silence_ms = 120'000;
  // Whether the limits of the process's container (cgroup) count: its CPUs, and
  // nine tenths of its memory as memory_limit, if that is not set.
  bool container_limits = true;
  // Whether words on stacks and in registers that look like pointers keep
  // objects. Off is the exact mode: only Root and AddRootRange keep objects.
  bool conservative_stacks = true;
  // The signal that stops a thread which neither allocates nor polls, when the
  // collector has waited for it for a millisecond. 0: none; such threads hold
  // collections up. In exact mode there is none: see docs/safepoints.md.
  int preempt_signal = SIGURG;
  // Whether a thread sweeps after each collection. Off: only allocation and the
  // next collection do.
  bool background_sweep = true;
  // Whether a thread gives free memory back to the OS, at about 1 percent of a
  // CPU. Off: allocation does when it would exceed the memory limit, and each
  // collection what is beyond 95 percent of that.
  bool background_scavenge = true;
  // Whether cleanups run on a thread of the heap's. Off: the program calls
  // Heap::RunCleanups.
  bool cleanup_thread = true;
  // Of so many allocated bytes one is sampled, on average, while the heap has
  // an AllocationSampler. 1: every object. 0: none.
  uint64_t profile_rate_bytes = 512 << 10;
  // Where memory comes from; it outlives the heap. Null: the process's own.
  OsMemory* os = nullptr;
  // Switches as in "gctrace=1". Null: those of the environment variable
  // TRICOLOR_DEBUG.
  const char* debug = nullptr;
};

}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_HEAP_OPTIONS_H_
