// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/mark_bits.h"

#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/test_random.h"

namespace tricolor::mheap {
namespace {

constexpr uint32_t kWholeArena = MarkBitArenas::kMaxObjects;

// Fails unless all words of the bitmap are zero; fills it with ones.
void ExpectZeroAndDirty(MarkWord* bits, uint32_t objects) {
  ASSERT_NE(bits, nullptr);
  for (uint64_t i = 0; i < DivideRoundUp(objects, 64); ++i) {
    ASSERT_EQ(bits[i].LoadRelaxed(), 0u);
    bits[i].StoreRelaxed(~uint64_t{0});
  }
}

class MarkBitArenasTest : public ::testing::Test {
 protected:
  MarkBitArenasTest() : memory_(os_), arenas_(memory_) {}

  MarkWord* New(uint32_t objects) {
    MarkWord* bits = arenas_.NewMarkBits(objects);
    ExpectZeroAndDirty(bits, objects);
    return bits;
  }

  FakeOsMemory os_;
  PersistentAlloc memory_;
  MarkBitArenas arenas_;
};

TEST_F(MarkBitArenasTest, TakesNoMemoryBeforeItIsUsed) {
  EXPECT_EQ(os_.fallible_calls(), 0u);
  EXPECT_EQ(arenas_.arenas(), 0u);
  arenas_.Rotate();
  arenas_.CheckInvariants();
}

TEST_F(MarkBitArenasTest, BitmapsAreWholeWordsOneAfterAnother) {
  MarkWord* first = New(1);
  EXPECT_EQ(New(64), first + 1);
  EXPECT_EQ(New(65), first + 2);
  EXPECT_EQ(New(1024), first + 4);
  EXPECT_EQ(New(1), first + 20);
  MarkWord* alloc_bits = arenas_.NewAllocBits(128);
  ExpectZeroAndDirty(alloc_bits, 128);
  EXPECT_EQ(New(1), alloc_bits + 2);
  arenas_.CheckInvariants();
}

TEST_F(MarkBitArenasTest, ArenaIsUsedToItsLastWord) {
  New(kWholeArena - 64);
  EXPECT_EQ(arenas_.arenas(), 1u);
  New(64);
  EXPECT_EQ(arenas_.arenas(), 1u);
  New(1);
  EXPECT_EQ(arenas_.arenas(), 2u);
  arenas_.CheckInvariants();
}

TEST_F(MarkBitArenasTest, BitmapThatDoesNotFitGoesToANewArena) {
  MarkWord* first = New(kWholeArena - 64);
  MarkWord* second = New(128);
  EXPECT_TRUE(second + 2 <= first ||
              second >= first + MarkBitArenas::kArenaWords);
  New(kWholeArena);
  EXPECT_EQ(arenas_.arenas(), 3u);
  arenas_.CheckInvariants();
}

TEST_F(MarkBitArenasTest, BitmapLivesTwoRotationsAndDiesWithTheThird) {
  MarkWord* bits = New(100);
  EXPECT_TRUE(arenas_.IsLive(bits));
  arenas_.Rotate();  // mark bits of the running cycle
  EXPECT_TRUE(arenas_.IsLive(bits));
  arenas_.Rotate();  // allocation bits of swept spans
  EXPECT_TRUE(arenas_.IsLive(bits));
  EXPECT_EQ(bits[1].LoadRelaxed(), ~uint64_t{0});
  arenas_.Rotate();
  EXPECT_FALSE(arenas_.IsLive(bits));
  arenas_.CheckInvariants();
}

TEST_F(MarkBitArenasTest, OnlyWordsHandedOutAreLive) {
  MarkWord local;
  EXPECT_FALSE(arenas_.IsLive(&local));
  EXPECT_FALSE(arenas_.IsLive(nullptr));
  MarkWord* bits = New(100);
  EXPECT_TRUE(arenas_.IsLive(bits + 1));
  EXPECT_FALSE(arenas_.IsLive(bits + 2));
  EXPECT_FALSE(arenas_.IsLive(bits - 1));
}

TEST_F(MarkBitArenasTest, ArenasAreUsedAgainAndAreZeroThen) {
  for (int cycle = 0; cycle < 50; ++cycle) {
    New(kWholeArena);  // all ones from the start to the end
    New(64);
    for (int i = 0; i < 500; ++i) New(1024);
    arenas_.CheckInvariants();
    arenas_.Rotate();
  }
  // Two arenas for each of the epochs next, current and previous.
  EXPECT_EQ(arenas_.arenas(), 6u);
}

TEST_F(MarkBitArenasTest, NeverHandsOutWordsThatAreStillInUse) {
  std::mt19937_64 random(TestSeed());
  // Start to end of each live bitmap, with the rotations it has seen.
  struct Bitmap {
    MarkWord* end;
    int rotations;
  };
  std::map<MarkWord*, Bitmap> live;
  for (int i = 0; i < 30000; ++i) {
    const uint32_t objects =
        random() % 50 == 0 ? 1 + static_cast<uint32_t>(random() % kWholeArena)
                           : 1 + static_cast<uint32_t>(random() % 1024);
    MarkWord* bits = New(objects);
    MarkWord* end = bits + DivideRoundUp(objects, 64);
    const auto after = live.lower_bound(bits);
    ASSERT_TRUE(after == live.end() || after->first >= end);
    ASSERT_TRUE(after == live.begin() || std::prev(after)->second.end <= bits);
    live[bits] = {end, 0};
    if (random() % 2000 != 0) continue;
    arenas_.Rotate();
    for (auto& [start, bitmap] : live) ++bitmap.rotations;
    std::erase_if(
        live, [](const auto& entry) { return entry.second.rotations == 3; });
    for (const auto& [start, bitmap] : live) {
      ASSERT_TRUE(arenas_.IsLive(start));
      ASSERT_EQ(bitmap.end[-1].LoadRelaxed(), ~uint64_t{0});
    }
    arenas_.CheckInvariants();
  }
}

TEST_F(MarkBitArenasTest, RefusalGivesNullAndChangesNothing) {
  os_.FailFrom(1);
  EXPECT_EQ(arenas_.NewMarkBits(1), nullptr);
  EXPECT_EQ(arenas_.NewAllocBits(1), nullptr);
  EXPECT_EQ(arenas_.arenas(), 0u);
  arenas_.CheckInvariants();
  os_.StopFailing();
  MarkWord* bits = New(kWholeArena - 64);
  os_.FailFrom(1);
  EXPECT_EQ(arenas_.NewMarkBits(kWholeArena), nullptr);
  EXPECT_TRUE(arenas_.IsLive(bits));
  arenas_.CheckInvariants();
  // What has been recycled needs no memory.
  for (int i = 0; i < 3; ++i) arenas_.Rotate();
  New(kWholeArena);
  arenas_.CheckInvariants();
}

TEST(MarkBitArenasFailureTest, SurvivesTheRefusalOfEachOsCall) {
  const uint64_t failures = ForEachOsFailure([](FakeOsMemory& os) {
    PersistentAlloc memory(os);
    MarkBitArenas arenas(memory);
    for (int i = 0; i < 40; ++i) {
      MarkWord* bits = arenas.NewMarkBits(kWholeArena / 2);
      if (bits != nullptr) ExpectZeroAndDirty(bits, kWholeArena / 2);
      if (i % 8 == 7) arenas.Rotate();
      arenas.CheckInvariants();
    }
  });
  EXPECT_GE(failures, 12u);
}

// ---- Threads.

// Several threads take bitmaps and write their own number into them; then the
// epochs rotate and they begin again.
TEST_F(MarkBitArenasTest, ThreadsNeverShareWords) {
  constexpr uint64_t kThreads = 4;
  struct Taken {
    MarkWord* bits;
    uint64_t words;
  };
  for (uint64_t round = 0; round < 6; ++round) {
    std::vector<Taken> taken[kThreads];
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937_64 random(round * kThreads + t);
        for (int i = 0; i < 4000; ++i) {
          // Long ones make the threads meet at the ends of arenas.
          const uint32_t objects =
              4096 - static_cast<uint32_t>(random() % 4) * 1000;
          MarkWord* bits = arenas_.NewMarkBits(objects);
          ASSERT_NE(bits, nullptr);
          const uint64_t words = DivideRoundUp(objects, 64);
          for (uint64_t w = 0; w < words; ++w) {
            ASSERT_EQ(bits[w].LoadRelaxed(), 0u);
            bits[w].StoreRelaxed(t + 1);
          }
          taken[t].push_back({bits, words});
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (uint64_t t = 0; t < kThreads; ++t) {
      for (const Taken& bitmap : taken[t]) {
        ASSERT_TRUE(arenas_.IsLive(bitmap.bits));
        ASSERT_TRUE(arenas_.IsLive(bitmap.bits + bitmap.words - 1));
        for (uint64_t w = 0; w < bitmap.words; ++w) {
          ASSERT_EQ(bitmap.bits[w].LoadRelaxed(), t + 1);
        }
      }
    }
    arenas_.CheckInvariants();
    arenas_.Rotate();
  }
}

// All threads want a new arena at once; one of them gets it for all.
TEST_F(MarkBitArenasTest, ThreadsAtTheEndOfAnArenaTakeOneNew) {
  for (int round = 0; round < 200; ++round) {
    New(kWholeArena);
    const uint64_t before = arenas_.arenas();
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back(
          [this] { ASSERT_NE(arenas_.NewMarkBits(1024), nullptr); });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(arenas_.arenas(), before + 1);
    arenas_.Rotate();
  }
  EXPECT_LE(arenas_.arenas(), 6u);
  arenas_.CheckInvariants();
}

// ---- Misuse and corruption.

using MarkBitArenasDeathTest = MarkBitArenasTest;

TEST_F(MarkBitArenasDeathTest, BitmapOfNoOrTooManyObjects) {
  EXPECT_DEATH(static_cast<void>(arenas_.NewMarkBits(0)),
               "bitmap for 0 objects, expected 1 to 523776");
  EXPECT_DEATH(static_cast<void>(arenas_.NewMarkBits(kWholeArena + 1)),
               "bitmap for 523777 objects");
}

TEST_F(MarkBitArenasDeathTest, CheckSeesABitBeyondTheLastBitmap) {
  MarkWord* bits = New(64);
  bits[1].StoreRelaxed(4);
  EXPECT_DEATH(arenas_.CheckInvariants(), "word 1 is 0x4, never handed out");
}

}  // namespace
}  // namespace tricolor::mheap
