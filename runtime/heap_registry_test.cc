// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/heap_registry.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace tricolor::runtime {
namespace {

// Stand-ins: the registry does not look into the heaps.
HeapCore* Core(uint64_t n) { return reinterpret_cast<HeapCore*>(n << 12); }
AddrRange Range(uint64_t n) { return {Addr(n << 20), Addr((n + 1) << 20)}; }
const void* Inside(uint64_t n) { return Addr((n << 20) + 77).pointer(); }

TEST(HeapRegistryTest, FindsByBothEndsOfTheRange) {
  ASSERT_TRUE(HeapRegistry::Add(Core(1), Range(5)));
  EXPECT_EQ(HeapRegistry::Find(Range(5).base.pointer()), Core(1));
  EXPECT_EQ(HeapRegistry::Find((Range(5).limit - ByteCount(1)).pointer()),
            Core(1));
  EXPECT_EQ(HeapRegistry::Find(Range(5).limit.pointer()), nullptr);
  EXPECT_EQ(HeapRegistry::Find((Range(5).base - ByteCount(1)).pointer()),
            nullptr);
  HeapRegistry::Remove(Core(1));
  EXPECT_EQ(HeapRegistry::Find(Inside(5)), nullptr);
}

TEST(HeapRegistryTest, HoldsManyAndThenRefuses) {
  for (uint64_t i = 1; i <= HeapRegistry::kMaxHeaps; ++i) {
    ASSERT_TRUE(HeapRegistry::Add(Core(i), Range(i)));
  }
  EXPECT_FALSE(HeapRegistry::Add(Core(9999), Range(9999)));
  for (uint64_t i = 1; i <= HeapRegistry::kMaxHeaps; ++i) {
    ASSERT_EQ(HeapRegistry::Find(Inside(i)), Core(i));
  }
  HeapRegistry::Remove(Core(500));
  EXPECT_EQ(HeapRegistry::Find(Inside(500)), nullptr);
  EXPECT_TRUE(HeapRegistry::Add(Core(9999), Range(9999)));
  EXPECT_EQ(HeapRegistry::Find(Inside(9999)), Core(9999));
  HeapRegistry::Remove(Core(9999));
  for (uint64_t i = 1; i <= HeapRegistry::kMaxHeaps; ++i) {
    HeapRegistry::Remove(Core(i));
  }
}

// Entries change under the readers; what lives is always found, and found as
// itself.
TEST(HeapRegistryTest, FindIsRightWhileOthersComeAndGo) {
  ASSERT_TRUE(HeapRegistry::Add(Core(1), Range(100)));
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 2; ++t) {
    threads.emplace_back([&done, t] {
      for (uint64_t i = 0; !done; ++i) {
        // Ranges around the one that stays, each with an owner of its own.
        const uint64_t n = (i % 2 == 0 ? 10 : 190) + 10 * t;
        if (!HeapRegistry::Add(Core(n), Range(n))) std::abort();
        if (HeapRegistry::Find(Inside(n)) != Core(n)) std::abort();
        HeapRegistry::Remove(Core(n));
      }
    });
  }
  for (int i = 0; i < 20000; ++i) {
    ASSERT_EQ(HeapRegistry::Find(Inside(100)), Core(1));
    ASSERT_EQ(HeapRegistry::Find(Inside(50)), nullptr);
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  HeapRegistry::Remove(Core(1));
}

}  // namespace
}  // namespace tricolor::runtime
