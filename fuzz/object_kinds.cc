// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/fuzz/object_kinds.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tricolor::fuzz {
namespace {

using Tracing = TypeInfo::Tracing;

constexpr uint64_t kOneWord[] = {0b10};
constexpr uint64_t kFourWords[] = {0b11110};
constexpr uint64_t kAllButFirst[] = {~uint64_t{1}};
constexpr uint64_t kScattered[] = {0b10 | uint64_t{1} << 60,
                                   uint64_t{1} << (124 - 64)};
constexpr uint64_t kSecondWord[] = {0b100};

// Reads the pointers of a tagged kind: words 1 and 3, with a one in bit 0.
void VisitTagged(const void* object, PointerVisitor& visitor) {
  const auto* words = static_cast<const uintptr_t*>(object);
  for (const int i : {1, 3}) {
    const uintptr_t word = LoadWordRelaxed(words + i);
    if (word != 0) visitor.Visit(reinterpret_cast<const void*>(word - 1));
  }
}

TypeInfo Bitmap(size_t size, size_t align, const uint64_t* bitmap,
                size_t pointer_words, const char* name) {
  TypeInfo type;
  type.size = size;
  type.align = align;
  type.tracing = Tracing::kBitmap;
  type.bitmap = bitmap;
  type.pointer_words = pointer_words;
  type.name = name;
  return type;
}

TypeInfo Untyped(size_t size, size_t align, Tracing tracing, const char* name) {
  TypeInfo type;
  type.size = size;
  type.align = align;
  type.tracing = tracing;
  type.name = name;
  return type;
}

TypeInfo Callback(size_t size, const char* name) {
  TypeInfo type = Untyped(size, 8, Tracing::kCallback, name);
  type.trace = &VisitTagged;
  return type;
}

// Those kinds whose type is known at compile time. Word 0 is in no map.
struct Pair {
  TRICOLOR_TRACE(Pair, pointer);
  uint64_t word0;
  Ptr<char> pointer;
};
struct Triple {
  TRICOLOR_TRACE(Triple, pointer);
  uint64_t words[2];
  Ptr<char> pointer;
};
struct Node {
  TRICOLOR_TRACE(Node, pointers);
  uint64_t word0;
  Ptr<char> pointers[4];
  uint64_t rest[3];
};
struct alignas(64) CacheLine {
  TRICOLOR_TRACE(CacheLine, pointers);
  uint64_t word0;
  Ptr<char> pointers[4];
  uint64_t rest[3];
};
struct Wide {
  TRICOLOR_TRACE(Wide, pointers);
  uint64_t word0;
  Ptr<char> pointers[63];
};
struct WithHeader {
  TRICOLOR_TRACE(WithHeader, first, second, third);
  uint64_t word0;
  Ptr<char> first;
  uint64_t between[58];
  Ptr<char> second;
  uint64_t further[63];
  Ptr<char> third;
};
struct Large {
  TRICOLOR_TRACE(Large, head);
  WithHeader head;
  uint64_t rest[5000 - 125];
};
struct alignas(16) Data {
  TRICOLOR_TRACE(Data);
  uint64_t words[6];
};

template <typename T>
void* Make(Mutator& mutator, uint64_t n) {
  return n == 1 ? mutator.New<T>() : mutator.NewArray<T>(n);
}

}  // namespace

const std::vector<ObjectKind>& ObjectKinds() {
  // Never destroyed: the heap's objects refer to these types to the last.
  static const auto& kinds = *new std::vector<ObjectKind>{
      {Bitmap(16, 8, kOneWord, 2, "pair"), {1}, false, &Make<Pair>},
      {Bitmap(24, 8, kSecondWord, 3, "triple"), {2}, false, &Make<Triple>},
      {Bitmap(64, 8, kFourWords, 5, "node"), {1, 2, 3, 4}, false, &Make<Node>},
      {Bitmap(64, 64, kFourWords, 5, "cache line"),
       {1, 2, 3, 4},
       false,
       &Make<CacheLine>},
      {Bitmap(512, 8, kAllButFirst, 64, "largest with bits"),
       {1, 2, 31, 63},
       false,
       &Make<Wide>},
      {Bitmap(1000, 8, kScattered, 125, "with header"),
       {1, 60, 124},
       false,
       &Make<WithHeader>},
      {Bitmap(1024, 1024, kFourWords, 5, "aligned"), {1, 2, 3, 4}},
      {Bitmap(40000, 8, kScattered, 125, "large"),
       {1, 60, 124},
       false,
       &Make<Large>},
      {Bitmap(300000, 16384, kFourWords, 5, "larger"), {1, 2, 3, 4}},
      {Untyped(8, 8, Tracing::kNoPointers, "word"), {}, false, &Make<uint64_t>},
      {Untyped(48, 16, Tracing::kNoPointers, "data"), {}, false, &Make<Data>},
      {Untyped(33000, 8, Tracing::kNoPointers, "large data"), {}},
      {Untyped(80, 8, Tracing::kConservative, "unknown"), {1, 2, 9}},
      {Untyped(34000, 8, Tracing::kConservative, "large unknown"), {1, 4000}},
      {Callback(48, "tagged"), {1, 3}, true},
      {Callback(5000, "larger tagged"), {1, 3}, true},
  };
  return kinds;
}

}  // namespace tricolor::fuzz
