// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The part of MarkWorker that finds the pointers in objects. A mutator may
// write fields at the same time, by release stores (Ptr); they are read by
// acquire word loads, so that who finds an object finds its zeroed memory and
// its mark.

#include <algorithm>
#include <bit>
#include <cstdint>

#include "absl/base/optimization.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/bits.h"
#include "tricolor/gc/mark-inl.h"
#include "tricolor/gc/mark_worker.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/span_class.h"
#include "tricolor/mheap/type_info.h"

namespace tricolor::gc {

using mheap::MSpan;

namespace {

constexpr uint64_t kWord = sizeof(uint64_t);

}  // namespace

void MarkWorker::ScanSlow(MarkItem item) {
  source_ = item.address();
  switch (item.kind()) {
    case MarkItem::kPointerBitmap:
      ScanBitmapObject(item);
      break;
    case MarkItem::kTypeHeader:
      ScanHeaderObject(item);
      break;
    case MarkItem::kLargeSlice: {
      const MSpan* span = cycle_.heap.SpanOf(source_);
      if (source_ == span->base()) PushOtherSlices(*span);
      ScanLargeSlice(source_);
      break;
    }
    case MarkItem::kNoScan:  // never queued
      break;
  }
}

void MarkWorker::ScanHeaderObject(MarkItem item) {
  const Addr slot = item.address();
  // Acquire, pairs with the allocator's store. Null: not an object yet, but
  // zeroed memory, and what will be there is marked when it is allocated.
  const TypeInfo* type =
      slot.as<const Atomic<const TypeInfo*>>()->LoadAcquire();
  if (type == nullptr) return;
  const uint64_t size = item.record().slot_size();
  stats_.scanned_bytes += size;
  const uint64_t offset =
      std::max<uint64_t>(mheap::kTypeHeaderBytes, type->align);
  const AddrRange payload{slot + ByteCount(offset), slot + ByteCount(size)};
  ScanElements(*type, payload, payload);
}

void MarkWorker::PushOtherSlices(const MSpan& span) {
  for (uint64_t at = kSliceSize.value(); at < span.slot_size();
       at += kSliceSize.value()) {
    Push(MarkItem::LargeSlice(span.base() + ByteCount(at)));
  }
}

void MarkWorker::ScanLargeSlice(Addr slice) {
  const MSpan* span = cycle_.heap.SpanOf(slice);
  source_ = span->base();
  const TypeInfo* type = span->large_type();
  if (type == nullptr) return;  // as for a null type header
  const AddrRange payload{span->base(), span->limit()};
  const AddrRange part{slice, std::min(slice + kSliceSize, payload.limit)};
  stats_.scanned_bytes += part.size().value();
  ScanElements(*type, payload, part);
}

void MarkWorker::ScanElements(const TypeInfo& type, AddrRange payload,
                              AddrRange part) {
  switch (type.tracing) {
    case TypeInfo::Tracing::kNoPointers:
      break;
    case TypeInfo::Tracing::kBitmap:
      ScanBitmapElements(type, payload, part);
      break;
    case TypeInfo::Tracing::kCallback:
      ScanCallbackElements(type, payload, part);
      break;
    case TypeInfo::Tracing::kConservative:
      ScanConservativeWords(part);
      break;
  }
}

// An element that lies in two parts is scanned by both, each its own words.
void MarkWorker::ScanBitmapElements(const TypeInfo& type, AddrRange payload,
                                    AddrRange part) {
  const uint64_t skipped = (part.base - payload.base).value() / type.size;
  Addr element = payload.base + ByteCount(skipped * type.size);
  for (; element < part.limit; element += ByteCount(type.size)) {
    if ((payload.limit - element).value() < type.size) return;
    for (uint64_t i = 0; i < type.pointer_words; i += 64) {
      const Addr at = element + ByteCount(i * kWord);
      uint64_t bits = type.bitmap[i / 64];
      if (type.pointer_words - i < 64) {
        bits &= LowMask(static_cast<unsigned>(type.pointer_words - i));
      }
      if (at < part.base) {
        const uint64_t before = (part.base - at).value() / kWord;
        if (before >= 64) continue;
        bits &= ~LowMask(static_cast<unsigned>(before));
      }
      if (at >= part.limit) return;
      const uint64_t left = (part.limit - at).value() / kWord;
      if (left < 64) bits &= LowMask(static_cast<unsigned>(left));
      ScanPointerBits(at.as<const uint64_t>(), bits);
    }
  }
}

// An element belongs to the part in which it begins.
void MarkWorker::ScanCallbackElements(const TypeInfo& type, AddrRange payload,
                                      AddrRange part) {
  const uint64_t before =
      DivideRoundUp((part.base - payload.base).value(), type.size);
  Addr element = payload.base + ByteCount(before * type.size);
  for (; element < part.limit; element += ByteCount(type.size)) {
    if ((payload.limit - element).value() < type.size) return;
    type.trace(element.pointer(), *this);
  }
}

void MarkWorker::ScanConservativeWords(AddrRange part) {
  const auto* word = part.base.as<const uint64_t>();
  const auto* end = part.limit.as<const uint64_t>();
  for (; word < end; ++word) VisitConservatively(LoadWordAcquire(word));
}

}  // namespace tricolor::gc
