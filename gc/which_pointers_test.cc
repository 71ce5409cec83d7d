// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Which words keep an object (docs/marking.md), at all edges, and which exact
// pointers are corruption.

#include <cstddef>
#include <cstdint>
#include <ios>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/gc/gc_testing.h"
#include "tricolor/gc/marker.h"

namespace tricolor::gc {
namespace {

constexpr TypeInfo kBytes48 = {.size = 48, .align = 8, .name = "Bytes48"};

class WhichPointersTest : public testing::Test {
 protected:
  // How many objects a conservative word keeps.
  uint64_t KeptBy(uintptr_t word) {
    heap_.ClearMarks();
    TestRoots roots;
    roots.AddWord(word);
    const uint64_t marked = RunCycle(marker_, roots, 1).marked_objects;
    EXPECT_EQ(marked, heap_.CountMarked());
    return marked;
  }
  uint64_t KeptBy(const void* p) {
    return KeptBy(reinterpret_cast<uintptr_t>(p));
  }
  void MarkExactly(const void* p) {
    TestRoots roots;
    roots.AddPointer(p);
    (void)RunCycle(marker_, roots, 1);
  }
  char* NewBytes(size_t size, uint64_t count = 1) {
    types_.push_back(new TypeInfo{.size = size, .align = 1, .name = "Bytes"});
    return static_cast<char*>(heap_.New(*types_.back(), count));
  }
  void TearDown() override {
    for (TypeInfo* type : types_) delete type;
  }

  FakeOsMemory os_;
  TestHeap heap_{os_, SmallHeap()};
  Marker marker_{heap_.heap, 1};
  std::vector<TypeInfo*> types_;
};

TEST_F(WhichPointersTest, WordsOutsideOfTheHeapKeepNothing) {
  (void)NewBytes(48);
  const mheap::MHeap& heap = heap_.heap;
  int local = 0;
  for (uintptr_t word :
       {uintptr_t{0}, uintptr_t{1}, ~uintptr_t{0}, heap.base().value() - 1,
        (heap.base() + heap.grown()).value(),
        (heap.base() + heap.grown()).value() - 1,
        reinterpret_cast<uintptr_t>(&local)}) {
    EXPECT_EQ(KeptBy(word), 0u) << std::hex << word;
  }
}

TEST_F(WhichPointersTest, EveryByteOfASlotKeepsItsObjectAndTheNextByteDoesNot) {
  const char* object = NewBytes(48);
  for (int i = 0; i < 48; ++i) EXPECT_EQ(KeptBy(object + i), 1u) << i;
  EXPECT_EQ(KeptBy(object + 48), 0u);
  // The next slot's object is another one.
  const char* next = NewBytes(48);
  ASSERT_EQ(next, object + 48);
  EXPECT_EQ(KeptBy(object + 48), 1u);
  EXPECT_FALSE(heap_.IsMarked(object));
}

TEST_F(WhichPointersTest, UnalignedWordValuesCount) {
  const char* object = NewBytes(512);
  EXPECT_EQ(KeptBy(object + 333), 1u);
}

TEST_F(WhichPointersTest, OnePastTheEndOfAnArrayKeepsItThroughThePaddingByte) {
  for (uint64_t count : {2u, 6u, 64u, 1024u, 5000u}) {
    const char* array = NewBytes(8, count);
    EXPECT_EQ(KeptBy(array + 8 * count), 1u) << count;
    EXPECT_TRUE(heap_.IsMarked(array));
  }
}

TEST_F(WhichPointersTest, OnePastASingleObjectThatFillsItsSlotDoesNotKeepIt) {
  const char* object = NewBytes(64);
  EXPECT_EQ(KeptBy(object + 63), 1u);
  EXPECT_EQ(KeptBy(object + 64), 0u);
}

TEST_F(WhichPointersTest, FreeSlotsKeepNothing) {
  const char* first = NewBytes(48);
  mheap::MSpan& span = heap_.SpanOf(first);
  // Never handed out, and the last one.
  EXPECT_EQ(KeptBy(span.SlotAddress(1).value()), 0u);
  EXPECT_EQ(KeptBy(span.SlotAddress(span.slots() - 1).value()), 0u);
  EXPECT_EQ(KeptBy(span.limit().value() - 1), 0u);
  while (!span.full()) (void)heap_.New(kBytes48);
  EXPECT_EQ(KeptBy(span.SlotAddress(1).value()), 1u);
  EXPECT_EQ(KeptBy(span.limit().value() - 1), 1u);
}

TEST_F(WhichPointersTest, SlotsFreedBySweepingKeepNothing) {
  const char* first = NewBytes(48);
  const char* second = NewBytes(48);
  mheap::MSpan& span = heap_.SpanOf(first);
  ASSERT_EQ(KeptBy(second), 1u);
  heap_.heap.FinishSweep(span, 1);
  EXPECT_EQ(KeptBy(first), 0u);
  EXPECT_EQ(KeptBy(second), 1u);
}

// Tail waste, and the pointer bitmap at the end of a span.
TEST_F(WhichPointersTest, BytesOfASpanThatAreInNoSlotKeepNothing) {
  const char* object = NewBytes(48);
  mheap::MSpan& span = heap_.SpanOf(object);
  while (!span.full()) (void)heap_.New(kBytes48);
  ASSERT_LT(span.limit(), span.base() + span.bytes());
  EXPECT_EQ(KeptBy(span.limit().value()), 0u);
  EXPECT_EQ(KeptBy((span.base() + span.bytes()).value() - 1), 0u);

  static constexpr uint64_t kBits = 0xff;
  constexpr TypeInfo pointers = {.size = 64,
                                 .align = 8,
                                 .tracing = TypeInfo::Tracing::kBitmap,
                                 .pointer_words = 8,
                                 .bitmap = &kBits,
                                 .name = "Pointers"};
  mheap::MSpan& bitmap_span = heap_.SpanOf(heap_.New(pointers));
  while (!bitmap_span.full()) (void)heap_.New(pointers);
  EXPECT_EQ(KeptBy(bitmap_span.limit().value() - 1), 1u);
  EXPECT_EQ(KeptBy(bitmap_span.pointer_bitmap()), 0u);
  EXPECT_EQ(KeptBy(reinterpret_cast<char*>(bitmap_span.pointer_bitmap()) + 127),
            0u);
}

TEST_F(WhichPointersTest, EveryPageOfALargeObjectKeepsItAndTheNextPageDoesNot) {
  const char* object = NewBytes(100000);
  const mheap::MSpan& span = heap_.SpanOf(object);
  for (size_t i = 0; i < span.bytes().value(); i += kPageSize) {
    EXPECT_EQ(KeptBy(object + i), 1u) << i;
  }
  // The rest of its last page belongs to it.
  EXPECT_EQ(KeptBy(object + span.bytes().value() - 1), 1u);
  EXPECT_EQ(KeptBy(object + span.bytes().value()), 0u);
}

TEST_F(WhichPointersTest, LargeSpanWhoseSlotIsNotTakenYetKeepsNothing) {
  mheap::MSpan* span =
      heap_.heap.AllocSpan(heap_.processor, PageCount(10),
                           mheap::SpanClass(0, mheap::SpanKind::kTypeHeader));
  ASSERT_NE(span, nullptr);
  EXPECT_EQ(KeptBy(span->base().value()), 0u);
  (void)span->TakeFreeRun(1);
  EXPECT_EQ(KeptBy(span->base().value()), 1u);
}

TEST_F(WhichPointersTest, ManualAndDeadSpansKeepNothing) {
  mheap::MHeap& heap = heap_.heap;
  mheap::MSpan* manual = heap.AllocManual(heap_.processor, PageCount(4));
  const uintptr_t in_manual = manual->base().value() + 100;
  EXPECT_EQ(KeptBy(in_manual), 0u);
  heap.FreeManual(heap_.processor, manual);
  EXPECT_EQ(KeptBy(in_manual), 0u);
  const char* object = NewBytes(48);
  mheap::MSpan& span = heap_.SpanOf(object);
  EXPECT_EQ(KeptBy(object), 1u);
  heap_.ClearMarks();
  heap.FinishSweep(span, 0);
  heap.FreeSpan(heap_.processor, &span);
  EXPECT_EQ(KeptBy(object), 0u);
}

// ---- Corruption.

using WhichPointersDeathTest = WhichPointersTest;

TEST_F(WhichPointersDeathTest, ExactPointerIntoNoSlotIsFatal) {
  const char* object = NewBytes(48);
  const mheap::MSpan& span = heap_.SpanOf(object);
  EXPECT_DEATH(MarkExactly(span.limit().pointer()),
               "found in a root .* is in no slot: span .* InUse");
  const mheap::MSpan* manual =
      heap_.heap.AllocManual(heap_.processor, PageCount(4));
  EXPECT_DEATH(MarkExactly(manual->base().pointer()),
               "is in no slot: span .* Manual");
  const Addr last = heap_.heap.base() + heap_.heap.grown() - ByteCount(8);
  EXPECT_DEATH(MarkExactly(last.pointer()), "is in no slot: no span");
}

#ifndef NDEBUG
TEST_F(WhichPointersDeathTest, ExactPointerToAFreeSlotIsFatalInDebugBuilds) {
  static constexpr uint64_t kBits = 1;
  constexpr TypeInfo one = {.size = 8,
                            .align = 8,
                            .tracing = TypeInfo::Tracing::kBitmap,
                            .pointer_words = 1,
                            .bitmap = &kBits,
                            .name = "One"};
  const char* object = NewBytes(48);
  EXPECT_DEATH(MarkExactly(object + 48), "found in a root .* free slot");
  auto** holder = static_cast<const char**>(heap_.New(one));
  *holder = object + 48;
  EXPECT_DEATH(MarkExactly(holder), "found in object 0x.* free slot");
}
#endif

}  // namespace
}  // namespace tricolor::gc
