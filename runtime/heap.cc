// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/heap.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "tricolor/base/check.h"
#include "tricolor/base/units.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/heap_registry.h"
#include "tricolor/runtime/no_preempt.h"

namespace tricolor {
namespace {

std::unique_ptr<runtime::HeapCore> CreateOrDie(const HeapOptions& options) {
  const runtime::NoPreempt no_preempt;
  auto core = runtime::HeapCore::Create(options);
  TRICOLOR_CHECK(core.ok(), "no heap: %s",
                 std::string(core.status().message()).c_str());
  return *std::move(core);
}

}  // namespace

Heap::Heap(const HeapOptions& options) : Heap(CreateOrDie(options)) {}

Heap::Heap(std::unique_ptr<runtime::HeapCore> core) : core_(std::move(core)) {
  core_->set_heap(this);
}

// The members are still there: a cleanup that is running may use the heap.
Heap::~Heap() { core_->Shutdown(); }

absl::StatusOr<std::unique_ptr<Heap>> Heap::Create(const HeapOptions& options) {
  const runtime::NoPreempt no_preempt;
  auto core = runtime::HeapCore::Create(options);
  if (!core.ok()) return core.status();
  return std::unique_ptr<Heap>(new Heap(*std::move(core)));
}

void Heap::Collect() {
  const runtime::NoPreempt no_preempt;
  core_->ReviveServices();
  core_->collector().Collect();
}

void Heap::FreeOsMemory() {
  const runtime::NoPreempt no_preempt;
  core_->FreeOsMemory();
}

int Heap::SetGcPercent(int percent) {
  const runtime::NoPreempt no_preempt;
  const int old = core_->pacer().SetGcPercent(percent);
  core_->collector().GoalsChanged();
  return old;
}

int64_t Heap::SetMemoryLimit(int64_t bytes) {
  const runtime::NoPreempt no_preempt;
  const int64_t old = core_->pacer().SetMemoryLimit(bytes);
  if (bytes >= 0) core_->collector().GoalsChanged();
  return old;
}

MemStats Heap::ReadMemStats() {
  const runtime::NoPreempt no_preempt;
  return core_->ReadMemStats();
}

void Heap::AddRootRange(const void* begin, size_t bytes) {
  const runtime::NoPreempt no_preempt;
  const Addr base(begin);
  core_->root_set().AddRange({base, base + ByteCount(bytes)});
}

void Heap::RemoveRootRange(const void* begin) {
  const runtime::NoPreempt no_preempt;
  core_->root_set().RemoveRange(Addr(begin));
}

AllocationSampler* Heap::SetAllocationSampler(AllocationSampler* sampler) {
  const runtime::NoPreempt no_preempt;
  return core_->SetAllocationSampler(sampler);
}

size_t Heap::RunCleanups() {
  if (Mutator* own = Mutator::Current(*this)) {
    own->CheckManaged();
    return core_->cleanups().Run();
  }
  Mutator mutator(*this);
  return core_->cleanups().Run();
}

Heap* Heap::Of(const void* p) {
  runtime::HeapCore* core = runtime::HeapRegistry::Find(p);
  return core != nullptr && core->mheap().Contains(Addr(p)) ? core->heap()
                                                            : nullptr;
}

void Heap::CheckInvariants() {
  const runtime::NoPreempt no_preempt;
  core_->CheckInvariants();
}

}  // namespace tricolor
