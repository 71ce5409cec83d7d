// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Memory back to the system, as a process sees it: resident size, limits, and
// the thread that does it.

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/attributes.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tricolor/runtime/batch_thread.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/runtime_testing.h"
#include "tricolor/runtime/scavenge_log.h"

namespace tricolor::runtime {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr uint64_t kMiB = 1 << 20;

// Of the heap's pages. (The process's resident size has a sanitizer's shadow
// in it.)
uint64_t ResidentBytes(Heap& heap) {
  const mheap::MHeap& pages = heap.core().mheap();
  const auto os_page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> present(pages.grown().value() / os_page);
  if (present.empty()) return 0;
  EXPECT_EQ(
      mincore(pages.base().pointer(), pages.grown().value(), present.data()),
      0);
  uint64_t count = 0;
  for (const unsigned char p : present) count += p & 1;
  return count * os_page;
}

// Allocates `megabytes` of objects, touches them all, and drops them.
ABSL_ATTRIBUTE_NOINLINE void Touch(Mutator& mutator, int megabytes) {
  std::vector<Root<Large>> objects;
  for (int i = 0; i < megabytes; ++i) {
    objects.emplace_back(mutator, mutator.New<Large>());
    ASSERT_NE(objects.back().get(), nullptr);
    for (unsigned char& byte : objects.back()->bytes) byte = 1;
  }
}

uint64_t Held(const MemStats& stats) { return stats.sys - stats.heap_released; }

TEST(ScavengeTest, ResidentSizeFallsInTheBackgroundAfterACollection) {
  HeapOptions options = ExactOptions();
  options.gc_percent = 100;
  Heap heap(options);
  Mutator mutator(heap);
  Touch(mutator, 128);
  heap.Collect();
  EXPECT_TRUE(Eventually([&] {
    return heap.ReadMemStats().heap_released >= 100 * kMiB &&
           ResidentBytes(heap) < 30 * kMiB;
  })) << ResidentBytes(heap);
  const MemStats stats = heap.ReadMemStats();
  EXPECT_GE(stats.scavenged_background, 100 * kMiB);
  EXPECT_EQ(stats.scavenged_forced, 0U);
  heap.CheckInvariants();
}

TEST(ScavengeTest, ResidentSizeFallsAtOnceOnRequest) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  Touch(mutator, 128);
  EXPECT_GE(ResidentBytes(heap), 120 * kMiB);
  heap.FreeOsMemory();
  EXPECT_LE(ResidentBytes(heap), 30 * kMiB);
  EXPECT_GE(heap.ReadMemStats().scavenged_forced, 120 * kMiB);
}

TEST(ScavengeTest, OffMeansThatNothingGoesBackByItself) {
  HeapOptions options = ExactOptions();
  options.gc_percent = 100;
  options.background_scavenge = false;
  Heap heap(options);
  Mutator mutator(heap);
  Touch(mutator, 64);
  heap.Collect();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(heap.ReadMemStats().scavenged_background, 0U);
}

// With each combination of threads; without any, the collector and who
// allocates keep it.
TEST(ScavengeTest, ALoweredLimitIsKept) {
  for (const bool sweep : {false, true}) {
    for (const bool scavenge : {false, true}) {
      HeapOptions options = ExactOptions();
      options.background_sweep = sweep;
      options.background_scavenge = scavenge;
      Heap heap(options);
      Mutator mutator(heap);
      Touch(mutator, 100);
      heap.Collect();
      EXPECT_GE(Held(heap.ReadMemStats()), 50 * kMiB);
      constexpr int64_t kLimit = 24 << 20;
      heap.SetMemoryLimit(kLimit);
      EXPECT_LE(Held(heap.ReadMemStats()), static_cast<uint64_t>(kLimit));
      for (int i = 0; i < 20; ++i) {
        for (int k = 0; k < 20000; ++k) mutator.New<Leaf>();
        EXPECT_LE(Held(heap.ReadMemStats()), static_cast<uint64_t>(kLimit))
            << sweep << scavenge << i;
      }
      heap.CheckInvariants();
    }
  }
}

// Ordinary cycles, no background thread: what they free beyond the limit's
// target is given back.
TEST(ScavengeTest, OrdinaryCyclesReturnMemoryWithoutThreads) {
  HeapOptions options = ExactOptions();
  options.gc_percent = 100;
  options.background_sweep = false;
  options.background_scavenge = false;
  options.memory_limit = 64 << 20;
  Heap heap(options);
  Mutator mutator(heap);
  Touch(mutator, 56);
  const uint64_t cycles = heap.ReadMemStats().num_gc;
  while (heap.ReadMemStats().num_gc < cycles + 3) {
    for (int k = 0; k < 10000; ++k) mutator.New<Leaf>();
  }
  const MemStats stats = heap.ReadMemStats();
  EXPECT_EQ(stats.num_forced_gc, 0U);
  EXPECT_LE(Held(stats), (uint64_t{64} << 20) / 20 * 19);
}

// For ThreadSanitizer: everything that touches released memory at once.
TEST(ScavengeTest, TheThreadRacesWithAllOthers) {
  HeapOptions options = ExactOptions();
  options.gc_percent = 50;
  options.min_heap_bytes = 1 << 20;
  options.memory_limit = 24 << 20;
  Heap heap(options);
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&heap, &done] {
      Mutator mutator(heap);
      while (!done) {
        const Root<Node> list(mutator, MakeList(mutator, 3000));
        for (int i = 0; i < 4; ++i) mutator.NewArray<char>(200 << 10);
        EXPECT_TRUE(ListIsIntact(list, 3000));
      }
    });
  }
  for (int i = 0; i < 30; ++i) {
    heap.SetMemoryLimit((i % 3 == 0 ? 6 : 24) << 20);
    heap.SetGcPercent(i % 2 == 0 ? 30 : 200);
    if (i % 5 == 0) heap.FreeOsMemory();
    const MemStats stats = heap.ReadMemStats();
    EXPECT_LE(stats.heap_released, stats.heap_idle);
    heap.CheckInvariants();
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
}

TEST(ScavengeTest, AHeapEndsWhileItsScavengerSleepsOrWorks) {
  for (int i = 0; i < 10; ++i) {
    HeapOptions options = ExactOptions();
    options.gc_percent = 100;
    Heap heap(options);
    Mutator mutator(heap);
    Touch(mutator, 12);
    heap.Collect();
    if (i % 2 == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(i));
    }
  }
}

TEST(ScavengeLogTest, TheLineSaysItAll) {
  ScavengeRecord record;
  record.background = 1 << 20;
  record.eager = 3 << 10;
  record.ready = 5 << 20;
  record.in_use = 4 << 20;
  EXPECT_EQ(FormatScavenge(record),
            "scav 1024 KiB work (bg), 3 KiB work (eager), 5120 KiB now, 80% "
            "util");
  record.forced = true;
  record.ready = 0;
  EXPECT_EQ(FormatScavenge(record),
            "scav 1024 KiB work (bg), 3 KiB work (eager), 0 KiB now, 100% util "
            "(forced)");
}

TEST(ScavengeLogTest, TellsOfRequestsAndIsSilentWithoutWork) {
  HeapOptions options = ExactOptions();
  options.debug = "scavtrace=1";
  testing::internal::CaptureStderr();
  {
    Heap heap(options);
    Mutator mutator(heap);
    heap.Collect();
    Touch(mutator, 8);
    heap.FreeOsMemory();
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, HasSubstr("scav 0 KiB work (bg), "));
  EXPECT_THAT(text, HasSubstr("util (forced)\n"));
  EXPECT_THAT(text, Not(HasSubstr("scav 0 KiB work (bg), 0 KiB")));
}

// ---- BatchThread.

class CountingWork final : public BatchThread::Work {
 public:
  int64_t DoBatch() override {
    ++batches;
    return batches % 3 == 0 ? BatchThread::kNothingLeft : 0;
  }
  std::atomic<int> batches{0};
};

TEST(BatchThreadTest, WorksUntilNothingIsLeftAndAgainWhenWoken) {
  CountingWork work;
  BatchThread thread("test", work);
  for (int wakes = 1; wakes <= 3; ++wakes) {
    EXPECT_TRUE(thread.Wake());
    EXPECT_TRUE(Eventually([&] { return work.batches == 3 * wakes; }));
  }
}

TEST(BatchThreadTest, DoesNothingWhilePaused) {
  CountingWork work;
  BatchThread thread("test", work);
  thread.Pause();
  thread.Pause();
  EXPECT_TRUE(thread.Wake());
  EXPECT_TRUE(thread.interrupted());
  thread.Resume();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(work.batches, 0);
  thread.Resume();
  EXPECT_FALSE(thread.interrupted());
  EXPECT_TRUE(Eventually([&] { return work.batches == 3; }));
}

// Rests of an hour, which a wake ends or does not.
class RestingWork final : public BatchThread::Work {
 public:
  explicit RestingWork(int64_t sign) : sign_(sign) {}
  int64_t DoBatch() override {
    ++batches;
    return sign_ * 3600 * 1'000'000'000;
  }
  std::atomic<int> batches{0};

 private:
  const int64_t sign_;
};

TEST(BatchThreadTest, AWakeEndsOnlyALightRest) {
  RestingWork light(-1);
  BatchThread light_thread("test", light);
  RestingWork deep(1);
  BatchThread deep_thread("test", deep);
  for (int i = 1; i <= 3; ++i) {
    EXPECT_TRUE(light_thread.Wake());
    EXPECT_TRUE(deep_thread.Wake());
    EXPECT_TRUE(Eventually([&] { return light.batches >= i; }));
    EXPECT_TRUE(Eventually([&] { return deep.batches == 1; }));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(deep.batches, 1);
}

// As cycles that follow each other faster than the sweeper's head start.
TEST(BatchThreadTest, WakesThatComeFasterThanTheirDelayDoNotPutABatchOff) {
  CountingWork work;
  BatchThread thread("test", work);
  EXPECT_TRUE(Eventually([&] {
    for (int i = 0; i < 50; ++i) {
      EXPECT_TRUE(thread.Wake(20'000'000));
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return work.batches >= 3;
  }));
}

TEST(BatchThreadTest, EndsWhileItRests) {
  CountingWork work;
  BatchThread thread("test", work);
  EXPECT_TRUE(thread.Wake(int64_t{3600} * 1'000'000'000));
  thread.End();
  EXPECT_EQ(work.batches, 0);
}

}  // namespace
}  // namespace tricolor::runtime
