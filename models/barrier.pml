/* Copyright 2026 The Tricolor Authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Marking beside the program: the hybrid write barrier, the handshakes in which
 * stacks are scanned and barrier buffers handed over, and the end of marking
 * (docs/barrier.md; runtime/write_barrier.cc, runtime/world.cc,
 * runtime/collector.cc, gc/grey_buffer.cc, gc/mark_worker.cc, gc/idle_workers.h).
 *
 * Mutators load, store, allocate and forget pointers, without limit, before and
 * during one cycle; so the cycle starts from every graph that they can make. There
 * is one Root; all pointers between threads go through it or through objects. Each
 * load and store is a step of its own; a store's barrier is a step before it.
 * An object that nobody can reach and that waits for no marker is forgotten, and its
 * number is used again for a new one: OBJECTS bounds those that matter at a time.
 *
 * Proved:
 *   NOT_LOST  when marking ends, every reachable object is marked
 *   HANDED    when a handshake has found nothing, no barrier buffer will ever have news:
 *             marking is complete before the second stop
 *   IDLE      the count of idle workers is kept: a worker that has found work and
 *             the last one to find none never decide differently
 *   no hang: marking ends, whatever the mutators do (invalid end states)
 *
 * Not in the model: assists, root ranges, weak pointers, finalizers, fibers, signals,
 * a heap without memory for work buffers, weak memory.
 *
 *@config one-object REGS0=1 REGS1=1 OBJECTS=1 FIELDS=1 MARKERS=1
 *@config one-mutator REGS0=2 REGS1=0 OBJECTS=2 FIELDS=1 MARKERS=1
 *@config two-mutators REGS0=1 REGS1=1 OBJECTS=2 FIELDS=1 MARKERS=1
 *@config two-markers REGS0=1 REGS1=0 OBJECTS=3 FIELDS=1 MARKERS=2
 *@large two-mutators-three-objects REGS0=1 REGS1=1 OBJECTS=3 FIELDS=1 MARKERS=1
 *@large two-fields-two-markers REGS0=1 REGS1=0 OBJECTS=3 FIELDS=2 MARKERS=2
 *@mutant NO_OLD one-mutator NOT_LOST  the barrier does not record the old value
 *@mutant NO_NEW one-mutator NOT_LOST  the barrier does not record the new value while the stack is unscanned
 *@mutant ALLOC_WHITE one-mutator NOT_LOST  objects are born unmarked
 *@mutant STORE_FIRST one-mutator NOT_LOST  the barrier looks at the slot after the store
 *@mutant SAFEPOINT_INSIDE one-object NOT_LOST  a thread may be stopped between its barrier and its store
 *@mutant NO_FLUSH one-mutator NOT_LOST  handshakes take stacks and not what barriers have recorded
 *@mutant NO_LAST_HANDSHAKE one-mutator HANDED  marking ends when the workers find nothing, and nobody asks the mutators
 *@mutant NO_STACKS one-mutator NOT_LOST  the first handshake does not scan stacks
 *@mutant SCANNED_EARLY one-mutator NOT_LOST  a stack counts as scanned from the request, not from the scan
 *@mutant IDLE_LEAVES two-markers IDLE  a worker leaves the idle ones though all are idle
 */

#if REGS1 > 0
#define MUTATORS 2
#else
#define MUTATORS 1
#endif
#define SLOTS (1 + OBJECTS * FIELDS) /* slot 0 is the Root */

bit NOT_LOST, HANDED, IDLE; /* the names of assertions */

/* The graph. Objects count from 1, 0 is null; sets of objects have bit o for o. */
byte slot[SLOTS];
byte reg[REGS0 + REGS1];
byte allocated = 1;
byte marked = 1;
/* The value of a store between its barrier and itself. */
byte storing[MUTATORS];

#define SLOT(o, f) (1 + (o - 1) * FIELDS + f)
#define BIT(o) (1 << o)

/* A cycle marks; the same as tricolor_marking_heaps. */
bit marking;
/* MutatorContext: stack_scanned, kPollShade; in the middle of an operation. */
bit scanned[MUTATORS];
bit shade[MUTATORS];
bit busy[MUTATORS];
/* GreyBuffer: what a mutator's barrier has recorded. */
byte grey[MUTATORS];
bit stop;
#ifdef MUTANT_NO_FLUSH
byte kept;
#endif

/* WorkBufs: words that were handed over, and objects that are marked and unscanned. */
byte words;
byte items;
/* MarkWorker: what it has for itself; the object that it scans. */
byte own[MARKERS];
byte scans[MARKERS];
/* MarkCycle::root_jobs, and the crew's round. */
bit root_job;
bit round;
byte returned;
/* IdleWorkers::state_ */
byte idle;
bit done;

#define FIELDS_OF(set, o) \
  ((set >> o & 1) * (BIT(slot[SLOT(o, 0)]) | BIT(slot[SLOT(o, FIELDS - 1)])))
#if OBJECTS > 2
#define REACH(set) \
  (set | FIELDS_OF(set, 1) | FIELDS_OF(set, 2) | FIELDS_OF(set, 3))
#elif OBJECTS > 1
#define REACH(set) (set | FIELDS_OF(set, 1) | FIELDS_OF(set, 2))
#else
#define REACH(set) (set | FIELDS_OF(set, 1))
#endif

/* All that a set of objects leads to. */
inline Close(set) {
  set = REACH(set);
#if OBJECTS > 2
  set = REACH(set);
#endif
  set = REACH(set)
}

#if MUTATORS > 1
#define STACKS                                              \
  (BIT(reg[0]) | BIT(reg[REGS0 - 1]) | BIT(reg[REGS0]) |    \
   BIT(reg[REGS0 + REGS1 - 1]) | BIT(storing[0]) | BIT(storing[1]))
#define GREY (grey[0] | grey[1])
#else
#define STACKS (BIT(reg[0]) | BIT(reg[REGS0 - 1]) | BIT(storing[0]))
#define GREY grey[0]
#endif
#if MARKERS > 1
#define IN_HANDS (own[0] | own[1] | BIT(scans[0]) | BIT(scans[1]))
#else
#define IN_HANDS (own[0] | BIT(scans[0]))
#endif

inline Forget(o) {
  slot[SLOT(o, 0)] = ((allocated & BIT(o)) != 0 -> slot[SLOT(o, 0)] : 0);
  slot[SLOT(o, FIELDS - 1)] =
      ((allocated & BIT(o)) != 0 -> slot[SLOT(o, FIELDS - 1)] : 0)
}

/* Forgets the objects that do not matter any more. */
inline ForgetGarbage() {
  d_step {
    allocated = 1 | BIT(slot[0]) | STACKS | GREY | words | items | IN_HANDS;
    Close(allocated);
    Forget(1);
#if OBJECTS > 1
    Forget(2);
#endif
#if OBJECTS > 2
    Forget(3);
#endif
    marked = marked & allocated
  }
}

/* ---- Mutators. */

/* GreyBuffer::DropMarked; here at once, as what is marked, or
 * was handed over by another, is dropped sooner or later. */
inline DropMarked(m) { grey[m] = grey[m] & ~marked & ~words }

/* MutatorContext::Shade */
inline Record(m, old, new) {
#ifndef MUTANT_NO_OLD
  grey[m] = grey[m] | BIT(old);
#endif
#ifndef MUTANT_NO_NEW
  grey[m] = (scanned[m] -> grey[m] : grey[m] | BIT(new));
#endif
  DropMarked(m)
}

/* GreyBuffer::Publish */
inline Publish(m) {
  words = words | grey[m];
  grey[m] = 0;
#if MUTATORS > 1
  grey[1 - m] = grey[1 - m] & ~words
#endif
}

/* World::ShadeMutator */
inline ShadeMutator(m, base, count) {
#ifdef MUTANT_NO_FLUSH
  kept = grey[m];
  grey[m] = 0;
#endif
#ifndef MUTANT_NO_STACKS
  grey[m] = (scanned[m] -> grey[m] : grey[m] | BIT(reg[base]));
#if REGS0 > 1
  grey[m] = ((count > 1 && !scanned[m]) -> grey[m] | BIT(reg[base + count - 1])
                                        : grey[m]);
#endif
#endif
  DropMarked(m);
  scanned[m] = 1;
  Publish(m);
#ifdef MUTANT_NO_FLUSH
  grey[m] = kept;
  kept = 0;
#endif
  shade[m] = 0
}

/* Some register of the mutator. */
inline PickReg(r, base, count) {
  if
  :: r = base
  :: count > 1 -> r = base + 1
  fi
}

/* The Root, or a field of an object that a register has. */
inline PickSlot(at, r, base, count) {
  PickReg(r, base, count);
  if
  :: at = 0
  :: reg[r] != 0 -> at = SLOT(reg[r], 0)
#if FIELDS > 1
  :: reg[r] != 0 -> at = SLOT(reg[r], 1)
#endif
  fi
}

proctype Mutator(byte m; byte base; byte count) {
  byte at, r;
  do
  :: atomic { /* load */
       !stop -> PickSlot(at, r, base, count);
       PickReg(r, base, count);
       reg[r] = slot[at];
       at = 0;
       r = 0;
       ForgetGarbage()
     }
  :: atomic { /* store: RecordStore */
       !stop -> PickSlot(at, r, base, count);
       PickReg(r, base, count);
       if
       :: storing[m] = reg[r]
       :: storing[m] = 0
       fi;
       r = 0;
#ifdef MUTANT_STORE_FIRST
       slot[at] = storing[m];
#else
       if
       :: marking -> Record(m, slot[at], storing[m])
       :: else
       fi;
#endif
#ifndef MUTANT_SAFEPOINT_INSIDE
       busy[m] = 1
#endif
     }
end_before_store:
     atomic { /* and the store itself */
#ifdef MUTANT_SAFEPOINT_INSIDE
       !stop;
#endif
#ifdef MUTANT_STORE_FIRST
       if
       :: marking -> Record(m, slot[at], storing[m])
       :: else
       fi;
#endif
       slot[at] = storing[m];
       at = 0;
       storing[m] = 0;
       busy[m] = 0;
       ForgetGarbage()
     }
  :: atomic { /* allocate */
       !stop && allocated != (1 << (OBJECTS + 1)) - 1 ->
       if
       :: (allocated & 2) == 0 -> at = 1
#if OBJECTS > 1
       :: (allocated & 6) == 2 -> at = 2
#endif
#if OBJECTS > 2
       :: (allocated & 14) == 6 -> at = 3
#endif
       fi;
#ifndef MUTANT_ALLOC_WHITE
       marked = (marking -> marked | BIT(at) : marked);
#endif
       PickReg(r, base, count);
       reg[r] = at;
       r = 0;
       at = 0;
       ForgetGarbage()
     }
  :: atomic { /* forget */
       !stop -> PickReg(r, base, count);
       reg[r] = 0;
       r = 0;
       ForgetGarbage()
     }
  :: atomic { /* AddSlow: the buffer is full */
       !stop && grey[m] != 0 -> Publish(m)
     }
  :: atomic { /* a safepoint */
       !stop && shade[m] -> ShadeMutator(m, base, count)
     }
  :: break
  od;
  /* Native for ever: it is only served. */
end_native:
  do
  :: atomic { !stop && shade[m] -> ShadeMutator(m, base, count) }
  od
}

/* ---- Markers. */

/* Visit: marks the object that a word or a field leads to, if nobody has. */
inline Visit(o) {
  if
  :: (marked & BIT(o)) == 0 ->
     marked = marked | BIT(o);
     own[id] = own[id] | BIT(o);
     words = words & ~BIT(o);
     DropMarked(0);
#if MUTATORS > 1
     DropMarked(1)
#endif
  :: else
  fi;
  o = 0;
  ForgetGarbage()
}

/* An object of a set, which must not be empty. */
inline TakeFrom(set, o) {
  if
  :: (set & 2) != 0 -> o = 1
#if OBJECTS > 1
  :: (set & 4) != 0 -> o = 2
#endif
#if OBJECTS > 2
  :: (set & 8) != 0 -> o = 3
#endif
  fi;
  set = set & ~BIT(o)
}

/* MarkWorker::Drain, DrainLocal: until there is nothing here and nothing shared. That
 * an object is marked a moment after the pointer to it has been read makes no
 * difference to anybody, so that both are one step; each field is one of its own. */
inline Drain() {
  do
  :: atomic {
       own[id] != 0 -> TakeFrom(own[id], scans[id]);
       child = slot[SLOT(scans[id], 0)];
#if FIELDS == 1
       scans[id] = 0;
#endif
       Visit(child)
     }
#if FIELDS > 1
     atomic { child = slot[SLOT(scans[id], 1)]; scans[id] = 0; Visit(child) }
#endif
#if MARKERS > 1
  :: atomic { own[id] != 0 -> items = items | own[id]; own[id] = 0 } /* Share */
#endif
  :: atomic {
       own[id] == 0 && items != 0 -> TakeFrom(items, child);
       own[id] = BIT(child);
       child = 0
     }
  :: atomic { /* MarkWords */
       own[id] == 0 && words != 0 -> TakeFrom(words, child);
       Visit(child)
     }
  :: atomic { own[id] == 0 && items == 0 && words == 0 -> break }
  od
}

proctype Marker(byte id) {
  byte child;
  bit seen, wait;
end:
  do
  :: atomic { round != seen -> seen = round }
     do /* MarkWorker::Run */
     :: atomic { /* RunRootJobs */
          if
          :: root_job -> root_job = 0; child = slot[0]; Visit(child)
          :: else
          fi
        }
        Drain();
        /* IdleWorkers::Await */
        atomic {
          assert((!done && idle < MARKERS) || IDLE);
          idle++;
          wait = (idle < MARKERS)
        }
        if
        :: !wait -> /* the last: Finish */
           atomic { done = 1; idle = 0 }
        :: atomic { wait && done -> wait = 0 }
#ifdef MUTANT_IDLE_LEAVES
        :: atomic { wait && !done && (items != 0 || words != 0) && idle != 0 ->
#else
        :: atomic { wait && !done && (items != 0 || words != 0) && idle != MARKERS ->
#endif
             idle--
           }
        fi;
        if
        :: !wait -> break
        :: else -> wait = 0
        fi
     od;
     returned++
  od
}

/* ---- The collector. */

/* Marker::NextRound, MarkCrew::Run */
inline RunCrew() {
  atomic { idle = 0; done = 0; returned = 0; round = !round }
  returned == MARKERS
}

/* World::ShadeAll */
inline ShadeAll() {
  atomic {
    shade[0] = 1;
#if MUTATORS > 1
    shade[1] = 1;
#endif
#ifdef MUTANT_SCANNED_EARLY
    scanned[0] = 1;
#if MUTATORS > 1
    scanned[1] = 1;
#endif
#endif
    skip
  }
  !shade[0];
#if MUTATORS > 1
  !shade[1]
#endif
}

inline StopWorld() {
  stop = 1;
  !busy[0];
#if MUTATORS > 1
  !busy[1]
#endif
}

/* Collector::CheckMarks: all that the Root and the stacks reach is marked. */
inline CheckMarks() {
  atomic {
    reached = 1 | BIT(slot[0]) | STACKS;
    Close(reached);
    assert((reached & ~marked & ~1) == 0 || NOT_LOST)
  }
}

active proctype Collector() {
  byte reached;
  bit work;
  /* Collector::BeginMark, with the world stopped. */
  StopWorld();
  atomic { marking = 1; marked = 1; root_job = 1; stop = 0 }

  /* MarkBesideProgram: the first handshake is what the stacks are scanned in. */
  ShadeAll();
  do
  :: true ->
     RunCrew();
     atomic { /* HasWork */
       if
       :: words != 0 || items != 0 -> work = 1
       :: else -> work = 0
       fi
     }
#ifndef MUTANT_NO_LAST_HANDSHAKE
     if
     :: !work ->
        ShadeAll();
        work = (words != 0 || items != 0)
     :: else
     fi;
#endif
     if
     :: !work -> break
     :: else
     fi
  od;

  /* FinishMark. Of what the mutators have recorded nothing can be news any more: when a
   * handshake has found nothing, all is marked. So the first check comes before the
   * last flush, which is for those that are not in the model. */
  StopWorld();
  CheckMarks();
  atomic {
    ShadeMutator(0, 0, REGS0);
#if MUTATORS > 1
    ShadeMutator(1, REGS0, REGS1);
#endif
    assert((words == 0 && items == 0) || HANDED)
  }
}

init {
  atomic {
    run Mutator(0, 0, REGS0);
#if MUTATORS > 1
    run Mutator(1, REGS0, REGS1);
#endif
    run Marker(0);
#if MARKERS > 1
    run Marker(1)
#endif
  }
}
