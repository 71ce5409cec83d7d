// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Heap: a garbage-collected heap. This header is all that most programs
// include.
//
//   tricolor::Heap heap;
//   tricolor::Mutator mutator(heap);          // attach this thread
//   Node* node = mutator.New<Node>(...);      // kept alive by this variable
//   node->next = mutator.New<Node>(...);      // a Ptr<Node>, by TRICOLOR_TRACE
//   tricolor::Root<Node> root(node);          // or by a Root, anywhere
//
// Any number of heaps live in one process; a pointer from one heap into another
// keeps nothing alive. A heap outlives its mutators, roots, weak pointers and
// cleanup handles; destroying it while a thread is attached or a Root holds an
// object is fatal. Its cleanups that have not run are dropped.
//
// Go counterpart: the runtime package's view of the heap. Thread-safe.

#ifndef TRICOLOR_RUNTIME_HEAP_H_
#define TRICOLOR_RUNTIME_HEAP_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "tricolor/mcache/allocation_sampler.h"
#include "tricolor/runtime/atomic_ptr.h"
#include "tricolor/runtime/cleanup.h"
#include "tricolor/runtime/fiber.h"
#include "tricolor/runtime/finalizer.h"
#include "tricolor/runtime/heap_options.h"
#include "tricolor/runtime/mem_stats.h"
#include "tricolor/runtime/mutator.h"
#include "tricolor/runtime/ptr.h"
#include "tricolor/runtime/ptr_array.h"
#include "tricolor/runtime/root.h"
#include "tricolor/runtime/trace.h"
#include "tricolor/runtime/type_info_of.h"
#include "tricolor/runtime/weak.h"
#include "tricolor/runtime/write_barrier.h"

namespace tricolor {

class Heap {
 public:
  // Fatal when the system refuses the memory to begin with; see Create.
  explicit Heap(const HeapOptions& options = {});
  static absl::StatusOr<std::unique_ptr<Heap>> Create(
      const HeapOptions& options = {});
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  // Collects all garbage that exists when it is called: marks and sweeps before
  // it returns. Callers that come at the same time share one collection. The
  // calling thread may be attached or not. Changes nothing when the system
  // refuses the little memory that the sweep needs (a bit an object): then
  // MemStats::num_gc is as before.
  void Collect();
  // Collects, and gives all free memory back to the OS.
  void FreeOsMemory();

  // Each returns the value before. They take effect at once, by a new goal.
  int SetGcPercent(int percent);
  // Negative: only returns the present limit.
  int64_t SetMemoryLimit(int64_t bytes);

  // Stops the world for a moment; does not wait for a cycle to mark.
  MemStats ReadMemStats();

  // Every aligned word of [begin, begin + bytes) that points into an object
  // keeps it, until RemoveRootRange(begin). Fatal: empty, or known already;
  // for Remove: unknown.
  void AddRootRange(const void* begin, size_t bytes);
  void RemoveRootRange(const void* begin);

  // Has a sample of all objects allocated from now on reported, for a heap
  // profile; null: no more. HeapOptions::profile_rate_bytes says how many.
  // Returns the sampler before, which is not called any more. Stops the world
  // for a moment; does not wait for a cycle to mark.
  AllocationSampler* SetAllocationSampler(AllocationSampler* sampler);

  // Calls the cleanups and finalizers that wait, on this thread (attached
  // meanwhile if it is not), until none does; returns how many it called. Other
  // threads may do so at the same time, the cleanup thread too: each call is
  // made once, and those of one object one after the other. What another
  // thread has taken may still run when this returns. Fatal in a NativeScope.
  size_t RunCleanups();

  // The heap that an address lies in (one that may hold objects), or null.
  static Heap* Of(const void* p);

  // Stops the world, and checks every floor; fatal when something is broken.
  // Waits for the end of a cycle.
  void CheckInvariants();

  runtime::HeapCore& core() { return *core_; }

 private:
  explicit Heap(std::unique_ptr<runtime::HeapCore> core);

  std::unique_ptr<runtime::HeapCore> core_;
};

}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_HEAP_H_
