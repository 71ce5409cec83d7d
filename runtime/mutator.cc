// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/mutator.h"

#include <cstddef>
#include <cstdint>

#include "tricolor/base/check.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/no_preempt.h"

namespace tricolor {

using runtime::MutatorContext;
using runtime::MutatorState;

Mutator::Mutator(Heap& heap)
    : heap_(heap), core_(heap.core()), root_table_(core_.roots()) {
  const runtime::NoPreempt no_preempt;
  context_.mutator = this;
  context_.roots = &root_table_;
  core_.world().Attach(context_);
}

Mutator::~Mutator() {
  const runtime::NoPreempt no_preempt;
  // Of a thread that is not there in this process, a child of fork().
  if (context_.processor == nullptr) return;
  CheckThreadSlow();
  root_table_.Absorb(context_.root_slots);
  core_.world().Detach(context_);
}

Mutator* Mutator::Current(Heap& heap) {
  MutatorContext* own = runtime::MutatorOfThread(heap.core().world());
  return own == nullptr ? nullptr : own->mutator;
}

void Mutator::CheckScopeThread() const {
  TRICOLOR_DCHECK(context_.thread == runtime::ThreadToken(),
                  "mutator %p is used by a thread that it does not belong to",
                  static_cast<const void*>(this));
}

void Mutator::CheckThreadSlow() const {
  TRICOLOR_CHECK(context_.thread == runtime::ThreadToken(),
                 "mutator %p is used by a thread that it does not belong to",
                 static_cast<const void*>(this));
  TRICOLOR_CHECK(context_.native_scopes == 0,
                 "mutator %p is used inside of its NativeScope",
                 static_cast<const void*>(this));
}

void Mutator::SafepointSlow() {
  const runtime::NoPreempt no_preempt;
  CheckThreadSlow();
  core_.world().Poll(context_);
}

// A cache whose owner's poll word is 0 has been flushed: each cycle asks for it
// there. After this the caller reaches no safepoint before it has allocated.
void Mutator::PrepareToAllocate() {
  CheckThreadSlow();
  core_.ReviveServices();
  if (context_.poll.LoadRelaxed() != 0) core_.world().Poll(context_);
  if (core_.pacer().marking()) {
    core_.collector().Assist(context_);
  } else if (core_.pacer().due()) {
    core_.collector().CollectIfDue();
  }
  if (core_.ZealDue()) core_.collector().Collect();
  core_.world().FlushOwn(context_);
}

void Mutator::CollectForMemory() {
  core_.collector().Collect();
  core_.world().FlushOwn(context_);
}

void* Mutator::AllocateSlotSlow(mheap::SpanClass span_class,
                                uint64_t pointer_bits, const TypeInfo* type) {
  const runtime::NoPreempt no_preempt;
  PrepareToAllocate();
  mcache::MCache& cache = context_.processor->cache();
  void* slot = cache.AllocateSlow(span_class, pointer_bits, type);
  if (slot != nullptr) return slot;
  CollectForMemory();
  return cache.AllocateSlow(span_class, pointer_bits, type);
}

namespace {

// Between the slices of zeroing a large object: a safepoint, at which a Root
// holds the object, for in exact mode the stack does not. When there is no
// memory for the Root, who wants the safepoint waits for the next one.
class LargeSafepoint final : public mcache::SliceHook {
 public:
  explicit LargeSafepoint(runtime::RootTable& roots) : roots_(roots) {}

  void BetweenSlices(void* object) override {
    if (ABSL_PREDICT_TRUE(!runtime::ThreadIsPolled())) return;
    runtime::RootSlot* root = runtime::TryNewRootIn(roots_, object);
    if (root == nullptr) return;
    runtime::World::PollThread();
    runtime::FreeRoot(root);
  }

 private:
  runtime::RootTable& roots_;
};

}  // namespace

void* Mutator::Allocate(const TypeInfo& type, size_t n) {
  const runtime::NoPreempt no_preempt;
  CheckThread();
  if (context_.poll.LoadRelaxed() != 0 || core_.pacer().due() ||
      context_.processor->owes() || core_.zealous()) {
    PrepareToAllocate();
  }
  mcache::MCache& cache = context_.processor->cache();
  LargeSafepoint hook(root_table_);
  void* object = cache.Allocate(type, n, &hook);
  if (ABSL_PREDICT_TRUE(object != nullptr)) return object;
  if (!mheap::LayoutFor(type, n == 0 ? 1 : n).ok) return nullptr;
  CollectForMemory();
  return cache.Allocate(type, n, &hook);
}

}  // namespace tricolor
