// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A thread's change from one stack to another, and the scan of those that no
// thread runs on. docs/barrier.md says why a pointer is not lost between them.

#include <cstddef>

#include "tricolor/base/check.h"
#include "tricolor/base/mutex.h"
#include "tricolor/runtime/no_preempt.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {

void World::AddStack() {
  MutexLock lock(mutex_);
  ++stack_count_;
}

void World::ClearStack(StackRecord& stack) {
  MutexLock lock(mutex_);
  TRICOLOR_CHECK(!stack.running,
                 "the stack at %#zx is cleared or destroyed while a thread "
                 "runs on it",
                 stack.snapshot.bounds.low);
  if (stack.suspended) suspended_.Remove(stack);
}

void World::RemoveStack(StackRecord& stack) {
  ClearStack(stack);
  MutexLock lock(mutex_);
  --stack_count_;
}

// Managed, so that no cycle begins or ends marking meanwhile. While stacks are
// scanned again in the last stop none counts as scanned, and none need be here.
void World::SwitchStack(MutatorContext& context, StackRecord& to) {
  const NoPreempt no_preempt;
  StackRecord& from = *context.current_stack;
  gc::GreyBuffer& grey = context.processor->grey();
  const bool shade = context.marking && scan_stacks_ && !rescan_stacks_;
  from.snapshot.Finish();
  if (shade && !context.stack_scanned) {
    stack_words_.FetchAddRelaxed(ShadeStack(from.snapshot, grey));
    if (scan_hook_ != nullptr) scan_hook_->StackScanned();
  }
  bool shade_to = false;
  {
    MutexLock lock(mutex_);
    TRICOLOR_CHECK(!to.running,
                   "mutator %p switches to the stack at %#zx, on which a "
                   "thread runs",
                   static_cast<void*>(context.mutator), to.snapshot.bounds.low);
    from.running = false;
    if (!context.leaves_for_good) suspended_.Add(from, /*scanned=*/shade);
    shade_to = shade && to.suspended && !suspended_.scanned(to);
    // From here on it is this thread's.
    if (to.suspended) suspended_.Remove(to);
    to.running = true;
  }
  if (shade_to) {
    stack_words_.FetchAddRelaxed(ShadeStack(to.snapshot, grey));
  }
  context.stack_scanned = shade || !scan_stacks_;
  context.stack.bounds = to.snapshot.bounds;
  context.current_stack = &to;
}

void World::ShadeSuspended() {
  if (!scan_stacks_) return;
  for (bool more = true; more;) {
    MutexLock lock(mutex_);
    size_t words = 0;
    more = suspended_.ShadeSome(&words);
    // Of stacks that are scanned several times, the last time counts.
    if (!rescan_stacks_) stack_words_.FetchAddRelaxed(words);
  }
}

}  // namespace tricolor::runtime
