// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/consistent_stats.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace tricolor::mheap {
namespace {

// Bytes that become a span, or stop being one.
void Move(StatsWriter& writer, int64_t bytes) {
  StatsSection stats(writer);
  stats->free_bytes -= bytes;
  stats->heap_span_bytes += bytes;
}

class ConsistentStatsTest : public testing::Test {
 protected:
  ConsistentStatsTest() {
    for (StatsWriter& w : writers_) stats_.Attach(w);
  }
  ~ConsistentStatsTest() override {
    for (StatsWriter& w : writers_) stats_.Release(w);
  }

  ConsistentStats stats_;
  StatsWriter writers_[4];
};

TEST_F(ConsistentStatsTest, EachReadHasAllSectionsThatHaveEnded) {
  for (int i = 1; i <= 5; ++i) {
    Move(writers_[0], 10);
    Move(writers_[1], 100);
    const HeapStats sum = stats_.Read();
    EXPECT_EQ(sum.heap_span_bytes, i * 110);
    EXPECT_EQ(sum.free_bytes, i * -110);
    EXPECT_EQ(stats_.Read().heap_span_bytes, i * 110);
  }
}

TEST_F(ConsistentStatsTest, ChangesOfReleasedWritersStay) {
  StatsWriter writer;
  for (int i = 1; i <= 5; ++i) {
    stats_.Attach(writer);
    Move(writer, 1);
    // In one generation and in the other.
    if (i % 2 == 0) EXPECT_EQ(stats_.Read().heap_span_bytes, 2 * i - 1);
    Move(writer, 1);
    stats_.Release(writer);
    EXPECT_EQ(stats_.Read().heap_span_bytes, 2 * i);
  }
}

TEST_F(ConsistentStatsTest, ReaderWaitsForASectionItMayHaveMissed) {
  std::atomic<bool> reading{false};
  std::atomic<bool> answered{false};
  std::thread reader;
  {
    StatsSection stats(writers_[0]);
    stats->heap_span_bytes += 8;
    reader = std::thread([&] {
      reading.store(true);
      const HeapStats sum = stats_.Read();
      EXPECT_EQ(sum.heap_span_bytes + sum.free_bytes, 0);
      answered.store(true);
    });
    while (!reading.load()) std::this_thread::yield();
    for (int i = 0; i < 100; ++i) std::this_thread::yield();
    EXPECT_FALSE(answered.load());
    stats->free_bytes -= 8;
  }
  reader.join();
}

// Writers that hand units round in a ring, each of them taken over before it is
// passed on; writers that come and go; readers whose every answer must add up,
// and never go back.
TEST(ConsistentStatsStressTest, EveryAnswerAddsUp) {
  constexpr int kThreads = 3;
  constexpr int kRounds = 400;
  ConsistentStats stats;
  // How many units each thread may take.
  std::atomic<int> inbox[kThreads] = {2, 0, 0};
  std::atomic<int> running{kThreads};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      StatsWriter writer;
      stats.Attach(writer);
      for (int i = 0; i < kRounds; ++i) {
        while (inbox[t].load(std::memory_order_acquire) == 0) {
          std::this_thread::yield();
        }
        inbox[t].fetch_sub(1, std::memory_order_acquire);
        // The first makes spans, the others pass them on, the last frees them.
        if (t == 0) Move(writer, 1);
        if (t == kThreads - 1) Move(writer, -1);
        inbox[(t + 1) % kThreads].fetch_add(1, std::memory_order_release);
        if (i % 64 == 0) {
          stats.Release(writer);
          stats.Attach(writer);
        }
        StatsSection section(writer);
        section->alloc_span_calls += 1;
      }
      stats.Release(writer);
      running.fetch_sub(1);
    });
  }
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      uint64_t before = 0;
      while (running.load() != 0) {
        const HeapStats sum = stats.Read();
        ASSERT_EQ(sum.heap_span_bytes + sum.free_bytes, 0);
        ASSERT_GE(sum.heap_span_bytes, 0);
        ASSERT_LE(sum.heap_span_bytes, 2);
        ASSERT_GE(sum.alloc_span_calls, before);
        before = sum.alloc_span_calls;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stats.Read().heap_span_bytes, 0);
  EXPECT_EQ(stats.Read().alloc_span_calls, uint64_t{kThreads} * kRounds);
}

using ConsistentStatsDeathTest = ConsistentStatsTest;

TEST_F(ConsistentStatsDeathTest, TwoSectionsOfOneWriter) {
  EXPECT_DEATH(
      {
        StatsSection outer(writers_[0]);
        Move(writers_[0], 1);
      },
      "written in two sections at once.*sequence 1, expected even");
}

TEST_F(ConsistentStatsDeathTest, SectionOfAWriterThatIsNotAttached) {
  StatsWriter writer;
  EXPECT_DEATH(Move(writer, 1), "written while no heap has it");
  stats_.Attach(writer);
  Move(writer, 1);
  stats_.Release(writer);
  EXPECT_DEATH(Move(writer, 1), "written while no heap has it");
}

TEST_F(ConsistentStatsDeathTest, AttachAndReleaseOutOfOrder) {
  EXPECT_DEATH(stats_.Attach(writers_[0]), "attached twice");
  StatsWriter other;
  EXPECT_DEATH(stats_.Release(other), "that do not have it");
  EXPECT_DEATH(
      {
        StatsSection section(writers_[0]);
        stats_.Release(writers_[0]);
      },
      "released within a section");
  EXPECT_DEATH(
      {
        StatsWriter lost;
        stats_.Attach(lost);
      },
      "destroyed while attached");
  EXPECT_DEATH(
      {
        StatsWriter kept;
        auto stats = std::make_unique<ConsistentStats>();
        stats->Attach(kept);
        stats.reset();
      },
      "destroyed with writer");
}

TEST(HeapStatsDeathTest, BrokenIdentitiesAreFound) {
  HeapStats stats;
  stats.CheckBytes();
  stats.CheckObjects();
  stats.mapped_bytes = 2;
  stats.free_bytes = 1;
  EXPECT_DEATH(stats.CheckBytes(), "INV-MHEAP-BYTES: 2 bytes mapped");
  stats.heap_span_bytes = 2;
  stats.free_bytes = -1;
  stats.released_bytes = 1;
  EXPECT_DEATH(stats.CheckBytes(), "-1 free");
  stats.free_bytes = 0;
  stats.released_bytes = 0;
  stats.CheckBytes();
  stats.free_span_calls = 1;
  EXPECT_DEATH(stats.CheckBytes(), "allocated in 0 calls");
  stats.small_freed[3] = 1;
  EXPECT_DEATH(stats.CheckObjects(), "0 objects of size class 3 allocated, 1");
  stats.small_allocated[3] = 2;
  EXPECT_DEATH(stats.CheckObjects(), "INV-MHEAP-OBJECTS: 24 bytes in objects");
  stats.heap_span_bytes = 24;
  stats.CheckObjects();
  EXPECT_EQ(stats.object_bytes(), 24u);
}

}  // namespace
}  // namespace tricolor::mheap
