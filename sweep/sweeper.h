// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Sweeper: turns the marks of the cycle that has ended into free slots and free
// spans, span by span, lazily: on demand from the central lists, by the
// background sweeper, by page reclaim, and all that is left before a cycle.
//
// The active-sweeper words, one for each shard of the processors, hold a
// drained bit and the number of sweepers at work: Begin fails once everything
// has been handed out, and sweeping is done when the last sweeper leaves after
// that (Go: activeSweep, one word; a sweeper that started late ran into the
// next cycle, #45315). INV-SWEEP-1: a span is swept once a cycle, by the winner
// of its generation. INV-SWEEP-2: no sweeper is active when the generation
// advances. INV-SWEEP-3: when sweeping is done, every span in use that no cache
// holds has been swept, listed or not.
//
// Go counterpart: mgcsweep.go. Thread-safe.

#ifndef TRICOLOR_SWEEP_SWEEPER_H_
#define TRICOLOR_SWEEP_SWEEPER_H_

#include <cstdint>
#include <optional>

#include "absl/base/optimization.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/units.h"
#include "tricolor/mcentral/mcentral.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/shards.h"
#include "tricolor/mheap/span_sweeper.h"
#include "tricolor/mheap/special.h"

namespace tricolor::sweep {

class Sweeper final : public mheap::SpanSweeper {
 public:
  // Walks over the page bitmaps claim this many words of them at a time.
  static constexpr uint64_t kClaimedWords = 8;

  // All outlive the sweeper. `receiver` is told of dead objects' specials.
  Sweeper(mheap::MHeap& heap, mcentral::MCentrals& centrals,
          mheap::SpecialReceiver& receiver);

  // What dead objects are overwritten with, if that is wanted: no address.
  static constexpr uint64_t kClobberPattern = 0xdeadbeefdeadbeef;
  // Before the first phase: whether they are.
  void set_clobber_dead(bool clobber) { clobber_dead_ = clobber; }

  // World stopped, marking done: advances the heap's generation and opens the
  // sweep phase. Fatal unless the previous phase is done.
  void StartPhase();

  // Sweeps one span, if any is listed, else those in a small piece of the heap
  // that were not. The pages given back to the page heap (0 when all survive,
  // or there are none in the piece), or nothing when no span is left to take.
  std::optional<PageCount> SweepOne(mheap::ProcessorCache& processor) {
    return SweepNext(processor, Empty::kIsFreed);
  }
  // Whether every span that no cache holds has been swept and no sweeper is at
  // work.
  bool Done() const;
  // Sweeps all that is left, and waits for the other sweepers. Stale caches
  // must have been flushed before.
  void SweepAll(mheap::ProcessorCache& processor);

  // mheap::SpanSweeper:
  bool Begin(mheap::ProcessorCache& processor) override;
  void End(mheap::ProcessorCache& processor) override;
  uint32_t SweepAndKeep(mheap::ProcessorCache& processor,
                        mheap::MSpan& span) override;
  void EnsureSwept(mheap::ProcessorCache& processor,
                   mheap::MSpan& span) override;
  PageCount Reclaim(mheap::ProcessorCache& processor,
                    PageCount wanted) override;
  void PayForSpan(mheap::ProcessorCache& processor, ByteCount bytes) override;

  // Proportional sweeping: everything is swept by the time that `heap_distance`
  // more bytes of span have been taken; at least a page is assumed. Leave a
  // margin before the next trigger. `in_use` are the pages in spans of objects.
  // World stopped, after StartPhase.
  void SetPace(ByteCount heap_distance, PageCount in_use);

  // Quiescent: fatal when a heap span's generation is not one of the five, or
  // when the phase is done and a span that no cache holds has not been swept.
  void CheckInvariants();

 private:
  friend class SweeperTestPeer;

  // What becomes of a span without live objects: it stays on the lists if they
  // keep it, for who sweeps it allocates, or its pages are free.
  enum class Empty : uint8_t { kMayStay, kIsFreed };

  // Of an active-sweeper word: this bit says that everything has been handed
  // out; the rest counts the sweepers at work.
  static constexpr uint32_t kDrained = uint32_t{1} << 31;

  // What sweepers on processors of one shard write to.
  // Twice a cache line: processors fetch them in pairs.
  struct alignas(2 * ABSL_CACHELINE_SIZE) Shard {
    // The active-sweeper word. Acquired by Begin and Done; released by End.
    Atomic<uint32_t> active{kDrained};
    // How far the shard's unswept sets are known to be empty.
    Atomic<uint32_t> place;
    Atomic<uint64_t> charged;      // bytes since SetPace, or more than enough
    Atomic<uint64_t> pace_basis;   // pages_swept at SetPace
    Atomic<uint64_t> pages_swept;  // in all phases
  };

  Shard& ShardOf(const mheap::ProcessorCache& processor) {
    return shards_[processor.shard()];
  }
  void MarkDrained();
  // An entry of the unswept sets, first those of the processor's shard; null
  // when all have been taken.
  mheap::MSpan* NextSpan(const mheap::ProcessorCache& processor);
  static void AdvancePlace(Shard& shard, uint32_t to);
  // What the shard has been charged since SetPace, at most the distance.
  static uint64_t Charge(Shard& shard, ByteCount bytes, uint64_t distance);

  // As SweepOne.
  std::optional<PageCount> SweepNext(mheap::ProcessorCache& processor,
                                     Empty empty);
  // Sweeps an acquired span (sg-1) that no cache has, and publishes it: on the
  // swept sets, or as free pages, whose number is returned.
  PageCount SweepAcquired(mheap::ProcessorCache& processor, mheap::MSpan& span,
                          Empty empty);
  // The part of it before publication: specials, checks, counts. Returns the
  // number of live slots.
  uint32_t CountLive(mheap::ProcessorCache& processor, mheap::MSpan& span);
  void CheckNoZombies(const mheap::MSpan& span) const;
  static void ClobberDead(const mheap::MSpan& span);
  void CountSwept(mheap::ProcessorCache& processor, const mheap::MSpan& span,
                  uint32_t freed);

  // A walk over the page bitmaps as they were when the phase began, which
  // claims them piece by piece.
  struct Walk {
    Atomic<uint64_t> next;   // the first word that nobody has claimed
    Atomic<uint64_t> limit;  // 0: there is nothing to walk
  };
  enum class Which : uint8_t { kUnmarked, kAll };

  // Sweeps the unswept spans in the walk's next piece, and returns the pages
  // freed; nothing when it is at its end. Between Begin and End.
  std::optional<PageCount> SweepPiece(mheap::ProcessorCache& processor,
                                      Walk& walk, Which which);
  PageCount SweepWords(mheap::ProcessorCache& processor, uint64_t first,
                       uint64_t limit, Which which);
  std::optional<PageCount> SweepUnlisted(mheap::ProcessorCache& processor);

  mheap::MHeap& heap_;
  mcentral::MCentrals& centrals_;
  mheap::SpecialReceiver& receiver_;
  bool clobber_dead_ = false;

  Shard shards_[mheap::kShards];

  // Proportional sweeping. Written with the world stopped, but for the
  // distance, which is set to 0 (off) when nothing is left.
  Atomic<uint64_t> pace_distance_;  // bytes
  Atomic<uint64_t> pace_pages_;     // to be swept within the distance

  // Page reclaim; and the search for spans that could not be listed in the last
  // cycle, if there were any.
  ABSL_CACHELINE_ALIGNED Walk reclaim_;
  Walk unlisted_;
};

}  // namespace tricolor::sweep

#endif  // TRICOLOR_SWEEP_SWEEPER_H_
