// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The world around a fork. docs/runtime.md has the whole.

#include "tricolor/base/mutex.h"
#include "tricolor/runtime/root_table.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {

// A thread that an earlier stop has interrupted may not have gone on yet. It is
// let go, and waited for as those that are managed.
void World::StopForFork() {
  MutexLock lock(mutex_);
  RequestStop();
  for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    if (m->state.LoadAcquire() == MutatorState::kClaimed && m->interrupted) {
      Unclaim(*m);
      running_.StoreRelaxed(running_.LoadRelaxed() + 1);
    }
  }
  while (running_.LoadRelaxed() != 0) collector_wakes_.Wait(mutex_);
  stopped_.Acquire();
}

// The snapshot of the caller's stack is of a function that has returned. So its
// mutators become managed before anybody could look at it.
void World::StartAfterFork() {
  stopped_.Release();
  MutexLock lock(mutex_);
  stopping_ = false;
  EndCharge();
  for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    m->poll.FetchAndRelaxed(~kPollStop);
    if (m->thread == ThreadToken() && --m->native_scopes == 0) {
      m->state.StoreRelease(MutatorState::kManaged);
    } else {
      Unclaim(*m);
    }
  }
  mutators_wake_.SignalAll();
}

void World::ForgetOtherThreads() {
  collector_wakes_.ResetAfterFork();
  mutators_wake_.ResetAfterFork();
  charge_ended_.ResetAfterFork();
  MutexLock lock(mutex_);
  for (MutatorContext* m = mutators_; m != nullptr;) {
    MutatorContext& context = *m;
    m = m->next;
    if (context.thread != ThreadToken()) Forget(context);
  }
  // Whether they had mutators or not: Roots and stacks may be theirs.
  forgot_threads_ = true;
}

// The context is in memory of a thread that is gone, which the next thread may
// be given as its stack.
void World::Forget(MutatorContext& context) {
  suspended_.RemoveWithin(context.own_stack.snapshot.bounds);
  if (context.own_stack.suspended) suspended_.Remove(context.own_stack);
  context.current_stack->running = false;
  context.roots->Absorb(context.root_slots);
  context.processor->Retire();
  processors_.Put(context.processor);
  context.processor = nullptr;
  context.thread = nullptr;
  Unlink(context);
}

}  // namespace tricolor::runtime
