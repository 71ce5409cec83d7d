// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The steps of the stop protocol are named as in docs/runtime.md.

#include "tricolor/runtime/world.h"

#include "tricolor/base/check.h"
#include "tricolor/base/pause.h"
#include "tricolor/runtime/no_preempt.h"
#include "tricolor/runtime/write_barrier.h"

namespace tricolor::runtime {
namespace {

// How often whoever waits for a stop, or for its end, looks before it sleeps:
// about 30 us, a short stop and less than a sleep and a wake.
constexpr int kSpins = 1000;

constinit thread_local MutatorContext* mutators_of_thread = nullptr;
constinit thread_local char thread_token = 0;

// Sequentially consistent, for step S1 of the stop.
void SetPollBit(MutatorContext& context, uint32_t bit) {
  uint32_t old = context.poll.LoadRelaxed();
  while (!context.poll.CompareExchangeSeqCst(old, old | bit)) {
  }
}

void UnlinkFromThread(MutatorContext& context) {
  MutatorContext** link = &mutators_of_thread;
  while (*link != &context) {
    TRICOLOR_CHECK(*link != nullptr,
                   "mutator %p is not attached to this thread",
                   static_cast<void*>(context.mutator));
    link = &(*link)->next_of_thread;
  }
  *link = context.next_of_thread;
}

}  // namespace

const void* ThreadToken() { return &thread_token; }

MutatorContext* MutatorsOfThread() { return mutators_of_thread; }

MutatorContext* MutatorOfThread(const World& world) {
  MutatorContext* m = mutators_of_thread;
  while (m != nullptr && m->world != &world) m = m->next_of_thread;
  return m;
}

bool ThreadIsPolled() {
  for (const MutatorContext* m = mutators_of_thread; m != nullptr;
       m = m->next_of_thread) {
    if (m->poll.LoadRelaxed() != 0 && m->native_scopes == 0) return true;
  }
  return false;
}

World::World(const ProcessorParts& parts, bool scan_stacks, int preempt_signal,
             int processors)
    : scan_stacks_(scan_stacks),
      preempt_signal_(preempt_signal),
      processors_present_(static_cast<size_t>(processors)),
      processors_(parts),
      suspended_(parts.marker) {
  if (preempt_signal != 0) InstallPreemptHandler(preempt_signal);
}

World::~World() {
  MutexLock lock(mutex_);
  TRICOLOR_CHECK(mutators_ == nullptr,
                 "heap destroyed while %zu mutators are attached, one of them "
                 "%p",
                 mutator_count_, static_cast<void*>(mutators_->mutator));
  TRICOLOR_CHECK(stack_count_ == 0 || forgot_threads_,
                 "heap destroyed while it knows %zu stacks of fibers",
                 stack_count_);
}

// ---- Mutators.

void World::Attach(MutatorContext& context) {
  const MutatorContext* other = MutatorOfThread(*this);
  TRICOLOR_CHECK(other == nullptr,
                 "thread attached twice to one heap: mutator %p exists already",
                 static_cast<void*>(other->mutator));
  context.world = this;
  context.thread = ThreadToken();
  context.pthread = pthread_self();
  context.stack.bounds = StackBounds::OfThisThread();
  context.own_stack.snapshot.bounds = context.stack.bounds;
  context.own_stack.running = true;
  ThreadNativeScope others_native;
  {
    MutexLock lock(mutex_);
    while (stopping_) mutators_wake_.Wait(mutex_);
    context.processor = processors_.Take();
    context.processor->cache().set_allocate_black(marking_);
    context.marking = marking_;
    context.stack_scanned = !scan_stacks_;
    // What it finds on its stack until the next handshake may be unmarked.
    if (marking_) SetPollBit(context, kPollShade);
    Link(context);
  }
  context.next_of_thread = mutators_of_thread;
  mutators_of_thread = &context;
  // The scope's end decrements it.
  context.native_scopes = 1;
}

void World::Detach(MutatorContext& context) {
  TRICOLOR_CHECK(context.current_stack == &context.own_stack,
                 "mutator %p is destroyed on a fiber's stack",
                 static_cast<void*>(context.mutator));
  context.processor->Retire();
  UnlinkFromThread(context);
  MutexLock lock(mutex_);
  processors_.Put(context.processor);
  context.processor = nullptr;
  Unlink(context);
  // Managed until here, so the stop counts on it.
  if (stopping_) NoteStopped();
  // It may have been one to be flushed.
  collector_wakes_.SignalAll();
}

void World::Link(MutatorContext& context) {
  context.next = mutators_;
  context.prev = nullptr;
  if (mutators_ != nullptr) mutators_->prev = &context;
  mutators_ = &context;
  ++mutator_count_;
}

void World::Unlink(MutatorContext& context) {
  if (context.next != nullptr) context.next->prev = context.prev;
  (context.prev != nullptr ? context.prev->next : mutators_) = context.next;
  --mutator_count_;
}

void World::Poll(MutatorContext& context) {
  const NoPreempt no_preempt;
  for (;;) {
    const uint32_t poll = context.poll.LoadRelaxed();
    if (poll == 0) return;
    if ((poll & kPollFlush) != 0) FlushOwn(context);
    if ((poll & kPollShade) != 0) tricolor_shade_own(&context);
    // The scope's end waits until the world runs.
    if ((poll & kPollStop) != 0) {
      ThreadNativeScope parked;
    }
  }
}

void World::PollThread() {
  for (MutatorContext* m = MutatorsOfThread(); m != nullptr;
       m = m->next_of_thread) {
    if (m->native_scopes == 0) m->world->Poll(*m);
  }
}

void World::FlushOwn(MutatorContext& context) {
  context.processor->cache().PrepareForSweep();
  if ((context.poll.LoadRelaxed() & kPollFlush) != 0) {
    Answer(context, kPollFlush);
  }
}

void World::Answer(MutatorContext& context, uint32_t bit) {
  // Release: who finds the bit clear may rely on what was asked for.
  // Sequentially consistent, as are the stores and loads in ClaimToServe:
  // either this thread sees that a collector looks, or that one sees the bit.
  context.poll.FetchAndSeqCst(~bit);
  if (!awaiting_answers_.LoadSeqCst()) return;
  // Under the mutex: either the collector has not looked yet, or it waits.
  MutexLock lock(mutex_);
  collector_wakes_.SignalAll();
}

void World::FinishEnterNative(MutatorContext& context) {
  context.stack.Finish();
  // M1. Sequentially consistent, against S1 and S2; and a release: who claims
  // the mutator sees all that it has written.
  context.state.StoreSeqCst(MutatorState::kNative);
  // M2.
  if (context.poll.LoadSeqCst() == 0) return;
  MutexLock lock(mutex_);
  if (stopping_ && Claim(context)) NoteStopped();
  collector_wakes_.SignalAll();
}

bool World::TryLeave(MutatorContext& context) {
  // Acquire: sees what the collector did while it had the mutator claimed.
  MutatorState found = MutatorState::kNative;
  return context.state.CompareExchangeAcquire(found, MutatorState::kManaged) ||
         found == MutatorState::kManaged;
}

void World::LeaveNative(MutatorContext& context) {
  if (TryLeave(context)) return;
  context.leaving = true;
  LeaveTogether();
}

ThreadNativeScope::~ThreadNativeScope() {
  for (MutatorContext* m = MutatorsOfThread(); m != nullptr;
       m = m->next_of_thread) {
    if (--m->native_scopes == 0) m->leaving = true;
  }
  World::LeaveTogether();
}

// A thread never waits for one world while it is managed in another: two such
// threads and two collectors could wait for each other in a ring.
void World::LeaveTogether() {
  const NoPreempt no_preempt;
  for (;;) {
    MutatorContext* blocked = MutatorsOfThread();
    while (blocked != nullptr && (!blocked->leaving || TryLeave(*blocked))) {
      blocked = blocked->next_of_thread;
    }
    if (blocked == nullptr) break;
    for (MutatorContext* m = MutatorsOfThread(); m != nullptr;
         m = m->next_of_thread) {
      if (m->state.LoadRelaxed() != MutatorState::kManaged) continue;
      m->leaving = true;
      tricolor_enter_native(m);
    }
    blocked->world->AwaitUnclaimed(*blocked);
  }
  for (MutatorContext* m = MutatorsOfThread(); m != nullptr;
       m = m->next_of_thread) {
    m->leaving = false;
  }
}

void World::AwaitUnclaimed(MutatorContext& context) {
  for (int i = 0; i < kSpins && may_spin_.LoadRelaxed(); ++i) {
    if (context.state.LoadRelaxed() != MutatorState::kClaimed) return;
    PauseCpu();
  }
  MutexLock lock(mutex_);
  while (context.state.LoadRelaxed() == MutatorState::kClaimed) {
    mutators_wake_.Wait(mutex_);
  }
}

// ---- The collector.

bool World::Claim(MutatorContext& context) {
  MutatorState expected = MutatorState::kNative;
  return context.state.CompareExchangeSeqCst(expected, MutatorState::kClaimed);
}

void World::TakeCharge() {
  TRICOLOR_CHECK(in_charge_ != ThreadToken(),
                 "the world is stopped while it is stopped");
  while (in_charge_ != nullptr) charge_ended_.Wait(mutex_);
  in_charge_ = ThreadToken();
}

void World::EndCharge() {
  in_charge_ = nullptr;
  charge_ended_.Signal();
}

// Release, pairs with SpinUntilStopped: nothing but a count that needs no lock.
void World::NoteStopped() {
  const size_t left = running_.LoadRelaxed() - 1;
  running_.StoreRelease(left);
  if (left == 0) collector_wakes_.SignalAll();
}

void World::SpinUntilStopped() {
  for (int i = 0; i < kSpins && running_.LoadAcquire() != 0; ++i) PauseCpu();
}

void World::RequestStop() {
  const MutatorContext* own = MutatorOfThread(*this);
  TRICOLOR_CHECK(
      own == nullptr || own->state.LoadRelaxed() != MutatorState::kManaged,
      "the world is stopped by a thread whose mutator %p is managed",
      static_cast<void*>(own->mutator));
  TakeCharge();
  stopping_ = true;
  size_t running = 0;
  for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    SetPollBit(*m, kPollStop);  // S1
    if (!Claim(*m)) ++running;  // S2
  }
  running_.StoreRelaxed(running);
  // The calling thread needs a processor, too.
  may_spin_.StoreRelaxed(running < processors_present_);
}

void World::Stop() {
  {
    MutexLock lock(mutex_);
    RequestStop();
  }
  if (may_spin_.LoadRelaxed()) SpinUntilStopped();
  MutexLock lock(mutex_);
  AwaitStopped();
  stopped_.Acquire();
  for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    if (m->interrupted) m->processor->cache().TakeSlotsInFlight();
  }
}

void World::Start() {
  stopped_.Release();
  MutexLock lock(mutex_);
  stopping_ = false;
  for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    m->poll.FetchAndRelaxed(~kPollStop);
    Unclaim(*m);
  }
  mutators_wake_.SignalAll();
  EndCharge();
}

void World::RequestFlush() {
  MutexLock lock(mutex_);
  for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    SetPollBit(*m, kPollFlush);
  }
}

template <typename Serve>
void World::ServeAll(uint32_t bit, bool wait, Serve serve) {
  MutexLock lock(mutex_);
  Preemption preemption;
  awaiting_answers_.StoreSeqCst(true);
  for (;;) {
    bool waiting = false;
    bool served = false;
    for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
      if ((m->poll.LoadSeqCst() & bit) == 0) continue;
      if (!Claim(*m)) {
        waiting = wait;
        continue;
      }
      served = true;
      // While it is claimed it stays where it is on the list.
      mutex_.Unlock();
      serve(*m);
      mutex_.Lock();
      m->poll.FetchAndRelease(~bit);
      m->signaled.StoreRelease(0);
      Unclaim(*m);
      mutators_wake_.SignalAll();
    }
    if (!waiting) break;
    // Those that were managed may have become native, and said so, while the
    // mutex was free.
    if (!served) AwaitOrPreempt(bit, preemption);
  }
  awaiting_answers_.StoreSeqCst(false);
  WithdrawSignals();
}

void World::FinishFlush() { FlushAll(/*wait=*/true); }

void World::FlushNative() { FlushAll(/*wait=*/false); }

void World::FlushAll(bool wait) {
  {
    MutexLock lock(mutex_);
    TakeCharge();
  }
  ServeAll(kPollFlush, wait, [](MutatorContext& m) {
    if (m.interrupted) m.processor->cache().TakeSlotsInFlight();
    m.processor->FlushForOwner();
  });
  MutexLock lock(mutex_);
  EndCharge();
}

AllocationSampler* World::SetSampling(const mcache::Sampling& sampling) {
  MutexLock lock(mutex_);
  return processors_.SetSampling(sampling);
}

// ---- Marking beside the program.

void MutatorContext::Shade(const void* old_value, const void* new_value) {
  if (state.LoadRelaxed() != MutatorState::kManaged) return;
  gc::GreyBuffer& grey = processor->grey();
  grey.Add(Addr(old_value).value());
  if (!stack_scanned) grey.Add(Addr(new_value).value());
}

size_t World::ShadeMutator(MutatorContext& context) {
  gc::GreyBuffer& grey = context.processor->grey();
  size_t words = 0;
  if (!context.stack_scanned) {
    words = ShadeStack(context.stack, grey);
    if (!rescan_stacks_) {
      context.stack_scanned = true;
      stack_words_.FetchAddRelaxed(words);
    }
    if (scan_hook_ != nullptr) scan_hook_->StackScanned();
  }
  grey.Publish();
  return words;
}

void World::FinishShadeOwn(MutatorContext& context) {
  if (!context.stack_scanned) context.stack.Finish();
  ShadeMutator(context);
  Answer(context, kPollShade);
}

void World::ShadeAll() {
  {
    MutexLock lock(mutex_);
    TakeCharge();
    for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
      SetPollBit(*m, kPollShade);
    }
  }
  ServeAll(kPollShade, /*wait=*/true,
           [this](MutatorContext& m) { ShadeMutator(m); });
  ShadeSuspended();
  MutexLock lock(mutex_);
  EndCharge();
}

void World::BeginMarking() {
  MutexLock lock(mutex_);
  marking_ = true;
  stack_words_.StoreRelaxed(0);
  rescan_stacks_ = false;
  suspended_.BeginCycle();
  processors_.ForEach([](Processor& p) { p.cache().set_allocate_black(true); });
  for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    m->marking = true;
    m->stack_scanned = !scan_stacks_;
    if (!m->interrupted) continue;
    // It may be about to store one of these, and no barrier will record it.
    rescan_stacks_ = true;
    ShadeStack(m->stack, m->processor->grey());
  }
  marking_heaps.FetchAddRelaxed(1);
}

void World::ShadeAllStopped() {
  MutexLock lock(mutex_);
  for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    const size_t words = ShadeMutator(*m);
    // Of stacks that are scanned several times, this time counts.
    if (rescan_stacks_) stack_words_.FetchAddRelaxed(words);
    m->poll.FetchAndRelease(~kPollShade);
  }
  if (!scan_stacks_) return;
  size_t words = 0;
  if (rescan_stacks_) {
    words = suspended_.ShadeEach();
  } else {
    while (suspended_.ShadeSome(&words)) {
    }
  }
  stack_words_.FetchAddRelaxed(words);
}

uint64_t World::StackBytes() const {
  if (!scan_stacks_) return 0;
  MutexLock lock(mutex_);
  uint64_t bytes = suspended_.bytes();
  for (const MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    bytes += m->stack.bounds.high - m->stack.stack_pointer;
  }
  return bytes;
}

void World::ReadStacks(WordSink& sink) {
  if (!scan_stacks_) return;
  MutexLock lock(mutex_);
  for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    ReadStack(m->stack, sink);
  }
  suspended_.Read(sink);
}

World::Allocated World::EndMarking() {
  MutexLock lock(mutex_);
  marking_ = false;
  Allocated allocated;
  processors_.ForEach([&allocated](Processor& p) {
    p.cache().set_allocate_black(false);
    allocated.black_bytes += p.cache().TakeBlackBytes();
    if (p.live().Forget()) ++allocated.processors;
  });
  for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    m->marking = false;
    TRICOLOR_CHECK(m->processor->grey().empty(),
                   "marking ends while mutator %p has pointers to be marked",
                   static_cast<void*>(m->mutator));
  }
  if (scan_stacks_ && !rescan_stacks_) suspended_.CheckScanned();
  marking_heaps.FetchSubRelaxed(1);
  return allocated;
}

size_t World::mutator_count() const {
  MutexLock lock(mutex_);
  return mutator_count_;
}

size_t World::CountManaged() const {
  MutexLock lock(mutex_);
  size_t count = 0;
  for (const MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    if (m->state.LoadRelaxed() == MutatorState::kManaged) ++count;
  }
  return count;
}

size_t World::CheckInvariants(uint32_t sweep_gen) {
  MutexLock lock(mutex_);
  size_t count = 0;
  size_t root_slots = 0;
  const MutatorContext* prev = nullptr;
  for (MutatorContext* m = mutators_; m != nullptr; m = m->next) {
    const auto* mutator = static_cast<void*>(m->mutator);
    const MutatorState state = m->state.LoadAcquire();
    TRICOLOR_CHECK(state == MutatorState::kClaimed,
                   "INV-RUNTIME-2: mutator %p is in state %u while the world "
                   "is stopped",
                   mutator, static_cast<unsigned>(state));
    TRICOLOR_CHECK(m->prev == prev && m->world == this,
                   "the list of mutators is broken at %p", mutator);
    const mcache::MCache& cache = m->processor->cache();
    TRICOLOR_CHECK(
        (m->poll.LoadRelaxed() & kPollFlush) != 0 ||
            cache.flush_gen() == sweep_gen,
        "INV-RUNTIME-4: mutator %p, flushed in generation %u, is not "
        "asked to flush in generation %u",
        mutator, cache.flush_gen(), sweep_gen);
    cache.CheckInvariants();
    root_slots += m->root_slots.count;
    prev = m;
    ++count;
  }
  suspended_.CheckInvariants();
  TRICOLOR_CHECK(count == mutator_count_, "%zu mutators listed, %zu counted",
                 count, mutator_count_);
  return root_slots;
}

}  // namespace tricolor::runtime
