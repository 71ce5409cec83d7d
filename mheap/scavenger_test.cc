// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The pace of background scavenging, on a clock of the test's own.

#include "tricolor/mheap/scavenger.h"

#include <algorithm>
#include <cstdint>
#include <functional>

#include "gtest/gtest.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/test_random.h"

namespace tricolor::mheap {
namespace {

constexpr ByteCount kOsPage{4096};
constexpr int64_t kSecond = 1'000'000'000;

// A process with `excess` bytes to release; a call of the OS takes cost(bytes).
class SimulatedHost final : public Scavenger::Host {
 public:
  ByteCount ReleaseExcess(ByteCount max) override {
    ++calls;
    const ByteCount released = std::min(max, excess);
    excess -= released;
    if (released != ByteCount(0)) cpu_ns += cost(released);
    return released;
  }
  int64_t CpuNs() override { return cpu_ns; }
  bool Interrupted() override { return interrupted; }

  ByteCount excess{UINT64_MAX};
  std::function<int64_t(ByteCount)> cost = [](ByteCount) { return 20'000; };
  int64_t cpu_ns = 0;
  int64_t calls = 0;
  bool interrupted = false;
};

struct Simulation {
  SimulatedHost host;
  Scavenger scavenger{host, kOsPage};
  int64_t now = 0;
  // How long the system lets a thread sleep that wants to sleep for `ns`.
  std::function<int64_t(int64_t)> sleep = [](int64_t ns) { return ns; };

  // Works until `ns` have passed or there is nothing to do; says whether there
  // is more.
  bool RunFor(int64_t ns) {
    const int64_t end = now + ns;
    while (now < end) {
      const Scavenger::Stretch stretch = scavenger.Work();
      now += stretch.cpu_ns;
      if (!stretch.more) return false;
      const int64_t slept = sleep(scavenger.RestAfter(stretch));
      now += slept;
      scavenger.Rested(stretch, slept);
    }
    return true;
  }
  // The share of CPU over the next `ns`.
  double ShareOver(int64_t ns) {
    const int64_t start = now;
    const int64_t cpu = host.cpu_ns;
    EXPECT_TRUE(RunFor(ns));
    return static_cast<double>(host.cpu_ns - cpu) /
           static_cast<double>(now - start);
  }
};

TEST(ScavengerTest, TakesOnePercentOfACpuWhateverTheOsCosts) {
  // From 1 microsecond to 1 second for 64 KiB.
  for (int64_t cost = 1'000; cost <= kSecond; cost *= 10) {
    Simulation s;
    s.host.cost = [cost](ByteCount) { return cost; };
    s.RunFor(60 * std::max(kSecond, 100 * cost));
    EXPECT_NEAR(s.ShareOver(1000 * std::max(kSecond, 10 * cost)), 0.01, 0.005)
        << cost << " ns a call";
  }
}

TEST(ScavengerTest, TakesOnePercentWhenSleepsAndCostsVary) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(seed);
  TestRandom random(seed);
  Simulation s;
  s.host.cost = [&random](ByteCount) {
    return random.Below(100) == 0 ? 5'000'000
                                  : int64_t(10'000 + random.Below(100'000));
  };
  // Timers are late, by little or by much.
  s.sleep = [&random](int64_t ns) {
    return ns + int64_t(random.Below(random.Below(10) == 0 ? kSecond / 20
                                                           : 100'000));
  };
  s.RunFor(100 * kSecond);
  for (int i = 0; i < 10; ++i) {
    EXPECT_NEAR(s.ShareOver(500 * kSecond), 0.01, 0.005);
  }
}

TEST(ScavengerTest, WakesThatAreTwiceTooLateAreMadeUpFor) {
  Simulation s;
  s.sleep = [](int64_t ns) { return 2 * ns; };
  s.RunFor(100 * kSecond);
  EXPECT_NEAR(s.ShareOver(1000 * kSecond), 0.01, 0.002);
}

TEST(ScavengerTest, AdaptsWhenTheCostChanges) {
  Simulation s;
  for (const int64_t cost : {10'000, 3'000'000, 1'000, 30'000'000, 50'000}) {
    s.host.cost = [cost](ByteCount) { return cost; };
    s.RunFor(100 * kSecond);
    EXPECT_NEAR(s.ShareOver(1000 * kSecond), 0.01, 0.005) << cost;
  }
}

TEST(ScavengerTest, BeginsSlowly) {
  Simulation s;
  const Scavenger::Stretch stretch = s.scavenger.Work();
  EXPECT_GE(stretch.cpu_ns, Scavenger::kLeastWorkNs);
  EXPECT_LE(stretch.cpu_ns, Scavenger::kLeastWorkNs + 20'000);
  EXPECT_EQ(stretch.released, 50 * Scavenger::kQuantum);
  EXPECT_TRUE(stretch.more);
  EXPECT_GE(s.scavenger.RestAfter(stretch), kSecond);
}

TEST(ScavengerTest, StopsAtTheGoalAndStartsAgain) {
  Simulation s;
  for (int round = 0; round < 3; ++round) {
    s.host.excess = ByteCount(100 << 20);
    EXPECT_FALSE(s.RunFor(10000 * kSecond));
    EXPECT_EQ(s.host.excess, ByteCount(0));
    // Without work it only asks.
    const int64_t calls = s.host.calls;
    const Scavenger::Stretch stretch = s.scavenger.Work();
    EXPECT_EQ(s.host.calls, calls + 1);
    EXPECT_FALSE(stretch.more);
    EXPECT_EQ(stretch.cpu_ns, 0);
    EXPECT_EQ(s.scavenger.RestAfter(stretch), 0);
  }
}

TEST(ScavengerTest, AnInterruptionEndsAStretch) {
  Simulation s;
  s.host.interrupted = true;
  const Scavenger::Stretch stretch = s.scavenger.Work();
  EXPECT_TRUE(stretch.more);
  EXPECT_EQ(s.host.calls, 0);
}

TEST(ScavengerTest, AClockThatStandsStillEndsAStretchByPages) {
  Simulation s;
  s.host.cost = [](ByteCount) { return 0; };
  const Scavenger::Stretch stretch = s.scavenger.Work();
  EXPECT_EQ(stretch.released / kOsPage, AlignUp(100, 16));
  EXPECT_TRUE(stretch.more);
}

TEST(ScavengerTest, SenselessTimesMakeItSlowForFiveSeconds) {
  Simulation s;
  EXPECT_TRUE(s.RunFor(100 * kSecond));
  EXPECT_GT(s.scavenger.ratio(), 0.005);
  const Scavenger::Stretch nothing;
  s.scavenger.Rested(nothing, 0);
  EXPECT_EQ(s.scavenger.ratio(), Scavenger::kLeastRatio);
  const Scavenger::Stretch stretch{.cpu_ns = 1'000'000, .more = true};
  s.scavenger.Rested(stretch, Scavenger::kCoolDownNs / 2);
  s.scavenger.Rested(stretch, Scavenger::kCoolDownNs / 2);
  EXPECT_EQ(s.scavenger.ratio(), Scavenger::kLeastRatio);
  EXPECT_TRUE(s.RunFor(100 * kSecond));
  EXPECT_NEAR(s.ShareOver(1000 * kSecond), 0.01, 0.005);
}

// The ratio stays in its range, and the pace comes back.
TEST(ScavengerTest, RandomTimesDoNoLastingHarm) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(seed);
  TestRandom random(seed);
  Simulation s;
  const auto any = [&random] {
    return static_cast<int64_t>(random.Next() >> random.Below(64));
  };
  for (int i = 0; i < 20000; ++i) {
    const Scavenger::Stretch stretch{.cpu_ns = any() & INT32_MAX};
    s.scavenger.Rested(stretch, any() / 4);
    ASSERT_GE(s.scavenger.ratio(), Scavenger::kLeastRatio);
    ASSERT_LE(s.scavenger.ratio(), Scavenger::kMostRatio);
    ASSERT_GE(s.scavenger.RestAfter(stretch), 0);
  }
  s.RunFor(1000 * kSecond);
  EXPECT_NEAR(s.ShareOver(1000 * kSecond), 0.01, 0.005);
}

}  // namespace
}  // namespace tricolor::mheap
