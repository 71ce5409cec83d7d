// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mcache/mcache_tester.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "tricolor/base/check.h"
#include "tricolor/mcache/mcache_test_peer.h"
#include "tricolor/mheap/object_layout.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/mheap/span_class.h"

namespace tricolor::mcache {

using mheap::MSpan;
using mheap::SpanClass;
using mheap::SpanKind;
using Tracing = TypeInfo::Tracing;

namespace {

constexpr uint64_t kFirstAndThird[] = {0b101};

constexpr TypeInfo kTypes[] = {
    {.size = 512, .align = 8},
    {.size = 48,
     .align = 8,
     .tracing = Tracing::kBitmap,
     .pointer_words = 3,
     .bitmap = kFirstAndThird},
    {.size = 600, .align = 8, .tracing = Tracing::kConservative},
    {.size = 24, .align = 8},
};
// Large types of one to four slices and a bit.
constexpr TypeInfo kLargeTypes[] = {
    {.size = 1 * MCache::kZeroSlice + 8, .align = 8},
    {.size = 2 * MCache::kZeroSlice + 8, .align = 8},
    {.size = 3 * MCache::kZeroSlice + 8, .align = 8},
    {.size = 4 * MCache::kZeroSlice + 8, .align = 8},
};

constexpr SpanClass kRawClasses[] = {
    SpanClass(mheap::SizeClassFor(512), SpanKind::kNoScan),
    SpanClass(mheap::SizeClassFor(16), SpanKind::kNoScan),
};
constexpr SpanClass kBits(mheap::SizeClassFor(48), SpanKind::kPointerBitmap);

mheap::MHeapOptions HeapOptions() {
  mheap::MHeapOptions options = mcentral::TestHeapOptions();
  options.max_mapped = ByteCount(8 << 20);
  return options;
}

// Calls check(i) for all bytes of an object, or enough of a large one's.
template <typename Visit>
void ForBytes(size_t bytes, const Visit& visit) {
  for (size_t i = 0; i < bytes; i += i < 64 || i + 64 >= bytes ? 1 : 509) {
    visit(i);
  }
}

}  // namespace

MCacheTester::MCacheTester() : program_("MCacheTester t;"), t_(HeapOptions()) {
  t_.heap.set_sweeper(&sweeper_);
  for (Cache& c : caches_) {
    t_.heap.AttachProcessor(c.pages);
    AllocationObserver& observer = *this;
    c.cache.emplace(t_.heap, t_.centrals, c.pages, observer);
  }
}

MCacheTester::~MCacheTester() {
  for (const auto& [address, object] : objects_) CheckWhole(address, object);
  for (Cache& c : caches_) {
    c.cache->PrepareForSweep();
    c.cache->ReleaseAll();
    c.cache.reset();
    t_.heap.ReleaseProcessor(c.pages);
  }
  EndSweep();
  t_.centrals.CheckInvariants();
  t_.heap.CheckInvariants();
}

MCache& MCacheTester::Of(uint32_t cache) {
  MCache& c = *caches_[cache % kCaches].cache;
  c.PrepareForSweep();
  return c;
}

void MCacheTester::Add(void* memory, size_t bytes) {
  const auto address = reinterpret_cast<uintptr_t>(memory);
  const auto next = objects_.lower_bound(address);
  TRICOLOR_CHECK(next == objects_.end() || next->first >= address + bytes,
                 "an object of %zu bytes is handed out over another", bytes);
  TRICOLOR_CHECK(
      next == objects_.begin() ||
          std::prev(next)->first + std::prev(next)->second.bytes <= address,
      "an object is handed out within another");
  auto* const p = static_cast<unsigned char*>(memory);
  ForBytes(bytes, [&](size_t i) {
    TRICOLOR_CHECK(p[i] == 0, "byte %zu of a new object is %02x", i, p[i]);
  });
  const MSpan* span = t_.heap.HeapSpanOf(Addr(address));
  TRICOLOR_CHECK(span != nullptr && !span->IsFree(span->IndexOf(Addr(address))),
                 "a new object's slot is free");
  Object object;
  object.bytes = bytes;
  object.tag = static_cast<uint8_t>(1 + made_++ % 255);
  std::memset(memory, object.tag, bytes);
  objects_[address] = object;
}

void MCacheTester::CheckWhole(uintptr_t address, const Object& object) const {
  const auto* p = reinterpret_cast<const unsigned char*>(address);
  ForBytes(object.bytes, [&](size_t i) {
    TRICOLOR_CHECK(p[i] == object.tag,
                   "byte %zu of an object is %02x, not %02x", i, p[i],
                   object.tag);
  });
}

// ---- Allocation.

void MCacheTester::Allocate(uint32_t cache, uint32_t type, uint32_t objects) {
  program_.Note("Allocate", cache, type, objects);
  MCache& c = Of(cache);
  const TypeInfo& t = kTypes[type % std::size(kTypes)];
  for (uint32_t i = 0; i <= objects % 64; ++i) {
    void* memory = c.Allocate(t, 1);
    if (memory == nullptr) return;
    Add(memory, t.size);
  }
}

void MCacheTester::AllocateTiny(uint32_t cache, uint32_t size, uint32_t align) {
  program_.Note("AllocateTiny", cache, size, align);
  const size_t bytes = 1 + size % (MCache::kTinySize - 1);
  const size_t alignment = size_t{1} << align % 4;
  void* memory = Of(cache).AllocateTiny(bytes, alignment);
  if (memory == nullptr) return;
  TRICOLOR_CHECK(reinterpret_cast<uintptr_t>(memory) % alignment == 0,
                 "a tiny object at %p is not aligned to %zu", memory,
                 alignment);
  Add(memory, bytes);
}

void MCacheTester::AllocateLarge(uint32_t cache, uint32_t slices,
                                 uint32_t between) {
  program_.Note("AllocateLarge", cache, slices, between);
  const TypeInfo& type = kLargeTypes[slices % std::size(kLargeTypes)];
  zeroing_cache_ = &Of(cache);
  between_ = between;
  void* memory = zeroing_cache_->Allocate(type, 1, this);
  zeroing_cache_ = nullptr;
  being_zeroed_ = 0;
  if (memory != nullptr) Add(memory, type.size);
}

void MCacheTester::BetweenSlices(void* object) {
  being_zeroed_ = reinterpret_cast<uintptr_t>(object);
  Interfere(*zeroing_cache_, between_);
  between_ >>= 2;
}

void MCacheTester::Interfere(MCache& cache, uint32_t what) {
  switch (what % 4) {
    case 0:
      return cache.ReleaseAll();
    case 1:
      return cache.ParkRuns();
    case 2:
      DoCycle();
      return cache.PrepareForSweep();
    default:
      return;
  }
}

void MCacheTester::Interrupt(uint32_t cache, uint32_t type, bool loaded_next,
                             uint32_t meanwhile) {
  program_.Note("Interrupt", cache, type, loaded_next, meanwhile);
  MCache& c = Of(cache);
  const SpanClass span_class = kRawClasses[type % std::size(kRawClasses)];
  const size_t bytes = span_class.slot_size();
  uintptr_t& next = MCacheTestPeer::Next(c, span_class);
  const uintptr_t limit = MCacheTestPeer::Limit(c, span_class);
  const uintptr_t slot = next;
  c.TakeSlotsInFlight();
  // It is as a root's object for a cycle that comes meanwhile.
  const bool has_slot = loaded_next && slot + bytes <= limit;
  if (has_slot) Add(reinterpret_cast<void*>(slot), bytes);
  Interfere(c, meanwhile);
  if (has_slot) {
    next = slot + bytes;
  } else if (!loaded_next && next + bytes <= limit) {
    TRICOLOR_CHECK(meanwhile % 4 == 3,
                   "an interrupted allocation finds a slot of a run that has "
                   "ended");
    Add(reinterpret_cast<void*>(next), bytes);
    next += bytes;
  }
}

void MCacheTester::WriteBits(uint32_t cache, uint64_t bits,
                             uint32_t meanwhile) {
  program_.Note("WriteBits", cache, bits, meanwhile);
  MCache& c = Of(cache);
  bits &= 0b111111;
  void* slot = c.TryAllocate(kBits, kBits.slot_size());
  if (slot == nullptr) slot = c.AllocateSlow(kBits, 0b101);
  if (slot == nullptr) return;
  const bool flushed = meanwhile % 4 == 0;
  if (flushed) {
    c.TakeSlotsInFlight();
    c.ReleaseAll();
  }
  const bool written = c.WritePointerBits(kBits, slot, bits);
  TRICOLOR_CHECK(written != flushed,
                 "bits are %swritten into the slot of a "
                 "cache that was %sflushed",
                 written ? "" : "not ", flushed ? "" : "not ");
  if (!written) return;
  const MSpan* span = t_.heap.HeapSpanOf(Addr(slot));
  TRICOLOR_CHECK(span->PointerBits(span->IndexOf(Addr(slot))) == bits,
                 "the slot has other pointer bits than were written");
  Add(slot, kBits.slot_size());
}

void MCacheTester::OnSample(const AllocationSample& sample) {
  const auto* p = static_cast<const unsigned char*>(sample.object);
  TRICOLOR_CHECK(p != nullptr && sample.bytes != 0 && p[0] == 0,
                 "the sample of an object that is not new");
}

// ---- The rest of its life.

void MCacheTester::Drop(uint32_t first, uint32_t nth) {
  program_.Note("Drop", first, nth);
  if (objects_.empty()) return;
  nth = 1 + nth % 8;
  size_t i = 0;
  for (auto& [address, object] : objects_) {
    if (i >= first && (i - first) % nth == 0) object.live = false;
    ++i;
  }
}

void MCacheTester::Flush(uint32_t cache) {
  program_.Note("Flush", cache);
  Of(cache);
}

void MCacheTester::Release(uint32_t cache) {
  program_.Note("Release", cache);
  Of(cache).ReleaseAll();
}

void MCacheTester::PublishStats(uint32_t cache) {
  program_.Note("PublishStats", cache);
  Of(cache).PublishStats();
}

void MCacheTester::Sample(uint32_t cache, uint32_t rate) {
  program_.Note("Sample", cache, rate);
  AllocationSampler* sampler = rate % 4 == 0 ? nullptr : this;
  Of(cache).SetSampling(
      {.sampler = sampler, .rate = uint64_t{rate} * rate, .seed = rate});
}

void MCacheTester::Sweep(uint32_t spans) {
  program_.Note("Sweep", spans);
  SweepSpans(spans);
}

void MCacheTester::SweepSpans(uint64_t most) {
  std::vector<MSpan*> spans;
  t_.heap.ForEachHeapSpan([&](MSpan& span) { spans.push_back(&span); });
  for (MSpan* span : spans) {
    if (most == 0) return;
    if (!span->TryAcquireForSweep(t_.heap.sweep_gen())) continue;
    --most;
    sweeper_.SweepAndKeep(t_.processor, *span);
    if (span->allocated() == 0) {
      t_.heap.FreeSpan(t_.processor, span);
    } else {
      t_.centrals.of(span->span_class()).PushSwept(*span);
    }
  }
}

// Their spans are swept; what is still listed as unswept is out of date.
void MCacheTester::EndSweep() {
  SweepSpans(UINT64_MAX);
  while (t_.PopUnswept() != nullptr) {
  }
  t_.centrals.ResetUnswept();
}

void MCacheTester::Cycle() {
  program_.Note("Cycle");
  DoCycle();
}

void MCacheTester::DoCycle() {
  for (Cache& c : caches_) c.cache->PrepareForSweep();
  EndSweep();
  TRICOLOR_CHECK(t_.heap.mark_bit_arenas().Rotate(), "no memory for mark bits");
  t_.heap.ClearPageMarks();
  for (Cache& c : caches_) c.cache->ParkRuns();
  const auto mark = [this](uintptr_t address) {
    MSpan* span = t_.heap.HeapSpanOf(Addr(address));
    TRICOLOR_CHECK(span != nullptr, "a live object is in no span");
    t_.Mark(span, span->IndexOf(Addr(address)));
  };
  for (const auto& [address, object] : objects_) {
    CheckWhole(address, object);
    if (object.live) mark(address);
  }
  if (being_zeroed_ != 0) mark(being_zeroed_);
  // Dead ones in a tiny block with a live one stay, and are dead next time.
  std::erase_if(objects_, [this](const auto& entry) {
    const MSpan* span = t_.heap.HeapSpanOf(Addr(entry.first));
    return !entry.second.live &&
           !span->IsMarked(span->IndexOf(Addr(entry.first)));
  });
  t_.heap.AdvanceSweepGen();
}

void MCacheTester::Check() {
  for (const Cache& c : caches_) c.cache->CheckInvariants();
}

}  // namespace tricolor::mcache
