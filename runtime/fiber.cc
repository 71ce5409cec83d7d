// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/fiber.h"

#include <cstddef>
#include <cstdint>

#include "tricolor/base/check.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/no_preempt.h"

namespace tricolor {

using runtime::MutatorContext;
using runtime::NoPreempt;
using runtime::StackRecord;

FiberStack::FiberStack(Heap& heap, void* low, size_t bytes) : heap_(heap) {
  const NoPreempt no_preempt;
  TRICOLOR_CHECK(low != nullptr && bytes != 0,
                 "a fiber's stack of %zu bytes at %p", bytes, low);
  const auto base = reinterpret_cast<uintptr_t>(low);
  record_.snapshot.bounds = {base, base + bytes};
  heap.core().world().AddStack();
}

FiberStack::~FiberStack() {
  const NoPreempt no_preempt;
  heap_.core().world().RemoveStack(record_);
}

void FiberStack::Clear() {
  const NoPreempt no_preempt;
  heap_.core().world().ClearStack(record_);
}

StackRecord& FiberSwitch::Announce(Mutator& mutator, FiberStack* to) {
  const NoPreempt no_preempt;
  mutator.CheckManaged();
  MutatorContext& context = mutator.context();
  TRICOLOR_CHECK(to == nullptr || &to->heap_ == &mutator.heap(),
                 "mutator %p switches to a stack of another heap",
                 static_cast<void*>(&mutator));
  TRICOLOR_CHECK(!context.switching,
                 "mutator %p announces a switch of stacks before it has "
                 "arrived from the last one",
                 static_cast<void*>(&mutator));
  context.switching = true;
  context.leaves_for_good = false;
  return *context.current_stack;
}

// Out of line, for the thread may be another one than before the switch: what
// the caller knows of thread-local addresses may be wrong.
void FiberSwitch::FinishSwitch(Heap& heap, const StackRecord* expected) {
  const NoPreempt no_preempt;
  Mutator* mutator = Mutator::Current(heap);
  TRICOLOR_CHECK(mutator != nullptr,
                 "a fiber goes on on a thread that is not attached to heap %p",
                 static_cast<void*>(&heap));
  MutatorContext& context = mutator->context();
  const StackRecord& current = *context.current_stack;
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  TRICOLOR_CHECK((expected == nullptr || expected == &current) &&
                     here < current.snapshot.bounds.high &&
                     here >= current.snapshot.bounds.low,
                 "mutator %p has announced a switch to the stack [%#zx, %#zx), "
                 "and is at %#zx",
                 static_cast<void*>(mutator), current.snapshot.bounds.low,
                 current.snapshot.bounds.high, here);
  context.switching = false;
  if (context.poll.LoadRelaxed() != 0) context.world->Poll(context);
}

}  // namespace tricolor
