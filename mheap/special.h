// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Specials: records attached to single objects that the sweeper looks at when
// it finds the object unmarked: weak handles, a finalizer, cleanups. Those of
// one span form a list sorted by (object index, kind), which is the order in
// which the sweeper must come by them; the list is guarded by the span's
// specials mutex, and the span's bit in the page-specials bitmap says whether
// it is empty.
//
// Go counterpart: special, specialWeakHandle, specialfinalizer, specialCleanup
// in mheap.go.
// Guarded by MSpan::specials_mutex().

#ifndef TRICOLOR_MHEAP_SPECIAL_H_
#define TRICOLOR_MHEAP_SPECIAL_H_

#include <cstdint>

#include "tricolor/base/atomic.h"
#include "tricolor/base/units.h"

namespace tricolor::mheap {

enum class SpecialKind : uint8_t { kWeakHandle, kFinalizer, kCleanup };

struct Special {
  Special* next = nullptr;
  uint16_t object_index = 0;
  SpecialKind kind = SpecialKind::kWeakHandle;
};

// What all weak pointers to one object share: a slot of a type-stable table,
// and the serial number that the slot has as long as the object lives. A weak
// pointer is the pair (slot, serial): it needs no tracing, no destructor and no
// reference count, and two of them are equal just when they were made of the
// same object. Serials are never used twice by one heap.
struct WeakSlot {
  WeakSlot* next_free = nullptr;  // guarded by the specials allocator
  void* heap = nullptr;           // MHeap::set_owner's; never changes
  // Zero when the object has been found dead. Released by the sweeper before
  // the object's memory can be reused; acquired by Weak::Get.
  Atomic<uint64_t> serial;
  Atomic<uint64_t> target;  // the object's address; meaningful with `serial`
};

struct WeakSpecial : Special {
  WeakSlot* slot = nullptr;
};

// A finalizer or a cleanup. An object has one finalizer at most.
struct CallSpecial : Special {
  uint64_t id = 0;  // unique within the heap, for Stop
  // Opaque to this floor: what runtime queues when the object is unreachable.
  void* record = nullptr;
};

// Given by the sweeper, at once for a span and linked by `next` in list order,
// the specials whose objects are dead, and the finalizers whose objects were
// unreachable and have been marked for their sake: they live on. The specials
// are the receiver's to free. Called with no lock held, while the objects'
// memory has not been reused; must not allocate from the collected heap or
// block.
class SpecialReceiver {
 public:
  virtual void TakeDead(Special* list) = 0;

 protected:
  ~SpecialReceiver() = default;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_SPECIAL_H_
