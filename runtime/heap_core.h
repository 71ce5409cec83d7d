// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// HeapCore: all parts of a heap, put together. What the public classes (Heap,
// Mutator, Root, Weak, Cleanup) are made of; programs do not use it.
//
// Go counterpart: the globals mheap_, work, gcController, allp. Thread safety:
// by part.

#ifndef TRICOLOR_RUNTIME_HEAP_CORE_H_
#define TRICOLOR_RUNTIME_HEAP_CORE_H_

#include <cstdint>
#include <memory>

#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "tricolor/base/atomic.h"
#include "tricolor/gc/gc_pacer.h"
#include "tricolor/gc/marker.h"
#include "tricolor/mcentral/mcentral.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/runtime/cleanup_queue.h"
#include "tricolor/runtime/collector.h"
#include "tricolor/runtime/debug_settings.h"
#include "tricolor/runtime/heap_options.h"
#include "tricolor/runtime/mem_stats.h"
#include "tricolor/runtime/root_set.h"
#include "tricolor/runtime/root_table.h"
#include "tricolor/runtime/world.h"
#include "tricolor/sweep/sweeper.h"

namespace tricolor {

class Heap;

namespace runtime {

class HeapCore {
 public:
  // ResourceExhausted when the OS, or the registry, refuses.
  static absl::StatusOr<std::unique_ptr<HeapCore>> Create(
      const HeapOptions& options);
  ~HeapCore();
  HeapCore(const HeapCore&) = delete;
  HeapCore& operator=(const HeapCore&) = delete;

  // By ~Heap, while all of it can still be used: a cleanup that is running may.
  // Fatal when a mutator is attached or a Root holds an object.
  void Shutdown();

  // Once, by the Heap that is made of this.
  void set_heap(Heap* heap) { heap_ = heap; }
  Heap* heap() const { return heap_; }

  const HeapOptions& options() const { return options_; }
  mheap::MHeap& mheap() { return *mheap_; }
  gc::GcPacer& pacer() { return pacer_; }
  sweep::Sweeper& sweeper() { return sweeper_; }
  World& world() { return world_; }
  RootTable& roots() { return roots_; }
  RootSet& root_set() { return root_set_; }
  CleanupQueue& cleanups() { return cleanups_; }
  Collector& collector() { return collector_; }

  // Whether the debug switch zeal is on; whether the slow allocation that calls
  // this is one that it has collect.
  bool zealous() const { return debug_.zeal != 0; }
  bool ZealDue() {
    return zealous() && slow_allocations_.FetchAddRelaxed(1) % debug_.zeal == 0;
  }

  // In a child of fork(): makes the threads of the heap that it needs, once.
  // Called before work that may have to wait for one.
  void ReviveServices() {
    if (ABSL_PREDICT_FALSE(services_lost_.LoadRelaxed())) ReviveServicesSlow();
  }

  // ---- Handlers of fork(), in this order for all heaps: see fork.cc.
  void BeginFork() { collector_.BeginFork(); }
  void StopForFork() ABSL_NO_THREAD_SAFETY_ANALYSIS { world_.StopForFork(); }
  // Calls visit(mutex) for each one that a thread may hold which no stop stops.
  template <typename Visit>
  void ForEachMutex(const Visit& visit) {
    visit(world_.mutex());
    visit(roots_.mutex());
    visit(cleanups_.mutex());
    visit(pacer_.mutex());
    collector_.ForEachMutex(visit);
  }
  void EndForkInParent() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void EndForkInChild() ABSL_NO_THREAD_SAFETY_ANALYSIS;

  MemStats ReadMemStats();
  void FreeOsMemory();
  void CheckInvariants();
  AllocationSampler* SetAllocationSampler(AllocationSampler* sampler);

  // Calls use(span) with the span of the object that `p` points into, swept,
  // and kept so until it returns: for attaching specials. Fatal when there is
  // no live object. The caller keeps it alive; of a managed thread it is enough
  // to have the pointer: where this waits, a Root slot holds the object. False,
  // with `use` not called, when there is no memory for that. `use` destroys no
  // callable and uses the heap in no other way, which might wait for its turn.
  template <typename Use>
  bool WithSweptSpan(const void* p, Use use);
  // Before a cleanup or finalizer is added to `object`: starts the
  // executor; checks the callable, if that is wanted. False when there is no
  // memory to hold the object meanwhile.
  bool PrepareForCall(const void* object, bool finalizer,
                      const CleanupCall& call);

 private:
  HeapCore(const HeapOptions& options, std::unique_ptr<mheap::MHeap> mheap);

  // Calls action() with the world stopped. Markers of a cycle may be at work;
  // the background threads are not unless one marks.
  template <typename Action>
  void Stopped(Action action);
  // Calls action() with every thread stopped that could use the heap. Waits for
  // the end of a cycle.
  template <typename Action>
  void Quiesced(Action action);
  mheap::MSpan& SpanOfObject(const void* p);
  void ReviveServicesSlow();

  const HeapOptions options_;
  const DebugSettings debug_;
  Atomic<uint64_t> slow_allocations_;  // counted only for zeal
  Heap* heap_ = nullptr;
  // This process is a child of fork(), and has not needed them yet.
  Atomic<bool> services_lost_;
  // It is one: some Roots may belong to threads of the parent.
  bool forked_ = false;
  std::unique_ptr<mheap::MHeap> mheap_;
  mcentral::MCentrals centrals_;
  gc::GcPacer pacer_;
  CleanupQueue cleanups_;
  sweep::Sweeper sweeper_;
  gc::Marker marker_;
  World world_;
  RootTable roots_;
  RootSet root_set_;
  Collector collector_;
};

// Holds an object while a thread waits whose stack does not: in exact mode.
class HeldWhileWaiting {
 public:
  HeldWhileWaiting(RootTable& roots, const void* p)
      : slot_(TryNewRootIn(roots, p)) {}
  ~HeldWhileWaiting() { FreeRoot(slot_); }
  HeldWhileWaiting(const HeldWhileWaiting&) = delete;
  HeldWhileWaiting& operator=(const HeldWhileWaiting&) = delete;

  bool ok() const { return slot_ != nullptr; }

 private:
  RootSlot* const slot_;
};

template <typename Use>
bool HeapCore::WithSweptSpan(const void* p, Use use) {
  MutatorContext* own = MutatorOfThread(world_);
  if (own == nullptr || own->state.LoadRelaxed() != MutatorState::kManaged) {
    // Nothing else keeps the next sweep from beginning.
    ThreadNativeScope native;
    Collector::Visit visit(collector_);
    if (visit.turn() != nullptr) collector_.FinishSweep(*visit.turn());
    use(SpanOfObject(p));
    return true;
  }
  for (;;) {
    world_.FlushOwn(*own);
    mheap::MSpan& span = SpanOfObject(p);
    // Managed, and no safepoint until the end: no sweep begins meanwhile.
    if (span.sweep_gen() != mheap_->sweep_gen() + 1) {
      sweeper_.EnsureSwept(own->processor->pages(), span);
      // Again: this sweep may have been what freed a dead object, or its span.
      use(SpanOfObject(p));
      return true;
    }
    // Stale, in another cache.
    const HeldWhileWaiting held(roots_, p);
    if (!held.ok()) return false;
    ThreadNativeScope native;
    Collector::Visit visit(collector_);
    if (visit.turn() != nullptr) collector_.FlushCaches(*visit.turn());
  }
}

}  // namespace runtime
}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_HEAP_CORE_H_
