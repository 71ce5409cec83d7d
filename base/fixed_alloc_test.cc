// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/fixed_alloc.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/test_random.h"

namespace tricolor {
namespace {

struct Record {
  uint64_t link;
  uint64_t generation;
  uint64_t rest[5];
};

struct Tiny {
  unsigned char byte;
};

struct alignas(512) Aligned {
  unsigned char bytes[100];
};

struct Huge {
  unsigned char bytes[100000];
};

template <typename T>
class FixedAllocTypes : public testing::Test {};
using Types = testing::Types<Record, Tiny, Aligned, Huge>;
TYPED_TEST_SUITE(FixedAllocTypes, Types);

TYPED_TEST(FixedAllocTypes, ObjectsAreAlignedApartAndZero) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  FixedAlloc<TypeParam> alloc(memory);
  std::vector<uintptr_t> objects;
  for (int i = 0; i < 100; ++i) {
    bool fresh = false;
    TypeParam* object = alloc.Allocate(&fresh);
    ASSERT_NE(object, nullptr);
    EXPECT_TRUE(fresh);
    const auto* bytes = reinterpret_cast<unsigned char*>(object);
    EXPECT_TRUE(std::all_of(bytes, bytes + sizeof(TypeParam),
                            [](unsigned char b) { return b == 0; }));
    objects.push_back(Addr(object).value());
    EXPECT_TRUE(Addr(object).IsAligned(alignof(TypeParam)));
    std::fill_n(reinterpret_cast<unsigned char*>(object), sizeof(TypeParam),
                static_cast<unsigned char>(0xff));
  }
  std::sort(objects.begin(), objects.end());
  for (size_t i = 1; i < objects.size(); ++i) {
    EXPECT_GE(objects[i] - objects[i - 1], sizeof(TypeParam));
  }
  EXPECT_EQ(alloc.in_use(), 100u);
  EXPECT_GE(alloc.bytes().value(), 100 * sizeof(TypeParam));
  EXPECT_LE(alloc.bytes(), memory.bytes_from_os());
  alloc.CheckInvariants();
}

TEST(FixedAlloc, FreedStorageIsReusedFirstAndKeptButForItsFirstWord) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  FixedAlloc<Record> alloc(memory);
  Record* a = alloc.Allocate();
  Record* b = alloc.Allocate();
  a->generation = 77;
  a->rest[4] = 78;
  alloc.Free(a);
  alloc.Free(b);
  EXPECT_EQ(alloc.in_use(), 0u);
  alloc.CheckInvariants();
  // A stale reader may look at what a dead object left.
  EXPECT_EQ(a->generation, 77u);
  bool fresh = true;
  EXPECT_EQ(alloc.Allocate(&fresh), b);
  EXPECT_FALSE(fresh);
  EXPECT_EQ(alloc.Allocate(&fresh), a);
  EXPECT_FALSE(fresh);
  EXPECT_EQ(a->generation, 77u);
  EXPECT_EQ(a->rest[4], 78u);
  Record* c = alloc.Allocate(&fresh);
  EXPECT_TRUE(fresh);
  EXPECT_TRUE(c != a && c != b);
  EXPECT_EQ(alloc.in_use(), 3u);
}

TEST(FixedAlloc, RandomUseNeverHandsOutALiveObject) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  FixedAlloc<Record> alloc(memory);
  TestRandom random(TestSeed());
  std::vector<Record*> live;
  std::set<Record*> live_set;
  for (uint64_t i = 1; i < 20000; ++i) {
    if (!live.empty() && random.Below(100) < 48) {
      std::swap(live[random.Below(live.size())], live.back());
      alloc.Free(live.back());
      live_set.erase(live.back());
      live.pop_back();
    } else {
      Record* record = alloc.Allocate();
      ASSERT_NE(record, nullptr);
      ASSERT_TRUE(live_set.insert(record).second) << "already live";
      live.push_back(record);
    }
    if (i % 1000 == 0) alloc.CheckInvariants();
    ASSERT_EQ(alloc.in_use(), live.size());
  }
}

TEST(FixedAlloc, RefusalAtAnyCallLeavesTheAllocatorUsable) {
  const uint64_t failures = ForEachOsFailure([](FakeOsMemory& os) {
    PersistentAlloc memory(os);
    FixedAlloc<Huge> alloc(memory);
    uint64_t allocated = 0;
    uint64_t refused = 0;
    for (int i = 0; i < 5; ++i) {
      if (alloc.Allocate() != nullptr) {
        ++allocated;
      } else {
        ++refused;
      }
      alloc.CheckInvariants();
    }
    EXPECT_EQ(alloc.in_use(), allocated);
    EXPECT_EQ(refused, os.failures());
  });
  // Each object of this size has an OS allocation of its own: three calls.
  EXPECT_EQ(failures, 15u);
}

TEST(FixedAlloc, ExhaustedAllocatorStillRecycles) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  FixedAlloc<Record> alloc(memory);
  os.SetReadyLimit(ByteCount(256 << 10));
  std::vector<Record*> all;
  while (Record* record = alloc.Allocate()) all.push_back(record);
  EXPECT_GT(all.size(), 3000u);
  EXPECT_EQ(alloc.Allocate(), nullptr);
  alloc.Free(all.back());
  EXPECT_EQ(alloc.Allocate(), all.back());
  EXPECT_EQ(alloc.Allocate(), nullptr);
  alloc.CheckInvariants();
}

TEST(FixedAlloc, StaleReaderMayLookWhileObjectsAreFreedAndReused) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  FixedAlloc<Record> alloc(memory);
  Record* stale = alloc.Allocate();
  StoreWordRelaxed(&stale->generation, uint64_t{0});
  Atomic<bool> done;
  std::thread reader([&] {
    uint64_t last = 0;
    while (!done.LoadAcquire()) {
      LoadWordRelaxed(&stale->link);
      const uint64_t generation = LoadWordRelaxed(&stale->generation);
      EXPECT_LE(last, generation);
      last = generation;
    }
  });
  for (uint64_t i = 1; i <= 10000; ++i) {
    alloc.Free(stale);
    ASSERT_EQ(alloc.Allocate(), stale);
    StoreWordRelaxed(&stale->generation, i);
  }
  done.StoreRelease(true);
  reader.join();
}

TEST(FixedAllocDeathTest, MisuseIsFatal) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  FixedAlloc<Record> alloc(memory);
  Record* record = alloc.Allocate();
  EXPECT_DEATH(alloc.Free(nullptr), "freed to a FixedAlloc");
  alloc.Free(record);
  EXPECT_DEATH(alloc.Free(record), "with 0 in use");
}

TEST(FixedAllocDeathTest, DoubleFreeIsFoundByTheCheck) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  FixedAlloc<Record> alloc(memory);
  Record* record = alloc.Allocate();
  ASSERT_NE(alloc.Allocate(), nullptr);
  alloc.Free(record);
  alloc.Free(record);
  EXPECT_DEATH(alloc.CheckInvariants(), "in use and");
}

}  // namespace
}  // namespace tricolor
