// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/marker.h"

#include <algorithm>
#include <cstdint>
#include <new>
#include <type_traits>

#include "tricolor/base/check.h"
#include "tricolor/base/persistent_alloc.h"

namespace tricolor::gc {
namespace {

template <typename T>
void* MemoryFor(mheap::MHeap& heap, uint64_t count) {
  static_assert(std::is_trivially_destructible_v<T>);
  return heap.metadata().Allocate(ByteCount(sizeof(T) * count), alignof(T));
}

}  // namespace

Marker::Marker(mheap::MHeap& heap, int max_workers)
    : cycle_(heap),
      max_workers_(max_workers),
      first_(cycle_),
      slots_(&first_slot_),
      slot_count_(1) {
  TRICOLOR_CHECK(max_workers >= 1, "marker of %d workers", max_workers);
  const auto count = static_cast<uint64_t>(max_workers);
  if (count > 1) {
    if (void* memory = MemoryFor<WorkerSlot>(heap, count)) {
      slots_ = static_cast<WorkerSlot*>(memory);
      for (uint64_t i = 0; i < count; ++i) ::new (&slots_[i]) WorkerSlot;
      slot_count_ = max_workers;
    }
  }
  slots_[0].worker = &first_;
}

Marker::~Marker() {
  TRICOLOR_CHECK(workers_ == 0, "marker %p is destroyed in mid-cycle",
                 static_cast<void*>(this));
}

int Marker::MakeWorkers(int count) {
  count = std::min(count, slot_count_);
  for (int i = 0; i < count; ++i) {
    if (slots_[i].worker != nullptr) continue;
    void* memory = MemoryFor<MarkWorker>(cycle_.heap, 1);
    if (memory == nullptr) return i;
    slots_[i].worker = ::new (memory) MarkWorker(cycle_);
  }
  return count;
}

void Marker::BeginCycle(RootSource& roots, const CycleOptions& options) {
  TRICOLOR_CHECK(
      workers_ == 0 && options.workers >= 1 && options.workers <= max_workers_,
      "mark cycle of %d workers begins (most: %d, running: %d)",
      options.workers, max_workers_, workers_);
  workers_ = MakeWorkers(options.workers);
  for (int i = 0; i < workers_; ++i) slots_[i].worker->BeginCycle();
  cycle_.heap.ClearPageMarks();
  cycle_.bufs.BeginCycle();
  cycle_.parallel = workers_ > 1 || options.concurrent;
  cycle_.roots = &roots;
  cycle_.monitor = options.monitor;
  cycle_.root_jobs.Reset(roots.PrepareRoots());
  cycle_.rescan_words.Reset(0);
  cycle_.overflowed.StoreRelaxed(false);
  cycle_.assists_starve.StoreRelaxed(false);
  cycle_.assists_closed.StoreRelaxed(false);
  cycle_.pausing.StoreRelaxed(false);
  cycle_.others_marked.StoreRelaxed(0);
  cycle_.others_marked_bytes.StoreRelaxed(0);
  cycle_.others_scanned.StoreRelaxed(0);
  ExpectWorkers(workers_);
}

void Marker::ExpectWorkers(int count) {
  for (int i = 0; i < count; ++i) {
    slots_[i].state.StoreRelaxed(WorkerState::kExpected);
  }
  cycle_.idle.Reset(static_cast<uint32_t>(count));
}

bool Marker::HasWork() const {
  return cycle_.bufs.HasFull() || cycle_.overflowed.LoadAcquire();
}

void Marker::NextRound(int workers) {
  CheckReturned();
  ExpectWorkers(std::min(workers, workers_));
}

void Marker::RunWorker(int index) {
  TRICOLOR_CHECK(index >= 0 && index < max_workers_ && workers_ != 0,
                 "mark worker %d of %d runs in a cycle of %d", index,
                 max_workers_, workers_);
  if (index >= workers_) return;  // there was no memory for it
  WorkerSlot& slot = slots_[index];
  WorkerState expected = WorkerState::kExpected;
  TRICOLOR_CHECK(
      slot.state.CompareExchangeRelaxed(expected, WorkerState::kRunning),
      "mark worker %d runs in state %u; expected: %u", index,
      static_cast<unsigned>(expected),
      static_cast<unsigned>(WorkerState::kExpected));
  slot.worker->Run(index);
  // Release, pairs with EndCycle.
  slot.state.StoreRelease(WorkerState::kReturned);
}

uint64_t Marker::Assist(MarkWorker& worker, uint64_t bytes) {
  if (cycle_.assists_closed.LoadRelaxed()) return 0;
  return worker.Assist(bytes);
}

void Marker::CheckReturned() const {
  TRICOLOR_CHECK(workers_ != 0, "mark cycle ends that has not begun");
  for (int i = 0; i < workers_; ++i) {
    const WorkerState state = slots_[i].state.LoadAcquire();
    TRICOLOR_CHECK(state == WorkerState::kReturned,
                   "mark cycle ends with worker %d in state %u; expected: %u",
                   i, static_cast<unsigned>(state),
                   static_cast<unsigned>(WorkerState::kReturned));
  }
}

MarkStats Marker::EndCycle() {
  CheckReturned();
  TRICOLOR_CHECK(!cycle_.overflowed.LoadAcquire(),
                 "mark cycle ends with objects that are marked and unscanned");
  MarkStats sum;
  for (int i = 0; i < workers_; ++i) {
    slots_[i].state.StoreRelaxed(WorkerState::kIdle);
    slots_[i].worker->EndCycle();
    sum += slots_[i].worker->stats_;
  }
  sum.marked_objects += cycle_.others_marked.LoadRelaxed();
  sum.marked_bytes += cycle_.others_marked_bytes.LoadRelaxed();
  sum.scanned_bytes += cycle_.others_scanned.LoadRelaxed();
  workers_ = 0;
  cycle_.roots = nullptr;
  cycle_.bufs.EndCycle();
  return sum;
}

bool Marker::FreeWorkBufSpans(mheap::ProcessorCache& processor) {
  return cycle_.bufs.FreeSome(processor);
}

void Marker::CheckInvariants() const {
  cycle_.bufs.CheckInvariants();
  TRICOLOR_CHECK(workers_ == 0, "marker %p is checked in mid-cycle",
                 static_cast<const void*>(this));
}

}  // namespace tricolor::gc
