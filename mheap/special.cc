// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// MHeap's specials. The span's mutex guards the list; records come from
// allocators under the special lock, which is taken inside it.

#include "tricolor/mheap/special.h"

#include <cstdint>

#include "tricolor/base/check.h"
#include "tricolor/base/mutex.h"
#include "tricolor/mheap/mheap.h"

namespace tricolor::mheap {
namespace {

// The first link at or after `link` whose special is not before (index, kind);
// with `after`, not at it either.
Special** FindLink(Special** link, uint32_t index, SpecialKind kind,
                   bool after) {
  for (; *link != nullptr; link = &(*link)->next) {
    const Special& s = **link;
    if (s.object_index > index) break;
    if (s.object_index < index) continue;
    if (after ? s.kind > kind : s.kind >= kind) break;
  }
  return link;
}

bool Is(const Special* special, uint32_t index, SpecialKind kind) {
  return special != nullptr && special->object_index == index &&
         special->kind == kind;
}

void InsertAt(Special** link, Special* special, uint32_t index,
              SpecialKind kind) {
  special->object_index = static_cast<uint16_t>(index);
  special->kind = kind;
  special->next = *link;
  *link = special;
}

}  // namespace

static_assert(kMaxSlots <= UINT16_MAX);

void MHeap::CheckSpecialTarget(const MSpan& span, uint32_t index) const {
  const uint32_t sg = sweep_gen();
  const uint32_t gen = span.sweep_gen();
  if (span.state() == SpanState::kInUse && index < span.slots() &&
      (gen == sg || gen == sg + 3)) {
    return;
  }
  char description[MSpan::kDescriptionSize];
  Fatal(
      "special for object %u of a span that is not swept and in use, "
      "generation %u: %s",
      index, sg, span.Describe(description, sizeof description));
}

// Under the span's specials mutex: one writer of the bit at a time.
void MHeap::SetSpecialsBit(const MSpan& span, bool value) {
  const uint64_t page = PageIndex(span.base());
  const uint64_t bit = uint64_t{1} << (page % 64);
  Atomic<uint64_t>& word = page_specials_word(page / 64);
  // Release, pairs with the marker's look for spans with specials to scan.
  if (value) {
    word.FetchOrRelease(bit);
  } else {
    word.FetchAndRelease(~bit);
  }
}

// The slot is reused only when its serial is zero, so a weak pointer that was
// made of it before cannot match the new serial.
WeakSpecial* MHeap::NewWeakSpecial(MSpan& span, uint32_t index) {
  MutexLock lock(special_lock_);
  WeakSpecial* special = weak_specials_.Allocate();
  if (special == nullptr) return nullptr;
  bool fresh = false;
  WeakSlot* slot = weak_slots_.Allocate(&fresh);
  if (slot == nullptr) {
    weak_specials_.Free(special);
    return nullptr;
  }
  if (fresh) {
    ::new (slot) WeakSlot;
    slot->heap = owner_;
  }
  slot->next_free = nullptr;
  slot->target.StoreRelaxed(span.SlotAddress(index).value());
  // Release: a reader that finds the serial finds its target.
  slot->serial.StoreRelease(last_serial_.FetchAddRelaxed(1) + 1);
  ::new (special) WeakSpecial;
  special->slot = slot;
  return special;
}

WeakSlot* MHeap::WeakSlotFor(MSpan& span, uint32_t object_index) {
  CheckSpecialTarget(span, object_index);
  MutexLock lock(span.specials_mutex());
  Special** link = FindLink(&span.specials(), object_index,
                            SpecialKind::kWeakHandle, /*after=*/false);
  if (Is(*link, object_index, SpecialKind::kWeakHandle)) {
    return static_cast<WeakSpecial*>(*link)->slot;
  }
  WeakSpecial* special = NewWeakSpecial(span, object_index);
  if (special == nullptr) return nullptr;
  if (span.specials() == nullptr) SetSpecialsBit(span, true);
  InsertAt(link, special, object_index, SpecialKind::kWeakHandle);
  return special->slot;
}

CallSpecial* MHeap::NewCallSpecial(void* record) {
  MutexLock lock(special_lock_);
  CallSpecial* special = call_specials_.Allocate();
  if (special == nullptr) return nullptr;
  ::new (special) CallSpecial;
  special->id = last_call_id_.FetchAddRelaxed(1) + 1;
  special->record = record;
  return special;
}

CallSpecial* MHeap::AddCleanup(MSpan& span, uint32_t object_index,
                               void* record) {
  CheckSpecialTarget(span, object_index);
  MutexLock lock(span.specials_mutex());
  CallSpecial* special = NewCallSpecial(record);
  if (special == nullptr) return nullptr;
  if (span.specials() == nullptr) SetSpecialsBit(span, true);
  // After its equals, so that cleanups of an object run in the order of adding.
  InsertAt(FindLink(&span.specials(), object_index, SpecialKind::kCleanup,
                    /*after=*/true),
           special, object_index, SpecialKind::kCleanup);
  return special;
}

bool MHeap::RemoveCleanup(MSpan& span, uint32_t object_index, uint64_t id,
                          void** record) {
  CallSpecial* found = nullptr;
  {
    MutexLock lock(span.specials_mutex());
    Special** link = FindLink(&span.specials(), object_index,
                              SpecialKind::kCleanup, /*after=*/false);
    while (Is(*link, object_index, SpecialKind::kCleanup) &&
           static_cast<CallSpecial*>(*link)->id != id) {
      link = &(*link)->next;
    }
    if (!Is(*link, object_index, SpecialKind::kCleanup)) return false;
    found = static_cast<CallSpecial*>(*link);
    *link = found->next;
    if (span.specials() == nullptr) SetSpecialsBit(span, false);
  }
  *record = found->record;
  FreeSpecial(found);
  return true;
}

CallSpecial* MHeap::SetFinalizer(MSpan& span, uint32_t object_index,
                                 void* record) {
  CheckSpecialTarget(span, object_index);
  MutexLock lock(span.specials_mutex());
  Special** link = FindLink(&span.specials(), object_index,
                            SpecialKind::kFinalizer, /*after=*/false);
  TRICOLOR_CHECK(!Is(*link, object_index, SpecialKind::kFinalizer),
                 "the object at %p has a finalizer already",
                 span.SlotAddress(object_index).pointer());
  CallSpecial* special = NewCallSpecial(record);
  if (special == nullptr) return nullptr;
  if (span.specials() == nullptr) SetSpecialsBit(span, true);
  InsertAt(link, special, object_index, SpecialKind::kFinalizer);
  finalizers_.FetchAddRelaxed(1);
  return special;
}

bool MHeap::ClearFinalizer(MSpan& span, uint32_t object_index, void** record) {
  CheckSpecialTarget(span, object_index);
  Special* found = nullptr;
  {
    MutexLock lock(span.specials_mutex());
    Special** link = FindLink(&span.specials(), object_index,
                              SpecialKind::kFinalizer, /*after=*/false);
    found = *link;
    if (!Is(found, object_index, SpecialKind::kFinalizer)) return false;
    *link = found->next;
    if (span.specials() == nullptr) SetSpecialsBit(span, false);
    finalizers_.FetchSubRelaxed(1);
  }
  *record = static_cast<CallSpecial*>(found)->record;
  FreeSpecial(found);
  return true;
}

uint32_t MHeap::FinalizableObjects(MSpan& span, uint32_t first,
                                   uint32_t* indices, uint32_t most) {
  MutexLock lock(span.specials_mutex());
  uint32_t count = 0;
  for (const Special* s = span.specials(); s != nullptr && count < most;
       s = s->next) {
    if (s->kind == SpecialKind::kFinalizer && s->object_index >= first) {
      indices[count++] = s->object_index;
    }
  }
  return count;
}

// The page mark is for the reclaimer, which need not come here again.
void MHeap::Resurrect(MSpan& span, uint32_t object_index) {
  const uint64_t bit = uint64_t{1} << (object_index % 64);
  // Release, pairs with Weak::Get: who sees the mark, and would take the object
  // for a survivor, sees the generation of a span that is being swept.
  span.mark_bits()[object_index / 64].FetchOrRelease(bit);
  const uint64_t page = PageIndex(span.base());
  page_marks_word(page / 64).FetchOrRelaxed(uint64_t{1} << (page % 64));
}

Special* MHeap::TakeDeadSpecials(MSpan& span) {
  const uint64_t page = PageIndex(span.base());
  // Relaxed: a special is only added to a swept span, so its adder was done
  // before this sweep's span was marked, or comes after this sweep.
  if (((page_specials_word(page / 64).LoadRelaxed() >> (page % 64)) & 1) == 0) {
    return nullptr;
  }
  Special* dead = nullptr;
  Special** end = &dead;
  MutexLock lock(span.specials_mutex());
  for (Special** link = &span.specials(); *link != nullptr;) {
    Special* special = *link;
    if (span.IsMarked(special->object_index)) {
      link = &special->next;
      continue;
    }
    *link = special->next;
    special->next = nullptr;
    *end = special;
    end = &special->next;
    switch (special->kind) {
      case SpecialKind::kWeakHandle:
        // Release, pairs with Weak::Get: the object's memory is reused, and its
        // finalizer or cleanups run, only after this.
        static_cast<WeakSpecial*>(special)->slot->serial.StoreRelease(0);
        break;
      case SpecialKind::kFinalizer:
        // Its cleanups, which come after, stay.
        Resurrect(span, special->object_index);
        finalizers_.FetchSubRelaxed(1);
        break;
      case SpecialKind::kCleanup:
        break;
    }
  }
  if (span.specials() == nullptr) SetSpecialsBit(span, false);
  return dead;
}

void MHeap::FreeSpecial(Special* special) {
  MutexLock lock(special_lock_);
  if (special->kind != SpecialKind::kWeakHandle) {
    call_specials_.Free(static_cast<CallSpecial*>(special));
    return;
  }
  WeakSlot* slot = static_cast<WeakSpecial*>(special)->slot;
  TRICOLOR_CHECK(slot->serial.LoadRelaxed() == 0,
                 "weak slot %p freed while its object at %p lives (serial "
                 "%llu)",
                 static_cast<void*>(slot),
                 Addr(slot->target.LoadRelaxed()).pointer(),
                 static_cast<unsigned long long>(slot->serial.LoadRelaxed()));
  weak_slots_.Free(slot);
  weak_specials_.Free(static_cast<WeakSpecial*>(special));
}

}  // namespace tricolor::mheap
