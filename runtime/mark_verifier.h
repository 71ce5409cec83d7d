// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// MarkVerifier: a second, simple marker, which checks the first: with the world
// stopped and marking over, everything that can be reached must be marked. It
// walks depth first, knows nothing of queues, barriers and prefetching, reads
// spans instead of page tables, and keeps a set of its own of what it has seen.
// An object without its mark is fatal, with the object that points to it: a
// store that has bypassed the write barrier, a stack that has not been
// scanned, or a fault of the marker.
//
// Go counterpart: gccheckmark. World stopped; slow, and takes much memory: for
// debugging (TRICOLOR_DEBUG=gccheckmark=1), tests and fuzzers.

#ifndef TRICOLOR_RUNTIME_MARK_VERIFIER_H_
#define TRICOLOR_RUNTIME_MARK_VERIFIER_H_

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <unordered_set>
#include <vector>

#include "tricolor/base/units.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/type_info.h"
#include "tricolor/runtime/stack_scan.h"
#include "tricolor/runtime/stopped_memory.h"

namespace tricolor::runtime {

class MarkVerifier final : private PointerVisitor, public WordSink {
 public:
  explicit MarkVerifier(const mheap::MHeap& heap) : heap_(heap) {}

  // Roots: words that may be pointers; one pointer; what an object points to.
  void Take(const uint64_t* words, size_t count) override;
  void AddRoot(const void* pointer) { Visit(pointer); }
  void AddFieldsOf(const mheap::MSpan& span, uint32_t index) {
    Scan({&span, index});
  }

  // Follows everything from the roots; the number of objects reached.
  size_t Verify();

 private:
  struct Object {
    const mheap::MSpan* span;
    uint32_t index;
  };

  // PointerVisitor:
  void Visit(const void* pointer) override;
  void VisitConservatively(uintptr_t word) override;

  void Scan(const Object& object);
  void ScanElements(const TypeInfo& type, AddrRange payload);
  void ScanElement(const TypeInfo& type, Addr element);

  const mheap::MHeap& heap_;
  std::pmr::monotonic_buffer_resource memory_{1 << 20, StoppedMemory()};
  std::pmr::vector<Object> stack_{&memory_};
  std::pmr::unordered_set<uint64_t> seen_{&memory_};  // addresses of slots
  Addr source_;  // what is being scanned; null: a root
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_MARK_VERIFIER_H_
