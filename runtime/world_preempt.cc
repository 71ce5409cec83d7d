// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The world's waiting for mutators, and their side of it in a signal handler.
// docs/safepoints.md has the protocol.

#include <cstdint>

#include "tricolor/runtime/no_preempt.h"
#include "tricolor/runtime/preempt.h"
#include "tricolor/runtime/service_thread.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {
namespace {

// How often signals are sent again.
constexpr int64_t kAgainNs = 1'000'000;
// How often a collector looks whether a signal has made a mutator native: the
// handler cannot wake it.
constexpr int64_t kLookNs = 50'000;
// How long interrupted threads are held at first while others do not stop;
// each time twice as long, for the others may only wait for a CPU.
constexpr int64_t kHoldNs = 10'000'000;

}  // namespace

// ---- The collector.

void World::Unclaim(MutatorContext& context) {
  const bool interrupted = context.interrupted;
  // Release: pairs with TryLeave.
  context.state.StoreRelease(MutatorState::kNative);
  if (!interrupted) return;
  FutexWakeAll(&context.signaled);
  FutexWakeAll(&context.state);
}

void World::AwaitStopped() {
  Preemption preemption;
  int64_t hold_ns = kHoldNs;
  while (running_.LoadRelaxed() != 0) {
    AwaitOrPreempt(kPollStop, preemption);
    ClaimInterrupted();
    if (running_.LoadRelaxed() == 0 || preemption.waited_ns < hold_ns) continue;
    LetInterruptedGo();
    hold_ns *= 2;
    preemption = {};
  }
  WithdrawSignals();
}

void World::ClaimInterrupted() {
  for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    if (m->state.LoadRelaxed() == MutatorState::kNative && Claim(*m)) {
      running_.StoreRelaxed(running_.LoadRelaxed() - 1);
    }
  }
}

// One of those that do not stop may wait for a lock of the program's (malloc's,
// for example) that an interrupted thread holds.
void World::LetInterruptedGo() {
  WithdrawSignals();
  for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    if (m->state.LoadAcquire() == MutatorState::kClaimed && m->interrupted) {
      Unclaim(*m);
      running_.StoreRelaxed(running_.LoadRelaxed() + 1);
    }
  }
}

void World::AwaitOrPreempt(uint32_t bits, Preemption& preemption) {
  if (preempt_signal_ == 0) {
    collector_wakes_.Wait(mutex_);
    return;
  }
  const auto before = static_cast<int64_t>(SteadyNanoseconds());
  const bool sent = preemption.signaled_at_ns >= 0;
  const int64_t grace = preempt_grace_ns_.LoadRelaxed();
  collector_wakes_.WaitFor(mutex_, sent ? kLookNs : grace);
  preemption.waited_ns += static_cast<int64_t>(SteadyNanoseconds()) - before;
  const int64_t next = sent ? preemption.signaled_at_ns + kAgainNs : grace;
  if (preemption.waited_ns < next) return;
  preemption.signaled_at_ns = preemption.waited_ns;
  for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    // While it is listed its thread lives.
    if ((m->poll.LoadRelaxed() & bits) != 0 &&
        m->state.LoadRelaxed() == MutatorState::kManaged) {
      m->signaled.StoreRelease(1);
      SendPreemptSignal(m->pthread, preempt_signal_);
      signals_sent_.FetchAddRelaxed(1);
    }
  }
}

void World::WithdrawSignals() {
  for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    if (m->signaled.LoadRelaxed() == 0) continue;
    m->signaled.StoreRelease(0);
    FutexWakeAll(&m->signaled);
  }
}

// ---- The interrupted thread. No locks, no malloc.

namespace {

// Whether a collector waits for one of this thread's mutators, and each of them
// is either native or managed, not in between, and outside of the runtime.
bool MayPark(const Interruption& interruption) {
  if (no_preempt_depth.LoadRelaxed() != 0) return false;
  bool wanted = false;
  for (const MutatorContext* m = MutatorsOfThread(); m != nullptr;
       m = m->next_of_thread) {
    if (m->state.LoadRelaxed() != MutatorState::kManaged) continue;
    if (m->native_scopes != 0 || m->leaving || m->switching) return false;
    // Elsewhere than on the stack that is known.
    if (interruption.stack_pointer < m->stack.bounds.low ||
        interruption.stack_pointer >= m->stack.bounds.high) {
      return false;
    }
    wanted |= m->signaled.LoadAcquire() != 0;
  }
  return wanted;
}

}  // namespace

void World::ParkInterrupted(const Interruption& interruption) {
  if (!MayPark(interruption)) return;
  for (MutatorContext* m = MutatorsOfThread(); m != nullptr;
       m = m->next_of_thread) {
    if (m->state.LoadRelaxed() != MutatorState::kManaged) continue;
    if (m->world->preempt_signal_ == 0) continue;
    m->stack.SetInterrupted(interruption.stack_pointer, interruption.alternate);
    m->interrupted = true;
    // M1. M2 is the collector's: it looks again until it finds this.
    m->state.StoreSeqCst(MutatorState::kNative);
  }
  AwaitRelease();
}

void World::AwaitRelease() {
  for (;;) {
    MutatorContext* blocked = MutatorsOfThread();
    while (blocked != nullptr &&
           (!blocked->interrupted ||
            (blocked->signaled.LoadAcquire() == 0 && TryLeave(*blocked)))) {
      blocked = blocked->next_of_thread;
    }
    if (blocked == nullptr) break;
    // As LeaveTogether: nobody waits here while managed in another heap.
    for (MutatorContext* m = MutatorsOfThread(); m != nullptr;
         m = m->next_of_thread) {
      if (m->interrupted && m->state.LoadRelaxed() == MutatorState::kManaged) {
        m->state.StoreSeqCst(MutatorState::kNative);
      }
    }
    if (blocked->signaled.LoadAcquire() != 0) {
      FutexWait(&blocked->signaled, 1);
    } else {
      FutexWait(&blocked->state, static_cast<uint32_t>(MutatorState::kClaimed));
    }
  }
  for (MutatorContext* m = MutatorsOfThread(); m != nullptr;
       m = m->next_of_thread) {
    // Others are native, and a collector may be looking at them.
    if (m->interrupted) m->interrupted = false;
  }
}

}  // namespace tricolor::runtime
