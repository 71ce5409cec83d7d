// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/mark_verifier.h"

#include <algorithm>
#include <cstdint>

#include "tricolor/base/atomic.h"
#include "tricolor/base/check.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/object_layout.h"

namespace tricolor::runtime {

using mheap::MSpan;
using mheap::SpanKind;

void MarkVerifier::Take(const uint64_t* words, size_t count) {
  for (size_t i = 0; i < count; ++i) VisitConservatively(words[i]);
}

size_t MarkVerifier::Verify() {
  while (!stack_.empty()) {
    const Object object = stack_.back();
    stack_.pop_back();
    Scan(object);
  }
  return seen_.size();
}

void MarkVerifier::Visit(const void* pointer) {
  VisitConservatively(Addr(pointer).value());
}

void MarkVerifier::VisitConservatively(uintptr_t word) {
  const Addr a(word);
  const MSpan* span = heap_.HeapSpanOf(a);
  if (span == nullptr) return;
  const uint32_t index = span->IndexOf(a);
  if (span->IsFree(index)) return;
  const Addr slot = span->SlotAddress(index);
  if (!seen_.insert(slot.value()).second) return;
  if (!span->IsMarked(index)) {
    char description[MSpan::kDescriptionSize];
    Fatal("object %p is reachable and not marked; %s %p holds %p; span: %s",
          slot.pointer(), source_.is_null() ? "a root" : "object",
          source_.pointer(), a.pointer(),
          span->Describe(description, sizeof description));
  }
  stack_.push_back({span, index});
}

void MarkVerifier::Scan(const Object& object) {
  const MSpan& span = *object.span;
  const Addr slot = span.SlotAddress(object.index);
  source_ = slot;
  switch (span.span_class().kind()) {
    case SpanKind::kNoScan:
      break;
    case SpanKind::kPointerBitmap:
      for (uint64_t bits = span.PointerBits(object.index), i = 0; bits != 0;
           bits >>= 1, ++i) {
        if ((bits & 1) != 0) {
          VisitConservatively(LoadWordAcquire(slot.as<const uint64_t>() + i));
        }
      }
      break;
    case SpanKind::kTypeHeader: {
      if (span.is_large()) {
        if (const TypeInfo* type = span.large_type()) {
          ScanElements(*type, {span.base(), span.limit()});
        }
        break;
      }
      const TypeInfo* type =
          slot.as<const Atomic<const TypeInfo*>>()->LoadAcquire();
      if (type == nullptr) break;
      const ByteCount offset(
          std::max<uint64_t>(mheap::kTypeHeaderBytes, type->align));
      ScanElements(*type, {slot + offset, slot + ByteCount(span.slot_size())});
      break;
    }
  }
  source_ = Addr();
}

void MarkVerifier::ScanElements(const TypeInfo& type, AddrRange payload) {
  if (type.tracing == TypeInfo::Tracing::kConservative) {
    for (Addr a = payload.base; a < payload.limit;
         a = a + ByteCount(sizeof(uint64_t))) {
      VisitConservatively(LoadWordAcquire(a.as<const uint64_t>()));
    }
    return;
  }
  for (Addr element = payload.base;
       element + ByteCount(type.size) <= payload.limit;
       element = element + ByteCount(type.size)) {
    ScanElement(type, element);
  }
}

void MarkVerifier::ScanElement(const TypeInfo& type, Addr element) {
  if (type.tracing == TypeInfo::Tracing::kCallback) {
    type.trace(element.pointer(), *this);
    return;
  }
  if (type.tracing != TypeInfo::Tracing::kBitmap) return;
  for (size_t i = 0; i < type.pointer_words; ++i) {
    if (((type.bitmap[i / 64] >> (i % 64)) & 1) == 0) continue;
    VisitConservatively(LoadWordAcquire(element.as<const uint64_t>() + i));
  }
}

}  // namespace tricolor::runtime
