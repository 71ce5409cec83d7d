// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/persistent_alloc.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/test_random.h"

namespace tricolor {
namespace {

bool IsZero(const void* memory, uint64_t size) {
  const unsigned char* bytes = static_cast<const unsigned char*>(memory);
  return std::all_of(bytes, bytes + size,
                     [](unsigned char b) { return b == 0; });
}

TEST(PersistentAlloc, HoldsNothingBeforeTheFirstRequest) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  EXPECT_EQ(memory.bytes_from_os(), ByteCount(0));
  EXPECT_EQ(os.fallible_calls(), 0u);
  memory.CheckInvariants();
}

TEST(PersistentAlloc, PiecesAreZeroedAlignedAndApart) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  TestRandom random(TestSeed());
  std::vector<std::pair<uintptr_t, uint64_t>> pieces;
  for (int i = 0; i < 2000; ++i) {
    const uint64_t alignment = uint64_t{1} << random.Below(13);
    uint64_t size = 1 + random.Below(500);
    if (random.OneIn(50)) {
      size = PersistentAlloc::kDirectSize.value() - 2 + random.Below(4);
    }
    void* piece = memory.Allocate(ByteCount(size), alignment);
    ASSERT_NE(piece, nullptr);
    ASSERT_TRUE(Addr(piece).IsAligned(alignment));
    ASSERT_TRUE(IsZero(piece, size));
    std::memset(piece, 0xff, size);
    pieces.emplace_back(Addr(piece).value(), size);
  }
  std::sort(pieces.begin(), pieces.end());
  for (size_t i = 1; i < pieces.size(); ++i) {
    ASSERT_LE(pieces[i - 1].first + pieces[i - 1].second, pieces[i].first);
  }
  memory.CheckInvariants();
  EXPECT_EQ(memory.bytes_from_os(), os.ready_bytes());
}

TEST(PersistentAlloc, SmallPiecesShareAChunk) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_NE(memory.Allocate(ByteCount(100), 8), nullptr);
  }
  EXPECT_EQ(memory.bytes_from_os(), PersistentAlloc::kChunkSize);
  EXPECT_EQ(os.calls(OsCall::kReserve), 1u);
}

TEST(PersistentAlloc, LargePieceLeavesTheCurrentChunkAlone) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  void* first = memory.Allocate(ByteCount(64), 64);
  ASSERT_NE(memory.Allocate(ByteCount(1 << 20), 4096), nullptr);
  void* second = memory.Allocate(ByteCount(64), 64);
  EXPECT_EQ(Addr(second) - Addr(first), ByteCount(64));
  memory.CheckInvariants();
}

TEST(PersistentAlloc, ChunkIsUsedToItsLastByte) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  void* last = nullptr;
  uint64_t pieces = 0;
  for (; os.calls(OsCall::kReserve) <= 1; ++pieces) {
    last = memory.Allocate(ByteCount(8), 8);
    ASSERT_NE(last, nullptr);
  }
  // The piece that did not fit is the first of the second chunk.
  EXPECT_EQ(pieces - 1, (PersistentAlloc::kChunkSize.value() - 24) / 8);
  memory.CheckInvariants();
}

TEST(PersistentAlloc, NewConstructsInPlace) {
  struct Point {
    int x;
    int y = 9;
    explicit Point(int value) : x(value) {}
  };
  FakeOsMemory os;
  PersistentAlloc memory(os);
  const Point* point = memory.New<Point>(4);
  ASSERT_NE(point, nullptr);
  EXPECT_EQ(point->x, 4);
  EXPECT_EQ(point->y, 9);
  EXPECT_EQ(*memory.New<uint64_t>(), 0u);
}

TEST(PersistentAlloc, WorksWithEveryOsPageSize) {
  for (const uint64_t page : {4u << 10, 16u << 10, 64u << 10}) {
    FakeOsMemory os({.page_size = ByteCount(page)});
    PersistentAlloc memory(os);
    for (const uint64_t size : {1u, 4096u, 65535u, 65536u, 300000u}) {
      void* piece = memory.Allocate(ByteCount(size), page);
      ASSERT_NE(piece, nullptr);
      EXPECT_TRUE(Addr(piece).IsAligned(page));
      std::memset(piece, 1, size);
    }
    memory.CheckInvariants();
  }
}

TEST(PersistentAlloc, RefusalAtAnyCallReturnsNullAndChangesNothing) {
  for (const uint64_t size : {uint64_t{100}, uint64_t{1} << 20}) {
    const uint64_t failures = ForEachOsFailure([size](FakeOsMemory& os) {
      PersistentAlloc memory(os);
      void* piece = memory.Allocate(ByteCount(size), 16);
      if (piece == nullptr) {
        EXPECT_EQ(memory.bytes_from_os(), ByteCount(0));
        EXPECT_EQ(os.reserved_bytes() + os.prepared_bytes() + os.ready_bytes(),
                  ByteCount(0));
        piece = memory.Allocate(ByteCount(size), 16);
      }
      ASSERT_NE(piece, nullptr);
      EXPECT_TRUE(IsZero(piece, size));
      memory.CheckInvariants();
    });
    // Reserve, Map, Used.
    EXPECT_EQ(failures, 3u);
  }
}

TEST(PersistentAlloc, FullChunkStaysUsableWhenTheNextIsRefused) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  ASSERT_NE(memory.Allocate(ByteCount(60 << 10), 8), nullptr);
  os.FailFrom(1);
  int fitting = 1;
  while (memory.Allocate(ByteCount(60 << 10), 8) != nullptr) ++fitting;
  EXPECT_EQ(fitting, 4);
  // What does not fit is refused; what does is not.
  EXPECT_NE(memory.Allocate(ByteCount(1 << 10), 8), nullptr);
  EXPECT_EQ(memory.bytes_from_os(), PersistentAlloc::kChunkSize);
  os.StopFailing();
  EXPECT_NE(memory.Allocate(ByteCount(60 << 10), 8), nullptr);
  memory.CheckInvariants();
}

TEST(PersistentAlloc, SizeThatWrapsAroundIsRefused) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  EXPECT_EQ(memory.Allocate(ByteCount(~uint64_t{0}), 8), nullptr);
  EXPECT_EQ(memory.Allocate(ByteCount(~uint64_t{0} - 4096), 4096), nullptr);
  EXPECT_EQ(memory.Allocate(ByteCount(uint64_t{1} << 62), 8), nullptr);
  memory.CheckInvariants();
}

TEST(PersistentAlloc, ThreadsGetDifferentPieces) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  std::vector<std::thread> threads;
  for (unsigned char t = 1; t <= 4; ++t) {
    threads.emplace_back([&memory, t] {
      std::vector<unsigned char*> mine;
      for (int i = 0; i < 500; ++i) {
        auto* piece =
            static_cast<unsigned char*>(memory.Allocate(ByteCount(200), 8));
        ASSERT_NE(piece, nullptr);
        std::memset(piece, t, 200);
        mine.push_back(piece);
      }
      for (const unsigned char* piece : mine) {
        ASSERT_TRUE(std::all_of(piece, piece + 200,
                                [t](unsigned char b) { return b == t; }));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  memory.CheckInvariants();
}

TEST(PersistentAllocDeathTest, MisuseIsFatal) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  EXPECT_DEATH((void)memory.Allocate(ByteCount(0), 8), "of 0 bytes");
  EXPECT_DEATH((void)memory.Allocate(ByteCount(8), 0), "power of two");
  EXPECT_DEATH((void)memory.Allocate(ByteCount(8), 24), "power of two");
  EXPECT_DEATH((void)memory.Allocate(ByteCount(8), 8192), "page size 4096");
}

}  // namespace
}  // namespace tricolor
