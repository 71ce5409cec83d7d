// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// How the collector finds the pointers in objects of one type. Built at
// compile time by TRICOLOR_TRACE (runtime/trace.h), or by hand for an
// interpreter's types. A TypeInfo must outlive every object allocated with it.
//
// Go counterpart: the pointer part of abi.Type (PtrBytes, GCData). Immutable.

#ifndef TRICOLOR_MHEAP_TYPE_INFO_H_
#define TRICOLOR_MHEAP_TYPE_INFO_H_

#include <cstddef>
#include <cstdint>

namespace tricolor {

// Given to a type's trace callback; gc implements it.
class PointerVisitor {
 public:
  // `pointer` is null, outside the heap, or points anywhere into a live object.
  virtual void Visit(const void* pointer) = 0;
  // Any bit pattern; marks what it points to if that is an allocated object.
  virtual void VisitConservatively(uintptr_t word) = 0;

 protected:
  ~PointerVisitor() = default;
};

struct TypeInfo {
  enum class Tracing : uint8_t {
    kNoPointers,
    kBitmap,        // exactly the words with a one in `bitmap`
    kCallback,      // whatever `trace` visits
    kConservative,  // every aligned word may be a pointer
  };

  // Called for each element of an allocation, with the world stopped or not,
  // on any thread, possibly before the constructor has run: it must accept
  // zeroed memory. It must not allocate, lock or throw.
  using TraceFunction = void (*)(const void* object, PointerVisitor& visitor);

  size_t size = 0;  // bytes, a multiple of `align`, at least 1
  size_t align = 1;
  Tracing tracing = Tracing::kNoPointers;
  // For kBitmap: bit i of bitmap[i / 64] says that word i of an element holds
  // a pointer; `pointer_words` is the index after the last such word. A type
  // traced by bitmap has a size that is a multiple of 8.
  size_t pointer_words = 0;
  const uint64_t* bitmap = nullptr;
  TraceFunction trace = nullptr;
  const char* name = "";

  constexpr bool has_pointers() const {
    return tracing != Tracing::kNoPointers;
  }
};

}  // namespace tricolor

#endif  // TRICOLOR_MHEAP_TYPE_INFO_H_
