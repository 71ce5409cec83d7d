// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/grey_buffer.h"

#include <cstdint>

#include "tricolor/base/check.h"
#include "tricolor/base/units.h"
#include "tricolor/gc/local_work.h"
#include "tricolor/gc/marker.h"
#include "tricolor/mheap/mspan.h"

namespace tricolor::gc {

GreyBuffer::GreyBuffer(Marker& marker)
    : cycle_(marker.cycle()),
      heap_base_(cycle_.heap.base().value()),
      heap_reserved_(cycle_.heap.reserved().value()) {}

GreyBuffer::~GreyBuffer() {
  TRICOLOR_CHECK(empty(), "grey buffer %p is destroyed with words in it",
                 static_cast<void*>(this));
}

void GreyBuffer::AddSlow(uint64_t word) {
  if (buf_ != nullptr) {
    DropMarked();
    if (next_ - buf_->items > WorkBuf::kCapacity / 2) PublishBuffer();
  }
  if (buf_ == nullptr) {
    buf_ = cycle_.bufs.GetEmpty();
    if (buf_ == nullptr) return MarkUnscanned(word);
    next_ = buf_->items;
    limit_ = next_ + WorkBuf::kCapacity;
  }
  *next_++ = word;
}

void GreyBuffer::Publish() {
  if (buf_ == nullptr) return;
  DropMarked();
  PublishBuffer();
}

// Of all that a barrier records, little is news. Without this, a program that
// stores the same pointers over and over could keep the markers busy for ever.
// So could a stack that is scanned in each handshake, and has an old pointer to
// a slot that is free: such words, too, lead to nothing that could be marked.
void GreyBuffer::DropMarked() {
  uint64_t* kept = buf_->items;
  for (const uint64_t* word = kept; word != next_; ++word) {
    const Addr a(*word);
    const mheap::MSpan* span = cycle_.heap.HeapSpanOf(a);
    if (span == nullptr) continue;
    const uint32_t index = span->IndexOf(a);
    if (!span->IsMarked(index) && !span->IsFree(index)) *kept++ = *word;
  }
  next_ = kept;
}

void GreyBuffer::PublishBuffer() {
  buf_->count = static_cast<uint32_t>(next_ - buf_->items);
  if (buf_->count == 0) {
    cycle_.bufs.PutEmpty(buf_);
  } else {
    buf_->contents = WorkBuf::Contents::kWords;
    PublishWork(cycle_.bufs, cycle_.idle, buf_);
  }
  buf_ = nullptr;
  next_ = nullptr;
  limit_ = nullptr;
}

// The mark first: a worker that has seen the flag, and has rescanned the heap
// without this object's mark, would leave the object unscanned.
void GreyBuffer::MarkUnscanned(uint64_t word) {
  const Addr a(word);
  mheap::MSpan* span = cycle_.heap.HeapSpanOf(a);
  if (span == nullptr) return;
  const uint32_t index = span->IndexOf(a);
  if (span->IsFree(index) || !span->SetMarked(index)) return;
  cycle_.others_marked.FetchAddRelaxed(1);
  cycle_.others_marked_bytes.FetchAddRelaxed(span->slot_size());
  cycle_.SetPageMark((span->base() - cycle_.heap.base()).value() >> kPageShift);
  // Release, pairs with the acquire of who decides that marking is over.
  cycle_.overflowed.StoreRelease(true);
}

}  // namespace tricolor::gc
