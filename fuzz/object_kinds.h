// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The kinds of objects that a ShadowHeap makes: one for each way in which the
// allocator lays out objects and the marker traces them.

#ifndef TRICOLOR_FUZZ_OBJECT_KINDS_H_
#define TRICOLOR_FUZZ_OBJECT_KINDS_H_

#include <cstdint>
#include <vector>

#include "tricolor/runtime/heap.h"

namespace tricolor::fuzz {

// One way in which objects are laid out and traced.
struct ObjectKind {
  TypeInfo type;
  std::vector<uint32_t> pointer_words;  // of one element; never word 0
  bool tagged = false;  // pointers are stored with a tag in bit 0
  // `n` of them, one after the other, of a type known at compile time: by New
  // if n is 1, else by NewArray. Null: there is no such type.
  void* (*make)(Mutator& mutator, uint64_t n) = nullptr;
};

const std::vector<ObjectKind>& ObjectKinds();

// What word `word` of object `id` holds if it is no pointer: small, so that it
// is no address.
inline uintptr_t PatternAt(uint32_t id, uint64_t word) {
  return (id * 2654435761u + static_cast<uint32_t>(word) * 40503u) % 65521;
}

inline bool IsPointerWord(const ObjectKind& kind, uint64_t word) {
  const uint64_t in_element = word % (kind.type.size / 8);
  for (const uint32_t pointer : kind.pointer_words) {
    if (pointer == in_element) return true;
  }
  return false;
}

}  // namespace tricolor::fuzz

#endif  // TRICOLOR_FUZZ_OBJECT_KINDS_H_
