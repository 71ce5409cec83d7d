// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/cleanup_check.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tricolor/base/atomic.h"
#include "tricolor/base/check.h"
#include "tricolor/mcache/mcache.h"
#include "tricolor/mheap/mspan.h"

namespace tricolor::runtime {

using mheap::MSpan;

namespace {

constexpr uint64_t kWord = sizeof(uint64_t);

}  // namespace

CleanupChecker::CleanupChecker(const mheap::MHeap& heap, RootTable& roots)
    : heap_(heap) {
  for (const RootBlock* b = roots.blocks(); b != nullptr; b = b->next) {
    root_blocks_.insert(Addr(b).value());
  }
}

void CleanupChecker::Check(Addr object, bool finalizer,
                           const CleanupCall& call) {
  const char* const kind = finalizer ? "finalizer" : "cleanup";
  const Addr target = SlotOf(object);
  const bool tiny = MayShareBlock(target);
  std::pmr::vector<Held> held = HeldBy(call);
  if (finalizer) std::erase_if(held, [](const Held& h) { return !h.root; });
  for (const Held& h : held) {
    TRICOLOR_CHECK(tiny ? h.to != object : h.slot != target,
                   "checkcleanups: a %s of the object at %p whose callable "
                   "holds, at offset %llu, a %s to it: it would %s",
                   kind, target.pointer(),
                   static_cast<unsigned long long>(h.offset),
                   h.root ? "Root" : "pointer",
                   h.root ? "never run" : "run with a dangling pointer");
  }
  if (tiny) return;
  for (const Held& h : held) {
    Addr last;
    TRICOLOR_CHECK(
        !Leads(h.slot, target, &last),
        "checkcleanups: a %s of the object at %p whose callable "
        "holds, at offset %llu, a %s to the object at %p, from "
        "which it is reached; the last on the way is %p",
        kind, target.pointer(), static_cast<unsigned long long>(h.offset),
        h.root ? "Root" : "pointer", h.slot.pointer(), last.pointer());
  }
}

std::pmr::vector<CleanupChecker::Held> CleanupChecker::HeldBy(
    const CleanupCall& call) {
  std::pmr::vector<Held> held(&memory_);
  const Addr begin(call.bytes());
  const Addr end = begin + ByteCount(call.size());
  for (Addr at = begin.AlignUp(kWord); at + ByteCount(kWord) <= end;
       at += ByteCount(kWord)) {
    const Addr word(LoadWordRelaxed(at.as<const uint64_t>()));
    const uint64_t offset = (at - begin).value();
    if (root_blocks_.count(word.AlignDown(sizeof(RootBlock)).value()) == 0) {
      const Addr slot = SlotOf(word);
      if (!slot.is_null()) held.push_back({offset, false, word, slot});
      continue;
    }
    if (word.value() % kWord != 0) continue;
    const Addr to = RootTable::Get(*word.as<const RootSlot>());
    const Addr slot = SlotOf(to);
    if (!slot.is_null()) held.push_back({offset, true, to, slot});
  }
  return held;
}

Addr CleanupChecker::SlotOf(Addr a) const {
  const MSpan* span = heap_.HeapSpanOf(a);
  if (span == nullptr) return Addr();
  const uint32_t index = span->IndexOf(a);
  return span->IsFree(index) ? Addr() : span->SlotAddress(index);
}

bool CleanupChecker::MayShareBlock(Addr a) const {
  const MSpan* span = heap_.HeapSpanOf(a);
  return span != nullptr && span->span_class() == mcache::MCache::kTinyClass;
}

void CleanupChecker::Reach(Addr a) {
  const Addr slot = SlotOf(a);
  if (slot.is_null()) return;
  if (reached_.emplace(slot.value(), scanned_).second) to_scan_.push_back(slot);
}

bool CleanupChecker::Leads(Addr first, Addr target, Addr* last) {
  reached_.clear();
  to_scan_.clear();
  Reach(first);
  while (!to_scan_.empty()) {
    scanned_ = to_scan_.back();
    to_scan_.pop_back();
    VisitPointersOf(scanned_);
    const auto found = reached_.find(target.value());
    if (found == reached_.end()) continue;
    *last = found->second;
    return true;
  }
  return false;
}

void CleanupChecker::VisitPointersOf(Addr slot) {
  const MSpan& span = *heap_.HeapSpanOf(slot);
  if (span.span_class().is_noscan()) return;
  const AddrRange whole{slot, slot + ByteCount(span.slot_size())};
  if (span.is_large()) {
    const TypeInfo* type = span.large_type();
    if (type != nullptr) VisitElements(*type, whole);
    return;
  }
  if (span.span_class().kind() == mheap::SpanKind::kPointerBitmap) {
    const uint64_t bits = span.PointerBits(span.IndexOf(slot));
    for (uint64_t i = 0; i < span.slot_size() / kWord; ++i) {
      if (((bits >> i) & 1) == 0) continue;
      Reach(Addr(LoadWordRelaxed(slot.as<const uint64_t>() + i)));
    }
    return;
  }
  const TypeInfo* type =
      slot.as<const Atomic<const TypeInfo*>>()->LoadAcquire();
  if (type == nullptr) return;  // no object yet
  const uint64_t header =
      std::max<uint64_t>(mheap::kTypeHeaderBytes, type->align);
  VisitElements(*type, {slot + ByteCount(header), whole.limit});
}

void CleanupChecker::VisitElements(const TypeInfo& type, AddrRange payload) {
  if (type.tracing == TypeInfo::Tracing::kConservative) {
    for (Addr at = payload.base; at < payload.limit; at += ByteCount(kWord)) {
      Reach(Addr(LoadWordRelaxed(at.as<const uint64_t>())));
    }
    return;
  }
  const ByteCount size(type.size);
  for (Addr e = payload.base; e + size <= payload.limit; e += size) {
    if (type.tracing == TypeInfo::Tracing::kCallback) {
      type.trace(e.pointer(), *this);
      continue;
    }
    for (uint64_t i = 0; i < type.pointer_words; ++i) {
      if (((type.bitmap[i / 64] >> (i % 64)) & 1) == 0) continue;
      Reach(Addr(LoadWordRelaxed(e.as<const uint64_t>() + i)));
    }
  }
}

}  // namespace tricolor::runtime
