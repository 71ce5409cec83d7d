// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// CleanupChecker: the check of TRICOLOR_DEBUG=checkcleanups=1. Looks for
// callables that lead to the object whose cleanup or finalizer they are: such a
// call never comes (a Root holds the object), or comes with a dangling pointer.
//
// It knows the bytes of the callable itself: words that point into the heap,
// and Roots. What a callable holds by way of memory from malloc (std::function,
// std::shared_ptr, std::vector, a string) it cannot see.
//
// Go counterpart: checkfinalizer in mcheckmark.go. World stopped, the root
// table's mutex held. Cost: a traversal for each callable that holds a pointer.

#ifndef TRICOLOR_RUNTIME_CLEANUP_CHECK_H_
#define TRICOLOR_RUNTIME_CLEANUP_CHECK_H_

#include <cstdint>
#include <memory_resource>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/type_info.h"
#include "tricolor/runtime/cleanup.h"
#include "tricolor/runtime/root_table.h"
#include "tricolor/runtime/stopped_memory.h"

namespace tricolor::runtime {

class CleanupChecker final : private PointerVisitor {
 public:
  CleanupChecker(const mheap::MHeap& heap, RootTable& roots)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(roots.mutex());

  // Fatal when `call`, a cleanup or finalizer of the object that `object`
  // points into, leads to that object. A finalizer may do so by plain pointers,
  // for the queue keeps the object until it has returned. Of an object that may
  // share a tiny block, only `object` itself counts, not what else is in the
  // block.
  void Check(Addr object, bool finalizer, const CleanupCall& call);

 private:
  // Something that a callable holds, at an offset into it.
  struct Held {
    uint64_t offset = 0;
    bool root = false;
    Addr to;
    Addr slot;  // of the object it points into
  };

  // PointerVisitor: a pointer in the object that is being looked at.
  void Visit(const void* pointer) override { Reach(Addr(pointer)); }
  void VisitConservatively(uintptr_t word) override { Reach(Addr(word)); }

  std::pmr::vector<Held> HeldBy(const CleanupCall& call);
  // The slot that `a` points into, if that is allocated; otherwise null.
  Addr SlotOf(Addr a) const;
  bool MayShareBlock(Addr a) const;
  void Reach(Addr a);
  // Whether `target` is reached from `first`; then *last is what points to it.
  bool Leads(Addr first, Addr target, Addr* last);
  void VisitPointersOf(Addr slot);
  void VisitElements(const TypeInfo& type, AddrRange payload);

  const mheap::MHeap& heap_;
  std::pmr::monotonic_buffer_resource arena_{1 << 16, StoppedMemory()};
  std::pmr::unsynchronized_pool_resource memory_{&arena_};
  std::pmr::unordered_set<uint64_t> root_blocks_{&memory_};
  // What has been reached from one `first`, and from where.
  std::pmr::unordered_map<uint64_t, Addr> reached_{&memory_};
  std::pmr::vector<Addr> to_scan_{&memory_};
  Addr scanned_;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_CLEANUP_CHECK_H_
