// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/lazy_array.h"

#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/test_random.h"

namespace tricolor {
namespace {

constexpr ByteCount kGranule = LazyRegion::kGranule;

uint64_t MapCalls(const FakeOsMemory& os) { return os.calls(OsCall::kMap); }
uint64_t UsedCalls(const FakeOsMemory& os) { return os.calls(OsCall::kUsed); }

TEST(LazyRegion, ReservesWithoutCommitting) {
  FakeOsMemory os;
  {
    LazyRegion region(os);
    ASSERT_TRUE(region.Init(ByteCount(uint64_t{8} << 30)));
    EXPECT_EQ(region.committed(), ByteCount(0));
    EXPECT_FALSE(region.IsCommitted(ByteCount(0)));
    EXPECT_FALSE(region.IsCommitted(ByteCount((uint64_t{8} << 30) - 1)));
    // Only the bits of 2^17 granules, twice, are there.
    EXPECT_EQ(os.ready_bytes(), ByteCount(2 << 14));
    region.CheckInvariants();
  }
  EXPECT_EQ(os.reserved_bytes() + os.ready_bytes(), ByteCount(0));
}

TEST(LazyRegion, CommitsWholeGranulesAroundTheRange) {
  FakeOsMemory os;
  LazyRegion region(os);
  ASSERT_TRUE(region.Init(kGranule * 10));
  ASSERT_TRUE(
      region.EnsureCommitted(kGranule * 2 - ByteCount(1), ByteCount(2)));
  EXPECT_FALSE(region.IsCommitted(kGranule * 1 - ByteCount(1)));
  EXPECT_TRUE(region.IsCommitted(kGranule * 1));
  EXPECT_TRUE(region.IsCommitted(kGranule * 3 - ByteCount(1)));
  EXPECT_FALSE(region.IsCommitted(kGranule * 3));
  EXPECT_EQ(region.committed(), kGranule * 2);
  EXPECT_EQ(os.StateOf(region.base() + kGranule), OsState::kReady);
  EXPECT_EQ(os.StateOf(region.base()), OsState::kReserved);
  EXPECT_EQ(os.StateOf(region.base() + kGranule * 3), OsState::kReserved);
  region.CheckInvariants();
}

TEST(LazyRegion, AsksTheOsOncePerMissingRun) {
  FakeOsMemory os;
  LazyRegion region(os);
  ASSERT_TRUE(region.Init(kGranule * 300));
  const uint64_t maps = MapCalls(os);
  const uint64_t uses = UsedCalls(os);
  // A run over several words of bits is one pair of calls.
  ASSERT_TRUE(region.EnsureCommitted(kGranule * 50, kGranule * 150));
  EXPECT_EQ(MapCalls(os), maps + 1);
  EXPECT_EQ(UsedCalls(os), uses + 1);
  // What is there already costs none.
  ASSERT_TRUE(region.EnsureCommitted(kGranule * 60, kGranule * 100));
  EXPECT_EQ(MapCalls(os), maps + 1);
  EXPECT_EQ(UsedCalls(os), uses + 1);
  // A run on either side of it is two.
  ASSERT_TRUE(region.EnsureCommitted(ByteCount(0), kGranule * 300));
  EXPECT_EQ(MapCalls(os), maps + 3);
  EXPECT_EQ(UsedCalls(os), uses + 3);
  EXPECT_EQ(region.committed(), kGranule * 300);
  region.CheckInvariants();
}

TEST(LazyRegion, EmptyRangeAsksForNothing) {
  FakeOsMemory os;
  LazyRegion region(os);
  ASSERT_TRUE(region.Init(kGranule));
  const uint64_t calls = os.fallible_calls();
  EXPECT_TRUE(region.EnsureCommitted(ByteCount(0), ByteCount(0)));
  EXPECT_TRUE(region.EnsureCommitted(kGranule, ByteCount(0)));
  EXPECT_EQ(os.fallible_calls(), calls);
}

TEST(LazyRegion, RefusedInitMayBeTriedAgain) {
  const uint64_t failures = ForEachOsFailure([](FakeOsMemory& os) {
    LazyRegion region(os);
    if (!region.Init(kGranule * 4)) {
      EXPECT_EQ(os.reserved_bytes() + os.prepared_bytes() + os.ready_bytes(),
                ByteCount(0));
      EXPECT_TRUE(region.base().is_null());
      ASSERT_TRUE(region.Init(kGranule * 2));
    }
    EXPECT_EQ(os.StateOf(region.base()), OsState::kReserved);
  });
  // Reserve, Map, Used.
  EXPECT_EQ(failures, 3u);
}

TEST(LazyRegion, SizeThatWrapsAroundIsRefused) {
  FakeOsMemory os;
  LazyRegion region(os);
  EXPECT_FALSE(region.Init(ByteCount(~uint64_t{0})));
  EXPECT_FALSE(region.Init(ByteCount(uint64_t{1} << 63)));
  EXPECT_TRUE(region.Init(ByteCount(1)));
}

// Every other granule of the first half is there; the whole is then asked for
// with a refusal at each call in turn, and asked for again.
TEST(LazyRegion, RefusalHalfWayKeepsWhatIsCommitted) {
  uint64_t refused = 0;
  ForEachOsFailure([&refused](FakeOsMemory& os) {
    LazyRegion region(os);
    if (!region.Init(kGranule * 8)) return;
    for (uint64_t i = 0; i < 4; i += 2) {
      if (!region.EnsureCommitted(kGranule * i, ByteCount(1))) return;
      *(region.base() + kGranule * i).as<uint64_t>() = i + 1;
    }
    if (!region.EnsureCommitted(ByteCount(0), kGranule * 8)) {
      ++refused;
      region.CheckInvariants();
      EXPECT_EQ(os.failures(), 1u);
      for (uint64_t i = 0; i < 8; ++i) {
        const bool committed = region.IsCommitted(kGranule * i);
        EXPECT_EQ(committed,
                  os.StateOf(region.base() + kGranule * i) == OsState::kReady);
      }
      ASSERT_TRUE(region.EnsureCommitted(ByteCount(0), kGranule * 8));
    }
    EXPECT_EQ(region.committed(), kGranule * 8);
    EXPECT_EQ(*region.base().as<uint64_t>(), 1u);
    EXPECT_EQ(*(region.base() + kGranule * 2).as<uint64_t>(), 3u);
    EXPECT_EQ(*(region.base() + kGranule * 7).as<uint64_t>(), 0u);
    region.CheckInvariants();
  });
  // Map and Used of granule 1 and of granules 3..7.
  EXPECT_EQ(refused, 4u);
}

TEST(LazyRegion, RandomCommitsUnderRandomFailuresAgreeWithTheOs) {
  const uint64_t seed = TestSeed();
  TestRandom random(seed);
  constexpr uint64_t kGranules = 200;
  for (int run = 0; run < 20; ++run) {
    FakeOsMemory os;
    LazyRegion region(os);
    ASSERT_TRUE(region.Init(kGranule * kGranules));
    os.FailRandomly(random.Next(), 0.3);
    std::vector<bool> model(kGranules);
    for (int i = 0; i < 60; ++i) {
      const uint64_t first = random.Below(kGranules);
      const uint64_t count = random.Below(kGranules - first + 1);
      const bool done =
          region.EnsureCommitted(kGranule * first, kGranule * count);
      for (uint64_t g = 0; g < kGranules; ++g) {
        const bool committed = region.IsCommitted(kGranule * g);
        const bool inside = first <= g && g < first + count;
        ASSERT_EQ(committed,
                  os.StateOf(region.base() + kGranule * g) == OsState::kReady);
        if (model[g] || (inside && done)) {
          ASSERT_TRUE(committed);
        } else if (!inside) {
          ASSERT_FALSE(committed);
        }
        model[g] = committed;
      }
      region.CheckInvariants();
    }
  }
}

TEST(LazyRegion, ReadersOnOtherThreadsSeeCommittedMemory) {
  FakeOsMemory os;
  LazyRegion region(os);
  constexpr uint64_t kGranules = 200;
  ASSERT_TRUE(region.Init(kGranule * kGranules));
  std::thread reader([&] {
    for (uint64_t g = 0; g < kGranules; ++g) {
      while (!region.IsCommitted(kGranule * g)) std::this_thread::yield();
      EXPECT_EQ(*(region.base() + kGranule * g).as<uint64_t>(), 0u);
    }
    EXPECT_GT(region.committed(), ByteCount(0));
  });
  for (uint64_t g = 0; g < kGranules; ++g) {
    ASSERT_TRUE(region.EnsureCommitted(kGranule * g, ByteCount(1)));
  }
  reader.join();
}

TEST(LazyArray, ElementsAreZeroAndStayInPlace) {
  FakeOsMemory os;
  LazyArray<uint32_t> array(os);
  ASSERT_TRUE(array.Init(1 << 20));
  EXPECT_EQ(array.size(), uint64_t{1} << 20);
  ASSERT_TRUE(array.EnsureCommitted(100, 50));
  EXPECT_TRUE(array.IsCommitted(100));
  EXPECT_FALSE(array.IsCommitted(1 << 19));
  uint32_t* place = &array[149];
  EXPECT_EQ(*place, 0u);
  array[149] = 5;
  ASSERT_TRUE(array.EnsureCommitted(0, 1 << 20));
  EXPECT_EQ(&array[149], place);
  EXPECT_EQ(array.data()[149], 5u);
  array[(1 << 20) - 1] = 6;
  const LazyArray<uint32_t>& constant = array;
  EXPECT_EQ(constant[(1 << 20) - 1], 6u);
  EXPECT_EQ(array.committed(), ByteCount(4 << 20));
  array.CheckInvariants();
}

TEST(LazyArray, WorksWithEveryOsPageSize) {
  for (const uint64_t page : {4u << 10, 16u << 10, 64u << 10}) {
    FakeOsMemory os({.page_size = ByteCount(page)});
    LazyArray<uint64_t> array(os);
    ASSERT_TRUE(array.Init(100000));
    ASSERT_TRUE(array.EnsureCommitted(99999, 1));
    array[99999] = 1;
    array.CheckInvariants();
  }
}

TEST(LazyArrayDeathTest, TouchOfUncommittedElementFaults) {
  FakeOsMemory os;
  LazyArray<uint64_t> array(os);
  ASSERT_TRUE(array.Init(1 << 20));
  ASSERT_TRUE(array.EnsureCommitted(0, 1));
  EXPECT_DEATH(array[1 << 19] = 1, "");
}

TEST(LazyRegionDeathTest, MisuseIsFatal) {
  FakeOsMemory os;
  LazyRegion region(os);
  EXPECT_DEATH((void)region.Init(ByteCount(0)), "with 0 bytes");
  ASSERT_TRUE(region.Init(kGranule));
  EXPECT_DEATH((void)region.Init(kGranule), "initialized twice");
  EXPECT_DEATH((void)region.EnsureCommitted(kGranule, ByteCount(1)),
               "outside the lazy region");
  EXPECT_DEATH((void)region.EnsureCommitted(ByteCount(1), kGranule),
               "outside the lazy region");
  EXPECT_DEATH(
      (void)region.EnsureCommitted(ByteCount(1), ByteCount(~uint64_t{0})),
      "outside the lazy region");
}

TEST(LazyRegionDeathTest, PagesLargerThanAGranuleAreFatal) {
  FakeOsMemory os({.page_size = ByteCount(128 << 10)});
  LazyRegion region(os);
  EXPECT_DEATH((void)region.Init(kGranule), "exceeds the granule");
}

}  // namespace
}  // namespace tricolor
