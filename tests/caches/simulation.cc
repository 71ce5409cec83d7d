// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/tests/caches/simulation.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>
#include <utility>

#include "tricolor/base/check.h"
#include "tricolor/mheap/object_layout.h"

namespace tricolor::caches {

using mheap::MSpan;
using Tracing = TypeInfo::Tracing;

namespace {

constexpr uint64_t kPointers[] = {0x0123456789abcdef};

constexpr TypeInfo kTypes[] = {
    {.size = 1, .align = 1},
    {.size = 5, .align = 1},
    {.size = 8, .align = 8},
    {.size = 16, .align = 16},
    {.size = 24, .align = 8},
    {.size = 100, .align = 4},
    {.size = 512, .align = 8},
    {.size = 2048, .align = 8},
    {.size = 30000, .align = 8},
    {.size = 40000, .align = 8},
    {.size = 16,
     .align = 8,
     .tracing = Tracing::kBitmap,
     .pointer_words = 2,
     .bitmap = kPointers},
    {.size = 48,
     .align = 8,
     .tracing = Tracing::kBitmap,
     .pointer_words = 6,
     .bitmap = kPointers},
    {.size = 40,
     .align = 8,
     .tracing = Tracing::kBitmap,
     .pointer_words = 5,
     .bitmap = kPointers},
    {.size = 512,
     .align = 8,
     .tracing = Tracing::kBitmap,
     .pointer_words = 64,
     .bitmap = kPointers},
    {.size = 56, .align = 8, .tracing = Tracing::kConservative},
    {.size = 640, .align = 64, .tracing = Tracing::kConservative},
    {.size = 5000, .align = 8, .tracing = Tracing::kConservative},
    {.size = 100000, .align = 8, .tracing = Tracing::kConservative},
};

// Calls check(i) for all bytes of an object, or enough of a large one's.
template <typename Check>
void ForBytes(size_t bytes, const Check& check) {
  constexpr size_t kEnds = 64;
  for (size_t i = 0; i < bytes; i += i < kEnds || i + kEnds >= bytes ? 1 : 61) {
    check(i);
  }
}

mheap::MHeapOptions HeapOptions() {
  mheap::MHeapOptions options = mcentral::TestHeapOptions();
  options.max_mapped = ByteCount(8 << 20);
  return options;
}

}  // namespace

Simulation::Simulation(Choices& choices, int processors)
    : choices_(choices),
      t_(HeapOptions()),
      sweeper_(t_.heap, t_.centrals, *this) {
  t_.heap.set_sweeper(&sweeper_);
  for (int i = 0; i < processors; ++i) {
    processors_.push_back(NewProcessor());
  }
}

Simulation::~Simulation() { CheckQuiescent(); }

void Simulation::Step() {
  const uint32_t choice = choices_.Below(64);
  if (choice < 24) return Allocate();
  if (choice < 36) return Drop();
  switch (choice) {
    case 36:
      return AllocateUntilNull();
    case 37:
    case 38:
      return Verify();
    case 39:
    case 40:
      return Flush();
    case 41:
      return Release();
    case 42:
      return PublishStats();
    case 43:
      return ReplaceProcessor();
    case 44:
    case 45:
    case 46:
      return SweepSome();
    case 47:
      return Reclaim();
    case 48:
    case 49:
      return EnsureSwept();
    case 50:
    case 51:
      return AttachSpecial();
    case 52:
      return StopTheWorldCycle();
    case 53:
    case 54:
      return marking_ ? EndMark() : BeginMark();
    case 55:
    case 56:
    case 57:
      return MarkSome();
    case 58:
    case 59:
      return MarkConservatively();
    case 60:
      return CheckQuiescent();
    case 61:
      return SetFinalizer();
    case 62:
      return ClearFinalizer();
    default:
      return Allocate();
  }
}

std::unique_ptr<Simulation::Processor> Simulation::NewProcessor() {
  mcache::AllocationObserver& observer = *this;
  return std::make_unique<Processor>(t_, observer);
}

// ---- Choices.

Simulation::Processor& Simulation::AnyProcessor() {
  return *processors_[choices_.Below(
      static_cast<uint32_t>(processors_.size()))];
}

Simulation::Processor& Simulation::AnyFlushedProcessor() {
  Processor& p = AnyProcessor();
  p.cache->PrepareForSweep();
  return p;
}

Simulation::Object* Simulation::AnyObject() {
  if (live_.empty()) return nullptr;
  const size_t most = std::min(live_.size(), size_t{65536});
  return &live_[choices_.Below(static_cast<uint32_t>(most))];
}

// ---- Objects.

void Simulation::Allocate() {
  Processor& p = AnyFlushedProcessor();
  const TypeInfo& type =
      kTypes[choices_.Below(static_cast<uint32_t>(std::size(kTypes)))];
  const uint32_t objects = 1 + choices_.Below(20);
  const uint32_t count = choices_.Below(3) == 0 ? 1 + choices_.Below(9) : 1;
  for (uint32_t i = 0; i < objects; ++i) {
    if (!AllocateOne(p, type, count)) return;
  }
}

void Simulation::AllocateUntilNull() {
  if (choices_.Below(8) != 0) return;
  Processor& p = AnyFlushedProcessor();
  const TypeInfo& type = kTypes[7 + choices_.Below(3)];
  while (AllocateOne(p, type, 1)) {
  }
}

bool Simulation::AllocateOne(Processor& p, const TypeInfo& type,
                             uint64_t count) {
  void* memory = p.cache->Allocate(type, count);
  if (memory == nullptr) return false;
  Object object;
  object.address = reinterpret_cast<uintptr_t>(memory);
  object.bytes = type.size * count;
  object.tag = static_cast<uint8_t>(1 + objects_allocated_ % 255);
  object.tiny = mcache::MCache::UsesTinyBlock(type, count);
  CheckNew(object, type, count);
  std::memset(memory, object.tag, object.bytes);
  occupied_[object.address] = object.bytes;
  live_.push_back(std::move(object));
  ++objects_allocated_;
  if (marking_) allocated_while_marking_ = true;
  return true;
}

void Simulation::CheckNew(const Object& object, const TypeInfo& type,
                          uint64_t count) {
  const uintptr_t end = object.address + object.bytes;
  auto next = occupied_.lower_bound(object.address);
  TRICOLOR_CHECK(next == occupied_.end() || next->first >= end,
                 "object %zx of %zu bytes handed out over that at %zx",
                 object.address, object.bytes, next->first);
  if (next != occupied_.begin()) {
    const auto& [address, bytes] = *std::prev(next);
    TRICOLOR_CHECK(address + bytes <= object.address,
                   "object %zx handed out within that at %zx of %zu bytes",
                   object.address, address, bytes);
  }
  const auto* memory = reinterpret_cast<const unsigned char*>(object.address);
  ForBytes(object.bytes, [&](size_t i) {
    TRICOLOR_CHECK(memory[i] == 0, "new object %zx is not zero at byte %zu",
                   object.address, i);
  });
  TRICOLOR_CHECK(object.address % type.align == 0, "object %zx aligned to %zu",
                 object.address, type.align);
  const MSpan* span = t_.heap.HeapSpanOf(Addr(object.address));
  TRICOLOR_CHECK(span != nullptr, "object %zx in no span", object.address);
  const uint32_t index = span->IndexOf(Addr(object.address));
  TRICOLOR_CHECK(!span->IsFree(index) && (!marking_ || span->IsMarked(index)),
                 "new object %zx is free or white", object.address);
  if (span->is_large()) {
    TRICOLOR_CHECK(span->large_type() == &type, "large object %zx untyped",
                   object.address);
  } else if (span->span_class().kind() == mheap::SpanKind::kPointerBitmap) {
    const uint64_t bits = mheap::SlotPointerBits(type, count);
    TRICOLOR_CHECK(span->PointerBits(index) == bits,
                   "object %zx has pointer bits %zx, expected %zx",
                   object.address, size_t{span->PointerBits(index)},
                   size_t{bits});
  }
}

void Simulation::CheckWhole(const Object& object) {
  const auto* memory = reinterpret_cast<const unsigned char*>(object.address);
  ForBytes(object.bytes, [&](size_t i) {
    TRICOLOR_CHECK(memory[i] == object.tag,
                   "byte %zu of object %zx is %02x, expected %02x", i,
                   object.address, memory[i], object.tag);
  });
  if (object.weak != nullptr) {
    TRICOLOR_CHECK(object.weak->serial.LoadAcquire() == object.serial,
                   "weak handle of the live object %zx is dead",
                   object.address);
  }
}

// Usually a batch, or the heap would only fill up.
void Simulation::Drop() {
  const uint32_t n = 1 + choices_.Below(40);
  for (uint32_t i = 0; i < n; ++i) {
    Object* object = AnyObject();
    if (object == nullptr) return;
    CheckWhole(*object);
    dropped_.push_back(std::move(*object));
    *object = std::move(live_.back());
    live_.pop_back();
  }
}

void Simulation::Verify() {
  for (const Object& object : live_) CheckWhole(object);
}

mheap::MSpan* Simulation::SweptSpanOf(const Object& object) {
  if (object.tiny) return nullptr;
  MSpan* span = t_.heap.HeapSpanOf(Addr(object.address));
  // Stale in somebody's cache: runtime would wait for the flush.
  if (span->sweep_gen() == t_.heap.sweep_gen() + 1) return nullptr;
  sweeper_.EnsureSwept(AnyProcessor().pages, *span);
  return span;
}

// ---- Processors.

void Simulation::Flush() { AnyProcessor().cache->PrepareForSweep(); }

void Simulation::Release() {
  Processor& p = AnyFlushedProcessor();
  p.cache->ReleaseAll();
  if (marking_) cycles_with_lost_slots_ = 2;
}

void Simulation::PublishStats() { AnyProcessor().cache->PublishStats(); }

// A thread detaches and another one attaches.
void Simulation::ReplaceProcessor() {
  std::unique_ptr<Processor>& p =
      processors_[choices_.Below(static_cast<uint32_t>(processors_.size()))];
  p->cache->PrepareForSweep();
  p->cache->ReleaseAll();
  if (marking_) cycles_with_lost_slots_ = 2;
  p = NewProcessor();
  p->cache->set_allocate_black(marking_);
}

void Simulation::FlushAll() {
  for (auto& p : processors_) p->cache->PrepareForSweep();
}

// ---- Checks.

void Simulation::CheckQuiescent() {
  EndMark();
  FlushAll();
  for (auto& p : processors_) p->cache->CheckInvariants();
  for (auto& p : processors_) p->cache->ReleaseAll();
  sweeper_.SweepAll(AnyProcessor().pages);
  Verify();
  TRICOLOR_CHECK(
      due_cleanups_.empty() && due_weak_.empty() && due_finalizers_.empty(),
      "%zu cleanups, %zu weak handles and %zu finalizers were not reported",
      due_cleanups_.size(), due_weak_.size(), due_finalizers_.size());
  CheckSpans(cycles_with_lost_slots_ == 0);
  sweeper_.CheckInvariants();
  t_.centrals.CheckInvariants();
  t_.heap.CheckInvariants();
}

void Simulation::CheckSpans(bool exact) {
  std::map<const MSpan*, std::set<uint32_t>> used;
  for (const auto& [address, bytes] : occupied_) {
    const MSpan* span = t_.heap.HeapSpanOf(Addr(address));
    used[span].insert(span->IndexOf(Addr(address)));
  }
  uint64_t slots[mheap::kSizeClasses] = {};
  int64_t bytes = 0;
  t_.heap.ForEachHeapSpan([&](const MSpan& span) {
    const size_t expected = used[&span].size();
    TRICOLOR_CHECK(
        span.allocated() == expected || (!exact && span.allocated() > expected),
        "span %p has %u slots allocated, the model %zu", span.base().pointer(),
        span.allocated(), expected);
    for (const uint32_t i : used[&span]) {
      TRICOLOR_CHECK(!span.IsFree(i), "slot %u of span %p is free", i,
                     span.base().pointer());
    }
    slots[span.span_class().size_class()] += span.allocated();
    bytes += static_cast<int64_t>(span.allocated() * span.slot_size());
  });
  const mheap::HeapStats stats = t_.heap.ReadStats();
  stats.CheckObjects();
  for (int i = 0; i < mheap::kSizeClasses; ++i) {
    TRICOLOR_CHECK(
        stats.small_allocated[i] - stats.small_freed[i] == slots[i],
        "size class %d: %zu objects allocated, %zu freed, but %zu are there", i,
        size_t{stats.small_allocated[i]}, size_t{stats.small_freed[i]},
        size_t{slots[i]});
  }
  if (exact && !allocated_while_marking_) {
    TRICOLOR_CHECK(heap_live_ == bytes,
                   "live heap is %lld bytes by the observer, %lld by the spans",
                   static_cast<long long>(heap_live_),
                   static_cast<long long>(bytes));
  }
}

}  // namespace tricolor::caches
