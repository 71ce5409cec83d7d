/* Copyright 2026 The Tricolor Authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * How the collector stops the world and serves mutators that are native
 * (runtime/world.cc; docs/runtime.md names the steps S1 S2 M1 M2 L1 L2 T1 T2 T3).
 *
 * The machine is weaker than sequential consistency: a release store goes to a
 * buffer of its thread and reaches memory at some later moment, also after the
 * thread's next loads. A sequentially consistent store empties the buffer first
 * and is in memory at once. Read-modify-writes act on memory; unlocking empties
 * the buffer.
 *
 * Proved, for any number of stops, handshakes, attachments and detachments:
 *   STOPPED   while the world is stopped, every mutator is claimed
 *             (INV-RUNTIME-2)
 *   ALONE     a processor has one user (INV-RUNTIME-1)
 *   COUNTED   nobody is counted as stopped twice
 *   no hang: the collector never waits for threads that all sleep in native code,
 *   and no thread sleeps that nobody will wake (spin's invalid end states)
 *
 * Not in the model: signals, several heaps for one thread, fibers.
 *
 *@config one MUTATORS=1
 *@config two MUTATORS=2
 *@mutant M1_RELEASE one end  state = native is a release store, not a sequentially consistent one
 *@mutant S1_ACQ_REL one end  the stop bit is set with acquire and release only: S2 may come before it
 *@mutant NO_M2 one end  who becomes native does not look at the poll word again
 *@mutant COUNT_UNCLAIMED one COUNTED  M2 counts itself as stopped without winning the claim
 *@mutant LEAVE_BY_STORE one STOPPED  L1 is a load and a store, not a compare-and-swap
 *@mutant ANSWER_UNLOCKED one end  an answered handshake wakes the collector outside of the mutex
 *@mutant START_UNHEARD one end  the world starts and does not wake those who wait in L2
 *@mutant ATTACH_WHILE_STOPPED one STOPPED  attaching does not wait for the start
 *@mutant DETACH_UNCOUNTED one end  who detaches does not take itself off the count
 */

#define MANAGED 0
#define NATIVE 1
#define CLAIMED 2

/* Bits of the poll word: kPollStop, kPollFlush. */
#define STOP 1
#define FLUSH 2

bit STOPPED, ALONE, COUNTED; /* the names of assertions */

/* MutatorContext */
byte state[MUTATORS];
byte poll[MUTATORS];
bit linked[MUTATORS];
/* Users of its processor just now. */
byte users[MUTATORS];

/* World */
bit mutex;
bit stopping;
byte running;
bit collector_sleeps; /* on collector_wakes_ */
bit sleeps[MUTATORS]; /* on mutators_wake_ */
bit world_stopped;          /* the capability: Stop has returned */

/* The store buffers, of one store each. A mutator's: state[i] = NATIVE. */
bit buffered[MUTATORS];
/* The collector's: 0 is empty, 1 + m is state[m] = NATIVE, and 1 + MUTATORS + m
 * is the write half of poll[m] |= STOP. */
byte collector_buffered;

inline DrainMutator(i) {
  state[i] = (buffered[i] -> NATIVE : state[i]);
  buffered[i] = 0
}

inline DrainCollector() {
  atomic {
    if
    :: collector_buffered == 0
    :: collector_buffered > 0 && collector_buffered <= MUTATORS ->
       state[collector_buffered - 1] = NATIVE; collector_buffered = 0
    :: collector_buffered > MUTATORS ->
       poll[collector_buffered - 1 - MUTATORS] =
           poll[collector_buffered - 1 - MUTATORS] | STOP;
       collector_buffered = 0
    fi
  }
}

/* Stores reach memory whenever they like. */
active proctype Memory() {
  byte i;
end:
  do
  :: atomic { collector_buffered != 0 -> DrainCollector() }
  :: atomic { buffered[0] -> DrainMutator(0) }
#if MUTATORS > 1
  :: atomic { buffered[1] -> DrainMutator(1) }
#endif
  od
}

inline Lock() { atomic { mutex == 0 -> mutex = 1 } }
inline UnlockMutator(i) { atomic { DrainMutator(i); mutex = 0 } }
inline UnlockCollector() { atomic { DrainCollector(); mutex = 0 } }

inline WakeMutators() {
  atomic {
    sleeps[0] = 0;
#if MUTATORS > 1
    sleeps[1] = 0;
#endif
  }
}

/* collector_wakes_.Wait(mutex_) */
inline CollectorWaits() {
  atomic { DrainCollector(); collector_sleeps = 1; mutex = 0 }
  !collector_sleeps;
  Lock()
}

/* NoteStopped, under the mutex. */
inline NoteStopped() {
  atomic {
    assert(running > 0 || COUNTED);
    running--;
    if
    :: running == 0 -> collector_sleeps = 0
    :: else
    fi
  }
}

/* ---- A mutator's thread. */

/* World::FinishEnterNative */
inline EnterNative() {
#ifdef MUTANT_M1_RELEASE
  atomic { !buffered[i] -> buffered[i] = 1 }
#else
  atomic { DrainMutator(i); state[i] = NATIVE } /* M1 */
#endif
#ifndef MUTANT_NO_M2
  if /* M2 */
  :: poll[i] == 0
  :: poll[i] != 0 ->
     Lock();
     if
     :: stopping ->
#ifdef MUTANT_COUNT_UNCLAIMED
        atomic {
          DrainMutator(i);
          if
          :: state[i] == NATIVE -> state[i] = CLAIMED
          :: else
          fi
        }
        NoteStopped()
#else
        atomic {
          DrainMutator(i);
          won = (state[i] == NATIVE);
          if
          :: won -> state[i] = CLAIMED
          :: else
          fi
        }
        if
        :: won -> NoteStopped()
        :: else
        fi
#endif
     :: else
     fi;
     collector_sleeps = 0;
     UnlockMutator(i)
  fi
#endif
}

/* World::LeaveNative, LeaveTogether, AwaitUnclaimed */
inline LeaveNative() {
  do
#ifdef MUTANT_LEAVE_BY_STORE
  :: atomic { DrainMutator(i); won = (state[i] == NATIVE) }
     if
     :: won -> state[i] = MANAGED; break
     :: else
     fi;
#else
  :: atomic { /* L1 */
       DrainMutator(i);
       won = (state[i] == NATIVE);
       if
       :: won -> state[i] = MANAGED
       :: else
       fi
     }
     if
     :: won -> break
     :: else
     fi;
#endif
     Lock(); /* L2 */
     do
     :: state[i] == CLAIMED ->
        atomic { sleeps[i] = 1; mutex = 0 }
        !sleeps[i];
        Lock()
     :: else -> break
     od;
     UnlockMutator(i)
  od
}

inline UseProcessor(m) {
  users[m]++;
  assert(users[m] == 1 || ALONE);
  users[m]--
}

/* World::Attach. The new mutator is managed before it is linked. */
inline Attach() {
  Lock();
#ifndef MUTANT_ATTACH_WHILE_STOPPED
  do
  :: stopping ->
     atomic { sleeps[i] = 1; mutex = 0 }
     !sleeps[i];
     Lock()
  :: else -> break
  od;
#endif
  atomic { state[i] = MANAGED; poll[i] = 0; linked[i] = 1 }
  UnlockMutator(i)
}

/* World::Detach */
inline Detach() {
  UseProcessor(i);
  Lock();
  linked[i] = 0;
#ifndef MUTANT_DETACH_UNCOUNTED
  if
  :: stopping -> NoteStopped()
  :: else
  fi;
#endif
  collector_sleeps = 0;
  UnlockMutator(i)
}

/* World::Poll */
inline Poll() {
  do
  :: poll[i] == 0 -> break
  :: (poll[i] & FLUSH) != 0 -> /* FlushOwn, Answer */
     UseProcessor(i);
     poll[i] = poll[i] & ~FLUSH;
#ifdef MUTANT_ANSWER_UNLOCKED
     collector_sleeps = 0
#else
     Lock();
     collector_sleeps = 0;
     UnlockMutator(i)
#endif
  :: (poll[i] & STOP) != 0 -> EnterNative(); LeaveNative()
  od
}

proctype Mutator(byte i) {
  bit won;
end_detached:
  Attach();
  do
  :: assert(!world_stopped || STOPPED); UseProcessor(i)
  :: true -> Poll()
  :: true -> EnterNative();
     if
     :: LeaveNative()
     :: atomic { true -> goto end_asleep } /* for ever, in native code */
     fi
  :: Detach();
     goto end_detached
  od;
end_asleep:
  false
}

/* ---- The collector. */

/* SetPollBit(m, STOP), sequentially consistent, and Claim. */
inline RequestStopOf(m) {
#ifdef MUTANT_S1_ACQ_REL
  atomic { collector_buffered == 0 -> collector_buffered = 1 + MUTATORS + m }
#else
  atomic { DrainCollector(); poll[m] = poll[m] | STOP } /* S1 */
#endif
  atomic { /* S2 */
    if
    :: state[m] == NATIVE -> state[m] = CLAIMED
    :: else -> running++
    fi
  }
}

#define FOR_EACH_LINKED(m)       \
  m = 0;                         \
  do                             \
  :: m == MUTATORS -> break      \
  :: m < MUTATORS && !linked[m] -> m++ \
  :: m < MUTATORS && linked[m] ->
#define END_EACH(m) \
  ; m++             \
  od

/* World::Unclaim: a release store. */
inline Unclaim(m) {
  atomic { collector_buffered == 0 -> collector_buffered = 1 + m }
}

inline CheckClaimed(m) { assert(state[m] == CLAIMED || STOPPED) }

inline Release(m) {
  poll[m] = poll[m] & ~STOP; /* T1 */
  Unclaim(m)                 /* T2 */
}

inline RequestFlush(m) { poll[m] = poll[m] | FLUSH }

/* One round of World::ClaimToServe: whom it claims, or whether it must wait. */
inline TryToServe(m) {
  if
  :: served == MUTATORS && (poll[m] & FLUSH) != 0 ->
     atomic {
       DrainCollector();
       if
       :: state[m] == NATIVE -> state[m] = CLAIMED; served = m
       :: else -> waits = 1
       fi
     }
  :: else
  fi
}

/* World::FinishFlush: ClaimToServe, EndServing */
inline FinishFlush() {
  do
  :: Lock();
     do
     :: served = MUTATORS;
        waits = 0;
        FOR_EACH_LINKED(at) TryToServe(at) END_EACH(at);
        if
        :: served == MUTATORS && waits -> CollectorWaits()
        :: else -> break
        fi
     od;
     UnlockCollector();
     if
     :: served == MUTATORS -> break
     :: else
     fi;
     UseProcessor(served);
     poll[served] = poll[served] & ~FLUSH;
     Lock();
     Unclaim(served);
     WakeMutators();
     UnlockCollector()
  od;
  at = 0;
  served = 0;
  waits = 0
}

active proctype Collector() {
  byte at = 0;
  byte served = 0;
  bit waits = 0;
end:
  do
  :: /* World::Stop */
     Lock();
     stopping = 1;
     running = 0;
     FOR_EACH_LINKED(at) RequestStopOf(at) END_EACH(at);
     do /* S3 */
     :: running != 0 -> CollectorWaits()
     :: else -> break
     od;
     world_stopped = 1;
     UnlockCollector();

     FOR_EACH_LINKED(at) CheckClaimed(at) END_EACH(at);
     FOR_EACH_LINKED(at) UseProcessor(at) END_EACH(at);
     FOR_EACH_LINKED(at) CheckClaimed(at) END_EACH(at);
     if
     :: Lock(); FOR_EACH_LINKED(at) RequestFlush(at) END_EACH(at); UnlockCollector()
     :: true
     fi;

     /* World::Start */
     world_stopped = 0;
     Lock();
     stopping = 0;
     FOR_EACH_LINKED(at) Release(at) END_EACH(at);
#ifndef MUTANT_START_UNHEARD
     WakeMutators(); /* T3 */
#endif
     UnlockCollector();
     at = 0
  :: FinishFlush()
  :: break /* no more cycles */
  od
}

init {
  atomic {
    byte i = 0;
    do
    :: i < MUTATORS -> run Mutator(i); i++
    :: else -> break
    od
  }
}
