// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/mheap_tester.h"

#include <algorithm>
#include <cstdint>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"

namespace tricolor::mheap {
namespace {

// Takes the low bits of a word, one choice after the other.
uint64_t Choose(uint64_t& word, uint64_t n) {
  const uint64_t choice = word % n;
  word /= n;
  return choice;
}

}  // namespace

MHeapTester::MHeapTester(const MHeapTesterOptions& options)
    : os_(options.os), options_(options.heap), heap_(os_, options.heap) {
  TRICOLOR_CHECK(heap_.Init(), "no memory for a test heap");
  for (ProcessorCache& p : processors_) heap_.AttachProcessor(p);
}

MHeapTester::~MHeapTester() {
  os_.StopFailing();
  Check();
  for (ProcessorCache& p : processors_) heap_.ReleaseProcessor(p);
  heap_.CheckInvariants();
}

void MHeapTester::Step(uint64_t word) {
  switch (Choose(word, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      return AllocSmall(word);
    case 5:
      return AllocLarge(word);
    case 6:
    case 7:
      return AllocManual(word);
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
      return Free(word);
    case 13:
      return Sweep(word);
    case 14:
      return Scavenge(word);
    default:
      return ChangeProcessor(word);
  }
}

void MHeapTester::AllocSmall(uint64_t word) {
  ProcessorCache& p = processor(Choose(word, kProcessors));
  const SpanClass c =
      SpanClass::FromIndex(static_cast<uint8_t>(Choose(word, kSpanClasses)));
  if (c.is_large() || c.slots() == 0) return;
  Add(heap_.AllocSpan(p, c), PageCount(c.pages()), PageCount(1), false);
}

void MHeapTester::AllocLarge(uint64_t word) {
  ProcessorCache& p = processor(Choose(word, kProcessors));
  const PageCount alignment(uint64_t{1} << Choose(word, 12));
  const uint64_t most = Choose(word, 4) != 0    ? 70
                        : Choose(word, 16) != 0 ? 600
                                                : 9000;
  const PageCount pages(1 + Choose(word, most));
  Add(heap_.AllocSpan(p, pages, SpanClass(0, SpanKind::kNoScan), alignment),
      pages, alignment, false);
}

void MHeapTester::AllocManual(uint64_t word) {
  ProcessorCache& p = processor(Choose(word, kProcessors));
  const PageCount pages(1 + Choose(word, 20));
  Add(heap_.AllocManual(p, pages), pages, PageCount(1), true);
}

void MHeapTester::Add(MSpan* span, PageCount pages, PageCount alignment,
                      bool manual) {
  if (span == nullptr) return CheckRefusal(pages, alignment);
  ++spans_made_;
  Live live{span, span->base(), pages, 0, manual};
  TRICOLOR_CHECK(
      live.base.IsAligned(BytesOf(alignment).value()) && span->pages() == pages,
      "span at %p is not as asked for", live.base.pointer());
  for (const Live& other : live_) {
    const bool apart = live.base + BytesOf(pages) <= other.base ||
                       other.base + BytesOf(other.pages) <= live.base;
    TRICOLOR_CHECK(apart, "span at %p overlaps that at %p", live.base.pointer(),
                   other.base.pointer());
  }
  Fill(live);
  live_.push_back(live);
}

void MHeapTester::CheckRefusal(PageCount pages, PageCount alignment) const {
  if (failing_) return;
  const ByteCount slack = BytesOf(alignment) + pagealloc::kChunkBytes;
  const ByteCount limit = std::min(options_.reservation, options_.max_mapped);
  TRICOLOR_CHECK(heap_.grown() + BytesOf(pages) + slack > limit,
                 "%llu pages refused with %llu bytes grown of %llu",
                 static_cast<unsigned long long>(pages.value()),
                 static_cast<unsigned long long>(heap_.grown().value()),
                 static_cast<unsigned long long>(limit.value()));
}

template <typename Body>
void MHeapTester::ForSomeWords(const Live& live, const Body& body) {
  const Addr limit = live.span->limit();
  for (uint64_t page = 0; page < live.pages.value(); ++page) {
    const Addr base = live.base + BytesOf(PageCount(page));
    for (const uint64_t offset : {0u, 8u, 2048u, 6000u, 8056u}) {
      const Addr a = base + ByteCount(offset);
      if (a + ByteCount(8) <= limit) body(a.as<uint64_t>());
    }
  }
}

// Takes all free slots, which must be zero where it looks, and writes to them.
// A span that has been swept is filled again as a whole.
void MHeapTester::Fill(Live& live) {
  live.pattern = next_pattern_++;
  if (live.manual) {
    ForSomeWords(live, [&](uint64_t* word) { *word = live.pattern; });
    return;
  }
  for (;;) {
    const SlotRun run = live.span->TakeFreeRun(kMaxSlots);
    if (run.count == 0) break;
    const Addr begin = live.span->SlotAddress(run.first);
    const Addr end = live.span->SlotAddress(run.first + run.count);
    ForSomeWords(live, [&](uint64_t* word) {
      if (Addr(word) < begin || Addr(word) >= end) return;
      TRICOLOR_CHECK(*word == 0, "fresh slot memory at %p holds %#llx",
                     static_cast<void*>(word),
                     static_cast<unsigned long long>(*word));
    });
  }
  ForSomeWords(live, [&](uint64_t* word) { *word = live.pattern; });
}

void MHeapTester::CheckContents(const Live& live) const {
  ForSomeWords(live, [&](const uint64_t* word) {
    TRICOLOR_CHECK(*word == live.pattern,
                   "word %p of the span at %p holds %#llx, written was %#llx",
                   static_cast<const void*>(word), live.base.pointer(),
                   static_cast<unsigned long long>(*word),
                   static_cast<unsigned long long>(live.pattern));
  });
}

void MHeapTester::Free(uint64_t word) {
  if (live_.empty()) return;
  ProcessorCache& p = processor(Choose(word, kProcessors));
  Live& live = live_[Choose(word, live_.size())];
  CheckContents(live);
  if (live.manual) {
    heap_.FreeManual(p, live.span);
  } else {
    heap_.FreeSpan(p, live.span);
  }
  TRICOLOR_CHECK(heap_.SpanOf(live.base) == nullptr,
                 "freed span at %p is found", live.base.pointer());
  live = live_.back();
  live_.pop_back();
}

void MHeapTester::Sweep(uint64_t word) {
  if (Choose(word, 8) == 0) return Cycle(word);
  if (!failing_) SweepOne(word);
}

// A cycle that makes a few spans while it marks, and in which some slots of all
// spans die and are taken again. Sweeping never fails, whatever the OS does.
void MHeapTester::Cycle(uint64_t word) {
  if (!heap_.mark_bit_arenas().Rotate()) {
    TRICOLOR_CHECK(failing_, "no memory for mark bits");
    return;
  }
  for (uint64_t i = Choose(word, 4); i > 0; --i) AllocSmall(word >> (4 * i));
  heap_.AdvanceSweepGen();
  heap_.CheckInvariants();
  const uint64_t step = 1 + Choose(word, 7);
  for (Live& live : live_) {
    if (live.manual) continue;
    for (uint64_t i = 0; i < live.span->slots(); i += step) {
      live.span->SetMarked(static_cast<uint32_t>(i));
    }
    heap_.FinishSweep(*live.span, live.span->CountMarked());
    live.span->set_sweep_gen(heap_.sweep_gen());
    Fill(live);
  }
}

// Outside of a cycle, with no mark bits reserved.
void MHeapTester::SweepOne(uint64_t word) {
  if (live_.empty()) return;
  Live& live = live_[Choose(word, live_.size())];
  if (live.manual) return;
  const uint64_t step = 1 + Choose(word, 7);
  for (uint64_t i = Choose(word, 7); i < live.span->slots(); i += step) {
    live.span->SetMarked(static_cast<uint32_t>(i));
  }
  heap_.FinishSweep(*live.span, live.span->CountMarked());
  Fill(live);
}

// Whatever it does, it gives back what it says, and no more than what it was
// asked for and the unit of the OS: a huge page.
void MHeapTester::Scavenge(uint64_t word) {
  const ByteCount bytes = BytesOf(PageCount(Choose(word, 2000)));
  const ByteCount before = heap_.ready();
  const ByteCount excess = heap_.ScavengeExcess();
  ByteCount most = bytes;
  ByteCount released;
  switch (Choose(word, 8)) {
    case 0:
      return SetScavengeGoals(bytes, word);
    case 1:
      heap_.NextScavengeGeneration();
      return;
    case 2:
      heap_.JoinDenseChunks();
      return;
    case 3:
      most = excess;
      released = heap_.ScavengeToLimit(Choose(word, 2) != 0);
      break;
    case 4:
      released = heap_.Scavenge(bytes);
      break;
    default:
      most = std::min(bytes, excess);
      released = heap_.ScavengeInBackground(bytes);
  }
  TRICOLOR_CHECK(
      heap_.ready() + released == before &&
          (most == ByteCount(0) ? released == most
                                : released < most + os_.huge_page_size()),
      "%llu bytes said to be released of %llu wanted: ready before %llu, after "
      "%llu",
      static_cast<unsigned long long>(released.value()),
      static_cast<unsigned long long>(most.value()),
      static_cast<unsigned long long>(before.value()),
      static_cast<unsigned long long>(heap_.ready().value()));
}

// Near what there is, so that they matter; or none.
void MHeapTester::SetScavengeGoals(ByteCount bytes, uint64_t word) {
  ScavengeGoals goals;
  const ByteCount metadata = heap_.metadata().bytes_from_os();
  if (Choose(word, 4) != 0) goals.retained = bytes;
  if (Choose(word, 4) != 0)
    goals.limit = bytes * (Choose(word, 3) + 1) + metadata;
  heap_.SetScavengeGoals(goals);
}

// All memory of the heap's pages is Ready or Prepared, and no more of it Ready
// than what the heap says it holds, but for OS pages that are larger than its
// own and were scavenged in part, and for runs of which a part had been
// scavenged when the OS refused to commit them: they are declared scavenged as
// a whole.
void MHeapTester::CheckReady() const {
  ByteCount ready;
  const ByteCount page = BytesOf(PageCount(1));
  for (Addr a = heap_.base(); a < heap_.base() + heap_.grown(); a += page) {
    if (os_.StateOf(a) == OsState::kReady) ready += page;
  }
  const bool exact = os_.page_size() <= page && os_.failures() == 0;
  TRICOLOR_CHECK(exact ? ready == heap_.ready() : ready >= heap_.ready(),
                 "the heap says that it holds %llu bytes, the OS %llu",
                 static_cast<unsigned long long>(heap_.ready().value()),
                 static_cast<unsigned long long>(ready.value()));
}

void MHeapTester::ChangeProcessor(uint64_t word) {
  ProcessorCache& p = processor(Choose(word, kProcessors));
  if (Choose(word, 4) != 0) {
    heap_.FlushPageCache(p);
    return;
  }
  heap_.ReleaseProcessor(p);
  heap_.AttachProcessor(p);
}

void MHeapTester::Check() const {
  uint64_t heap_pages = 0;
  uint64_t manual_pages = 0;
  uint64_t heap_spans = 0;
  for (const Live& live : live_) {
    CheckContents(live);
    for (uint64_t i = 0; i < live.pages.value(); ++i) {
      const Addr a = live.base + BytesOf(PageCount(i)) + ByteCount(i % 64);
      TRICOLOR_CHECK(heap_.SpanOf(a) == live.span, "span at %p is lost at %p",
                     live.base.pointer(), a.pointer());
    }
    (live.manual ? manual_pages : heap_pages) += live.pages.value();
    heap_spans += live.manual ? 0 : 1;
  }
  heap_.ForEachHeapSpan([&](MSpan&) { --heap_spans; });
  const HeapStats stats = heap_.ReadStats();
  const auto bytes = [](uint64_t pages) {
    return static_cast<int64_t>(pages * kPageSize);
  };
  TRICOLOR_CHECK(
      heap_spans == 0 && stats.heap_span_bytes == bytes(heap_pages) &&
          stats.manual_span_bytes == bytes(manual_pages) &&
          stats.alloc_span_calls >= spans_made_ &&
          stats.ready_bytes() == bytes(PagesIn(heap_.ready()).value()),
      "the model has %llu pages in heap spans and %llu in manual ones, the "
      "heap %lld and %lld bytes; %lld spans more",
      static_cast<unsigned long long>(heap_pages),
      static_cast<unsigned long long>(manual_pages),
      static_cast<long long>(stats.heap_span_bytes),
      static_cast<long long>(stats.manual_span_bytes),
      static_cast<long long>(heap_spans));
  CheckReady();
  heap_.CheckInvariants();
}

}  // namespace tricolor::mheap
