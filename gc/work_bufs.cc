// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/work_bufs.h"

#include <cstddef>
#include <cstdint>
#include <new>

#include "tricolor/base/check.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/units.h"

namespace tricolor::gc {

using mheap::MSpan;

static_assert(offsetof(WorkBuf, node) == 0);

namespace {

WorkBuf* FromNode(LfNode* node) { return reinterpret_cast<WorkBuf*>(node); }

}  // namespace

// ---- SpanList.

void WorkBufs::SpanList::Push(MSpan* span) {
  span->list_next = first;
  if (first == nullptr) last = span;
  first = span;
  ++count;
}

MSpan* WorkBufs::SpanList::Pop() {
  MSpan* span = first;
  if (span == nullptr) return nullptr;
  first = span->list_next;
  if (first == nullptr) last = nullptr;
  span->list_next = nullptr;
  --count;
  return span;
}

void WorkBufs::SpanList::TakeAll(SpanList& other) {
  if (other.first == nullptr) return;
  other.last->list_next = first;
  if (first == nullptr) last = other.last;
  first = other.first;
  count += other.count;
  other = SpanList();
}

void WorkBufs::SpanList::CheckInvariants(const char* name) const {
  uint32_t found = 0;
  const MSpan* end = nullptr;
  for (const MSpan* span = first; span != nullptr && found <= count;
       span = span->list_next) {
    TRICOLOR_CHECK(
        span->state() == mheap::SpanState::kManual &&
            span->bytes() == kWorkBufSpanSize,
        "span %p on the %s list of work buffers is %s and has %llu bytes",
        static_cast<const void*>(span), name, SpanStateName(span->state()),
        static_cast<unsigned long long>(span->bytes().value()));
    end = span;
    ++found;
  }
  TRICOLOR_CHECK(found == count && end == last,
                 "the %s list of work-buffer spans has %u spans and ends with "
                 "%p; expected: %u, %p",
                 name, found, static_cast<const void*>(end), count,
                 static_cast<const void*>(last));
}

// ---- WorkBufs.

WorkBufs::WorkBufs(mheap::MHeap& heap) : heap_(heap) {
  MutexLock lock(mutex_);
  heap_.AttachProcessor(processor_);
}

WorkBufs::~WorkBufs() {
  MutexLock lock(mutex_);
  TRICOLOR_CHECK(!running_, "work buffers %p are destroyed in mid-cycle",
                 static_cast<void*>(this));
  while (MSpan* span = free_.Pop()) heap_.FreeManual(processor_, span);
  heap_.ReleaseProcessor(processor_);
}

void WorkBufs::BeginCycle() {
  MutexLock lock(mutex_);
  TRICOLOR_CHECK(!running_ && busy_.count == 0 && full_.Empty(),
                 "a mark cycle begins with %u work-buffer spans busy (cycle "
                 "running: %d, full buffers: %d)",
                 busy_.count, running_, !full_.Empty());
  running_ = true;
}

void WorkBufs::EndCycle() {
  MutexLock lock(mutex_);
  TRICOLOR_CHECK(running_ && full_.Empty(),
                 "a mark cycle ends with full work buffers (%d; cycle running: "
                 "%d)",
                 !full_.Empty(), running_);
  empty_.Reset();
  free_.TakeAll(busy_);
  running_ = false;
  // Nobody allocates with this processor until the next cycle.
  heap_.FlushPageCache(processor_);
}

WorkBuf* WorkBufs::GetEmpty() {
  if (LfNode* node = empty_.Pop()) return FromNode(node);
  MSpan* span = TakeSpan();
  if (span == nullptr) return nullptr;
  // The first buffer is the caller's. Nobody can have the span's memory as a
  // node of these stacks any more: they were reset after the last cycle.
  for (uint32_t i = kBufsPerSpan - 1; i > 0; --i) {
    const Addr at = span->base() + kWorkBufSize * i;
    empty_.Push(&(::new (at.pointer()) WorkBuf)->node);
  }
  return ::new (span->base().pointer()) WorkBuf;
}

MSpan* WorkBufs::TakeSpan() {
  MutexLock lock(mutex_);
  TRICOLOR_CHECK(running_, "a work buffer is asked for outside of a cycle");
  MSpan* span = free_.Pop();
  if (span == nullptr) {
    span = heap_.AllocManual(processor_, PagesIn(kWorkBufSpanSize));
  }
  if (span != nullptr) busy_.Push(span);
  return span;
}

void WorkBufs::PutEmpty(WorkBuf* buf) {
  TRICOLOR_DCHECK(buf->count == 0, "work buffer %p with %u items is put back",
                  static_cast<void*>(buf), buf->count);
  TRICOLOR_DCHECK(buf->contents == WorkBuf::Contents::kItems,
                  "work buffer %p of words is put back",
                  static_cast<void*>(buf));
  empty_.Push(&buf->node);
}

void WorkBufs::PutFull(WorkBuf* buf) {
  TRICOLOR_DCHECK(buf->count > 0 && buf->count <= WorkBuf::kCapacity,
                  "work buffer %p with %u items is published",
                  static_cast<void*>(buf), buf->count);
  full_.Push(&buf->node);
}

WorkBuf* WorkBufs::TryGetFull() {
  LfNode* node = full_.Pop();
  return node == nullptr ? nullptr : FromNode(node);
}

bool WorkBufs::FreeSome(mheap::ProcessorCache& processor) {
  MutexLock lock(mutex_);
  if (running_) return false;
  for (uint32_t i = 0; i < kFreeBatch; ++i) {
    MSpan* span = free_.Pop();
    if (span == nullptr) break;
    heap_.FreeManual(processor, span);
  }
  return free_.count != 0;
}

uint32_t WorkBufs::busy_spans() const {
  MutexLock lock(mutex_);
  return busy_.count;
}

uint32_t WorkBufs::free_spans() const {
  MutexLock lock(mutex_);
  return free_.count;
}

void WorkBufs::CheckInvariants() const {
  MutexLock lock(mutex_);
  busy_.CheckInvariants("busy");
  free_.CheckInvariants("free");
  full_.CheckInvariants();
  empty_.CheckInvariants();
  TRICOLOR_CHECK(
      running_ || (busy_.count == 0 && full_.Empty() && empty_.Empty()),
      "INV-GC-1: between cycles %u work-buffer spans are busy (full buffers: "
      "%d, empty ones: %d)",
      busy_.count, !full_.Empty(), !empty_.Empty());
}

}  // namespace tricolor::gc
