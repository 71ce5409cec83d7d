/* Copyright 2026 The Tricolor Authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Weak::Get against the sweeper and the advance of the generation
 * (docs/runtime.md, "Weak pointers", names the steps G1..G6; runtime/weak.cc,
 * runtime/survival.cc, sweep/sweeper.cc).
 *
 * One object in one span, with or without a finalizer, which the program forgets at
 * some moment; its span is swept from a list or by the cache that has it; the thread
 * that calls Get is one that no stop waits for, so that cycles end meanwhile.
 * Interleavings are sequentially consistent.
 *
 * Proved, over CYCLES cycles:
 *   NOT_DEAD   Get says dead only when a cycle has found the object dead
 *   NOT_ALIVE  Get says alive only when none had when it was called: so never of an
 *              object that waits for its finalizer, has had it, or is freed
 *
 * Not in the model: reuse of the span's pages, sharing of weak handles, weak memory.
 *
 *@config three-cycles CYCLES=3
 *@large six-cycles CYCLES=6
 *@mutant NO_SPAN_LOOK three-cycles NOT_DEAD  G5 does not look at the span's generation again, neither before the bit nor after
 *@mutant NO_HEAP_LOOK three-cycles NOT_DEAD  G5 does not look at the heap's generation again
 *@mutant NO_G6 three-cycles NOT_ALIVE  the serial is not read a second time
 *@mutant SERIAL_LATE three-cycles NOT_ALIVE  the sweeper zeroes serials after it has published the span
 *@mutant BITS_EARLY three-cycles NOT_DEAD  the mark bits are replaced before the generation says that the span is being swept
 */

bit NOT_DEAD, NOT_ALIVE; /* the names of assertions */

byte sg = 4;
byte gen = 4;
bit serial = 1;
/* The mark bits: which of the bitmaps; fresh ones are zero. */
byte bits;
bit mark[CYCLES + 2];
bit finalizer;
/* The program, or a queue of finalizers, has a pointer. */
bit reachable = 1;
/* A cycle has ended without a mark. */
bit found_dead;
bit freed;

/* The generation is sg-1: Sweeper::CountLive and what follows. */
inline Sweep() {
#ifndef MUTANT_BITS_EARLY
  live = mark[bits];
#endif
  if
  :: !live ->
     /* MHeap::TakeDeadSpecials, which may Resurrect */
#ifndef MUTANT_SERIAL_LATE
     serial = 0;
#endif
     if
     :: finalizer ->
        mark[bits] = 1;
        atomic { finalizer = 0; reachable = 1; live = 1 }
     :: else
     fi
  :: else
  fi;
#ifndef MUTANT_BITS_EARLY
  bits++; /* MSpan::FinishSweep */
#endif
  gen = sg;
#ifdef MUTANT_SERIAL_LATE
  serial = !found_dead;
#endif
  atomic { freed = !live; live = 0 }
}

/* By the compare-and-swap of TryAcquireForSweep, or the store of UncacheSpan. */
inline Acquire() {
#ifdef MUTANT_BITS_EARLY
  live = mark[bits];
  bits++;
#endif
  gen = sg - 1
}

active proctype Sweeper() {
  bit live;
end:
  do
  :: atomic { (gen == sg - 2 || gen == sg + 1) && !freed -> skip }
     Acquire();
     Sweep()
  :: atomic { gen == sg && !freed -> gen = sg + 3 } /* MCache::Refill */
  :: atomic { gen == sg + 3 && !freed -> gen = sg } /* UncacheSpan */
  od
}

active proctype Program() {
  if
  :: finalizer = 1
  :: true
  fi;
end:
  do
  :: atomic { reachable -> reachable = 0 }
  :: break
  od
}

/* Marking, and Sweeper::StartPhase, once every span is swept. */
active proctype Collector() {
  byte cycle;
end:
  do
  :: atomic {
       cycle < CYCLES && !freed && (gen == sg || gen == sg + 3) ->
       cycle++;
       mark[bits] = reachable
     }
     atomic {
       found_dead = found_dead || !mark[bits];
       sg = sg + 2
     }
  od
}

active proctype Get() {
  bit was_dead, dead, marked;
  byte my, g, my_bits;
end:
  do
  :: was_dead = found_dead;
G1:  if
     :: !serial -> dead = 1; goto decided
     :: else
     fi;
     my = sg; /* G2 */
     g = gen;
     if
     :: g == my || g == my + 3 -> goto G6 /* G3 */
     :: g == my - 2 || g == my + 1         /* G5 */
     :: else -> goto G1                    /* G4 */
     fi;
     my_bits = bits; /* MarkOf */
#ifndef MUTANT_NO_SPAN_LOOK
     if
     :: gen != g -> goto G1
     :: else
     fi;
#endif
     marked = mark[my_bits];
#ifndef MUTANT_NO_SPAN_LOOK
     if
     :: gen != g -> goto G1
     :: else
     fi;
#endif
#ifndef MUTANT_NO_HEAP_LOOK
     if
     :: sg != my -> goto G1
     :: else
     fi;
#endif
     if
     :: !marked -> dead = 1; goto decided
     :: else
     fi;
G6:
#ifdef MUTANT_NO_G6
     dead = 0;
#else
     dead = !serial;
#endif
decided:
     atomic {
       assert(!dead || found_dead || NOT_DEAD);
       assert(dead || !was_dead || NOT_ALIVE);
       was_dead = 0;
       dead = 0;
       marked = 0;
       my = 0;
       g = 0;
       my_bits = 0
     }
  od
}
