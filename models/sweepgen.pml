/* Copyright 2026 The Tricolor Authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The sweep-generation protocol with the lazy flush of caches
 * (docs/sweep-protocol.md; mcentral/mcentral.cc, mcache/mcache.cc,
 * sweep/sweeper.cc, mheap/mheap_alloc.cc, runtime/collector_cycle.cc).
 *
 * One span class; SPANS spans, MUTATORS caches, the background sweeper, which no stop
 * stops, and the collector. SHARDS shards, each with an active-sweeper word and central
 * lists of its own: the background sweeper counts itself in the first, the collector
 * in COLLECTOR, the caches' processors in the last, the first and so on; each takes
 * entries of all of them. What a sweep finds in a span (nothing, some, all slots
 * alive) is chosen freely, and so is which entry a set gives: the sets' order is the
 * matter of span_set.pml. Generations are kept as differences from the heap's, modulo
 * 8, which tells the five states apart and what is a cycle behind; when the heap's
 * advances, all others go back by 2. So the number of cycles is unbounded.
 * Interleavings are sequentially consistent.
 *
 * Proved:
 *   SWEPT_ONCE   a span is swept once in a generation, by one sweeper (INV-SWEEP-1)
 *   ALLOC_SWEPT  who allocates from a span has it alone, swept (sg+3)
 *   OLD_GEN      no sweeper works with a generation that is not the heap's; none is
 *                active when the generation advances (INV-SWEEP-2)
 *   ALL_SWEPT    when a cycle starts marking, which it does when all words have been
 *                seen drained and without sweepers, one after the other, all caches are
 *                flushed, each span in use is swept, and nobody sweeps; who finds all
 *                done in EnsureSwept finds the span acquired (INV-SWEEP-3, INV-MCACHE-1)
 *   SETS         nothing is pushed twice, or to an unswept set; the unswept sets of
 *                all shards are empty when the generation advances (INV-MCENTRAL-1, -2)
 *   ENSURED      after EnsureSwept nobody sweeps the span
 *   CHECKS       the other fatal checks of the code never fail; where a listed span
 *                is met that was swept and cached meanwhile (sg+3), that is no error
 * And every phase can be done: a word that nobody drains is a hang.
 *
 * Not in the model: several classes, manual spans, spans too large for a cache,
 * proportional sweeping and the empty spans that it keeps, the note of how far a
 * shard's sets were found empty, weak memory.
 *
 *@config one-cache MUTATORS=1 SPANS=2 SHARDS=2 COLLECTOR=1
 *@config quiet-shard MUTATORS=1 SPANS=1 SHARDS=2 COLLECTOR=0
 *@config unlisted MUTATORS=1 SPANS=1 SHARDS=2 COLLECTOR=1 REFUSALS
 *@config one-shard MUTATORS=2 SPANS=1 SHARDS=1 COLLECTOR=0
 *@config two-caches MUTATORS=2 SPANS=1 SHARDS=2 COLLECTOR=1 ALLOCATE_ONLY
 *@large unlisted-two-spans MUTATORS=1 SPANS=2 SHARDS=2 COLLECTOR=1 REFUSALS
 *@large two-caches-all MUTATORS=2 SPANS=1 SHARDS=2 COLLECTOR=1
 *@large three-shards MUTATORS=1 SPANS=1 SHARDS=3 COLLECTOR=1
 *@mutant ONLY_SG one-cache ONLY_SG  Go #27997, of the seed: a listed span that is not in use must be sg
 *@mutant TWO_WORDS one-cache OLD_GEN  Go #45315: the drained bit and the count of sweepers in two words
 *@mutant NO_FLUSH one-cache ALLOC_SWEPT  a mutator does not flush its cache before it allocates
 *@mutant IDLE_UNFLUSHED one-cache ALL_SWEPT  the stop that begins a cycle does not flush the caches that are behind
 *@mutant PUBLISH_EARLY one-cache ENSURED  the generation is published before the bitmaps are final
 *@mutant STALE_AS_CACHED one-cache ENSURED  UncacheSpan takes a stale span (sg+1) for a cached one (sg+3)
 *@mutant STALE_UNMARKED one-shard SWEPT_ONCE  UncacheSpan leaves a stale span at sg-2 while it sweeps it, for anyone to acquire
 *@mutant SWEEP_STALE one-shard CHECKS  a sweeper may acquire a stale span (sg+1) of a cache
 *@mutant NO_CAS one-cache SWEPT_ONCE  TryAcquireForSweep is a load and a store
 *@mutant PUSH_EARLY one-cache SETS  a swept span is listed before its generation is published
 *@mutant IN_USE_FIRST one-shard SWEPT_ONCE  AllocSpan shows a span in the page bitmap before it has a generation
 *@mutant UNCOUNTED one-cache OLD_GEN  the background sweeper does not count itself as active
 *@mutant DRAIN_UNLISTED unlisted ALL_SWEPT  nobody looks for the spans that no set had memory for
 *@mutant OWN_LISTS one-cache ALL_SWEPT  who finds its own shard's lists empty takes all for drained
 *@mutant DRAIN_FIRST one-cache ALL_SWEPT  the drained bits are set before the lists of the other shards are looked through
 *@mutant OWN_DONE one-cache OLD_GEN  sweeping is done when the word of the own shard says so
 *@mutant DRAIN_OWN quiet-shard end  who finds nothing sets the drained bit of its own shard only
 *@mutant DRAIN_UNCOUNTED quiet-shard ALL_SWEPT  who finds nothing takes itself off the count before it sets the bits
 *@mutant OPEN_FIRST one-cache OLD_GEN  a phase opens the first word before the generation advances
 *@mutant END_ELSEWHERE one-cache CHECKS  who has found a span in another shard takes itself off that shard's count
 *@mutant NO_SECOND_LOOK quiet-shard end  who opens the words does not look whether a sweeper drained one meanwhile
 */

#define NONE SPANS

/* Shards: of the background sweeper, and of a mutator's cache. */
#define BACKGROUND 0
#define SHARD_OF(p) ((SHARDS - 1 + p) % SHARDS)

/* What a generation is against the heap's, modulo 8. */
#define UNSWEPT 6  /* sg-2 */
#define SWEEPING 7 /* sg-1 */
#define SWEPT 0    /* sg */
#define STALE 1    /* sg+1 */
#define CACHED 3   /* sg+3 */
#define GEN(base, what) ((base + what) % 8)

/* Span states; TAKEN is dead to all but the one who makes a span of it. */
#define DEAD 0
#define TAKEN 1
#define IN_USE 2

/* How many of the span's slots are allocated. */
#define EMPTY 0
#define PARTIAL 1
#define FULL 2

/* The names of assertions. */
bit SWEPT_ONCE, ALLOC_SWEPT, OLD_GEN, ALL_SWEPT, SETS, ENSURED, CHECKS, ONLY_SG;

/* MHeap, MSpan. The heap's generation, from which all others are counted, and what the
 * background sweeper has read as that (NO_GEN: nothing). */
#define SG 0
#define NO_GEN 8
byte background_gen = NO_GEN;
byte gen[SPANS];
byte use[SPANS];
bit in_page_bitmap[SPANS];
byte room[SPANS];
byte home[SPANS]; /* the shard that cached it last */

/* MCentral, for each shard: bit s is an entry for span s. The swept sets become the
 * unswept ones when the generation advances. */
byte partial_swept[SHARDS], partial_unswept[SHARDS];
byte full_swept[SHARDS], full_unswept[SHARDS];
bit unlisted; /* some span was refused by a set in this phase */

/* MCache */
byte cached[MUTATORS] = NONE;
byte flush_gen[MUTATORS];

/* Sweeper: the active words, and the walks over the page bitmap. */
bit drained[SHARDS] = 1;
byte sweepers[SHARDS];
byte reclaim_next, reclaim_limit;
byte unlisted_next, unlisted_limit;

/* World: a mutator is in an operation, or at a safepoint. */
bit stop;
bit busy[MUTATORS];

/* For the assertions: not swept since the generation advanced; being swept; with an
 * object that somebody uses. */
bit dirty[SPANS];
bit sweeping[SPANS];
byte pinned[SPANS];

/* ---- Sweeper. */

inline Begin(own, ok) {
#ifdef MUTANT_TWO_WORDS
  ok = !drained[own];
  if
  :: ok -> sweepers[own]++
  :: else
  fi
#else
  atomic {
    ok = !drained[own];
    if
    :: ok -> sweepers[own]++
    :: else
    fi
  }
#endif
}

inline End(own) { atomic { assert(sweepers[own] != 0 || CHECKS); sweepers[own]-- } }

/* All words, one after the other. */
inline MarkDrained(own) {
#ifdef MUTANT_DRAIN_OWN
  drained[own] = 1
#else
  drained[0] = 1;
#if SHARDS > 1
  drained[1] = 1;
#endif
#if SHARDS > 2
  drained[2] = 1
#endif
#endif
}

#define DONE(shard) (drained[shard] && sweepers[shard] == 0)

/* Sweeper::Done, likewise. */
inline Done(own, done) {
#ifdef MUTANT_OWN_DONE
  done = DONE(own)
#else
  done = DONE(0);
#if SHARDS > 1
  done = done && DONE(1);
#endif
#if SHARDS > 2
  done = done && DONE(2)
#endif
#endif
}

/* MSpan::TryAcquireForSweep */
inline TryAcquire(s, my, ok) {
#ifdef MUTANT_NO_CAS
  ok = (gen[s] == GEN(my, UNSWEPT));
  if
  :: ok -> gen[s] = GEN(my, SWEEPING)
  :: else
  fi
#else
  atomic {
    assert(my == SG || OLD_GEN);
    ok = (gen[s] == GEN(my, UNSWEPT));
#ifdef MUTANT_SWEEP_STALE
    ok = ok || gen[s] == GEN(my, STALE);
#endif
    if
    :: ok -> gen[s] = GEN(my, SWEEPING)
    :: else
    fi
  }
#endif
}

/* Sweeper::CountLive: what is alive is found out. */
inline CountLive(s, my) {
  my = SG;
  atomic {
    assert((use[s] == IN_USE && gen[s] == GEN(my, SWEEPING)) || CHECKS);
    assert((dirty[s] && !sweeping[s]) || SWEPT_ONCE);
    sweeping[s] = 1;
    if
    :: room[s] == FULL
    :: room[s] != EMPTY -> room[s] = PARTIAL
    :: !pinned[s] -> room[s] = EMPTY
    fi
  }
}

/* MSpan::FinishSweep: the bitmaps are final. */
inline FinishSweep(s) { atomic { dirty[s] = 0; sweeping[s] = 0 } }

/* FinishSweep and the store of the generation, the last to the span. */
inline PublishSwept(s, my) {
#ifdef MUTANT_PUBLISH_EARLY
  gen[s] = my;
  FinishSweep(s)
#else
  FinishSweep(s);
  atomic { assert(my == SG || OLD_GEN); gen[s] = my }
#endif
}

/* MHeap::FreeSpan */
inline FreeSpan(s) {
  atomic {
    assert((use[s] == IN_USE && gen[s] == SG && room[s] == EMPTY) || CHECKS);
    in_page_bitmap[s] = 0
  }
  use[s] = DEAD
}

/* MCentral::PushSwept, List */
inline PushSwept(s) {
  atomic {
    assert((gen[s] == SG && use[s] == IN_USE) || SETS);
    assert((partial_swept[0] & (1 << s)) == 0 || SETS);
    assert((full_swept[0] & (1 << s)) == 0 || SETS);
#if SHARDS > 1
    assert((partial_swept[1] & (1 << s)) == 0 || SETS);
    assert((full_swept[1] & (1 << s)) == 0 || SETS);
#endif
#if SHARDS > 2
    assert((partial_swept[2] & (1 << s)) == 0 || SETS);
    assert((full_swept[2] & (1 << s)) == 0 || SETS);
#endif
    if
    :: room[s] == FULL ->
       full_swept[home[s]] = full_swept[home[s]] | (1 << s)
    :: room[s] != FULL ->
       partial_swept[home[s]] = partial_swept[home[s]] | (1 << s)
#ifdef REFUSALS
    :: unlisted = 1
#endif
    fi
  }
}

/* SpanSet::Pop: any entry; NONE if there is none. */
inline Pop(set, s) {
  if
  :: set == 0 -> s = NONE
  :: (set & 1) != 0 -> s = 0; set = set & ~1
#if SPANS > 1
  :: (set & 2) != 0 -> s = 1; set = set & ~2
#endif
#if SPANS > 2
  :: (set & 4) != 0 -> s = 2; set = set & ~4
#endif
  fi
}

/* An entry of a shard's unswept sets, NONE if there is none in either: what is empty
 * stays so. */
inline PopUnswept(shard, s) {
  if
  :: full_unswept[shard] != 0 -> Pop(full_unswept[shard], s)
  :: partial_unswept[shard] != 0 -> Pop(partial_unswept[shard], s)
  :: full_unswept[shard] == 0 && partial_unswept[shard] == 0 -> s = NONE
  fi
}

/* Sweeper::NextSpan: of the own shard, then of the others. Shards that were found
 * empty are not looked at again: `i` tells how many. */
inline NextSpan(own, i, s) {
  do
  :: atomic {
       i < SHARDS ->
       PopUnswept((own + i) % SHARDS, s);
       if
       :: s != NONE -> break
       :: s == NONE -> i++
       fi
     }
#ifdef MUTANT_OWN_LISTS
     break
#endif
#ifdef MUTANT_DRAIN_FIRST
     if
     :: i == 1 -> MarkDrained(own)
     :: else
     fi
#endif
  :: i == SHARDS -> break
  od
}

/* What the seed asserted of an entry that has been popped. */
inline CheckEntry(s, my) {
#ifdef MUTANT_ONLY_SG
  if
  :: use[s] == IN_USE
  :: use[s] != IN_USE -> assert(gen[s] == my || ONLY_SG)
  fi
#else
  skip
#endif
}

/* Sweeper::SweepAcquired */
inline SweepAcquired(s, my) {
  CountLive(s, my);
  if
  :: room[s] == EMPTY ->
     FinishSweep(s); /* nothing is left to be done to it */
     atomic { assert(my == SG || OLD_GEN); gen[s] = my }
     FreeSpan(s)
  :: else ->
#ifdef MUTANT_PUSH_EARLY
     PushSwept(s);
     PublishSwept(s, my)
#else
     PublishSwept(s, my);
     PushSwept(s)
#endif
  fi
}

/* Sweeper::SweepPiece for one span: claimed; looked up in the page bitmap; swept if
 * its sweep has not begun. `walked` says whether there was a piece. */
inline SweepPiece(next, limit, s, my, ok, walked) {
  atomic {
    walked = (next < limit);
    if
    :: walked -> s = next; next++
    :: else
    fi
  }
  if
  :: walked ->
     my = SG;
     if
     :: in_page_bitmap[s] ->
        if
        :: use[s] == IN_USE ->
           TryAcquire(s, my, ok);
           if
           :: ok -> SweepAcquired(s, my)
           :: else
           fi
        :: else
        fi
     :: else
     fi
  :: else
  fi
}

/* Sweeper::SweepOne; s == NONE afterwards: nothing is left to take. */
inline SweepOne(own, s, my, ok, walked, i) {
#ifndef MUTANT_UNCOUNTED
  Begin(own, ok);
#else
  ok = !drained[own];
#endif
  s = NONE;
  if
  :: ok ->
     atomic { my = SG; walked = 0; i = 0 }
     do
     :: NextSpan(own, i, s);
        if
        :: s == NONE -> break
        :: s != NONE ->
           CheckEntry(s, my);
           TryAcquire(s, my, ok);
           if
           :: ok -> SweepAcquired(s, my); break
           :: else
           fi
        fi
     od;
#if defined(REFUSALS) && !defined(MUTANT_DRAIN_UNLISTED)
     if
     :: s == NONE -> SweepPiece(unlisted_next, unlisted_limit, s, my, ok, walked)
     :: else
     fi;
#endif
#ifdef MUTANT_DRAIN_UNCOUNTED
     End(own);
#endif
     if
     :: s == NONE && !walked -> MarkDrained(own)
     :: else
     fi;
#ifdef MUTANT_END_ELSEWHERE
     End((own + i) % SHARDS);
#endif
#if !defined(MUTANT_UNCOUNTED) && !defined(MUTANT_DRAIN_UNCOUNTED) && \
    !defined(MUTANT_END_ELSEWHERE)
     End(own);
#endif
     i = 0
  :: else
  fi
}

/* ---- Caches. */

/* MCentral::SweepUnswept: one with a free slot, or NONE; `once`: the first or NONE. */
inline SweepUnswept(shard, once, s, my, ok) {
  my = SG;
  do
  :: atomic { PopUnswept(shard, s) }
     if
     :: s == NONE -> break
     :: s != NONE ->
        CheckEntry(s, my);
        TryAcquire(s, my, ok);
        if
        :: ok -> /* SweepAndKeep */
           CountLive(s, my);
           PublishSwept(s, my);
           if
           :: room[s] != FULL -> break
           :: else -> PushSwept(s)
           fi
        :: else
        fi;
        s = NONE;
        if
        :: once -> break
        :: else
        fi
     fi
  od
}

/* MCentral::SweepOwn */
inline SweepOwn(own, s, my, ok) {
  s = NONE;
  Begin(own, ok);
  if
  :: ok ->
     SweepUnswept(own, true, s, my, ok);
     End(own)
  :: else
  fi
}

/* MCentral::TakeListed: the own shard's, then the others'; swept, then unswept. */
inline TakeListed(own, s, my, ok, counted, i) {
  atomic { Pop(partial_swept[own], s) }
  if
  :: s == NONE ->
     Begin(own, counted);
     do
     :: atomic { Pop(partial_swept[(own + i) % SHARDS], s) }
        if
        :: s == NONE && counted -> 
           SweepUnswept((own + i) % SHARDS, false, s, my, ok)
        :: else
        fi;
        if
        :: s != NONE || i == SHARDS - 1 -> i = 0; break
        :: else -> i++
        fi
     od;
     if
     :: counted -> End(own)
     :: else
     fi
  :: else
  fi
}

/* MHeap::AllocSpan: a dead structure, or NONE. */
inline AllocSpan(s) {
  atomic {
    if
    :: use[0] == DEAD -> s = 0; use[s] = TAKEN
#if SPANS > 1
    :: use[1] == DEAD -> s = 1; use[s] = TAKEN
#endif
#if SPANS > 2
    :: use[2] == DEAD -> s = 2; use[s] = TAKEN
#endif
    :: else -> s = NONE
    fi
  }
  if
  :: s != NONE ->
     room[s] = EMPTY;
#ifdef MUTANT_IN_USE_FIRST
     use[s] = IN_USE;
     in_page_bitmap[s] = 1;
     gen[s] = SG
#else
     gen[s] = SG;
     use[s] = IN_USE;
     in_page_bitmap[s] = 1
#endif
  :: else
  fi
}

/* MCache::Refill of an empty place, MCentral::CacheSpan */
inline Refill(p, s, my, ok, counted, i) {
  SweepOwn(SHARD_OF(p), s, my, ok);
  if
  :: s == NONE -> TakeListed(SHARD_OF(p), s, my, ok, counted, i)
  :: else
  fi;
  if
  :: s == NONE -> AllocSpan(s)
  :: else
  fi;
  if
  :: s != NONE ->
     atomic {
       assert((use[s] == IN_USE && gen[s] == SG && room[s] != FULL) || CHECKS);
       home[s] = SHARD_OF(p);
       gen[s] = GEN(SG, CACHED);
       cached[p] = s
     }
  :: else
  fi
}

/* MCache::GiveBack, MCentral::UncacheSpan */
inline GiveBack(p, s, my) {
  atomic { s = cached[p]; cached[p] = NONE; my = SG }
  if
  :: gen[s] == GEN(my, CACHED) ->
     gen[s] = my;
     PushSwept(s)
  :: else ->
     assert(gen[s] == GEN(my, STALE) || CHECKS);
#ifdef MUTANT_STALE_AS_CACHED
     gen[s] = my;
     PushSwept(s)
#else
#ifdef MUTANT_STALE_UNMARKED
     gen[s] = GEN(my, UNSWEPT);
     atomic {
       assert((dirty[s] && !sweeping[s]) || SWEPT_ONCE);
       sweeping[s] = 1
     }
#else
     gen[s] = GEN(my, SWEEPING);
     CountLive(s, my);
#endif
     PublishSwept(s, my);
     if
     :: room[s] == EMPTY -> FreeSpan(s)
     :: else -> PushSwept(s)
     fi
#endif
  fi
}

/* MCache::PrepareForSweep */
inline PrepareForSweep(p, s, my) {
  if
  :: flush_gen[p] != SG ->
     assert(flush_gen[p] == GEN(SG, UNSWEPT) || CHECKS);
     if
     :: cached[p] != NONE -> GiveBack(p, s, my)
     :: else
     fi;
     atomic { flush_gen[p] = SG; s = NONE }
  :: else
  fi
}

/* ---- A mutator's thread: one operation between two safepoints. */

/* MCache::AllocateSlow */
inline Allocate(p, s, my, ok, counted, i) {
#ifndef MUTANT_NO_FLUSH
  assert(flush_gen[p] == SG || CHECKS); /* CheckFlushed */
#endif
  if
  :: cached[p] != NONE && room[cached[p]] == FULL -> GiveBack(p, s, my)
  :: else
  fi;
  if
  :: cached[p] == NONE -> Refill(p, s, my, ok, counted, i)
  :: else
  fi;
  atomic {
    s = cached[p];
    if
    :: s != NONE ->
       assert((gen[s] == GEN(SG, CACHED) && use[s] == IN_USE && !dirty[s] &&
               !sweeping[s] && room[s] != FULL) || ALLOC_SWEPT);
       if
       :: room[s] = PARTIAL
       :: room[s] = FULL
       fi
    :: else
    fi
  }
}

/* Sweeper::EnsureSwept, for a span with an object in use that is not stale. */
inline EnsureSwept(own, s, my, ok, done) {
  atomic {
    s = NONE;
    if
    :: use[0] == IN_USE && room[0] != EMPTY && gen[0] != GEN(SG, STALE) -> s = 0
#if SPANS > 1
    :: use[1] == IN_USE && room[1] != EMPTY && gen[1] != GEN(SG, STALE) -> s = 1
#endif
#if SPANS > 2
    :: use[2] == IN_USE && room[2] != EMPTY && gen[2] != GEN(SG, STALE) -> s = 2
#endif
    :: else
    fi;
    if
    :: s != NONE -> pinned[s]++; my = SG
    :: else
    fi
  }
  do
  :: s == NONE -> break
  :: s != NONE ->
     Done(own, done);
     atomic {
       if
       :: gen[s] == my || gen[s] == GEN(my, CACHED) ->
          assert((!dirty[s] && !sweeping[s]) || ENSURED);
          pinned[s]--;
          break
       :: else ->
          assert(gen[s] == GEN(my, STALE) || gen[s] == GEN(my, SWEEPING) ||
                 gen[s] == GEN(my, UNSWEPT) || CHECKS);
          assert(gen[s] != GEN(my, UNSWEPT) || !done || ALL_SWEPT)
       fi;
       done = 0
     }
     if
     :: gen[s] == GEN(my, UNSWEPT) ->
        Begin(own, ok);
        if
        :: ok ->
           TryAcquire(s, my, ok);
           if
           :: ok -> SweepAcquired(s, my)
           :: else
           fi;
           End(own)
        :: else
        fi
     :: else
     fi
  od
}

/* Sweeper::Reclaim, one piece. */
inline Reclaim(own, s, my, ok, walked) {
  Begin(own, ok);
  if
  :: ok ->
     SweepPiece(reclaim_next, reclaim_limit, s, my, ok, walked);
     End(own)
  :: else
  fi
}

proctype Mutator(byte p) {
  byte s = NONE;
  byte my, i;
  bit ok, flag;
end:
  do
  :: atomic { !stop && !busy[p] -> busy[p] = 1 }
     /* World::Poll, FlushOwn */
#ifndef MUTANT_NO_FLUSH
     PrepareForSweep(p, s, my);
#endif
     if
     :: true -> Allocate(p, s, my, ok, flag, i)
#ifndef ALLOCATE_ONLY
     :: true -> EnsureSwept(SHARD_OF(p), s, my, ok, flag)
     :: true -> Reclaim(SHARD_OF(p), s, my, ok, flag)
#endif
     fi;
     atomic { s = NONE; my = 0; ok = 0; flag = 0; busy[p] = 0 }
  od
}

/* ---- The background sweeper, which sleeps when nothing is left. */
active proctype Background() {
  byte s = NONE;
  byte i;
  bit ok, flag;
end:
  do
  :: !drained[BACKGROUND] ->
     SweepOne(BACKGROUND, s, background_gen, ok, flag, i);
     atomic { s = NONE; background_gen = NO_GEN; ok = 0; flag = 0 }
  od
}

/* ---- The collector. */

/* World::FinishFlush: it may act for a mutator that is at no operation. */
inline FlushForIdle(p, s, my) {
  if
  :: atomic { !busy[p] -> busy[p] = 1 }
     PrepareForSweep(p, s, my);
     busy[p] = 0
  :: true
  fi
}

/* World::Stop */
inline StopWorld() {
  stop = 1;
  !busy[0];
#if MUTATORS > 1
  !busy[1]
#endif
}

/* Until Sweeper::Done. A word that has been seen so stays so. */
inline WaitForDone() {
#ifdef MUTANT_OWN_DONE
  DONE(COLLECTOR)
#else
  DONE(0);
#if SHARDS > 1
  DONE(1);
#endif
#if SHARDS > 2
  DONE(2)
#endif
#endif
}

/* Collector::BeginMark: what must hold. */
inline CheckAllSwept(s, p) {
  atomic {
    p = 0;
    do
    :: p < MUTATORS ->
       assert(flush_gen[p] == SG || ALL_SWEPT);
       p++
    :: else -> break
    od;
    s = 0;
    do
    :: s < SPANS ->
       assert(use[s] != IN_USE || gen[s] == SG || gen[s] == GEN(SG, CACHED) ||
              ALL_SWEPT);
       assert(use[s] != IN_USE || !dirty[s] || ALL_SWEPT);
       s++
    :: else -> break
    od;
    s = NONE;
    p = 0
  }
}

inline ResetAndSwap(shard) {
  assert(sweepers[shard] == 0 || OLD_GEN);
  assert((partial_unswept[shard] == 0 && full_unswept[shard] == 0) || SETS);
  partial_unswept[shard] = partial_swept[shard];
  partial_swept[shard] = 0;
  full_unswept[shard] = full_swept[shard];
  full_swept[shard] = 0
}

inline OpenWord(shard) { atomic { drained[shard] = 0; sweepers[shard] = 0 } }

/* Sweeper::StartPhase */
inline StartPhase(s) {
  assert(DONE(0) || OLD_GEN);
#if SHARDS > 1
  assert(DONE(1) || OLD_GEN);
#endif
#if SHARDS > 2
  assert(DONE(2) || OLD_GEN);
#endif
#ifdef MUTANT_OPEN_FIRST
  OpenWord(0);
#endif
  atomic { /* ResetUnswept, AdvanceSweepGen */
    s = 0;
    do
    :: s < SPANS ->
       /* Nobody looks at that of a dead span; it need not go round. */
       gen[s] = ((use[s] == DEAD && gen[s] != SWEPT) -> UNSWEPT : GEN(gen[s], 6));
       dirty[s] = (use[s] == IN_USE);
       s++
    :: else -> break
    od;
    flush_gen[0] = GEN(flush_gen[0], 6);
#if MUTATORS > 1
    flush_gen[1] = GEN(flush_gen[1], 6);
#endif
    background_gen =
        (background_gen == NO_GEN -> NO_GEN : GEN(background_gen, 6));
    ResetAndSwap(0);
#if SHARDS > 1
    ResetAndSwap(1);
#endif
#if SHARDS > 2
    ResetAndSwap(2);
#endif
    s = NONE
  }
  atomic {
#ifndef ALLOCATE_ONLY
    reclaim_next = 0;
    reclaim_limit = SPANS;
#endif
    unlisted_next = 0;
    unlisted_limit = (unlisted -> SPANS : 0);
    unlisted = 0
  }
#ifndef MUTANT_OPEN_FIRST
  OpenWord(0);
#endif
#if SHARDS > 1
  OpenWord(1);
#endif
#if SHARDS > 2
  OpenWord(2);
#endif
#ifndef MUTANT_NO_SECOND_LOOK
  if
  :: drained[0] -> MarkDrained(COLLECTOR)
#if SHARDS > 1
  :: !drained[0] && drained[1] -> MarkDrained(COLLECTOR)
#endif
#if SHARDS > 2
  :: !drained[0] && !drained[1] && drained[2] -> MarkDrained(COLLECTOR)
#endif
  :: else
  fi
#endif
}

active proctype Collector() {
  byte s = NONE;
  byte my, p, i;
  bit ok, flag;
end:
  do
  :: /* RunCycle */
     FlushForIdle(0, s, my);
     StopWorld();
     /* SweepRest */
#ifndef MUTANT_IDLE_UNFLUSHED
     PrepareForSweep(0, s, my);
#if MUTATORS > 1
     PrepareForSweep(1, s, my);
#endif
#endif
     do /* SweepAll */
     :: SweepOne(COLLECTOR, s, my, ok, flag, i);
        if
        :: s == NONE -> break
        :: else
        fi
     od;
     WaitForDone();
     CheckAllSwept(s, p);
     stop = 0; /* marking beside the program */
     StopWorld();
     StartPhase(s); /* StartSweep */
     atomic { s = NONE; my = 0; ok = 0; flag = 0; stop = 0 }
  od
}

init {
  atomic {
    run Mutator(0);
#if MUTATORS > 1
    run Mutator(1)
#endif
  }
}
