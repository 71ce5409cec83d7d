// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/sweep/sweeper.h"

#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"
#include "tricolor/mheap/asan.h"
#include "tricolor/mheap/processor_cache.h"

namespace tricolor::sweep {

using mheap::kShards;
using mheap::MSpan;
using mheap::ProcessorCache;
using mheap::SpanState;
using mheap::Special;

namespace {

// Slots on each side of a zombie that its report shows.
constexpr uint32_t kNeighbors = 8;

// The marks and allocation of the slots around `slot`: m marked, - allocated
// and unmarked, . free, Z a zombie.
void DescribeNeighbors(const MSpan& span, uint32_t slot, char* text) {
  const uint32_t first = slot < kNeighbors ? 0 : slot - kNeighbors;
  const uint32_t end = std::min(slot + kNeighbors + 1, span.slots());
  for (uint32_t i = first; i < end; ++i) {
    if (i == slot) *text++ = '[';
    *text++ = span.IsMarked(i) ? (span.IsFree(i) ? 'Z' : 'm')
                               : (span.IsFree(i) ? '.' : '-');
    if (i == slot) *text++ = ']';
  }
  *text = 0;
}

// The words that the object, or who has kept the pointer to it, left there.
void DescribeContents(const MSpan& span, uint32_t slot, char* text,
                      size_t size) {
  const Addr base = span.SlotAddress(slot);
  const uint64_t words = std::min<uint64_t>(span.slot_size() / 8, 4);
  mheap::AsanUnpoison(base, ByteCount(words * 8));  // it is free
  for (uint64_t i = 0; i < words; ++i) {
    const uint64_t word = LoadWordRelaxed(base.as<const uint64_t>() + i);
    const int n = std::snprintf(text, size, " %llx",
                                static_cast<unsigned long long>(word));
    text += n;
    size -= static_cast<size_t>(n);
  }
}

// With all the evidence, of which nothing has been cleared.
[[noreturn]] void ReportZombie(const MSpan& span, uint32_t slot, uint32_t sg) {
  char neighbors[2 * kNeighbors + 4];
  DescribeNeighbors(span, slot, neighbors);
  char contents[80];
  DescribeContents(span, slot, contents, sizeof contents);
  char description[MSpan::kDescriptionSize];
  Fatal(
      "zombie: free slot %u at %p is marked; it was %s before this cycle and "
      "not handed out since; heap generation %u; slots from %u (m marked, - "
      "unmarked, . free, Z zombie): %s; its first words:%s; span: %s",
      slot, span.SlotAddress(slot).pointer(),
      span.never_swept() ? "never used" : "free", sg,
      slot < kNeighbors ? 0 : slot - kNeighbors, neighbors, contents,
      span.Describe(description, sizeof(description)));
}

}  // namespace

Sweeper::Sweeper(mheap::MHeap& heap, mcentral::MCentrals& centrals,
                 mheap::SpecialReceiver& receiver)
    : heap_(heap), centrals_(centrals), receiver_(receiver) {}

// ---- The phase.

void Sweeper::StartPhase() {
  for (const Shard& shard : shards_) {
    const uint32_t active = shard.active.LoadAcquire();
    TRICOLOR_CHECK(active == kDrained,
                   "INV-SWEEP-2: sweep phase of generation %u ends with %u "
                   "sweepers at work, %s",
                   heap_.sweep_gen(), active & ~kDrained,
                   (active & kDrained) != 0 ? "drained" : "not drained");
  }
  centrals_.ResetUnswept();
  heap_.AdvanceSweepGen();
  pace_distance_.StoreRelaxed(0);
  // Spans beyond this limit will have been allocated in this phase, swept.
  const uint64_t words = heap_.page_words();
  reclaim_.next.StoreRelaxed(0);
  reclaim_.limit.StoreRelaxed(words);
  unlisted_.next.StoreRelaxed(0);
  unlisted_.limit.StoreRelaxed(centrals_.TakeUnlisted() != 0 ? words : 0);
  for (Shard& shard : shards_) shard.place.StoreRelaxed(0);
  // Last: what Begin acquires lets a sweeper in. Release, pairs with Begin.
  // Acquire: a sweeper of a shard that was open already may have found nothing
  // left, and said so here before this was open. Then it has said so to the
  // first shards, too, where it is seen below and not forgotten.
  for (Shard& shard : shards_) shard.active.ExchangeAcqRel(0);
  for (const Shard& shard : shards_) {
    if ((shard.active.LoadRelaxed() & kDrained) != 0) return MarkDrained();
  }
}

bool Sweeper::Begin(ProcessorCache& processor) {
  Atomic<uint32_t>& word = ShardOf(processor).active;
  uint32_t active = word.LoadAcquire();
  do {
    if ((active & kDrained) != 0) return false;
  } while (!word.CompareExchangeAcquire(active, active + 1));
  return true;
}

void Sweeper::End(ProcessorCache& processor) {
  // Release: pairs with Done, whose caller may advance the generation, and must
  // not do so before this sweeper's last store.
  const uint32_t before = ShardOf(processor).active.FetchSubAcqRel(1);
  TRICOLOR_CHECK((before & ~kDrained) != 0,
                 "End of a sweeper that has not begun: active word %x", before);
}

// By a sweeper that is counted. Others may begin, in shards that do not know
// yet, and find nothing.
void Sweeper::MarkDrained() {
  for (Shard& shard : shards_) shard.active.FetchOrAcqRel(kDrained);
}

// A word that is found drained and without sweepers stays so, and with all of
// them nobody is left who might still hold a span.
bool Sweeper::Done() const {
  return std::ranges::all_of(shards_, [](const Shard& shard) {
    return shard.active.LoadAcquire() == kDrained;
  });
}

std::optional<PageCount> Sweeper::SweepNext(ProcessorCache& processor,
                                            Empty empty) {
  if (!Begin(processor)) return std::nullopt;
  const uint32_t sg = heap_.sweep_gen();
  std::optional<PageCount> freed;
  while (MSpan* span = NextSpan(processor)) {
    if (!span->TryAcquireForSweep(sg)) continue;
    freed = SweepAcquired(processor, *span, empty);
    break;
  }
  if (!freed.has_value()) freed = SweepUnlisted(processor);
  if (!freed.has_value()) MarkDrained();
  End(processor);
  return freed;
}

// Nothing is pushed to an unswept set, so a set that was found empty stays so
// and is not looked at again. A span that another sweeper has popped and not
// yet acquired is that sweeper's, which counts as active until it is done.
MSpan* Sweeper::NextSpan(const ProcessorCache& processor) {
  for (uint32_t i = 0; i < kShards; ++i) {
    const uint32_t number = (processor.shard() + i) % kShards;
    Shard& shard = shards_[number];
    uint32_t place = shard.place.LoadRelaxed();
    MSpan* span = centrals_.PopUnswept(number, &place);
    AdvancePlace(shard, place);
    if (span != nullptr) return span;
  }
  return nullptr;
}

// Only forward, so that a slow sweeper does not send the others back.
void Sweeper::AdvancePlace(Shard& shard, uint32_t to) {
  uint32_t at = shard.place.LoadRelaxed();
  while (at < to && !shard.place.CompareExchangeRelaxed(at, to)) {
  }
}

void Sweeper::SweepAll(ProcessorCache& processor) {
  while (SweepOne(processor).has_value()) {
  }
  while (!Done()) sched_yield();
}

// ---- One span.

PageCount Sweeper::SweepAcquired(ProcessorCache& processor, MSpan& span,
                                 Empty empty) {
  const uint32_t sg = heap_.sweep_gen();
  // One that nobody has used since the last phase is not kept again.
  const bool may_stay = empty == Empty::kMayStay && span.allocated() != 0;
  const uint32_t live = CountLive(processor, span);
  if (live == 0 && !(may_stay && centrals_.KeepsEmpty(span))) {
    // The statistics are complete before the pages can be used again.
    const PageCount pages = span.pages();
    span.set_sweep_gen(sg);
    heap_.FreeSpan(processor, &span);
    return pages;
  }
  heap_.FinishSweep(span, live);
  // The last store to the span: from here on, whoever finds it on a set may
  // have it.
  span.set_sweep_gen(sg);
  centrals_.of(span.span_class()).PushSwept(span);
  return PageCount(0);
}

uint32_t Sweeper::SweepAndKeep(ProcessorCache& processor, MSpan& span) {
  const uint32_t before = span.allocated();
  const uint32_t live = CountLive(processor, span);
  heap_.FinishSweep(span, live);
  span.set_sweep_gen(heap_.sweep_gen());
  return before - live;
}

uint32_t Sweeper::CountLive(ProcessorCache& processor, MSpan& span) {
  const uint32_t sg = heap_.sweep_gen();
  TRICOLOR_CHECK(
      span.state() == SpanState::kInUse && span.sweep_gen() == sg - 1,
      "sweeping span %p in state %d of generation %u, expected in use and %u",
      span.base().pointer(), static_cast<int>(span.state()), span.sweep_gen(),
      sg - 1);
  // First, because an object with a finalizer is marked here.
  Special* dead = heap_.TakeDeadSpecials(span);
  CheckNoZombies(span);
  const uint32_t live = span.CountMarked();
  // Before the span is published, while the dead objects' memory is untouched.
  if (dead != nullptr) receiver_.TakeDead(dead);
  if (ABSL_PREDICT_FALSE(clobber_dead_)) ClobberDead(span);
  CountSwept(processor, span, span.allocated() - live);
  return live;
}

// A marked slot that is free: somebody kept a pointer to an object that was
// found dead in an earlier cycle. Looked for before anything is cleared.
void Sweeper::CheckNoZombies(const MSpan& span) const {
  if (span.full()) return;
  const mheap::MarkWord* marks = span.mark_bits();
  for (uint32_t word = 0; word * 64 < span.slots(); ++word) {
    const uint64_t zombies = marks[word].LoadRelaxed() & span.FreeBits(word);
    if (ABSL_PREDICT_TRUE(zombies == 0)) continue;
    ReportZombie(span,
                 word * 64 + static_cast<uint32_t>(CountTrailingZeros(zombies)),
                 heap_.sweep_gen());
  }
}

// Of slots that were handed out, and so are zeroed before they are again.
void Sweeper::ClobberDead(const MSpan& span) {
  for (uint32_t i = 0; i < span.slots(); ++i) {
    if (span.IsFree(i) || span.IsMarked(i)) continue;
    std::fill_n(span.SlotAddress(i).as<uint64_t>(), span.slot_size() / 8,
                kClobberPattern);
  }
}

void Sweeper::CountSwept(ProcessorCache& processor, const MSpan& span,
                         uint32_t freed) {
  ShardOf(processor).pages_swept.FetchAddRelaxed(span.pages().value());
  mheap::StatsSection stats(processor.stats());
  ++stats->spans_swept;
  stats->small_freed[span.span_class().size_class()] += freed;
  if (span.is_large()) stats->large_freed_bytes += freed * span.slot_size();
}

// Usually there is nothing to wait for. A generation of sg-1 is someone who
// sweeps it just now; sg+1 is a cache that will be flushed before it is used;
// sg-2 with Begin refused is someone who has taken the span from a set, or
// claimed the piece of a walk that it begins in, and is counted as active until
// it has swept it.
void Sweeper::EnsureSwept(ProcessorCache& processor, MSpan& span) {
  const uint32_t sg = heap_.sweep_gen();
  for (;;) {
    uint32_t gen = span.sweep_gen();
    if (gen == sg || gen == sg + 3) return;
    // In this order: once everything has been swept, so has the span.
    const bool done = Done();
    gen = span.sweep_gen();
    if (gen == sg || gen == sg + 3) return;
    TRICOLOR_CHECK(gen == sg + 1 || gen == sg - 1 || (gen == sg - 2 && !done),
                   "span %p has generation %u, heap generation %u, after "
                   "everything has been swept",
                   span.base().pointer(), gen, sg);
    if (gen == sg - 2 && Begin(processor)) {
      if (span.TryAcquireForSweep(sg)) {
        SweepAcquired(processor, span, Empty::kIsFreed);
      }
      End(processor);
    } else {
      sched_yield();
    }
  }
}

// ---- Page reclaim.

// Go keeps what was freed beyond the need, or by other sweepers, as credit for
// the next who asks. Here nobody asks before the page heap has nothing left, so
// such pages have been found and used by then: credit would only let the heap
// grow beside its garbage.
PageCount Sweeper::Reclaim(ProcessorCache& processor, PageCount wanted) {
  PageCount freed(0);
  while (freed < wanted && Begin(processor)) {
    const std::optional<PageCount> piece =
        SweepPiece(processor, reclaim_, Which::kUnmarked);
    End(processor);
    if (!piece.has_value()) break;
    freed += *piece;
  }
  return freed;
}

// ---- Spans found through the page bitmaps.

// Spans that were left out of the sets for want of memory: one piece, though
// there may be none in it, for a heap may have many. Whoever claims a piece is
// counted as active until it has been swept, so that the phase is not done
// before.
std::optional<PageCount> Sweeper::SweepUnlisted(ProcessorCache& processor) {
  return SweepPiece(processor, unlisted_, Which::kAll);
}

std::optional<PageCount> Sweeper::SweepPiece(ProcessorCache& processor,
                                             Walk& walk, Which which) {
  const uint64_t limit = walk.limit.LoadRelaxed();
  // Checked before the claim, so that the index cannot run away.
  if (walk.next.LoadRelaxed() >= limit) return std::nullopt;
  const uint64_t first = walk.next.FetchAddRelaxed(kClaimedWords);
  return SweepWords(processor, first, std::min(first + kClaimedWords, limit),
                    which);
}

// Sweeps the spans that begin in these words, all or those without a marked
// object. The words are read anew after each sweep: while it went on, spans may
// have been freed and their pages reused.
PageCount Sweeper::SweepWords(ProcessorCache& processor, uint64_t first,
                              uint64_t limit, Which which) {
  PageCount freed(0);
  const uint32_t sg = heap_.sweep_gen();
  for (uint64_t word = first; word < limit; ++word) {
    uint64_t ahead = ~uint64_t{0};  // the bits that have not been looked at
    for (;;) {
      uint64_t spans = heap_.page_in_use_word(word).LoadAcquire() & ahead;
      if (which == Which::kUnmarked) {
        spans &= ~heap_.page_marks_word(word).LoadRelaxed();
      }
      if (spans == 0) break;
      const int bit = CountTrailingZeros(spans);
      ahead = bit == 63 ? 0 : ~uint64_t{0} << (bit + 1);
      const auto page = PageCount(word * 64 + static_cast<uint64_t>(bit));
      MSpan* span = heap_.SpanOf(heap_.base() + BytesOf(page));
      // Only a span in use that this sweep has not reached has generation sg-2:
      // one that is freed or reused meanwhile has been swept.
      if (span == nullptr || span->state() != SpanState::kInUse) continue;
      if (!span->TryAcquireForSweep(sg)) continue;
      freed += SweepAcquired(processor, *span, Empty::kIsFreed);
    }
  }
  return freed;
}

// ---- Proportional sweeping.

void Sweeper::SetPace(ByteCount heap_distance, PageCount in_use) {
  constexpr uint64_t kMaxDistance = uint64_t{1} << 48;
  for (Shard& shard : shards_) {
    shard.charged.StoreRelaxed(0);
    shard.pace_basis.StoreRelaxed(shard.pages_swept.LoadRelaxed());
  }
  pace_pages_.StoreRelaxed(in_use.value());
  pace_distance_.StoreRelaxed(
      std::clamp(heap_distance.value(), uint64_t{kPageSize}, kMaxDistance));
}

uint64_t Sweeper::Charge(Shard& shard, ByteCount bytes, uint64_t distance) {
  const uint64_t charged = shard.charged.LoadRelaxed();
  if (charged >= distance) return distance;
  const uint64_t charge = std::min(bytes.value(), distance);
  return std::min(shard.charged.FetchAddRelaxed(charge) + charge, distance);
}

// The share of the pages that is due is the share of the distance that has been
// used up. Both are cut at the whole, so nothing can become negative or
// overflow, wherever the heap goes. Each shard pays for what it has taken, and
// all together for all, but for a page of each that is rounded off. What others
// have swept ahead of their own share is not looked at: processors that read
// each other's counts at each span would wait for the cache lines.
void Sweeper::PayForSpan(ProcessorCache& processor, ByteCount bytes) {
  const uint64_t distance = pace_distance_.LoadRelaxed();
  if (distance == 0) return;
  Shard& shard = ShardOf(processor);
  const double share = static_cast<double>(Charge(shard, bytes, distance)) /
                       static_cast<double>(distance);
  const uint64_t due =
      shard.pace_basis.LoadRelaxed() +
      static_cast<uint64_t>(share *
                            static_cast<double>(pace_pages_.LoadRelaxed()));
  // A walk for unlisted spans may find none for long: not all at once.
  constexpr int kMaxIdle = 4;
  uint64_t swept = shard.pages_swept.LoadRelaxed();
  for (int idle = 0; swept < due && idle < kMaxIdle;) {
    if (!SweepNext(processor, Empty::kMayStay).has_value()) {
      pace_distance_.StoreRelaxed(0);
      return;
    }
    const uint64_t before =
        std::exchange(swept, shard.pages_swept.LoadRelaxed());
    idle = swept == before ? idle + 1 : 0;
  }
}

// ---- Checks.

void Sweeper::CheckInvariants() {
  for (const Shard& shard : shards_) {
    const uint32_t active = shard.active.LoadAcquire();
    TRICOLOR_CHECK((active & ~kDrained) == 0,
                   "%u sweepers at work, expected none", active & ~kDrained);
  }
  const bool done = Done();
  const uint32_t sg = heap_.sweep_gen();
  heap_.ForEachHeapSpan([sg, done](const MSpan& span) {
    const uint32_t gen = span.sweep_gen();
    const bool swept = gen == sg || gen == sg + 3;
    const bool cached_stale = gen == sg + 1;
    TRICOLOR_CHECK(swept || cached_stale || (gen == sg - 2 && !done),
                   "%s: span %p has generation %u, heap generation %u, sweep "
                   "%s",
                   gen == sg - 2 ? "INV-SWEEP-3" : "INV-SWEEP-1",
                   span.base().pointer(), gen, sg, done ? "done" : "under way");
  });
}

}  // namespace tricolor::sweep
