/* Copyright 2026 The Tricolor Authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The span set and its pool of blocks (mheap/span_set-inl.h, base/lf_stack.cc;
 * docs/span-set.md names the steps P1..P4 and Q1..Q7).
 *
 * Each thread does its numbers of pushes and of pops, in any order, each on a set of its
 * choice. Blocks have two entries, the first segment of the spine has one link, the
 * next two, then four. Sets share one pool. Interleavings are sequentially
 * consistent, one shared access a step.
 *
 * Proved:
 *   ORDER     a pop returns the span whose push claimed the same index
 *             (INV-MHEAP-SPANSET-1)
 *   LINKED    the block of a claimed entry is linked until its last pop
 *             (INV-MHEAP-SPANSET-2)
 *   BOUNDS    head <= tail (INV-MHEAP-SPANSET-3)
 *   ONE_USER  the pool gives a block to one user, clean, with its push count as the
 *             link's tag (INV-BASE-1)
 *   NONE_LOST at rest every block is linked or in the pool, and nobody waits for ever
 *
 * Not in the model: Reset, the end of the 32-bit index, weak memory.
 *
 *@config three-threads THREADS=3 SETS=1 BLOCKS=3 FREE=0 PUSHES0=2 POPS0=0 PUSHES1=1 POPS1=1 PUSHES2=0 POPS2=2
 *@config block-edge THREADS=2 SETS=1 BLOCKS=3 FREE=0 PUSHES0=2 POPS0=2 PUSHES1=2 POPS1=2
 *@config two-sets THREADS=2 SETS=2 BLOCKS=3 FREE=2 PUSHES0=1 POPS0=0 PUSHES1=3 POPS1=2
 *@config no-memory THREADS=3 SETS=1 BLOCKS=1 FREE=0 PUSHES0=2 POPS0=0 PUSHES1=2 POPS1=0 PUSHES2=0 POPS2=3
 *@mutant SEED three-threads LINKED  the seed's form: a block counts entries in use, and goes when there are none
 *@mutant NO_TAG two-sets ONE_USER  the pool's head has no tag (ABA)
 *@mutant RELINK block-edge NONE_LOST  a late pusher links a block without looking at the count of links
 *@mutant NO_WAIT three-threads ORDER  a popper does not wait for the store of its entry
 *@mutant FREE_BY_INDEX three-threads LINKED  the popper of a block's last entry frees it, whoever is still at it
 *@mutant CLEAR_LATE three-threads ONE_USER  an entry is cleared after it has been counted as popped
 *@mutant CLAIM_FIRST no-memory LINKED  an index is claimed before its block is there, and memory is refused
 *@mutant LINK_UNLOCKED three-threads LINKED  blocks are linked without the spine lock
 */

#define ENTRIES 2
#define MAX_BLOCKS_OF_SET 7 /* segments of 1, 2 and 4 links */
#define MAX_INDEX (ENTRIES * MAX_BLOCKS_OF_SET)
#define NONE BLOCKS

bit ORDER, LINKED, BOUNDS, ONE_USER, NONE_LOST; /* names of assertions */

/* head_tail_: one word, read and changed in one step. */
byte head[SETS];
byte tail[SETS];
/* The spine. */
bit segment[SETS * 3];
byte link_of[SETS * MAX_BLOCKS_OF_SET];
byte linked[SETS];
bit spine_lock[SETS];

/* Blocks: entries, the count of pops, and the node of the pool's stack. */
byte entry[BLOCKS * ENTRIES];
byte popped[BLOCKS];
byte next[BLOCKS];
byte next_tag[BLOCKS];
byte push_count[BLOCKS];
/* The pool: LfStack's head, and how many blocks came from memory so far. */
byte pool_head;
byte pool_tag;
byte obtained;

/* For the assertions: which span was pushed at an index; who has a user. */
byte pushed[SETS * MAX_INDEX];
bit held[BLOCKS];
byte finished;

#define LINK(set, k) link_of[set * MAX_BLOCKS_OF_SET + k]
#define ENTRY(b, i) entry[b * ENTRIES + i % ENTRIES]
#define PUSHED(set, i) pushed[set * MAX_INDEX + i]
/* BasicSpanSet::SegmentOf, kFirstSegment = 1 */
#define SEGMENT_OF(k) (k < 1 -> 0 : (k < 3 -> 1 : 2))

/* FindLink, FindBlock */
inline FindBlock(k) {
  atomic { /* a segment, once there, stays */
    if
    :: !segment[set * 3 + SEGMENT_OF(k)] -> block = NONE
    :: segment[set * 3 + SEGMENT_OF(k)] -> block = LINK(set, k)
    fi
  }
}

/* BasicSpanSetBlockPool::Allocate, LfStack::Pop; NONE: no memory. */
inline AllocateBlock() {
  atomic { at = pool_head; tag = pool_tag }
  do
  :: at == NONE -> /* PersistentAlloc */
     atomic {
       if
       :: obtained < BLOCKS -> block = obtained; obtained++
       :: else -> block = NONE
       fi
     }
     break
  :: at != NONE ->
     atomic { below = next[at]; below_tag = next_tag[at] }
     atomic { /* the exchange; on failure it is the new load */
       if
#ifdef MUTANT_NO_TAG
       :: pool_head == at ->
#else
       :: pool_head == at && pool_tag == tag ->
#endif
          pool_head = below;
          pool_tag = below_tag;
          block = at;
          assert(below == NONE || !held[below] || ONE_USER);
          break
       :: else -> at = pool_head; tag = pool_tag
       fi
     }
  od;
  atomic {
    if
    :: block != NONE ->
       assert(!held[block] || ONE_USER);
       held[block] = 1;
       assert((entry[block * ENTRIES] == 0 && entry[block * ENTRIES + 1] == 0 &&
               popped[block] == 0) ||
              ONE_USER)
    :: else
    fi;
    at = NONE;
    tag = 0;
    below = NONE;
    below_tag = 0
  }
}

/* BasicSpanSetBlockPool::Free, LfStack::Push */
inline FreeBlock() {
  atomic { popped[block] = 0; held[block] = 0 }
  do
  :: atomic { at = pool_head; tag = pool_tag; next[block] = at; next_tag[block] = tag }
     atomic {
       if
       :: pool_head == at && pool_tag == tag ->
          push_count[block]++;
          pool_head = block;
          pool_tag = push_count[block];
          break
       :: else
       fi
     }
  od;
  atomic { at = NONE; tag = 0 }
}

/* LinkBlock and MakeLink; `refused`: no memory. */
inline LinkBlock(k) {
#ifndef MUTANT_LINK_UNLOCKED
  atomic { !spine_lock[set] -> spine_lock[set] = 1 }
#endif
  if
#ifdef MUTANT_RELINK
  :: k < linked[set] && LINK(set, k) != NONE
  :: k > linked[set] || LINK(set, k) == NONE ->
#else
  :: k < linked[set]
  :: k >= linked[set] ->
     assert(k == linked[set] || LINKED);
#endif
     segment[set * 3 + SEGMENT_OF(k)] = 1;
     AllocateBlock();
     atomic {
       if
       :: block == NONE -> refused = 1
       :: else -> LINK(set, k) = block; linked[set] = k + 1
       fi
     }
  fi;
#ifndef MUTANT_LINK_UNLOCKED
  spine_lock[set] = 0
#endif
}

inline ReadIndex() { atomic { h = head[set]; t = tail[set] } }

/* P3 */
inline ClaimEntry() {
  atomic {
    if
    :: head[set] == h && tail[set] == t ->
       assert(h <= t || BOUNDS);
       tail[set] = t + 1;
       PUSHED(set, t) = span;
       won = 1
    :: else -> h = head[set]; t = tail[set]; won = 0
    fi
  }
}

inline StoreEntry() { /* P4 */
#ifdef MUTANT_SEED
  popped[block]++; /* those in use */
#endif
  atomic {
    assert(LINK(set, t / ENTRIES) == block || LINKED);
    ENTRY(block, t) = span
  }
}

inline Push() {
  refused = 0;
  ReadIndex(); /* P1 */
#ifdef MUTANT_CLAIM_FIRST
  do
  :: true ->
     ClaimEntry();
     if
     :: won -> break
     :: else
     fi
  od;
  do
  :: true ->
     FindBlock(t / ENTRIES);
     if
     :: block != NONE -> StoreEntry(); break
     :: else ->
        LinkBlock(t / ENTRIES);
        if
        :: refused -> break
        :: else
        fi
     fi
  od
#else
  do
  :: true ->
     FindBlock(t / ENTRIES); /* P2 */
     if
     :: block == NONE ->
        LinkBlock(t / ENTRIES);
        if
        :: refused -> break
        :: else
        fi;
        ReadIndex()
     :: else ->
        ClaimEntry(); /* P3 */
        if
        :: won -> StoreEntry(); break
        :: else
        fi
     fi
  od
#endif
}

/* CountPopped */
inline CountPopped() {
#ifdef MUTANT_SEED
  atomic { popped[block]--; last = (popped[block] == 0) }
#else
  atomic { popped[block]++; last = (popped[block] == ENTRIES) } /* Q6 */
#endif
#ifdef MUTANT_FREE_BY_INDEX
  last = (h % ENTRIES == ENTRIES - 1);
#endif
#ifdef MUTANT_CLEAR_LATE
  ENTRY(block, h) = 0;
#endif
  if
  :: last -> /* Q7 */
     LINK(set, h / ENTRIES) = NONE;
     FreeBlock()
  :: else
  fi
}

inline Pop() {
  ReadIndex(); /* Q1 */
  do
  :: h >= t -> break
  :: h < t ->
     atomic { /* Q2 */
       if
       :: head[set] == h && tail[set] == t -> head[set] = h + 1; won = 1
       :: else -> h = head[set]; t = tail[set]; won = 0
       fi
     }
     if
     :: won ->
        FindBlock(h / ENTRIES); /* Q3 */
        assert(block != NONE || LINKED);
#ifndef MUTANT_NO_WAIT
        ENTRY(block, h) != 0; /* Q4 */
#endif
        atomic {
          assert(LINK(set, h / ENTRIES) == block || LINKED);
          assert(ENTRY(block, h) == PUSHED(set, h) || ORDER)
        }
#ifndef MUTANT_CLEAR_LATE
        ENTRY(block, h) = 0; /* Q5 */
#endif
        CountPopped();
        break
     :: else
     fi
  od
}

inline PickSet() {
  if
  :: set = 0
#if SETS > 1
  :: set = 1
#endif
  fi
}

inline EndOperation() {
  atomic {
    set = 0; span = 0; h = 0; t = 0;
    block = NONE; won = 0; last = 0; refused = 0
  }
}

proctype Thread(byte id; byte pushes; byte pops) {
  byte set, span, h, t;
  byte block = NONE;
  byte at = NONE;
  byte below = NONE;
  byte tag, below_tag;
  bit won, last, refused;
  do
  :: atomic { pushes > 0 -> pushes--; span = 1 + id * 8 + pushes; PickSet() }
     Push();
     EndOperation()
  :: atomic { pops > 0 -> pops--; PickSet() }
     Pop();
     EndOperation()
  :: atomic { pushes == 0 && pops == 0 -> break }
  od;
  finished++
}

/* At rest: CheckInvariants of the sets and the pool. */
active proctype CheckAtRest() {
  byte count, at;
  bit walking = 1;
  finished == THREADS;
  atomic {
    at = pool_head;
    count = 0;
    do
    :: walking && at == NONE -> walking = 0
    :: walking && at != NONE ->
       assert(!held[at] || ONE_USER);
       count++;
       assert(count <= BLOCKS || ONE_USER);
       at = next[at]
    :: !walking -> break
    od;
    at = 0;
    do
    :: at < SETS * MAX_BLOCKS_OF_SET ->
       /* CheckBlock: linked from the first push to the last pop. */
       assert((link_of[at] != NONE) ==
                  (at % MAX_BLOCKS_OF_SET * ENTRIES < tail[at / MAX_BLOCKS_OF_SET] &&
                   (at % MAX_BLOCKS_OF_SET + 1) * ENTRIES > head[at / MAX_BLOCKS_OF_SET]) ||
              NONE_LOST);
       if
       :: link_of[at] != NONE -> count++
       :: else
       fi;
       at++
    :: else -> break
    od;
    assert(count == obtained || NONE_LOST)
  }
}

init {
  byte i;
  atomic {
    pool_head = NONE;
    i = 0;
    do
    :: i < SETS * MAX_BLOCKS_OF_SET -> link_of[i] = NONE; i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < BLOCKS -> next[i] = NONE; i++
    :: else -> break
    od;
    /* Blocks that have been freed before. */
    i = 0;
    do
    :: i < FREE ->
       push_count[i] = 1;
       next[i] = pool_head;
       next_tag[i] = pool_tag;
       pool_head = i;
       pool_tag = 1;
       obtained++;
       i++
    :: else -> break
    od;
    i = 0;
    run Thread(0, PUSHES0, POPS0);
    run Thread(1, PUSHES1, POPS1);
#if THREADS > 2
    run Thread(2, PUSHES2, POPS2)
#endif
  }
}
