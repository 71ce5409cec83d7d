// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/sys/fake_os_memory.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/sys/linux_memory.h"
#include "tricolor/base/test_random.h"

namespace tricolor {
namespace {

constexpr ByteCount kPage{4096};

AddrRange Pages(Addr base, uint64_t first, uint64_t count) {
  return {base + kPage * first, base + kPage * (first + count)};
}

class FakeOsMemoryTest : public testing::Test {
 protected:
  FakeOsMemoryTest() { base_ = os_.Reserve(kPage * 16, kPage); }
  ~FakeOsMemoryTest() override {
    if (os_.StateOf(base_) != OsState::kNone) os_.Free(Range(0, 16));
  }

  AddrRange Range(uint64_t first, uint64_t count) const {
    return Pages(base_, first, count);
  }
  OsState State(uint64_t page) const {
    return os_.StateOf(base_ + kPage * page);
  }

  FakeOsMemory os_;
  Addr base_;
};

TEST_F(FakeOsMemoryTest, FollowsTheFourStates) {
  EXPECT_EQ(State(0), OsState::kReserved);
  EXPECT_EQ(os_.reserved_bytes(), kPage * 16);
  ASSERT_TRUE(os_.Map(Range(4, 8)));
  EXPECT_EQ(State(3), OsState::kReserved);
  EXPECT_EQ(State(4), OsState::kPrepared);
  EXPECT_EQ(State(11), OsState::kPrepared);
  EXPECT_EQ(State(12), OsState::kReserved);
  ASSERT_TRUE(os_.Used(Range(5, 3)));
  EXPECT_EQ(State(5), OsState::kReady);
  EXPECT_EQ(os_.ready_bytes(), kPage * 3);
  ASSERT_TRUE(os_.Unused(Range(6, 1)));
  EXPECT_EQ(State(6), OsState::kPrepared);
  EXPECT_EQ(os_.ready_bytes(), kPage * 2);
  EXPECT_EQ(os_.prepared_bytes(), kPage * 6);
  os_.CheckInvariants();
  os_.Free(Range(0, 16));
  EXPECT_EQ(State(5), OsState::kNone);
  EXPECT_EQ(os_.reserved_bytes() + os_.prepared_bytes() + os_.ready_bytes(),
            ByteCount(0));
  os_.CheckInvariants();
}

TEST_F(FakeOsMemoryTest, UsedMayCoverReadyMemoryAndKeepsIt) {
  ASSERT_TRUE(os_.Map(Range(0, 4)));
  ASSERT_TRUE(os_.Used(Range(1, 1)));
  *(base_ + kPage).as<int>() = 7;
  ASSERT_TRUE(os_.Used(Range(0, 4)));
  EXPECT_EQ(*(base_ + kPage).as<int>(), 7);
  EXPECT_EQ(os_.ready_bytes(), kPage * 4);
}

TEST_F(FakeOsMemoryTest, UnusedMemoryIsZeroAgain) {
  ASSERT_TRUE(os_.Map(Range(0, 1)));
  ASSERT_TRUE(os_.Used(Range(0, 1)));
  *base_.as<int>() = 7;
  ASSERT_TRUE(os_.Unused(Range(0, 1)));
  ASSERT_TRUE(os_.Used(Range(0, 1)));
  EXPECT_EQ(*base_.as<int>(), 0);
}

TEST_F(FakeOsMemoryTest, CountsCallsOfEachKind) {
  ASSERT_TRUE(os_.Map(Range(0, 2)));
  ASSERT_TRUE(os_.Used(Range(0, 1)));
  ASSERT_TRUE(os_.Used(Range(1, 1)));
  os_.HugePage(Range(0, 2));
  os_.NoHugePage(Range(0, 1));
  ASSERT_TRUE(os_.Unused(Range(0, 1)));
  EXPECT_EQ(os_.calls(OsCall::kReserve), 1u);
  EXPECT_EQ(os_.calls(OsCall::kMap), 1u);
  EXPECT_EQ(os_.calls(OsCall::kUsed), 2u);
  EXPECT_EQ(os_.calls(OsCall::kUnused), 1u);
  EXPECT_EQ(os_.calls(OsCall::kHugePage), 1u);
  EXPECT_EQ(os_.calls(OsCall::kNoHugePage), 1u);
  EXPECT_EQ(os_.calls(OsCall::kFree), 0u);
  EXPECT_EQ(os_.fallible_calls(), 5u);
  EXPECT_EQ(os_.failures(), 0u);
}

TEST_F(FakeOsMemoryTest, FailAfterFailsOneCallAndChangesNothing) {
  os_.FailAfter(2);
  EXPECT_TRUE(os_.Map(Range(0, 2)));
  EXPECT_FALSE(os_.Used(Range(0, 2)));
  EXPECT_EQ(State(0), OsState::kPrepared);
  EXPECT_TRUE(os_.Used(Range(0, 2)));
  EXPECT_EQ(os_.failures(), 1u);
  os_.FailAfter(1);
  EXPECT_FALSE(os_.Unused(Range(0, 2)));
  EXPECT_EQ(State(0), OsState::kReady);
  os_.FailAfter(1);
  EXPECT_TRUE(os_.Reserve(kPage, kPage).is_null());
  EXPECT_EQ(os_.failures(), 3u);
}

TEST_F(FakeOsMemoryTest, FailFromFailsUntilStopped) {
  os_.FailFrom(2);
  EXPECT_TRUE(os_.Map(Range(0, 2)));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(os_.Used(Range(0, 2)));
  EXPECT_TRUE(os_.Reserve(kPage, kPage).is_null());
  os_.HugePage(Range(0, 2));
  os_.StopFailing();
  EXPECT_TRUE(os_.Used(Range(0, 2)));
  EXPECT_EQ(os_.failures(), 4u);
}

TEST_F(FakeOsMemoryTest, FailOnlySelectsOneKind) {
  os_.FailOnly(OsCall::kUnused);
  os_.FailFrom(1);
  EXPECT_TRUE(os_.Map(Range(0, 2)));
  EXPECT_TRUE(os_.Used(Range(0, 2)));
  EXPECT_FALSE(os_.Unused(Range(0, 2)));
  os_.StopFailing();
  EXPECT_TRUE(os_.Unused(Range(0, 2)));
}

std::vector<bool> RandomOutcomes(uint64_t seed, double probability) {
  FakeOsMemory os;
  const Addr base = os.Reserve(kPage, kPage);
  const AddrRange range = Pages(base, 0, 1);
  EXPECT_TRUE(os.Map(range));
  os.FailRandomly(seed, probability);
  std::vector<bool> outcomes;
  for (int i = 0; i < 1000; ++i) outcomes.push_back(os.Used(range));
  os.Free(range);
  return outcomes;
}

TEST(FakeOsMemory, RandomFailuresFollowSeedAndProbability) {
  EXPECT_EQ(RandomOutcomes(1, 0.5), RandomOutcomes(1, 0.5));
  EXPECT_NE(RandomOutcomes(1, 0.5), RandomOutcomes(2, 0.5));
  const auto successes = [](double probability) {
    const std::vector<bool> outcomes = RandomOutcomes(3, probability);
    return std::count(outcomes.begin(), outcomes.end(), true);
  };
  EXPECT_EQ(successes(0), 1000);
  EXPECT_EQ(successes(1), 0);
  EXPECT_GT(successes(0.1), 800);
  EXPECT_LT(successes(0.9), 200);
}

TEST_F(FakeOsMemoryTest, ReadyLimitCountsOnlyWhatBecomesReady) {
  ASSERT_TRUE(os_.Map(Range(0, 16)));
  os_.SetReadyLimit(kPage * 4);
  EXPECT_TRUE(os_.Used(Range(0, 3)));
  EXPECT_FALSE(os_.Used(Range(2, 3)));
  EXPECT_EQ(State(3), OsState::kPrepared);
  EXPECT_TRUE(os_.Used(Range(2, 2)));
  EXPECT_FALSE(os_.Used(Range(4, 1)));
  EXPECT_EQ(os_.failures(), 2u);
  ASSERT_TRUE(os_.Unused(Range(0, 1)));
  EXPECT_TRUE(os_.Used(Range(4, 1)));
  // A limit below what is Ready refuses more, and takes nothing away.
  os_.SetReadyLimit(kPage);
  EXPECT_TRUE(os_.Used(Range(1, 2)));
  EXPECT_FALSE(os_.Used(Range(0, 2)));
}

TEST(FakeOsMemory, UnusedMemoryMayComeBackAsJunk) {
  FakeOsMemory os({.unused_memory_is_zero = false});
  EXPECT_FALSE(os.unused_memory_is_zero());
  const Addr base = os.Reserve(kPage * 3, kPage);
  const AddrRange all = Pages(base, 0, 3);
  ASSERT_TRUE(os.Map(all));
  // The first use after Map finds zeros all the same.
  ASSERT_TRUE(os.Used(Pages(base, 0, 2)));
  unsigned char* bytes = base.as<unsigned char>();
  EXPECT_EQ(bytes[0], 0);
  bytes[0] = 7;
  ASSERT_TRUE(os.Unused(Pages(base, 1, 1)));
  ASSERT_TRUE(os.Used(all));
  EXPECT_EQ(bytes[0], 7);
  EXPECT_EQ(bytes[4095], 0);
  EXPECT_EQ(bytes[4096], FakeOsMemory::kJunk);
  EXPECT_EQ(bytes[8191], FakeOsMemory::kJunk);
  EXPECT_EQ(bytes[8192], 0);
  os.CheckInvariants();
  os.Free(all);
}

TEST(FakeOsMemory, LargerPagesAreTheUnitOfAllCalls) {
  for (const uint64_t page : {16u << 10, 64u << 10}) {
    FakeOsMemory os({.page_size = ByteCount(page)});
    EXPECT_EQ(os.page_size(), ByteCount(page));
    const Addr base = os.Reserve(ByteCount(page), ByteCount(1));
    EXPECT_TRUE(base.IsAligned(page));
    const AddrRange range{base, base + ByteCount(page)};
    ASSERT_TRUE(os.Map(range));
    ASSERT_TRUE(os.Used(range));
    std::memset(base.pointer(), 1, page);
    EXPECT_DEATH((void)os.Unused({base, base + kPage}), "not of whole pages");
    os.Free(range);
  }
}

TEST(FakeOsMemory, ThreadsMayShareIt) {
  FakeOsMemory os;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&os] {
      for (int i = 0; i < 50; ++i) {
        const Addr base = os.Reserve(kPage * 4, kPage);
        ASSERT_FALSE(base.is_null());
        ASSERT_TRUE(os.Map(Pages(base, 0, 4)));
        ASSERT_TRUE(os.Used(Pages(base, 1, 2)));
        *(base + kPage).as<int>() = i;
        ASSERT_TRUE(os.Unused(Pages(base, 1, 1)));
        EXPECT_EQ(os.StateOf(base + kPage), OsState::kPrepared);
        os.Free(Pages(base, 0, 4));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  os.CheckInvariants();
}

TEST(FakeOsMemory, RealRefusalIsPassedOn) {
  FakeOsMemory os;
  EXPECT_TRUE(os.Reserve(ByteCount(uint64_t{1} << 62), kPage).is_null());
  EXPECT_EQ(os.failures(), 1u);
}

TEST(FakeOsMemory, ForEachOsFailureRunsOncePerFallibleCall) {
  std::vector<uint64_t> calls;
  const uint64_t failures = ForEachOsFailure([&calls](FakeOsMemory& os) {
    const Addr base = os.Reserve(kPage, kPage);
    if (!base.is_null()) {
      const AddrRange range = Pages(base, 0, 1);
      if (os.Map(range)) (void)os.Used(range);
      os.Free(range);
    }
    calls.push_back(os.fallible_calls());
  });
  EXPECT_EQ(failures, 3u);
  EXPECT_EQ(calls, std::vector<uint64_t>({1, 2, 3, 3}));
}

// Random calls that are right, against one state a page.
TEST(FakeOsMemory, RandomUseAgreesWithOneStateAPage) {
  constexpr uint64_t kPages = 48;
  TestRandom random(TestSeed());
  for (int run = 0; run < 20; ++run) {
    FakeOsMemory os({.unused_memory_is_zero = random.OneIn(2)});
    const Addr base = os.Reserve(kPage * kPages, kPage);
    std::vector<OsState> model(kPages, OsState::kReserved);
    os.FailRandomly(random.Next(), 0.2);
    for (int step = 0; step < 300; ++step) {
      const uint64_t first = random.Below(kPages);
      const uint64_t count =
          1 + random.Below(std::min<uint64_t>(kPages - first, 8));
      const auto all = [&](auto predicate) {
        return std::all_of(model.begin() + static_cast<int64_t>(first),
                           model.begin() + static_cast<int64_t>(first + count),
                           predicate);
      };
      const AddrRange range = Pages(base, first, count);
      const auto set = [&](bool done, OsState state) {
        if (!done) return;
        for (uint64_t i = 0; i < count; ++i) model[first + i] = state;
      };
      if (all([](OsState s) { return s == OsState::kReserved; })) {
        set(os.Map(range), OsState::kPrepared);
      } else if (all([](OsState s) { return s == OsState::kReady; })) {
        set(os.Unused(range), OsState::kPrepared);
      } else if (all([](OsState s) {
                   return s == OsState::kReady || s == OsState::kPrepared;
                 })) {
        set(os.Used(range), OsState::kReady);
      }
      os.CheckInvariants();
      uint64_t ready = 0;
      for (uint64_t i = 0; i < kPages; ++i) {
        ASSERT_EQ(os.StateOf(base + kPage * i), model[i]);
        if (model[i] == OsState::kReady) {
          ++ready;
          *(base + kPage * i).as<uint64_t>() = i;
        }
      }
      ASSERT_EQ(os.ready_bytes(), kPage * ready);
    }
    os.Free(Pages(base, 0, kPages));
  }
}

using FakeOsMemoryDeathTest = FakeOsMemoryTest;

TEST_F(FakeOsMemoryDeathTest, CallsOutOfOrderAreFatal) {
  EXPECT_DEATH((void)os_.Used(Range(0, 1)), "Used of .* which is Reserved");
  EXPECT_DEATH((void)os_.Unused(Range(0, 1)), "Unused of .* is Reserved");
  EXPECT_DEATH(os_.HugePage(Range(0, 1)), "HugePage of .* is Reserved");
  ASSERT_TRUE(os_.Map(Range(0, 2)));
  EXPECT_DEATH((void)os_.Map(Range(1, 2)), "Map of .* which is Prepared");
  EXPECT_DEATH((void)os_.Unused(Range(0, 1)), "Unused of .* is Prepared");
  ASSERT_TRUE(os_.Used(Range(0, 1)));
  EXPECT_DEATH((void)os_.Map(Range(0, 1)), "Map of .* which is Ready");
  EXPECT_DEATH((void)os_.Unused(Range(0, 2)), "Unused of .* is Prepared");
  EXPECT_DEATH((void)os_.Used(Range(1, 2)), "Used of .* which is Reserved");
}

TEST_F(FakeOsMemoryDeathTest, CallsOnUnmappedMemoryAreFatal) {
  os_.Free(Range(4, 2));
  EXPECT_DEATH(os_.Free(Range(4, 1)), "Free of .* which is None");
  EXPECT_DEATH(os_.Free(Range(3, 2)), "Free of .* which is None at");
  EXPECT_DEATH((void)os_.Map(Range(5, 2)), "Map of .* which is None");
  os_.Free(Range(0, 4));
  os_.Free(Range(6, 10));
  EXPECT_DEATH((void)os_.Map(Range(0, 1)), "which is None");
  base_ = os_.Reserve(kPage * 16, kPage);
}

TEST_F(FakeOsMemoryDeathTest, RangesMustBeWholePages) {
  const AddrRange odd = {base_ + ByteCount(16), base_ + kPage};
  EXPECT_DEATH((void)os_.Map(odd), "Map of .* not of whole pages");
  EXPECT_DEATH((void)os_.Used({base_, base_}), "is empty");
  EXPECT_DEATH(os_.Free({base_ + kPage, base_}), "is empty");
  EXPECT_DEATH((void)os_.Reserve(ByteCount(100), kPage), "Reserve of 100");
  EXPECT_DEATH((void)os_.Reserve(kPage, ByteCount(0)), "aligned to 0");
}

TEST_F(FakeOsMemoryDeathTest, TouchOfMemoryThatIsNotReadyFaults) {
  volatile int* word = base_.as<volatile int>();
  EXPECT_DEATH(*word = 1, "");
  ASSERT_TRUE(os_.Map(Range(0, 1)));
  EXPECT_DEATH(*word = 1, "");
  ASSERT_TRUE(os_.Used(Range(0, 1)));
  *word = 1;
  ASSERT_TRUE(os_.Unused(Range(0, 1)));
  EXPECT_DEATH(*word = 1, "");
}

// The real system, but every reservation follows the one before without a gap.
class AdjoiningMemory final : public OsMemory {
 public:
  AdjoiningMemory() {
    base_ = real_.Reserve(kPage * 64, kPage);
    next_ = base_;
  }
  ~AdjoiningMemory() override { real_.Free({base_, base_ + kPage * 64}); }

  ByteCount page_size() const override { return kPage; }
  ByteCount huge_page_size() const override { return ByteCount(0); }
  bool unused_memory_is_zero() const override { return true; }
  Addr Reserve(ByteCount size, ByteCount) override {
    const Addr base = next_;
    next_ += size;
    return base;
  }
  bool Map(AddrRange range) override { return real_.Map(range); }
  bool Used(AddrRange range) override { return real_.Used(range); }
  bool Unused(AddrRange range) override { return real_.Unused(range); }
  void HugePage(AddrRange) override {}
  void NoHugePage(AddrRange) override {}
  void Free(AddrRange) override {}

 private:
  LinuxMemory real_;
  Addr base_;
  Addr next_;
};

TEST(FakeOsMemoryDeathTest2, RangeOverTwoReservationsIsFatal) {
  AdjoiningMemory real;
  FakeOsMemory os(real, {});
  const Addr first = os.Reserve(kPage * 2, kPage);
  const Addr second = os.Reserve(kPage * 2, kPage);
  ASSERT_EQ(second, first + kPage * 2);
  os.CheckInvariants();
  EXPECT_DEATH((void)os.Map(Pages(first, 1, 2)), "crosses from reservation 1");
  EXPECT_DEATH(os.Free(Pages(first, 0, 4)), "crosses from reservation 1");
  os.Free(Pages(first, 0, 2));
  os.Free(Pages(second, 0, 2));
}

TEST(FakeOsMemoryDeathTest2, MemoryLeftBehindIsFatalUnlessAllowed) {
  EXPECT_DEATH(
      {
        FakeOsMemory os;
        (void)os.Reserve(kPage * 3, kPage);
      },
      "OS memory never freed: 12288 bytes, .* Reserved, of reservation 1");
  FakeOsMemory os;
  (void)os.Reserve(kPage, kPage);
  os.set_check_leaks(false);
  FakeOsMemory other({.check_leaks = false});
  (void)other.Reserve(kPage, kPage);
}

TEST(FakeOsMemoryDeathTest2, FailureNumbersStartAtOne) {
  FakeOsMemory os;
  EXPECT_DEATH(os.FailAfter(0), "has the number 1");
  EXPECT_DEATH(os.FailFrom(0), "has the number 1");
  EXPECT_DEATH(os.FailOnly(OsCall::kFree), "cannot fail");
  EXPECT_DEATH(os.FailRandomly(1, 1.5), "not in 0..1");
}

}  // namespace
}  // namespace tricolor
