// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// World: the mutators of a heap, and how the collector stops them all.
//
// A mutator is in one of three states (README.md has the picture):
//   kManaged  its thread may touch the heap; the collector must wait for it
//   kNative   its thread does not touch the heap, and has left a snapshot of
//   its
//             stack: parked at a safepoint, in a NativeScope, or collecting
//   kClaimed  was native; the collector acts on its processor and stack, and
//             leaving native code waits
// The world is stopped when every mutator is claimed. Attaching waits while it
// is being stopped. docs/runtime.md proves the protocol by its interleavings.
//
// INV-RUNTIME-1: only a kManaged mutator's thread, or who claimed it, uses its
// processor. INV-RUNTIME-2: while the world is stopped no mutator is kManaged.
// INV-RUNTIME-4: a mutator's cache is flushed, or its poll word says
// kPollFlush.
//
// Go counterpart: stopTheWorld, entersyscall, exitsyscall in proc.go.
// Thread-safe; "world stopped" is a capability of the thread-safety analysis.

#ifndef TRICOLOR_RUNTIME_WORLD_H_
#define TRICOLOR_RUNTIME_WORLD_H_

#include <pthread.h>

#include <cstddef>
#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/mutex.h"
#include "tricolor/runtime/preempt.h"
#include "tricolor/runtime/processor.h"
#include "tricolor/runtime/root_table.h"
#include "tricolor/runtime/stack_scan.h"
#include "tricolor/runtime/suspended_stacks.h"

namespace tricolor {
class Mutator;
}  // namespace tricolor

namespace tricolor::runtime {

class World;

enum class MutatorState : uint32_t { kManaged, kNative, kClaimed };

// What the collector asks of a mutator, as bits of MutatorContext::poll.
inline constexpr uint32_t kPollStop = 1;   // park at the next safepoint
inline constexpr uint32_t kPollFlush = 2;  // flush the cache: a sweep has begun
// Scan the stack, if that has not been done in this cycle, and publish what the
// barrier has recorded.
inline constexpr uint32_t kPollShade = 4;

// The world's view of a Mutator. Its own thread's, but for what is said.
struct MutatorContext {
  StackSnapshot stack;  // first: the assembly knows its address as this one's
  // Set and cleared by the world; read at every safepoint.
  Atomic<uint32_t> poll;
  Atomic<MutatorState> state{MutatorState::kManaged};
  Processor* processor = nullptr;
  World* world = nullptr;
  Mutator* mutator = nullptr;
  RootTable* roots = nullptr;
  RootSlotCache root_slots;
  const void* thread = nullptr;  // ThreadToken() of its thread
  int native_scopes = 0;         // that are open, nested
  bool leaving = false;          // native, and about to become managed
  pthread_t pthread = {};        // its thread, to signal
  // A collector waits and has sent a signal. Set and cleared by it; a thread
  // that a signal has made native stays so meanwhile.
  Atomic<uint32_t> signaled;
  // Native because a signal has interrupted it: its thread waits on a futex,
  // `signaled` or `state`.
  bool interrupted = false;
  // A cycle marks: changed with the world stopped.
  bool marking = false;
  // The stack needs no scan (any more) in this cycle.
  bool stack_scanned = false;
  // From the announcement of a switch of stacks until the thread has arrived.
  bool switching = false;
  // The announced switch leaves nothing behind.
  bool leaves_for_good = false;
  // The thread's own, suspended while a fiber runs; and that which runs.
  StackRecord own_stack;
  StackRecord* current_stack = &own_stack;
  MutatorContext* next_of_thread = nullptr;
  // The world's list, guarded by its mutex.
  MutatorContext* next = nullptr;
  MutatorContext* prev = nullptr;

  // The write barrier's slow half, while `marking`. A native thread's stores
  // are the program's fault, and not recorded.
  void Shade(const void* old_value, const void* new_value);
};

// Stores the callee-saved registers and the stack pointer of the caller into
// *context (its stack), then enters native state. Everything its callers keep
// across the call is then in the snapshot or on the stack above.
extern "C" void tricolor_enter_native(MutatorContext* context);

// The same snapshot, of a thread that stays managed; then shades its own stack.
extern "C" void tricolor_shade_own(MutatorContext* context);

// Stores the same into *snapshot, that of the stack which `context`'s thread
// leaves; then makes `to` its stack.
extern "C" void tricolor_switch_stack(StackSnapshot* snapshot,
                                      MutatorContext* context, StackRecord* to);

// Differs for every thread that lives.
const void* ThreadToken();
// The attached mutators of the calling thread, linked by next_of_thread.
MutatorContext* MutatorsOfThread();
// Whether one of them, managed, is asked for something. For the heap's own code
// where it runs for long: the thread's other heaps must not wait for that.
bool ThreadIsPolled();
// That of the calling thread for `world`, or null.
MutatorContext* MutatorOfThread(const World& world);

// "The world is stopped", for the analysis; takes no space or time.
class ABSL_LOCKABLE WorldStopped {
 public:
  void Acquire() ABSL_EXCLUSIVE_LOCK_FUNCTION() {}
  void Release() ABSL_UNLOCK_FUNCTION() {}
  // By threads that work for the one that stopped the world.
  void Assert() const ABSL_ASSERT_EXCLUSIVE_LOCK() {}
};

// How long a collector has waited, and for what it waits next.
struct Preemption {
  int64_t waited_ns = 0;
  int64_t signaled_at_ns = -1;  // the last time
};

// What has no barrier of its own: see RootSet.
class StackScanHook {
 public:
  // A mutator's stack has just been scanned, and the mutator stands still.
  virtual void StackScanned() = 0;

 protected:
  ~StackScanHook() = default;
};

class World {
 public:
  // `scan_stacks`: stacks are roots. `preempt_signal`: what stops threads that
  // do not come to a safepoint by themselves; 0: nothing does.
  // `processors`: that threads may run on at the same time.
  World(const ProcessorParts& parts, bool scan_stacks, int preempt_signal,
        int processors);
  // Fatal when a mutator is attached.
  ~World();
  // Before the first cycle. It outlives the world.
  void set_scan_hook(StackScanHook* hook) { scan_hook_ = hook; }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // ---- Mutators, on their own threads.
  // Gives `context`, whose roots and mutator are set, a processor, and puts it
  // on the world's and its thread's list, managed. Waits while the world is
  // stopped. Fatal when the thread has a mutator here already.
  void Attach(MutatorContext& context);
  // Managed. Flushes the processor.
  void Detach(MutatorContext& context);
  // Of a managed mutator whose poll word is not 0: flushes its cache, parks.
  void Poll(MutatorContext& context);
  // That, of each mutator of the calling thread that is managed.
  static void PollThread();
  // Flushes the cache if a sweep has begun since it was last flushed. Managed.
  void FlushOwn(MutatorContext& context);
  // kManaged -> kNative, when the registers are in the snapshot.
  void FinishEnterNative(MutatorContext& context);
  // Managed, when the registers are in the snapshot.
  void FinishShadeOwn(MutatorContext& context);
  // Managed, when the registers are in the snapshot of its current stack: that
  // is suspended, and `to` is the current one. Fatal when `to` is some
  // thread's. While a cycle marks, afterwards both have been scanned.
  void SwitchStack(MutatorContext& context, StackRecord& to);
  // A fiber's stack comes into being; forgets what is on it, fatal when it is
  // current; the same, and it is no more.
  void AddStack();
  void ClearStack(StackRecord& stack);
  void RemoveStack(StackRecord& stack);
  // kNative -> kManaged; waits while claimed, and meanwhile makes the thread's
  // other mutators native too.
  static void LeaveNative(MutatorContext& context);

  // In the handler of a preemption signal: makes the thread's mutators native,
  // if a collector waits for one of them and the thread is at no unsafe point,
  // until all are served. Async-signal-safe.
  static void ParkInterrupted(const Interruption& interruption);

  // ---- The collector, and others that stop the world for a moment: threads no
  // mutator of which is managed. Each waits until no other one has the world
  // stopped, or is in a handshake or a flush.
  void Stop() ABSL_EXCLUSIVE_LOCK_FUNCTION(stopped_);
  void Start() ABSL_UNLOCK_FUNCTION(stopped_);
  // Returns when every mutator that kPollFlush is set for has been flushed, by
  // its own thread or, if that is native, by the caller.
  void FinishFlush();
  // As FinishFlush for those that are native; waits for nobody.
  void FlushNative();
  // While a cycle marks: returns when every mutator has published, after the
  // call, what its barrier recorded, and has had its stack scanned, by its own
  // thread at a safepoint or, if that is native, by the caller.
  void ShadeAll();

  // ---- Fork; by the forking thread, no mutator of which is managed, while
  // nobody collects. docs/runtime.md says how these go together.
  // As Stop, but sends no signals: a thread that is stopped by one may hold
  // locks that fork() takes.
  void StopForFork() ABSL_EXCLUSIVE_LOCK_FUNCTION(stopped_);
  // As Start, in both processes. The caller's own mutators, which have one
  // scope fewer from then on, are managed again unless there is another one.
  void StartAfterFork() ABSL_UNLOCK_FUNCTION(stopped_);
  // In the child: the mutators of other threads are no more. What their
  // processors held goes back to the heap.
  void ForgetOtherThreads() ABSL_EXCLUSIVE_LOCKS_REQUIRED(stopped_);
  // The lock to hold.
  Mutex& mutex() ABSL_LOCK_RETURNED(mutex_) { return mutex_; }

  // How long mutators have to come to a safepoint before signals are sent.
  void set_preempt_grace(int64_t nanoseconds) {
    preempt_grace_ns_.StoreRelaxed(nanoseconds);
  }
  // Signals that have been sent.
  uint64_t signals_sent() const { return signals_sent_.LoadRelaxed(); }

  // ---- With the world stopped.
  WorldStopped& stopped() ABSL_LOCK_RETURNED(stopped_) { return stopped_; }
  template <typename Visit>
  void ForEachMutator(Visit visit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(stopped_) {
    MutexLock lock(mutex_);
    for (MutatorContext* m = mutators_; m != nullptr; m = m->next) visit(*m);
  }
  // Idle ones too.
  template <typename Visit>
  void ForEachProcessor(Visit visit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(stopped_) {
    MutexLock lock(mutex_);
    processors_.ForEach(visit);
  }
  // After the sweep generation has advanced: every mutator is to flush.
  void RequestFlush() ABSL_EXCLUSIVE_LOCKS_REQUIRED(stopped_);
  // From now on barriers record, new objects are marked, and no stack has been
  // scanned.
  void BeginMarking() ABSL_EXCLUSIVE_LOCKS_REQUIRED(stopped_);
  // As ShadeAll, at once.
  void ShadeAllStopped() ABSL_EXCLUSIVE_LOCKS_REQUIRED(stopped_);
  // Gives the words of all stacks, if they are roots.
  void ReadStacks(WordSink& sink) ABSL_EXCLUSIVE_LOCKS_REQUIRED(stopped_);
  struct Allocated {
    uint64_t black_bytes = 0;  // of slots taken, and so marked, in this cycle
    uint64_t processors = 0;   // that have allocated since the last EndMarking
  };
  // Nothing is left to mark.
  Allocated EndMarking() ABSL_EXCLUSIVE_LOCKS_REQUIRED(stopped_);
  // Of all stacks that are roots, in bytes.
  uint64_t StackBytes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(stopped_);
  // Words of stacks that have been looked at since BeginMarking.
  uint64_t stack_words() const { return stack_words_.LoadRelaxed(); }

  // For all processors, those to come too. Returns the sampler before.
  AllocationSampler* SetSampling(const mcache::Sampling& sampling)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(stopped_);

  size_t mutator_count() const;
  // Mutators that are managed now: their threads need a processor, or so it is
  // taken to be.
  size_t CountManaged() const;
  // Fatal when INV-RUNTIME-2, INV-RUNTIME-4 or the list is broken. Returns the
  // number of root slots in the mutators' own lists.
  size_t CheckInvariants(uint32_t sweep_gen)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(stopped_);

 private:
  friend class ThreadNativeScope;

  // The compare-and-swap kNative -> kClaimed.
  static bool Claim(MutatorContext& context);
  static bool TryLeave(MutatorContext& context);
  // The end of ParkInterrupted.
  static void AwaitRelease();
  // Makes all of the thread's mutators managed whose `leaving` is set.
  static void LeaveTogether();
  void AwaitUnclaimed(MutatorContext& context);
  // Clears a poll bit whose request has been met.
  void Answer(MutatorContext& context, uint32_t bit);
  // Waits until nobody else is in charge: stops, flushes, or is in a handshake.
  void TakeCharge() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndCharge() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns when no mutator has the bit any more. Calls serve(mutator) for
  // native ones, which are claimed meanwhile, without the mutex; waits for
  // managed ones, unless it is not to wait. Each mutator is looked at once, and
  // once again each time that a managed one has answered. In charge.
  template <typename Serve>
  void ServeAll(uint32_t bit, bool wait, Serve serve)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void FlushAll(bool wait) ABSL_LOCKS_EXCLUDED(mutex_);
  // By its own thread, or by who claimed it. Words of its stack.
  size_t ShadeMutator(MutatorContext& context);
  // Suspended stacks that have not been scanned in this cycle.
  void ShadeSuspended();
  // S1 and S2, for all mutators, in charge from then on.
  void RequestStop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Waits for a moment, without the mutex.
  void SpinUntilStopped() ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits until all mutators are claimed.
  void AwaitStopped() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Claims those that have become native without saying so.
  void ClaimInterrupted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Lets interrupted threads go on though others have not stopped.
  void LetInterruptedGo() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Waits for a change; after a while, sends signals to managed mutators whose
  // poll words have one of the bits.
  void AwaitOrPreempt(uint32_t bits, Preemption& preemption)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // No signal is out any more.
  void WithdrawSignals() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // claimed -> native.
  static void Unclaim(MutatorContext& context);
  void Link(MutatorContext& context) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Unlink(MutatorContext& context) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(MutatorContext& context) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // One mutator fewer to wait for.
  void NoteStopped() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const bool scan_stacks_;
  const int preempt_signal_;
  const size_t processors_present_;
  Atomic<int64_t> preempt_grace_ns_{1'000'000};
  Atomic<uint64_t> signals_sent_;
  // In this cycle stacks are scanned in every handshake, and never count as
  // scanned: a thread was interrupted while the barriers were switched on, and
  // may have been about to make a store that does not record. Changed with the
  // world stopped.
  bool rescan_stacks_ = false;
  StackScanHook* scan_hook_ = nullptr;
  WorldStopped stopped_;
  Atomic<uint64_t> stack_words_;
  mutable Mutex mutex_{LockRank::kWorld};
  // Signalled when the last mutator to be stopped is, and when one has flushed
  // or may be flushed.
  CondVar collector_wakes_;
  // Signalled when a mutator is no longer claimed, or the world runs again.
  CondVar mutators_wake_;
  ProcessorPool processors_ ABSL_GUARDED_BY(mutex_);
  MutatorContext* mutators_ ABSL_GUARDED_BY(mutex_) = nullptr;
  size_t mutator_count_ ABSL_GUARDED_BY(mutex_) = 0;
  SuspendedStacks suspended_ ABSL_GUARDED_BY(mutex_);
  // Of fibers.
  size_t stack_count_ ABSL_GUARDED_BY(mutex_) = 0;
  // A collector looks for poll bits to be cleared, or is about to wait for it.
  // Written under the mutex.
  Atomic<bool> awaiting_answers_;
  // ThreadToken() of who is in charge; null: nobody is.
  const void* in_charge_ ABSL_GUARDED_BY(mutex_) = nullptr;
  CondVar charge_ended_;
  // Of other threads, in the parent of this process: nobody may be left who
  // could destroy the stacks that are theirs.
  bool forgot_threads_ ABSL_GUARDED_BY(mutex_) = false;
  // Set from the request to stop until the start.
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // A cycle marks.
  bool marking_ ABSL_GUARDED_BY(mutex_) = false;
  // Mutators that have still to be claimed. Written under the mutex.
  Atomic<size_t> running_;
  // Whether each mutator may have a processor, so that whoever waits for what
  // another does in a moment waits without a sleep.
  Atomic<bool> may_spin_;
};

// While it lives, all mutators of the calling thread are native: for threads
// that wait inside the heap's own code. A local variable only, and inlined, for
// the same reason as Mutator::NativeScope.
class ThreadNativeScope {
 public:
  ABSL_ATTRIBUTE_ALWAYS_INLINE ThreadNativeScope() {
    for (MutatorContext* m = MutatorsOfThread(); m != nullptr;
         m = m->next_of_thread) {
      if (m->native_scopes++ == 0) tricolor_enter_native(m);
    }
  }
  ~ThreadNativeScope();
  ThreadNativeScope(const ThreadNativeScope&) = delete;
  ThreadNativeScope& operator=(const ThreadNativeScope&) = delete;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_WORLD_H_
