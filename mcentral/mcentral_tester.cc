// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mcentral/mcentral_tester.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>

#include "tricolor/base/check.h"
#include "tricolor/mheap/size_classes.h"

namespace tricolor::mcentral {

using mheap::MSpan;
using mheap::SpanClass;
using mheap::SpanKind;
using mheap::SpanState;

namespace {

// 8, 16 and 4 slots to a span.
constexpr SpanClass kTesterClasses[] = {
    SpanClass(mheap::SizeClassFor(1024), SpanKind::kNoScan),
    SpanClass(mheap::SizeClassFor(512), SpanKind::kPointerBitmap),
    SpanClass(mheap::SizeClassFor(2048), SpanKind::kTypeHeader),
};

mheap::MHeapOptions OptionsFor(uint32_t megabytes) {
  mheap::MHeapOptions options = TestHeapOptions();
  options.max_mapped = ByteCount(uint64_t{1 + megabytes % 8} << 20);
  return options;
}

uint32_t Count(const std::vector<bool>& bits) {
  return static_cast<uint32_t>(std::count(bits.begin(), bits.end(), true));
}

}  // namespace

MCentralTester::MCentralTester(uint32_t megabytes)
    : program_("MCentralTester t(" + std::to_string(megabytes) + ");"),
      t_(OptionsFor(megabytes)) {
  static_assert(std::size(kTesterClasses) == kClasses);
  t_.heap.set_sweeper(&sweeper_);
  for (uint32_t p = 0; p < kProcessors; ++p) {
    t_.heap.AttachProcessor(processors_[p]);
    for (uint32_t c = 0; c < kClasses; ++c) {
      sets_.emplace_back(t_.centrals, kTesterClasses[c],
                         processors_[p].shard());
    }
  }
}

MCentralTester::~MCentralTester() {
  Recover();
  for (uint32_t p = 0; p < kProcessors; ++p) {
    for (uint32_t c = 0; c < kClasses; ++c) GiveBack(p, c);
  }
  Check();
  t_.centrals.CheckInvariants();
  t_.heap.CheckInvariants();
  for (mheap::ProcessorCache& p : processors_) t_.heap.ReleaseProcessor(p);
}

MCentral& MCentralTester::CentralOf(uint32_t span_class) {
  return t_.centrals.of(kTesterClasses[span_class % kClasses]);
}

void MCentralTester::Cache(uint32_t processor, uint32_t span_class) {
  program_.Note("Cache", processor, span_class);
  processor %= kProcessors;
  span_class %= kClasses;
  if (Cached(processor, span_class) != nullptr) return;
  const bool listed = CountListed(span_class, /*full=*/false) != 0;
  MSpan* span = CentralOf(span_class).CacheSpan(processors_[processor]);
  LearnSwept();
  if (span == nullptr) {
    TRICOLOR_CHECK(!listed, "no span, though one with room was listed");
    return;
  }
  const auto [found, is_new] = spans_.try_emplace(span);
  Span& model = found->second;
  if (is_new) {
    TRICOLOR_CHECK(!listed, "the heap grows, though a span was listed");
    model.span_class = span_class;
    model.allocated.resize(span->slots());
    model.marked.resize(span->slots());
  }
  TRICOLOR_CHECK(model.span_class == span_class && model.cached_by == -1 &&
                     model.swept && Count(model.allocated) < span->slots(),
                 "the span cached is of class %u, %s, in cache %d and has %u "
                 "of %u slots allocated",
                 model.span_class, model.swept ? "swept" : "unswept",
                 model.cached_by, Count(model.allocated), span->slots());
  span->set_sweep_gen(t_.heap.sweep_gen() + 3);
  model.cached_by = static_cast<int>(processor);
  Cached(processor, span_class) = span;
}

void MCentralTester::Take(uint32_t processor, uint32_t span_class,
                          uint32_t slots) {
  program_.Note("Take", processor, span_class, slots);
  MSpan* span = Cached(processor, span_class);
  if (span == nullptr) return;
  Span& model = spans_.at(span);
  if (!model.swept) return;
  for (uint32_t left = 1 + slots % 32; left > 0;) {
    const mheap::SlotRun run = span->TakeFreeRun(left);
    if (run.count == 0) break;
    for (uint32_t i = run.first; i < run.first + run.count; ++i) {
      TRICOLOR_CHECK(!model.allocated[i], "slot %u is handed out twice", i);
      model.allocated[i] = true;
    }
    left -= run.count;
  }
}

void MCentralTester::Uncache(uint32_t processor, uint32_t span_class) {
  program_.Note("Uncache", processor, span_class);
  GiveBack(processor, span_class);
}

void MCentralTester::GiveBack(uint32_t processor, uint32_t span_class) {
  MSpan* span = std::exchange(Cached(processor, span_class), nullptr);
  if (span == nullptr) return;
  may_be_unlisted_ |= refusing_;
  const bool dies =
      !spans_.at(span).swept && Count(spans_.at(span).marked) == 0;
  spans_.at(span).cached_by = -1;
  CentralOf(span_class)
      .UncacheSpan(processors_[processor % kProcessors], *span);
  LearnSwept();
  if (dies) spans_.erase(span);
}

void MCentralTester::LearnSwept() {
  for (MSpan* span : std::exchange(sweeper_.swept, {})) {
    const auto found = spans_.find(span);
    TRICOLOR_CHECK(found != spans_.end() && !found->second.swept,
                   "span %p is swept, which needed it not",
                   static_cast<void*>(span));
    found->second.swept = true;
    found->second.allocated = found->second.marked;
    // CacheSpan lists those that it has swept and found full.
    may_be_unlisted_ |= refusing_;
  }
}

void MCentralTester::Sweep(MSpan* span) {
  sweeper_.SweepAndKeep(processors_[0], *span);
  LearnSwept();
  if (span->allocated() == 0) {
    spans_.erase(span);
    t_.heap.FreeSpan(processors_[0], span);
  } else {
    t_.centrals.of(span->span_class()).PushSwept(*span);
  }
}

void MCentralTester::SweepListed(uint32_t span_class, bool full,
                                 uint32_t count) {
  program_.Note("SweepListed", span_class, full, count);
  MCentralTestPeer& sets = SetsOf(count, span_class);
  for (uint32_t i = 0; i <= count % 16; ++i) {
    MSpan* span = (full ? sets.full_unswept() : sets.partial_unswept()).Pop();
    if (span == nullptr) return;
    if (span->TryAcquireForSweep(t_.heap.sweep_gen())) Sweep(span);
  }
}

void MCentralTester::SweepDirectly(uint32_t span) {
  program_.Note("SweepDirectly", span);
  if (spans_.empty()) return;
  const auto chosen = std::next(
      spans_.begin(), static_cast<std::ptrdiff_t>(span % spans_.size()));
  const Span& model = chosen->second;
  const bool acquired = chosen->first->TryAcquireForSweep(t_.heap.sweep_gen());
  TRICOLOR_CHECK(acquired == (!model.swept && model.cached_by == -1),
                 "a span that is %s and in cache %d was %sacquired",
                 model.swept ? "swept" : "unswept", model.cached_by,
                 acquired ? "" : "not ");
  if (acquired) Sweep(chosen->first);
}

// As a cycle starts: all caches flush, and everything else is swept.
void MCentralTester::SweepRest() {
  for (uint32_t p = 0; p < kProcessors; ++p) {
    for (uint32_t c = 0; c < kClasses; ++c) {
      MSpan* span = Cached(p, c);
      if (span != nullptr && !spans_.at(span).swept) GiveBack(p, c);
    }
  }
  std::vector<MSpan*> rest;
  for (const auto& [span, model] : spans_) {
    if (!model.swept) rest.push_back(span);
  }
  for (MSpan* span : rest) {
    TRICOLOR_CHECK(span->TryAcquireForSweep(t_.heap.sweep_gen()),
                   "an unswept span of generation %u cannot be acquired",
                   span->sweep_gen());
    Sweep(span);
  }
  for (uint32_t p = 0; p < kProcessors; ++p) {
    uint32_t place = 0;
    while (MSpan* span =
               t_.centrals.PopUnswept(processors_[p].shard(), &place)) {
      TRICOLOR_CHECK(!span->TryAcquireForSweep(t_.heap.sweep_gen()),
                     "a listed span was forgotten");
    }
  }
  t_.centrals.ResetUnswept();
}

void MCentralTester::Cycle(uint32_t eighths) {
  program_.Note("Cycle", eighths);
  SweepRest();
  if (!t_.heap.mark_bit_arenas().Rotate()) {
    TRICOLOR_CHECK(refusing_, "no memory for mark bits");
    return;
  }
  t_.heap.ClearPageMarks();
  uint32_t share = eighths % 9;
  // In the order of addresses, which does not depend on where the heap is.
  t_.heap.ForEachHeapSpan([&](MSpan& span) {
    Span& model = spans_.at(&span);
    for (uint32_t i = 0; i < span.slots(); ++i) {
      model.marked[i] = model.allocated[i] && i * 5 % 8 < share;
      if (model.marked[i]) t_.Mark(&span, i);
    }
    model.swept = false;
    share = (share + 1) % 9;
  });
  t_.heap.AdvanceSweepGen();
  const bool unlisted = t_.centrals.TakeUnlisted() != 0;
  TRICOLOR_CHECK(may_be_unlisted_ || !unlisted,
                 "spans were not listed, though there was memory");
  may_be_unlisted_ = false;
}

void MCentralTester::OpenSweeper(bool open) {
  program_.Note("OpenSweeper", open);
  sweeper_.open = open;
}

void MCentralTester::RefuseMemory(uint32_t k) {
  program_.Note("RefuseMemory", k);
  if (refusing_) return;
  t_.os.FailFrom(1 + k % 8);
  refusing_ = true;
}

void MCentralTester::Recover() {
  program_.Note("Recover");
  t_.os.StopFailing();
  refusing_ = false;
}

void MCentralTester::Check() {
  size_t found = 0;
  t_.heap.ForEachHeapSpan([&](MSpan& span) {
    const auto model = spans_.find(&span);
    TRICOLOR_CHECK(model != spans_.end(), "span %p is in use, and nobody's",
                   static_cast<void*>(&span));
    CheckSpan(span, model->second);
    ++found;
  });
  TRICOLOR_CHECK(found == spans_.size(), "%zu spans are in use, not %zu", found,
                 spans_.size());
  for (uint32_t c = 0; c < kClasses; ++c) CheckListed(c);
  TRICOLOR_CHECK(sweeper_.depth == 0, "a sweeper began, and has not ended");
}

void MCentralTester::CheckSpan(const MSpan& span, const Span& model) const {
  const uint32_t sg = t_.heap.sweep_gen();
  const uint32_t generation = model.cached_by != -1
                                  ? (model.swept ? sg + 3 : sg + 1)
                                  : (model.swept ? sg : sg - 2);
  TRICOLOR_CHECK(
      span.state() == SpanState::kInUse && span.sweep_gen() == generation &&
          span.allocated() == Count(model.allocated),
      "span %p of cache %d: generation %u, expected %u (heap %u), "
      "%u slots allocated, expected %u",
      static_cast<const void*>(&span), model.cached_by, span.sweep_gen(),
      generation, sg, span.allocated(), Count(model.allocated));
  for (uint32_t i = 0; i < span.slots(); ++i) {
    TRICOLOR_CHECK(
        span.IsFree(i) == !model.allocated[i], "slot %u of span %p is %s", i,
        static_cast<const void*>(&span), span.IsFree(i) ? "free" : "allocated");
  }
}

uint32_t MCentralTester::CountSwept(uint32_t span_class, bool full) const {
  uint32_t n = 0;
  for (const auto& [span, model] : spans_) {
    n += model.span_class == span_class && model.swept &&
         model.cached_by == -1 && span->full() == full;
  }
  return n;
}

uint32_t MCentralTester::CountListed(uint32_t span_class, bool full) {
  uint32_t n = 0;
  for (uint32_t p = 0; p < kProcessors; ++p) {
    MCentralTestPeer& sets = SetsOf(p, span_class);
    n += (full ? sets.full_swept() : sets.partial_swept()).Size();
  }
  return n;
}

void MCentralTester::CheckListed(uint32_t span_class) {
  for (const bool full : {false, true}) {
    const uint32_t listed = CountListed(span_class, full);
    const uint32_t expected = CountSwept(span_class, full);
    TRICOLOR_CHECK(
        listed == expected || (may_be_unlisted_ && listed < expected),
        "%u swept spans of class %u are listed as %s, of %u", listed,
        span_class, full ? "full" : "partial", expected);
  }
}

}  // namespace tricolor::mcentral
