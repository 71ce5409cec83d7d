// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/cpu_limiter.h"

#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace tricolor::gc {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kSecond = 1000 * kMs;

// A limiter of 4 processors and a clock.
class CpuLimiterTest : public testing::Test {
 protected:
  void Pass(uint64_t ns) {
    now_ += ns;
    limiter_.Update(now_);
    limiter_.CheckInvariants();
  }
  uint64_t now_ = 5000;
  CpuLimiter limiter_{5000, 4};
};

TEST_F(CpuLimiterTest, StartsEmpty) {
  EXPECT_FALSE(limiter_.limiting());
  EXPECT_EQ(limiter_.fill(), 0U);
  EXPECT_EQ(limiter_.capacity(), 4 * kSecond);
  Pass(100 * kMs);
  EXPECT_EQ(limiter_.fill(), 0U);
}

TEST_F(CpuLimiterTest, AsksForAnUpdateEveryTenMilliseconds) {
  EXPECT_FALSE(limiter_.NeedsUpdate(now_));
  EXPECT_FALSE(limiter_.NeedsUpdate(now_ + 10 * kMs - 1));
  EXPECT_TRUE(limiter_.NeedsUpdate(now_ + 10 * kMs));
  Pass(10 * kMs);
  EXPECT_FALSE(limiter_.NeedsUpdate(now_));
  EXPECT_FALSE(limiter_.NeedsUpdate(0));
}

TEST_F(CpuLimiterTest, BackgroundMarkingAloneNeverFillsIt) {
  limiter_.SetBackgroundShare(now_, 0.25);
  for (int i = 0; i < 1000; ++i) Pass(50 * kMs);
  EXPECT_EQ(limiter_.fill(), 0U);
}

TEST_F(CpuLimiterTest, CollectionBeyondHalfFillsItByTheDifference) {
  limiter_.SetBackgroundShare(now_, 0.25);
  limiter_.AddAssistTime(200 * kMs);
  Pass(100 * kMs);
  // Of 400 ms, 300 collected and 100 did not.
  EXPECT_EQ(limiter_.fill(), 200 * kMs);
  EXPECT_FALSE(limiter_.limiting());
}

TEST_F(CpuLimiterTest, LimitsWhenFullUntilTheProgramHasHadTime) {
  limiter_.AddAssistTime(4 * kSecond);
  Pass(kSecond);
  EXPECT_TRUE(limiter_.limiting());
  EXPECT_EQ(limiter_.fill(), 4 * kSecond);
  // Half and half changes nothing.
  limiter_.AddAssistTime(200 * kMs);
  Pass(100 * kMs);
  EXPECT_TRUE(limiter_.limiting());
  Pass(1);
  EXPECT_FALSE(limiter_.limiting());
  EXPECT_EQ(limiter_.fill(), 4 * kSecond - 4);
  Pass(2 * kSecond);
  EXPECT_EQ(limiter_.fill(), 0U);
}

TEST_F(CpuLimiterTest, WhatIsBeyondTheCapacityMustDrainToo) {
  limiter_.AddAssistTime(4 * kSecond + 200 * kMs);
  Pass(kSecond);
  EXPECT_EQ(limiter_.fill(), 4 * kSecond + 400 * kMs);
  Pass(99 * kMs);
  EXPECT_TRUE(limiter_.limiting());
  Pass(1 * kMs);
  EXPECT_TRUE(limiter_.limiting());
  Pass(1);
  EXPECT_FALSE(limiter_.limiting());
}

TEST_F(CpuLimiterTest, WhatIsBeyondTwiceTheCapacityIsForgotten) {
  limiter_.AddAssistTime(7 * kSecond);
  Pass(kSecond);
  EXPECT_EQ(limiter_.fill(), 8 * kSecond);
  EXPECT_EQ(limiter_.overflow(), 2 * kSecond);
  Pass(kSecond + 1);
  EXPECT_FALSE(limiter_.limiting());
}

TEST_F(CpuLimiterTest, TheProgramDrainsItOncePerNanosecondOfAProcessor) {
  limiter_.AddAssistTime(2 * kSecond);
  Pass(500 * kMs);
  EXPECT_EQ(limiter_.fill(), 2 * kSecond);
  Pass(100 * kMs);
  EXPECT_EQ(limiter_.fill(), 1600 * kMs);
  // With background marking the program has three quarters.
  limiter_.SetBackgroundShare(now_, 0.25);
  Pass(100 * kMs);
  EXPECT_EQ(limiter_.fill(), 1400 * kMs);
  limiter_.SetBackgroundShare(now_, 0);
  Pass(kSecond);
  EXPECT_EQ(limiter_.fill(), 0U);
}

TEST_F(CpuLimiterTest, IdleTimeIsNeitherTheProgramsNorTheCollections) {
  limiter_.AddAssistTime(kSecond);
  Pass(250 * kMs);
  EXPECT_EQ(limiter_.fill(), kSecond);
  limiter_.AddIdleTime(400 * kMs);
  Pass(100 * kMs);
  EXPECT_EQ(limiter_.fill(), kSecond);
  limiter_.AddIdleTime(300 * kMs);
  Pass(100 * kMs);
  EXPECT_EQ(limiter_.fill(), 900 * kMs);
}

TEST_F(CpuLimiterTest, AnAssistToldLateIsTakenBackFromTheProgram) {
  limiter_.AddAssistTime(2 * kSecond);
  Pass(500 * kMs);
  // One processor of four assists for 100 ms, and says so in the second window.
  Pass(50 * kMs);
  limiter_.AddAssistTime(100 * kMs);
  Pass(50 * kMs);
  EXPECT_EQ(limiter_.fill(), 2 * kSecond - 300 * kMs + 100 * kMs);
}

TEST_F(CpuLimiterTest, AChangeOfTheShareAccountsForTheTimeBefore) {
  limiter_.AddAssistTime(2 * kSecond);
  Pass(500 * kMs);
  now_ += 100 * kMs;
  limiter_.SetBackgroundShare(now_, 1.0);
  EXPECT_EQ(limiter_.fill(), 1600 * kMs);
  Pass(100 * kMs);
  EXPECT_EQ(limiter_.fill(), 2 * kSecond);
}

TEST_F(CpuLimiterTest, FewerProcessorsAreASmallerBucket) {
  limiter_.AddAssistTime(3 * kSecond);
  Pass(750 * kMs);
  EXPECT_EQ(limiter_.fill(), 3 * kSecond);
  limiter_.SetProcessors(now_, 2);
  limiter_.CheckInvariants();
  EXPECT_EQ(limiter_.fill(), 2 * kSecond);
  EXPECT_TRUE(limiter_.limiting());
  limiter_.SetProcessors(now_, 8);
  limiter_.CheckInvariants();
  EXPECT_EQ(limiter_.fill(), 2 * kSecond);
  EXPECT_FALSE(limiter_.limiting());
  EXPECT_EQ(limiter_.capacity(), 8 * kSecond);
  Pass(100 * kMs);
  EXPECT_EQ(limiter_.fill(), 1200 * kMs);
}

TEST_F(CpuLimiterTest, AClockThatGoesBackStandsStill) {
  limiter_.AddAssistTime(kSecond);
  Pass(250 * kMs);
  limiter_.Update(1);
  limiter_.Update(0);
  EXPECT_EQ(limiter_.fill(), kSecond);
  Pass(10 * kMs);
  EXPECT_EQ(limiter_.fill(), 960 * kMs);
}

TEST_F(CpuLimiterTest, NonsenseIsClamped) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  limiter_.AddAssistTime(kSecond);
  Pass(250 * kMs);
  limiter_.SetBackgroundShare(now_, nan);
  Pass(10 * kMs);
  EXPECT_EQ(limiter_.fill(), 960 * kMs);
  limiter_.SetBackgroundShare(now_, -4);
  Pass(10 * kMs);
  EXPECT_EQ(limiter_.fill(), 920 * kMs);
  limiter_.SetBackgroundShare(now_, 1e300);
  Pass(10 * kMs);
  EXPECT_EQ(limiter_.fill(), 960 * kMs);
  for (int i = 0; i < 3; ++i) {
    limiter_.AddAssistTime(UINT64_MAX);
    limiter_.AddIdleTime(UINT64_MAX);
    limiter_.Update(UINT64_MAX);
    limiter_.CheckInvariants();
  }
  EXPECT_TRUE(limiter_.limiting());
  EXPECT_EQ(limiter_.overflow(), UINT64_MAX);
  limiter_.SetProcessors(UINT64_MAX, -5);
  limiter_.CheckInvariants();
  EXPECT_EQ(limiter_.capacity(), kSecond);
  limiter_.SetProcessors(UINT64_MAX, INT32_MAX);
  limiter_.CheckInvariants();
  EXPECT_FALSE(limiter_.limiting());
}

TEST_F(CpuLimiterTest, TimesToldByManyThreadsAreAllAccountedFor) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 10000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this] {
      for (int i = 0; i < kRounds; ++i) {
        limiter_.AddAssistTime(10);
        if (i % 16 == 0) limiter_.Update(now_);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  limiter_.Update(now_);
  limiter_.CheckInvariants();
  // No time has passed, so all of it is taken back from the program as well.
  EXPECT_EQ(limiter_.fill(), uint64_t{2} * kThreads * kRounds * 10);
}

}  // namespace
}  // namespace tricolor::gc
