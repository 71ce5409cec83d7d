// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/tests/caches/simulation.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>
#include <utility>

#include "tricolor/base/check.h"

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

Operation Simulation::ChooseOperation(Choices& choices) {
  const uint32_t choice = choices.Below(64);
  if (choice < 24) return Operation::kAllocate;
  if (choice < 36) return Operation::kDrop;
  switch (choice) {
    case 36:
      return Operation::kAllocateUntilNull;
    case 37:
    case 38:
      return Operation::kVerify;
    case 39:
    case 40:
      return Operation::kFlush;
    case 41:
      return Operation::kRelease;
    case 42:
      return Operation::kPublishStats;
    case 43:
      return Operation::kReplaceProcessor;
    case 44:
    case 45:
    case 46:
      return Operation::kSweepSome;
    case 47:
      return Operation::kReclaim;
    case 48:
    case 49:
      return Operation::kEnsureSwept;
    case 50:
    case 51:
      return Operation::kAttachSpecial;
    case 52:
      return Operation::kStopTheWorldCycle;
    case 53:
    case 54:
      return Operation::kBeginOrEndMark;
    case 55:
    case 56:
    case 57:
      return Operation::kMarkSome;
    case 58:
    case 59:
      return Operation::kMarkConservatively;
    case 60:
      return Operation::kCheckQuiescent;
    case 61:
      return Operation::kSetFinalizer;
    case 62:
      return Operation::kClearFinalizer;
    default:
      return Operation::kAllocate;
  }
}

void Simulation::Do(Operation operation) {
  switch (operation) {
    case Operation::kAllocate:
      return Allocate();
    case Operation::kAllocateUntilNull:
      return AllocateUntilNull();
    case Operation::kAttachSpecial:
      return AttachSpecial();
    case Operation::kBeginOrEndMark:
      return marking_ ? EndMark() : BeginMark();
    case Operation::kCheckQuiescent:
      return CheckQuiescent();
    case Operation::kClearFinalizer:
      return ClearFinalizer();
    case Operation::kDrop:
      return Drop();
    case Operation::kEnsureSwept:
      return EnsureSwept();
    case Operation::kFlush:
      return Flush();
    case Operation::kMarkConservatively:
      return MarkConservatively();
    case Operation::kMarkSome:
      return MarkSome();
    case Operation::kPublishStats:
      return PublishStats();
    case Operation::kReclaim:
      return Reclaim();
    case Operation::kRelease:
      return Release();
    case Operation::kReplaceProcessor:
      return ReplaceProcessor();
    case Operation::kSetFinalizer:
      return SetFinalizer();
    case Operation::kStopTheWorldCycle:
      return StopTheWorldCycle();
    case Operation::kSweepSome:
      return SweepSome();
    case Operation::kVerify:
      return Verify();
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

}  // namespace tricolor::caches
