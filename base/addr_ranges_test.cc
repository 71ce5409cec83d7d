// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/addr_ranges.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/test_random.h"

namespace tricolor {
namespace {

AddrRange Range(uint64_t base, uint64_t limit) {
  return {Addr(base), Addr(limit)};
}

std::vector<AddrRange> Contents(const AddrRanges& ranges) {
  ranges.CheckInvariants();
  return std::vector<AddrRange>(ranges.begin(), ranges.end());
}

using Ranges = std::vector<AddrRange>;

class AddrRangesTest : public testing::Test {
 protected:
  FakeOsMemory os_;
  PersistentAlloc memory_{os_};
  AddrRanges ranges_{memory_};
};

TEST_F(AddrRangesTest, IsEmptyAtFirst) {
  EXPECT_TRUE(ranges_.empty());
  EXPECT_EQ(ranges_.total_bytes(), ByteCount(0));
  EXPECT_EQ(ranges_.FindSucc(Addr(5)), 0u);
  EXPECT_FALSE(ranges_.Contains(Addr()));
  EXPECT_EQ(ranges_.FindAddrGreaterEqual(Addr()), std::nullopt);
  EXPECT_TRUE(ranges_.RemoveLast(ByteCount(1)).empty());
  ranges_.RemoveGreaterEqual(Addr());
  EXPECT_EQ(Contents(ranges_), Ranges{});
}

TEST_F(AddrRangesTest, NeighborsJoinOnEitherAndBothSides) {
  ASSERT_TRUE(ranges_.Add(Range(512, 1024)));
  EXPECT_EQ(Contents(ranges_), Ranges({Range(512, 1024)}));
  ASSERT_TRUE(ranges_.Add(Range(1024, 2048)));
  EXPECT_EQ(Contents(ranges_), Ranges({Range(512, 2048)}));
  ASSERT_TRUE(ranges_.Add(Range(256, 512)));
  EXPECT_EQ(Contents(ranges_), Ranges({Range(256, 2048)}));
  ASSERT_TRUE(ranges_.Add(Range(4096, 8192)));
  ASSERT_TRUE(ranges_.Add(Range(100, 200)));
  EXPECT_EQ(Contents(ranges_),
            Ranges({Range(100, 200), Range(256, 2048), Range(4096, 8192)}));
  ASSERT_TRUE(ranges_.Add(Range(2048, 4096)));
  EXPECT_EQ(Contents(ranges_), Ranges({Range(100, 200), Range(256, 8192)}));
  ASSERT_TRUE(ranges_.Add(Range(200, 256)));
  EXPECT_EQ(Contents(ranges_), Ranges({Range(100, 8192)}));
  EXPECT_EQ(ranges_.total_bytes(), ByteCount(8092));
}

TEST_F(AddrRangesTest, BothEndsOfTheAddressSpaceFit) {
  constexpr uint64_t kTop = ~uint64_t{0};
  ASSERT_TRUE(ranges_.Add(Range(kTop - 1, kTop)));
  ASSERT_TRUE(ranges_.Add(Range(0, 1)));
  EXPECT_TRUE(ranges_.Contains(Addr(0)));
  EXPECT_FALSE(ranges_.Contains(Addr(1)));
  EXPECT_TRUE(ranges_.Contains(Addr(kTop - 1)));
  EXPECT_FALSE(ranges_.Contains(Addr(kTop)));
  EXPECT_EQ(ranges_.FindAddrGreaterEqual(Addr(1)), Addr(kTop - 1));
  EXPECT_EQ(ranges_.FindAddrGreaterEqual(Addr(kTop)), std::nullopt);
}

TEST_F(AddrRangesTest, FindSuccIsTheFirstRangeBeginningBeyond) {
  for (uint64_t i = 1; i <= 40; ++i) {
    ASSERT_TRUE(ranges_.Add(Range(i * 100, i * 100 + 50)));
  }
  for (uint64_t i = 1; i <= 40; ++i) {
    EXPECT_EQ(ranges_.FindSucc(Addr(i * 100 - 1)), i - 1);
    EXPECT_EQ(ranges_.FindSucc(Addr(i * 100)), i);
    EXPECT_EQ(ranges_.FindSucc(Addr(i * 100 + 49)), i);
    EXPECT_EQ(ranges_.FindSucc(Addr(i * 100 + 50)), i);
  }
  EXPECT_EQ(ranges_.FindAddrGreaterEqual(Addr(120)), Addr(120));
  EXPECT_EQ(ranges_.FindAddrGreaterEqual(Addr(150)), Addr(200));
  EXPECT_EQ(ranges_.FindAddrGreaterEqual(Addr(0)), Addr(100));
  EXPECT_EQ(ranges_.FindAddrGreaterEqual(Addr(4050)), std::nullopt);
}

TEST_F(AddrRangesTest, RemoveLastTakesFromTheTop) {
  ASSERT_TRUE(ranges_.Add(Range(100, 200)));
  ASSERT_TRUE(ranges_.Add(Range(300, 400)));
  EXPECT_EQ(ranges_.RemoveLast(ByteCount(30)), Range(370, 400));
  EXPECT_EQ(Contents(ranges_), Ranges({Range(100, 200), Range(300, 370)}));
  EXPECT_TRUE(ranges_.RemoveLast(ByteCount(0)).empty());
  // Never more than one range, however much is asked for.
  EXPECT_EQ(ranges_.RemoveLast(ByteCount(1000)), Range(300, 370));
  EXPECT_EQ(ranges_.RemoveLast(ByteCount(100)), Range(100, 200));
  EXPECT_TRUE(ranges_.empty());
}

TEST_F(AddrRangesTest, RemoveGreaterEqualCutsARange) {
  const auto refill = [this] {
    ranges_.Clear();
    ASSERT_TRUE(ranges_.Add(Range(100, 200)));
    ASSERT_TRUE(ranges_.Add(Range(300, 400)));
  };
  const Ranges both = {Range(100, 200), Range(300, 400)};
  refill();
  ranges_.RemoveGreaterEqual(Addr(400));
  EXPECT_EQ(Contents(ranges_), both);
  ranges_.RemoveGreaterEqual(Addr(399));
  EXPECT_EQ(Contents(ranges_), Ranges({Range(100, 200), Range(300, 399)}));
  refill();
  ranges_.RemoveGreaterEqual(Addr(300));
  EXPECT_EQ(Contents(ranges_), Ranges({Range(100, 200)}));
  refill();
  ranges_.RemoveGreaterEqual(Addr(250));
  EXPECT_EQ(Contents(ranges_), Ranges({Range(100, 200)}));
  refill();
  ranges_.RemoveGreaterEqual(Addr(150));
  EXPECT_EQ(Contents(ranges_), Ranges({Range(100, 150)}));
  refill();
  ranges_.RemoveGreaterEqual(Addr(100));
  EXPECT_EQ(Contents(ranges_), Ranges{});
  refill();
  ranges_.RemoveGreaterEqual(Addr(99));
  EXPECT_TRUE(ranges_.empty());
}

TEST_F(AddrRangesTest, SixteenRangesNeedNoMemory) {
  os_.FailFrom(1);
  for (uint64_t i = 0; i < AddrRanges::kInlineCapacity; ++i) {
    ASSERT_TRUE(ranges_.Add(Range(i * 100, i * 100 + 50)));
  }
  EXPECT_EQ(os_.fallible_calls(), 0u);
}

TEST_F(AddrRangesTest, RefusedGrowthChangesNothing) {
  for (uint64_t i = 0; i < AddrRanges::kInlineCapacity; ++i) {
    ASSERT_TRUE(ranges_.Add(Range(i * 100, i * 100 + 50)));
  }
  const Ranges before = Contents(ranges_);
  os_.FailFrom(1);
  EXPECT_FALSE(ranges_.Add(Range(9000, 9001)));
  EXPECT_FALSE(ranges_.Add(Range(60, 70)));
  EXPECT_EQ(Contents(ranges_), before);
  // What joins a neighbor needs no room.
  EXPECT_TRUE(ranges_.Add(Range(50, 60)));
  EXPECT_TRUE(ranges_.Add(Range(60, 100)));
  EXPECT_EQ(ranges_.size(), AddrRanges::kInlineCapacity - 1);
  EXPECT_TRUE(ranges_.Add(Range(9000, 9001)));
  EXPECT_FALSE(ranges_.Add(Range(9100, 9101)));
  os_.StopFailing();
  EXPECT_TRUE(ranges_.Add(Range(9100, 9101)));
  EXPECT_EQ(ranges_.size(), AddrRanges::kInlineCapacity + 1);
  ranges_.CheckInvariants();
}

TEST_F(AddrRangesTest, GrownListStaysWithinItsMemory) {
  uint64_t count = 0;
  const auto add_until = [&](uint64_t limit) {
    for (; count < limit; ++count) {
      ASSERT_TRUE(ranges_.Add(Range(count * 100, count * 100 + 50)));
    }
  };
  // Growth happens at the 17th, 33rd, 65th range; what is allocated right
  // after it lies behind the new array.
  for (uint64_t capacity = 16; capacity <= 128; capacity *= 2) {
    add_until(capacity + 1);
    const auto* behind = memory_.New<uint64_t>();
    ASSERT_NE(behind, nullptr);
    add_until(2 * capacity);
    EXPECT_EQ(*behind, 0u);
    ranges_.CheckInvariants();
  }
}

TEST_F(AddrRangesTest, LongListsGrowAndJoinAgain) {
  constexpr uint64_t kCount = 1000;
  for (uint64_t i = kCount; i-- > 0;) {
    ASSERT_TRUE(ranges_.Add(Range(i * 100, i * 100 + 50)));
  }
  EXPECT_EQ(ranges_.size(), kCount);
  EXPECT_EQ(ranges_.total_bytes(), ByteCount(kCount * 50));
  ranges_.CheckInvariants();
  for (uint64_t i = 0; i + 1 < kCount; ++i) {
    ASSERT_TRUE(ranges_.Add(Range(i * 100 + 50, i * 100 + 100)));
  }
  EXPECT_EQ(Contents(ranges_), Ranges({Range(0, kCount * 100 - 50)}));
}

using AddrRangesDeathTest = AddrRangesTest;

TEST_F(AddrRangesDeathTest, EmptyOrOverlappingRangeIsFatal) {
  ASSERT_TRUE(ranges_.Add(Range(100, 200)));
  EXPECT_DEATH((void)ranges_.Add(Range(300, 300)), "is empty");
  EXPECT_DEATH((void)ranges_.Add(Range(300, 200)), "is empty");
  EXPECT_DEATH((void)ranges_.Add(Range(199, 300)), "overlaps 0x64..0xc8");
  EXPECT_DEATH((void)ranges_.Add(Range(50, 101)), "overlaps 0x64..0xc8");
  EXPECT_DEATH((void)ranges_.Add(Range(50, 300)), "overlaps 0x64..0xc8");
  EXPECT_DEATH((void)ranges_.Add(Range(120, 130)), "overlaps 0x64..0xc8");
  EXPECT_DEATH((void)ranges_.Add(Range(100, 200)), "overlaps 0x64..0xc8");
}

// A model with one bool an address.
class Model {
 public:
  static constexpr uint64_t kAddresses = 160;

  bool Free(uint64_t base, uint64_t limit) const {
    for (uint64_t a = base; a < limit; ++a) {
      if (owned_[a]) return false;
    }
    return true;
  }
  void Set(uint64_t base, uint64_t limit, bool value) {
    for (uint64_t a = base; a < limit; ++a) owned_[a] = value;
  }
  Ranges ranges() const {
    Ranges result;
    for (uint64_t a = 0; a < kAddresses; ++a) {
      if (!owned_[a]) continue;
      uint64_t end = a;
      while (end < kAddresses && owned_[end]) ++end;
      result.push_back(Range(a, end));
      a = end;
    }
    return result;
  }
  std::optional<Addr> FindGreaterEqual(uint64_t addr) const {
    for (uint64_t a = addr; a < kAddresses; ++a) {
      if (owned_[a]) return Addr(a);
    }
    return std::nullopt;
  }
  bool Contains(uint64_t addr) const { return owned_[addr]; }

 private:
  bool owned_[kAddresses] = {};
};

void RandomStep(AddrRanges& ranges, Model& model, FakeOsMemory& os,
                TestRandom& random) {
  const uint64_t base = random.Below(Model::kAddresses);
  const uint64_t longest = std::min<uint64_t>(Model::kAddresses - base, 4);
  const uint64_t limit = base + 1 + random.Below(longest);
  switch (random.Below(40)) {
    case 0: {
      const AddrRange removed = ranges.RemoveLast(ByteCount(random.Below(6)));
      model.Set(removed.base.value(), removed.limit.value(), false);
      return;
    }
    case 1: {
      const uint64_t from = base / 4 + Model::kAddresses * 3 / 4;
      ranges.RemoveGreaterEqual(Addr(from));
      model.Set(from, Model::kAddresses, false);
      return;
    }
    default:
      break;
  }
  if (!model.Free(base, limit)) return;
  if (random.OneIn(4)) os.FailAfter(1);
  const uint64_t failures = os.failures();
  if (ranges.Add(Range(base, limit))) {
    model.Set(base, limit, true);
  } else {
    ASSERT_EQ(os.failures(), failures + 1) << "refused without a reason";
  }
  os.StopFailing();
}

TEST(AddrRangesModel, RandomUseAgreesWithABitmap) {
  TestRandom random(TestSeed());
  for (int run = 0; run < 60; ++run) {
    FakeOsMemory os;
    PersistentAlloc memory(os);
    AddrRanges ranges(memory);
    Model model;
    for (int step = 0; step < 300; ++step) {
      RandomStep(ranges, model, os, random);
      ASSERT_EQ(Contents(ranges), model.ranges());
      const uint64_t probe = random.Below(Model::kAddresses);
      ASSERT_EQ(ranges.Contains(Addr(probe)), model.Contains(probe));
      ASSERT_EQ(ranges.FindAddrGreaterEqual(Addr(probe)),
                model.FindGreaterEqual(probe));
    }
  }
}

}  // namespace
}  // namespace tricolor
