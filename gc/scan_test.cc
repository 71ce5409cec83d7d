// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What is found in an object of each layout, exactly and no more.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/gc/gc_testing.h"
#include "tricolor/gc/marker.h"
#include "tricolor/mheap/object_layout.h"

namespace tricolor::gc {
namespace {

using Tracing = TypeInfo::Tracing;
using mheap::SpanKind;

constexpr uint64_t kAllOnes[4] = {~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0},
                                  ~uint64_t{0}};

// Objects without pointers, to point to.
constexpr TypeInfo kLeaf = {.size = 16, .align = 8, .name = "Leaf"};

// `size` bytes of pointers.
TypeInfo AllPointers(size_t size) {
  return {.size = size,
          .align = 8,
          .tracing = Tracing::kBitmap,
          .pointer_words = size / 8,
          .bitmap = kAllOnes,
          .name = "AllPointers"};
}
TypeInfo Conservative(size_t size) {
  return {.size = size,
          .align = 8,
          .tracing = Tracing::kConservative,
          .name = "Conservative"};
}

class ScanTest : public testing::Test {
 protected:
  void* NewLeaf() { return heap_.New(kLeaf); }
  static void** Words(void* object) { return static_cast<void**>(object); }
  mheap::SpanClass ClassOf(const void* object) {
    return heap_.SpanOf(object).span_class();
  }
  MarkStats MarkFrom(const void* root) {
    heap_.ClearMarks();
    TestRoots roots;
    roots.AddPointer(root);
    MarkStats stats = RunCycle(marker_, roots, 1);
    marker_.CheckInvariants();
    return stats;
  }

  FakeOsMemory os_;
  TestHeap heap_{os_, SmallHeap()};
  Marker marker_{heap_.heap, 1};
};

TEST_F(ScanTest, BitmapObjectIsFollowedAtItsPointerWordsOnly) {
  static constexpr uint64_t kBits = 0b1101;
  constexpr TypeInfo type = {.size = 40,
                             .align = 8,
                             .tracing = Tracing::kBitmap,
                             .pointer_words = 4,
                             .bitmap = &kBits,
                             .name = "Mixed"};
  void* object = heap_.New(type);
  void* leaves[5];
  for (int i = 0; i < 5; ++i) Words(object)[i] = leaves[i] = NewLeaf();
  const MarkStats stats = MarkFrom(object);
  EXPECT_EQ(ClassOf(object).kind(), SpanKind::kPointerBitmap);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(heap_.IsMarked(leaves[i]), ((kBits >> i) & 1) != 0) << i;
  }
  EXPECT_EQ(stats.marked_objects, 4u);
  EXPECT_EQ(stats.marked_bytes, 48u + 3 * 16);
  EXPECT_EQ(stats.scanned_bytes, 48u);
}

// Two types take turns in one span, from the first object on or from a later
// one: each is followed at its own pointers.
TEST_F(ScanTest, TypesThatShareAPageAreFollowedAtTheirOwnWords) {
  static constexpr uint64_t kBits[] = {0b0011, 0b1100};
  for (const size_t first_of_other : {1u, 30u}) {
    std::vector<void*> objects;
    std::vector<void*> leaves;
    void* holder = heap_.New(AllPointers(8), 60);
    for (size_t i = 0; i < 60; ++i) {
      const bool other = i >= first_of_other && i % 2 != 0;
      const TypeInfo type = {.size = 64,
                             .align = 8,
                             .tracing = Tracing::kBitmap,
                             .pointer_words = 4,
                             .bitmap = &kBits[other ? 1 : 0],
                             .name = "Mixed"};
      void* object = heap_.New(type);
      Words(holder)[i] = object;
      objects.push_back(object);
      for (size_t k = 0; k < 4; ++k) {
        leaves.push_back(Words(object)[k] = NewLeaf());
      }
    }
    (void)MarkFrom(holder);
    for (size_t i = 0; i < 60; ++i) {
      const bool other = i >= first_of_other && i % 2 != 0;
      for (size_t k = 0; k < 4; ++k) {
        EXPECT_EQ(heap_.IsMarked(leaves[i * 4 + k]), (k >= 2) == other)
            << i << " " << k;
      }
    }
    heap_.heap.CheckInvariants();
    heap_.Sweep();  // the next ones have a new span
  }
}

// In every slot of a span of every class with a bitmap, the first and last word
// of each object are found; the chain through the last words is unbroken.
TEST_F(ScanTest, EverySlotOfEveryBitmapClassIsFollowedFromFirstToLastWord) {
  for (size_t size_class = 1; mheap::kClassSize[size_class] <= 512;
       ++size_class) {
    const size_t size = mheap::kClassSize[size_class];
    const TypeInfo type = AllPointers(size);
    void* head = nullptr;
    void* leaf_only = nullptr;
    const uint32_t slots = mheap::kClassBitmapSlots[size_class];
    for (uint32_t i = 0; i < slots; ++i) {
      void* object = heap_.New(type);
      Words(object)[size / 8 - 1] = head;
      if (size > 8) Words(object)[0] = leaf_only = NewLeaf();
      head = object;
    }
    EXPECT_EQ(ClassOf(head), mheap::SpanClass(static_cast<uint8_t>(size_class),
                                              SpanKind::kPointerBitmap));
    const MarkStats stats = MarkFrom(head);
    EXPECT_EQ(stats.marked_objects, size > 8 ? 2 * slots : slots) << size;
    if (size > 8) EXPECT_TRUE(heap_.IsMarked(leaf_only));
  }
}

TEST_F(ScanTest, PointerAnywhereIntoAnObjectReachesItExactly) {
  for (size_t size : {8u, 24u, 48u, 512u, 576u, 4096u, 32760u, 100000u}) {
    const TypeInfo type = size <= 512 ? AllPointers(size) : Conservative(size);
    for (size_t offset : {size_t{0}, size_t{1}, size / 2, size - 1}) {
      char* object = static_cast<char*>(heap_.New(type));
      void* leaf = NewLeaf();
      Words(object)[0] = leaf;
      const MarkStats stats = MarkFrom(object + offset);
      EXPECT_TRUE(heap_.IsMarked(object)) << size << " + " << offset;
      EXPECT_TRUE(heap_.IsMarked(leaf)) << size << " + " << offset;
      EXPECT_EQ(stats.marked_objects, 2u);
    }
  }
}

TEST_F(ScanTest, NoScanObjectsAreNotSearched) {
  for (size_t size : {16u, 4096u, 100000u}) {
    const TypeInfo type = {.size = size, .align = 8, .name = "Bytes"};
    void* object = heap_.New(type);
    void* leaf = NewLeaf();
    Words(object)[0] = leaf;
    const MarkStats stats = MarkFrom(object);
    EXPECT_FALSE(heap_.IsMarked(leaf)) << size;
    EXPECT_EQ(stats.marked_objects, 1u);
    EXPECT_EQ(stats.marked_bytes, heap_.SpanOf(object).slot_size());
    EXPECT_EQ(stats.scanned_bytes, 0u);
  }
}

TEST_F(ScanTest, HeaderArrayOfBitmapTypeIsFollowedToItsLastElement) {
  static constexpr uint64_t kBits = 0b010;
  constexpr TypeInfo type = {.size = 24,
                             .align = 8,
                             .tracing = Tracing::kBitmap,
                             .pointer_words = 2,
                             .bitmap = &kBits,
                             .name = "Middle"};
  constexpr uint64_t kCount = 100;
  void* array = heap_.New(type, kCount);
  ASSERT_EQ(ClassOf(array).kind(), SpanKind::kTypeHeader);
  ASSERT_FALSE(ClassOf(array).is_large());
  std::vector<void*> found;
  std::vector<void*> hidden;
  for (uint64_t i = 0; i < kCount; ++i) {
    Words(array)[3 * i + 1] = found.emplace_back(NewLeaf());
    Words(array)[3 * i + 2] = hidden.emplace_back(NewLeaf());
  }
  EXPECT_EQ(MarkFrom(array).marked_objects, 1 + kCount);
  for (void* leaf : found) EXPECT_TRUE(heap_.IsMarked(leaf));
  for (void* leaf : hidden) EXPECT_FALSE(heap_.IsMarked(leaf));
}

// Elements of more than 64 words have more than one bitmap word.
TEST_F(ScanTest, HeaderElementsWithLongBitmaps) {
  static constexpr uint64_t kBits[3] = {uint64_t{1} << 63, 1, 0b100};
  constexpr TypeInfo type = {.size = 132 * 8,
                             .align = 8,
                             .tracing = Tracing::kBitmap,
                             .pointer_words = 131,
                             .bitmap = kBits,
                             .name = "Long"};
  void* array = heap_.New(type, 3);
  std::vector<void*> leaves;
  for (uint64_t element = 0; element < 3; ++element) {
    for (uint64_t word : {63u, 64u, 130u}) {
      Words(array)[132 * element + word] = leaves.emplace_back(NewLeaf());
    }
    Words(array)[132 * element + 131] = NewLeaf();
    Words(array)[132 * element + 62] = NewLeaf();
  }
  EXPECT_EQ(MarkFrom(array).marked_objects, 10u);
  for (void* leaf : leaves) EXPECT_TRUE(heap_.IsMarked(leaf));
}

TEST_F(ScanTest, HeaderObjectOfLargeAlignmentBeginsWhereItsAlignmentSays) {
  for (size_t align : {16u, 64u, 512u, 4096u}) {
    TypeInfo type = AllPointers(8);
    type.size = align;
    type.align = align;
    type.pointer_words = 1;
    type.tracing = Tracing::kBitmap;
    const size_t last_index = std::max<size_t>(2048 / align, 1);
    void* array = heap_.New(type, last_index + 1);
    if (ClassOf(array).kind() != SpanKind::kTypeHeader) continue;
    EXPECT_TRUE(Addr(array).IsAligned(align));
    void* leaf = Words(array)[0] = NewLeaf();
    void* last = NewLeaf();
    Words(array)[align / 8 * last_index] = last;
    EXPECT_EQ(MarkFrom(array).marked_objects, 3u) << align;
    EXPECT_TRUE(heap_.IsMarked(leaf));
    EXPECT_TRUE(heap_.IsMarked(last));
  }
}

TEST_F(ScanTest, ConservativeObjectsAreFollowedAtEveryWord) {
  for (size_t size : {8u, 64u, 1000u, 32760u, 40000u}) {
    const TypeInfo type = Conservative(size);
    void* object = heap_.New(type);
    std::vector<void*> leaves;
    for (size_t i = 0; i < size / 8; ++i) {
      Words(object)[i] = i % 3 == 0 ? reinterpret_cast<void*>(~uintptr_t{0} - i)
                                    : leaves.emplace_back(NewLeaf());
    }
    EXPECT_EQ(MarkFrom(object).marked_objects, 1 + leaves.size()) << size;
    for (void* leaf : leaves) ASSERT_TRUE(heap_.IsMarked(leaf));
  }
}

// ---- Callbacks.

struct Traced {
  uint64_t visits;
  void* exact;
  uintptr_t word;
  static void Trace(const void* object, PointerVisitor& visitor) {
    auto* self = static_cast<Traced*>(const_cast<void*>(object));
    ++self->visits;
    visitor.Visit(self->exact);
    visitor.VisitConservatively(self->word);
  }
};
constexpr TypeInfo kTraced = {.size = sizeof(Traced),
                              .align = 8,
                              .tracing = Tracing::kCallback,
                              .trace = &Traced::Trace,
                              .name = "Traced"};

TEST_F(ScanTest, CallbackSeesEachWholeElementOnceAndNoneBeyondTheSlot) {
  // One element, a small array, a large one of more than one slice.
  for (uint64_t count : {1u, 7u, 100u, 1365u, 2000u, 30000u}) {
    auto* array = static_cast<Traced*>(heap_.New(kTraced, count));
    mheap::MSpan& span = heap_.SpanOf(array);
    ASSERT_EQ(span.span_class().kind(), SpanKind::kTypeHeader);
    const Addr slot = span.SlotAddress(span.IndexOf(Addr(array)));
    const uint64_t room =
        (slot + ByteCount(span.slot_size()) - Addr(array)).value();
    std::vector<void*> leaves;
    for (uint64_t i = 0; i < count; ++i) {
      array[i].exact = leaves.emplace_back(NewLeaf());
      array[i].word =
          reinterpret_cast<uintptr_t>(leaves.emplace_back(NewLeaf())) + 15;
    }
    EXPECT_EQ(MarkFrom(array + count - 1).marked_objects, 1 + leaves.size());
    const uint64_t whole = room / sizeof(Traced);
    for (uint64_t i = 0; i < whole; ++i) {
      ASSERT_EQ(array[i].visits, 1u) << i << " of " << count;
    }
    // What is too short for an element has not been touched.
    const char* tail = reinterpret_cast<char*>(array + whole);
    EXPECT_EQ(std::string(tail, room - whole * sizeof(Traced)),
              std::string(room - whole * sizeof(Traced), '\0'));
  }
}

// ---- Objects that are not ready.

TEST_F(ScanTest, SlotWithoutATypeYetHoldsNoPointers) {
  for (size_t size : {1000u, 40000u}) {
    const TypeInfo type = Conservative(size);
    void* object = heap_.New(type);
    mheap::MSpan& span = heap_.SpanOf(object);
    void* leaf = Words(object)[1] = NewLeaf();
    if (span.is_large()) {
      span.set_large_type(nullptr);
    } else {
      Words(object)[-1] = nullptr;
    }
    const MarkStats stats = MarkFrom(object);
    EXPECT_TRUE(heap_.IsMarked(object));
    EXPECT_FALSE(heap_.IsMarked(leaf));
    EXPECT_EQ(stats.scanned_bytes, 0u);
  }
}

// ---- Large objects.

TEST_F(ScanTest, LargeArrayIsFollowedAcrossTheEdgesOfItsSlices) {
  static constexpr uint64_t kBits[2] = {0b101, 0b1};
  // An element of 72 words has bitmap words and elements cut by slices.
  for (uint64_t words : {3u, 72u}) {
    const TypeInfo type = {.size = words * 8,
                           .align = 8,
                           .tracing = Tracing::kBitmap,
                           .pointer_words = words == 3 ? 3u : 65u,
                           .bitmap = kBits,
                           .name = "Element"};
    const uint64_t count = 5 * MarkWorker::kSliceSize.value() / type.size;
    void* array = heap_.New(type, count);
    ASSERT_TRUE(ClassOf(array).is_large());
    std::vector<void*> leaves;
    for (uint64_t i = 0; i < count; ++i) {
      for (uint64_t w : {0u, 1u, 2u, 64u}) {
        if (w >= words) continue;
        void* leaf = Words(array)[i * words + w] = NewLeaf();
        if (w != 1) leaves.push_back(leaf);
      }
    }
    const MarkStats stats = MarkFrom(static_cast<char*>(array) + 8 * count);
    EXPECT_EQ(stats.marked_objects, 1 + leaves.size());
    for (void* leaf : leaves) ASSERT_TRUE(heap_.IsMarked(leaf));
    EXPECT_EQ(stats.scanned_bytes, heap_.SpanOf(array).bytes().value());
  }
}

TEST_F(ScanTest, LargeObjectOfExactlyOneSliceAndOneOfAPageMore) {
  for (size_t size : {size_t{128 << 10}, size_t{(128 << 10) + 8192}}) {
    const TypeInfo type = Conservative(size);
    void* object = heap_.New(type);
    void* first = Words(object)[0] = NewLeaf();
    void* last = Words(object)[size / 8 - 1] = NewLeaf();
    const MarkStats stats = MarkFrom(object);
    EXPECT_EQ(stats.marked_objects, 3u);
    EXPECT_TRUE(heap_.IsMarked(first));
    EXPECT_TRUE(heap_.IsMarked(last));
    EXPECT_EQ(stats.scanned_bytes, size);
    EXPECT_EQ(stats.marked_bytes, size + 32);
  }
}

TEST_F(ScanTest, SpanOfSeveralPagesHasItsPageMarkAtTheFirst) {
  // Class 49: five pages, six slots.
  const TypeInfo type = Conservative(6784 - 8);
  std::vector<void*> objects;
  for (int i = 0; i < 6; ++i) objects.push_back(heap_.New(type));
  ASSERT_EQ(heap_.SpanOf(objects[0]).pages(), PageCount(5));
  ASSERT_EQ(&heap_.SpanOf(objects[0]), &heap_.SpanOf(objects[5]));
  EXPECT_FALSE(heap_.HasPageMark(objects[0]));
  (void)MarkFrom(objects[5]);
  EXPECT_TRUE(heap_.HasPageMark(objects[0]));
  // Each cycle starts without page marks.
  (void)MarkFrom(nullptr);
  EXPECT_FALSE(heap_.HasPageMark(objects[0]));
}

TEST_F(ScanTest, EveryPathSetsThePageMark) {
  constexpr TypeInfo bytes = {.size = 64, .align = 8, .name = "Bytes"};
  constexpr TypeInfo many = {.size = 50000, .align = 8, .name = "Many"};
  for (const TypeInfo& type : {AllPointers(64), AllPointers(256), bytes, many,
                               Conservative(2000), Conservative(70000)}) {
    void* object = heap_.New(type);
    (void)MarkFrom(object);
    EXPECT_TRUE(heap_.HasPageMark(object)) << type.name << type.size;
    TestRoots roots;
    roots.AddWord(reinterpret_cast<uintptr_t>(object));
    heap_.ClearMarks();
    (void)RunCycle(marker_, roots, 1);
    EXPECT_TRUE(heap_.HasPageMark(object)) << type.name << type.size;
  }
}

}  // namespace
}  // namespace tricolor::gc
