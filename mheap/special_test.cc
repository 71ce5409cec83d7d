// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/special.h"

#include <atomic>
#include <cstdint>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/mheap/mheap_testing.h"

namespace tricolor::mheap {
namespace {

void* Record(uintptr_t n) { return reinterpret_cast<void*>(n); }

struct SpecialTest : testing::Test {
  SpecialTest() : span(*t.heap.AllocSpan(t.processor, ClassFor(48))) {
    span.TakeFreeRun(span.slots());
  }
  ~SpecialTest() override { FreeAll(TakeAll()); }

  // All objects die.
  Special* TakeAll() {
    span.UnmarkRun({0, span.slots()});
    return t.heap.TakeDeadSpecials(span);
  }
  void FreeAll(Special* list) { FreeSpecials(t.heap, list); }
  bool HasBit() {
    const uint64_t page = PagesIn(span.base() - t.heap.base()).value();
    return (t.heap.page_specials_word(page / 64).LoadRelaxed() >> (page % 64)) &
           1;
  }

  TestHeap t;
  MSpan& span;
};

TEST_F(SpecialTest, AnObjectHasOneWeakSlotWithASerialOfItsOwn) {
  WeakSlot* a = t.heap.WeakSlotFor(span, 3);
  WeakSlot* b = t.heap.WeakSlotFor(span, 4);
  EXPECT_EQ(t.heap.WeakSlotFor(span, 3), a);
  EXPECT_NE(a, b);
  EXPECT_NE(a->serial.LoadAcquire(), 0u);
  EXPECT_NE(a->serial.LoadAcquire(), b->serial.LoadAcquire());
  EXPECT_EQ(a->target.LoadRelaxed(), span.SlotAddress(3).value());
}

TEST_F(SpecialTest, SerialsAreNeverUsedTwiceThoughSlotsAre) {
  std::set<uint64_t> serials;
  std::set<WeakSlot*> slots;
  for (int i = 0; i < 1000; ++i) {
    WeakSlot* slot = t.heap.WeakSlotFor(span, 7);
    slots.insert(slot);
    EXPECT_TRUE(serials.insert(slot->serial.LoadAcquire()).second);
    Special* dead = TakeAll();
    EXPECT_EQ(slot->serial.LoadAcquire(), 0u);
    FreeAll(dead);
  }
  EXPECT_LT(slots.size(), 1000u);
}

TEST_F(SpecialTest, SpecialsDieInOrderOfObjectWeakHandlesFirst) {
  for (const uint32_t i : {9u, 2u, 5u}) {
    ASSERT_NE(t.heap.AddCleanup(span, i, Record(i * 10)), nullptr);
    ASSERT_NE(t.heap.AddCleanup(span, i, Record(i * 10 + 1)), nullptr);
    ASSERT_NE(t.heap.WeakSlotFor(span, i), nullptr);
  }
  t.heap.CheckInvariants();
  span.SetMarked(5);
  Special* dead = t.heap.TakeDeadSpecials(span);
  std::vector<uintptr_t> order;
  for (Special* s = dead; s != nullptr; s = s->next) {
    order.push_back(s->kind == SpecialKind::kWeakHandle
                        ? s->object_index
                        : reinterpret_cast<uintptr_t>(
                              static_cast<CallSpecial*>(s)->record));
  }
  EXPECT_EQ(order, (std::vector<uintptr_t>{2, 20, 21, 9, 90, 91}));
  EXPECT_TRUE(HasBit());
  FreeAll(dead);
  t.heap.CheckInvariants();
}

TEST_F(SpecialTest, PageBitSaysWhetherThereAreSpecials) {
  EXPECT_FALSE(HasBit());
  CallSpecial* a = t.heap.AddCleanup(span, 0, nullptr);
  CallSpecial* b = t.heap.AddCleanup(span, 1, nullptr);
  EXPECT_TRUE(HasBit());
  void* record = nullptr;
  EXPECT_TRUE(t.heap.RemoveCleanup(span, 0, a->id, &record));
  EXPECT_TRUE(HasBit());
  EXPECT_TRUE(t.heap.RemoveCleanup(span, 1, b->id, &record));
  EXPECT_FALSE(HasBit());
  EXPECT_EQ(TakeAll(), nullptr);
}

TEST_F(SpecialTest, RemovedCleanupReturnsItsRecordOnce) {
  ASSERT_NE(t.heap.AddCleanup(span, 6, Record(1)), nullptr);
  const uint64_t id = t.heap.AddCleanup(span, 6, Record(2))->id;
  ASSERT_NE(t.heap.AddCleanup(span, 6, Record(3)), nullptr);
  void* record = nullptr;
  EXPECT_FALSE(t.heap.RemoveCleanup(span, 5, id, &record));
  EXPECT_FALSE(t.heap.RemoveCleanup(span, 6, id + 100, &record));
  EXPECT_TRUE(t.heap.RemoveCleanup(span, 6, id, &record));
  EXPECT_EQ(record, Record(2));
  EXPECT_FALSE(t.heap.RemoveCleanup(span, 6, id, &record));
}

TEST_F(SpecialTest, SpecialsOfMarkedObjectsStay) {
  WeakSlot* slot = t.heap.WeakSlotFor(span, 8);
  const uint64_t serial = slot->serial.LoadAcquire();
  span.SetMarked(8);
  EXPECT_EQ(t.heap.TakeDeadSpecials(span), nullptr);
  EXPECT_EQ(slot->serial.LoadAcquire(), serial);
  EXPECT_EQ(t.heap.WeakSlotFor(span, 8), slot);
}

// ---- Finalizers.

TEST_F(SpecialTest, AnObjectWithAFinalizerIsMarkedAndLosesItsWeakHandleFirst) {
  ASSERT_NE(t.heap.AddCleanup(span, 5, Record(51)), nullptr);
  ASSERT_NE(t.heap.SetFinalizer(span, 5, Record(50)), nullptr);
  WeakSlot* weak = t.heap.WeakSlotFor(span, 5);
  ASSERT_NE(t.heap.AddCleanup(span, 6, Record(60)), nullptr);
  EXPECT_EQ(t.heap.finalizers(), 1u);
  t.heap.CheckInvariants();
  Special* dead = t.heap.TakeDeadSpecials(span);
  EXPECT_EQ(weak->serial.LoadAcquire(), 0u);
  EXPECT_TRUE(span.IsMarked(5));
  EXPECT_FALSE(span.IsMarked(6));
  const uint64_t page = PagesIn(span.base() - t.heap.base()).value();
  EXPECT_EQ(
      (t.heap.page_marks_word(page / 64).LoadRelaxed() >> (page % 64)) & 1, 1u);
  ASSERT_NE(dead, nullptr);
  EXPECT_EQ(dead->kind, SpecialKind::kWeakHandle);
  ASSERT_NE(dead->next, nullptr);
  EXPECT_EQ(dead->next->kind, SpecialKind::kFinalizer);
  EXPECT_EQ(static_cast<CallSpecial*>(dead->next)->record, Record(50));
  ASSERT_NE(dead->next->next, nullptr);
  EXPECT_EQ(dead->next->next->object_index, 6u);
  EXPECT_EQ(dead->next->next->next, nullptr);
  FreeAll(dead);
  EXPECT_EQ(t.heap.finalizers(), 0u);
  EXPECT_TRUE(HasBit());  // the cleanup is still there
  t.heap.CheckInvariants();
  // A new weak handle is another one.
  EXPECT_NE(t.heap.WeakSlotFor(span, 5)->serial.LoadAcquire(), 0u);
  dead = TakeAll();
  ASSERT_NE(dead, nullptr);
  ASSERT_NE(dead->next, nullptr);
  EXPECT_EQ(static_cast<CallSpecial*>(dead->next)->record, Record(51));
  FreeAll(dead);
}

TEST_F(SpecialTest, AMarkedObjectKeepsItsFinalizer) {
  ASSERT_NE(t.heap.SetFinalizer(span, 5, Record(50)), nullptr);
  span.SetMarked(5);
  EXPECT_EQ(t.heap.TakeDeadSpecials(span), nullptr);
  void* record = nullptr;
  EXPECT_FALSE(t.heap.ClearFinalizer(span, 4, &record));
  EXPECT_TRUE(t.heap.ClearFinalizer(span, 5, &record));
  EXPECT_EQ(record, Record(50));
  EXPECT_FALSE(t.heap.ClearFinalizer(span, 5, &record));
  EXPECT_FALSE(HasBit());
  EXPECT_EQ(t.heap.finalizers(), 0u);
}

TEST_F(SpecialTest, ASecondFinalizerIsFatal) {
  ASSERT_NE(t.heap.SetFinalizer(span, 5, nullptr), nullptr);
  EXPECT_DEATH((void)t.heap.SetFinalizer(span, 5, nullptr),
               "object at .* has a finalizer already");
  ASSERT_NE(t.heap.SetFinalizer(span, 6, nullptr), nullptr);
}

TEST_F(SpecialTest, FinalizableObjectsAreListedInBatches) {
  for (uint32_t i = 0; i < 100; i += 2) {
    ASSERT_NE(t.heap.AddCleanup(span, i, nullptr), nullptr);
    if (i % 4 == 0) {
      ASSERT_NE(t.heap.SetFinalizer(span, i, nullptr), nullptr);
    }
  }
  uint32_t indices[10];
  std::vector<uint32_t> found;
  for (uint32_t first = 0;;) {
    const uint32_t n = t.heap.FinalizableObjects(span, first, indices, 10);
    found.insert(found.end(), indices, indices + n);
    if (n < 10) break;
    first = indices[n - 1] + 1;
  }
  ASSERT_EQ(found.size(), 25u);
  for (uint32_t i = 0; i < 25; ++i) EXPECT_EQ(found[i], i * 4);
}

TEST_F(SpecialTest, NoMemoryForARecordIsAValue) {
  t.os.FailFrom(1);
  std::vector<uint64_t> ids;
  uint32_t weak = 0;
  while (weak < span.slots() && t.heap.WeakSlotFor(span, weak) != nullptr) {
    ++weak;
  }
  for (;;) {
    CallSpecial* special = t.heap.AddCleanup(span, 3, nullptr);
    if (special == nullptr) break;
    ids.push_back(special->id);
  }
  EXPECT_GT(t.os.failures(), 0u);
  EXPECT_EQ(t.heap.SetFinalizer(span, 3, nullptr), nullptr);
  EXPECT_EQ(t.heap.finalizers(), 0u);
  t.heap.CheckInvariants();
  t.os.StopFailing();
  EXPECT_NE(t.heap.AddCleanup(span, 3, nullptr), nullptr);
}

TEST_F(SpecialTest, ThreadsMayAddToOneSpanAtOnce) {
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  std::atomic<uint64_t> removed{0};
  for (int n = 0; n < kThreads; ++n) {
    threads.emplace_back([&, n] {
      for (uint32_t i = 0; i < 170; ++i) {
        ASSERT_NE(t.heap.WeakSlotFor(span, i), nullptr);
        CallSpecial* special = t.heap.AddCleanup(span, i, Record(i));
        ASSERT_NE(special, nullptr);
        if ((i + static_cast<uint32_t>(n)) % 2 == 0) {
          void* record = nullptr;
          removed += t.heap.RemoveCleanup(span, i, special->id, &record);
          ASSERT_EQ(record, Record(i));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(removed, kThreads * 170 / 2u);
  t.heap.CheckInvariants();
  int weak = 0;
  int cleanups = 0;
  Special* dead = TakeAll();
  for (Special* s = dead; s != nullptr; s = s->next) {
    ++(s->kind == SpecialKind::kWeakHandle ? weak : cleanups);
  }
  EXPECT_EQ(weak, 170);
  EXPECT_EQ(cleanups, kThreads * 170 / 2);
  FreeAll(dead);
}

// Readers of weak pointers against the sweep that retires them: the pair of
// slot and serial never says that a dead object is alive.
TEST_F(SpecialTest, AWeakPointerIsDeadBeforeItsCleanupIsHandedOut) {
  constexpr uint32_t kObjects = 170;
  std::vector<WeakSlot*> slots;
  std::vector<uint64_t> serials;
  for (uint32_t i = 0; i < kObjects; ++i) {
    slots.push_back(t.heap.WeakSlotFor(span, i));
    serials.push_back(slots[i]->serial.LoadAcquire());
    ASSERT_NE(t.heap.AddCleanup(span, i, Record(i)), nullptr);
  }
  std::atomic<bool> handed_out{false};
  std::vector<std::thread> readers;
  for (int n = 0; n < 3; ++n) {
    readers.emplace_back([&] {
      for (bool last = false; !last;) {
        last = handed_out.load(std::memory_order_acquire);
        for (uint32_t i = 0; i < kObjects; ++i) {
          const bool alive = slots[i]->serial.LoadAcquire() == serials[i];
          ASSERT_FALSE(alive && last);
        }
      }
    });
  }
  // Another thread stops cleanups while the sweep takes them.
  std::thread stopper([&] {
    void* record = nullptr;
    for (uint64_t id = 1; id <= kObjects; id += 3) {
      t.heap.RemoveCleanup(span, static_cast<uint32_t>(id - 1), id, &record);
    }
  });
  Special* dead = t.heap.TakeDeadSpecials(span);
  handed_out.store(true, std::memory_order_release);
  for (std::thread& reader : readers) reader.join();
  stopper.join();
  FreeAll(dead);
}

}  // namespace
}  // namespace tricolor::mheap
