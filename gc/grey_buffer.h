// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// GreyBuffer: what a thread that does not mark has for those that do: pointers
// that its write barrier has recorded, and words of its stack. It fills a work
// buffer and publishes what of it is not marked yet; a mark worker takes each
// word as a conservative pointer. When the OS refuses memory for a buffer, the
// object is marked here, and a rescan of the heap will scan it.
//
// Go counterpart: wbBuf in mwbbuf.go, which is flushed by marking on the
// mutator's own thread.
// One thread at a time. Between cycles it is empty and owns no buffer.
// INV-GC-8: no object is unmarked that was in a buffer when marking ended.
// Cost of Add: a comparison and a store.

#ifndef TRICOLOR_GC_GREY_BUFFER_H_
#define TRICOLOR_GC_GREY_BUFFER_H_

#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "tricolor/gc/mark_cycle.h"
#include "tricolor/gc/work_bufs.h"

namespace tricolor::gc {

class Marker;

class GreyBuffer {
 public:
  // `marker` outlives this.
  explicit GreyBuffer(Marker& marker);
  // Empty.
  ~GreyBuffer();
  GreyBuffer(const GreyBuffer&) = delete;
  GreyBuffer& operator=(const GreyBuffer&) = delete;

  // While a cycle marks. Any bit pattern; what lies outside the heap is passed
  // over.
  void Add(uint64_t word) {
    if (word - heap_base_ >= heap_reserved_) return;  // null, too
    if (ABSL_PREDICT_FALSE(next_ == limit_)) return AddSlow(word);
    *next_++ = word;
  }
  // Hands everything to the mark workers.
  void Publish();
  bool empty() const { return buf_ == nullptr; }

 private:
  ABSL_ATTRIBUTE_NOINLINE void AddSlow(uint64_t word);
  // Takes words out that lead to no unmarked object. With a buffer.
  void DropMarked();
  // Hands the buffer on. With one.
  void PublishBuffer();
  // Without one.
  void MarkUnscanned(uint64_t word);

  MarkCycle& cycle_;
  const uint64_t heap_base_;
  const uint64_t heap_reserved_;
  WorkBuf* buf_ = nullptr;
  uint64_t* next_ = nullptr;  // into *buf_
  uint64_t* limit_ = nullptr;
};

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_GREY_BUFFER_H_
