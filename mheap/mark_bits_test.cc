// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/mark_bits.h"

#include <algorithm>
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

constexpr uint32_t kMost = MarkBitArenas::kMaxObjects;
constexpr uint64_t kWords = MarkBitArenas::kArenaWords;
constexpr uint64_t kChunkWords = MarkBitArenas::kChunkWords;
constexpr uint64_t kFirstChunkWords = kChunkWords - 8;  // behind the header
// What is sure to be had from so many arenas, whichever shards ask.
constexpr uint64_t SureOf(uint64_t arenas) {
  return arenas * MarkBitArenas::kSureWords -
         kShards * MarkBitArenas::kSureChunkWords;
}

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

  MarkWord* New(uint32_t objects, uint32_t shard = 0) {
    MarkWord* bits = arenas_.NewMarkBits(objects, shard);
    ExpectZeroAndDirty(bits, objects);
    return bits;
  }
  MarkWord* NewSwept(uint32_t objects, uint32_t shard = 0) {
    MarkWord* bits = arenas_.NewSweptBits(objects, shard);
    ExpectZeroAndDirty(bits, objects);
    return bits;
  }
  // So many words for new spans; returns the first bitmap.
  MarkWord* NewWords(uint64_t words) {
    MarkWord* first = nullptr;
    while (words > 0) {
      // The whole chunks' length is a multiple of eight words.
      const uint64_t some = std::min<uint64_t>(words, 8);
      MarkWord* bits = New(static_cast<uint32_t>(some * 64));
      if (first == nullptr) first = bits;
      words -= some;
    }
    return first;
  }

  FakeOsMemory os_;
  PersistentAlloc memory_;
  MarkBitArenas arenas_;
};

TEST_F(MarkBitArenasTest, TakesNoMemoryBeforeItIsUsed) {
  EXPECT_EQ(os_.fallible_calls(), 0u);
  EXPECT_EQ(arenas_.arenas(), 0u);
  EXPECT_TRUE(arenas_.Rotate());
  arenas_.CheckInvariants();
}

TEST_F(MarkBitArenasTest, BitmapsAreWholeWordsOneAfterAnother) {
  MarkWord* first = New(1);
  EXPECT_EQ(New(64), first + 1);
  EXPECT_EQ(New(65), first + 2);
  EXPECT_EQ(New(1024), first + 4);
  EXPECT_EQ(New(1), first + 20);
  arenas_.CheckInvariants();
}

TEST_F(MarkBitArenasTest, NewAndSweptSpansHaveAnArenaEach) {
  MarkWord* fresh = New(64);
  MarkWord* swept = NewSwept(64);
  EXPECT_EQ(arenas_.arenas(), 2u);
  EXPECT_EQ(New(64), fresh + 1);
  EXPECT_EQ(NewSwept(64), swept + 1);
  EXPECT_TRUE(arenas_.IsLive(swept));
  arenas_.CheckInvariants();
}

TEST_F(MarkBitArenasTest, ArenaIsUsedToItsLastWord) {
  NewWords(kWords - 1);
  EXPECT_EQ(arenas_.arenas(), 1u);
  New(64);
  EXPECT_EQ(arenas_.arenas(), 1u);
  New(1);
  EXPECT_EQ(arenas_.arenas(), 2u);
  arenas_.CheckInvariants();
}

TEST_F(MarkBitArenasTest, BitmapThatDoesNotFitGoesToANewChunk) {
  MarkWord* first = NewWords(kFirstChunkWords - 1);
  MarkWord* second = New(128);
  EXPECT_EQ(second, first + kFirstChunkWords);
  EXPECT_EQ(New(64), second + 2);
  EXPECT_EQ(arenas_.arenas(), 1u);
  arenas_.CheckInvariants();
}

TEST_F(MarkBitArenasTest, ShardsShareAnArenaAndNoCacheLine) {
  MarkWord* first = New(64, 0);
  MarkWord* second = New(64, kShards - 1);
  EXPECT_EQ(second, first + kFirstChunkWords);
  EXPECT_EQ(New(64, 0), first + 1);
  EXPECT_EQ(New(64, kShards - 1), second + 1);
  EXPECT_EQ(arenas_.arenas(), 1u);
  EXPECT_TRUE(arenas_.IsLive(second + 1));
  EXPECT_FALSE(arenas_.IsLive(second + 2));
  arenas_.CheckInvariants();
}

TEST_F(MarkBitArenasTest, BitmapLivesTwoRotationsAndDiesWithTheThird) {
  MarkWord* bits = New(100);
  EXPECT_TRUE(arenas_.IsLive(bits));
  ASSERT_TRUE(arenas_.Rotate());  // mark bits of the running cycle
  EXPECT_TRUE(arenas_.IsLive(bits));
  ASSERT_TRUE(arenas_.Rotate());  // allocation bits of swept spans
  EXPECT_TRUE(arenas_.IsLive(bits));
  EXPECT_EQ(bits[1].LoadRelaxed(), ~uint64_t{0});
  ASSERT_TRUE(arenas_.Rotate());
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
  uint64_t after_5 = 0;
  for (int cycle = 0; cycle < 50; ++cycle) {
    NewWords(kWords + 1);  // all ones from the start to the end
    for (int i = 0; i < 500; ++i) New(1024);
    arenas_.CheckInvariants();
    ASSERT_TRUE(arenas_.Rotate());
    arenas_.MarkingDone();
    if (cycle == 5) after_5 = arenas_.arenas();
  }
  EXPECT_EQ(arenas_.arenas(), after_5);
  // Two for each of the epochs next, current and previous, and three reserved.
  EXPECT_LE(after_5, 9u);
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
    const uint32_t objects = 1 + static_cast<uint32_t>(random() % kMost);
    MarkWord* bits = random() % 2 == 0 ? New(objects) : NewSwept(objects);
    MarkWord* end = bits + DivideRoundUp(objects, 64);
    const auto after = live.lower_bound(bits);
    ASSERT_TRUE(after == live.end() || after->first >= end);
    ASSERT_TRUE(after == live.begin() || std::prev(after)->second.end <= bits);
    live[bits] = {end, 0};
    if (random() % 2000 != 0) continue;
    ASSERT_TRUE(arenas_.Rotate());
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
  EXPECT_EQ(arenas_.NewSweptBits(1), nullptr);
  EXPECT_EQ(arenas_.arenas(), 0u);
  arenas_.CheckInvariants();
  os_.StopFailing();
  MarkWord* bits = NewWords(kWords - 1);
  os_.FailFrom(1);
  EXPECT_EQ(arenas_.NewMarkBits(65), nullptr);
  EXPECT_TRUE(arenas_.IsLive(bits));
  arenas_.CheckInvariants();
  os_.StopFailing();
  // What has been recycled needs no memory.
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(arenas_.Rotate());
  arenas_.MarkingDone();
  os_.FailFrom(1);
  NewWords(kWords);
  arenas_.CheckInvariants();
}

// ---- The reserve.

TEST_F(MarkBitArenasTest, WithoutArenasToSweepWithTheEpochsDoNotRotate) {
  MarkWord* bits = NewWords(2 * kWords);
  os_.FailFrom(2);  // one arena is three calls
  EXPECT_FALSE(arenas_.Reserve());
  EXPECT_FALSE(arenas_.Rotate());
  EXPECT_TRUE(arenas_.IsLive(bits));
  arenas_.CheckInvariants();
  os_.StopFailing();
  EXPECT_TRUE(arenas_.Reserve());
  os_.FailFrom(1);
  EXPECT_TRUE(arenas_.Rotate());
  EXPECT_EQ(arenas_.reserved(), 3u);
  arenas_.CheckInvariants();
}

TEST_F(MarkBitArenasTest, NothingUsedNeedsNoReserve) {
  os_.FailFrom(1);
  EXPECT_TRUE(arenas_.Reserve());
  EXPECT_TRUE(arenas_.Rotate());
  EXPECT_EQ(arenas_.reserved(), 0u);
}

TEST_F(MarkBitArenasTest, ReserveIsByTheWordsThatArenasSurelyHold) {
  struct Case {
    uint64_t words;
    uint64_t arenas;
  };
  for (const Case c : {Case{1, 1}, Case{SureOf(1), 1}, Case{SureOf(1) + 1, 2},
                       Case{SureOf(2), 2}, Case{SureOf(2) + 1, 3}}) {
    PersistentAlloc memory(os_);
    MarkBitArenas arenas(memory);
    for (uint64_t i = 0; i < c.words; ++i) {
      ASSERT_NE(arenas.NewMarkBits(64), nullptr);
    }
    ASSERT_TRUE(arenas.Rotate());
    EXPECT_EQ(arenas.reserved(), c.arenas) << c.words;
  }
}

// Each shard begins a chunk, and one of them wants all that is left.
TEST_F(MarkBitArenasTest, ShardsThatHaveBegunAChunkLeaveTheReserveEnough) {
  const uint64_t bitmaps = MarkBitArenas::kSureWords / (kMost / 64);
  for (uint64_t i = 0; i < bitmaps; ++i) New(kMost);
  ASSERT_TRUE(arenas_.Rotate());
  ASSERT_EQ(arenas_.reserved(), 2u);
  arenas_.MarkingDone();
  os_.FailFrom(1);
  for (uint32_t shard = 1; shard < kShards; ++shard) NewSwept(kMost, shard);
  for (uint64_t i = kShards - 1; i < bitmaps; ++i) NewSwept(kMost, 0);
  arenas_.CheckInvariants();
}

// In any order of lengths, and with new spans at the same time.
TEST_F(MarkBitArenasTest, SweepingNeedsNoMemoryAfterARotation) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 20; ++round) {
    std::vector<uint32_t> lengths;
    const auto take = [&](uint64_t count) {
      for (uint64_t i = 0; i < count; ++i) {
        // Long ones at the end of a chunk waste most.
        const uint32_t objects =
            random() % 3 == 0 ? 1 + static_cast<uint32_t>(random() % kMost)
                              : kMost;
        const auto shard = static_cast<uint32_t>(random() % kShards);
        if (arenas_.NewMarkBits(objects, shard) != nullptr) {
          lengths.push_back(objects);
        }
      }
    };
    take(random() % 3000);
    ASSERT_TRUE(arenas_.Rotate());
    os_.FailFrom(1 + random() % 16);
    take(random() % 1500);  // while the cycle marks
    arenas_.MarkingDone();
    os_.FailFrom(1);
    std::shuffle(lengths.begin(), lengths.end(), random);
    for (const uint32_t objects : lengths) {
      const auto shard = static_cast<uint32_t>(random() % kShards);
      ASSERT_NE(arenas_.NewSweptBits(objects, shard), nullptr);
      if (random() % 4 == 0) {
        static_cast<void>(arenas_.NewMarkBits(objects, shard));
      }
    }
    arenas_.CheckInvariants();
    os_.StopFailing();
  }
}

TEST_F(MarkBitArenasTest, NewSpansLeaveTheReserveAlone) {
  NewWords(SureOf(3));
  ASSERT_TRUE(arenas_.Rotate());
  arenas_.MarkingDone();
  const uint64_t reserved = arenas_.reserved();
  os_.FailFrom(1);
  while (arenas_.NewMarkBits(kMost) != nullptr) {
  }
  EXPECT_EQ(arenas_.reserved(), reserved);
  for (uint64_t i = 0; i < SureOf(3); ++i) NewSwept(64);
}

TEST_F(MarkBitArenasTest, NewSpansWhileMarkingAddToTheReserve) {
  ASSERT_TRUE(arenas_.Rotate());
  EXPECT_EQ(arenas_.reserved(), 0u);
  New(64);
  EXPECT_EQ(arenas_.reserved(), 2u);  // of a whole arena of bitmaps
  arenas_.CheckReserve({.words = 0, .all_words = kWords});
  NewWords(kWords);
  EXPECT_EQ(arenas_.reserved(), 3u);
  arenas_.MarkingDone();
  NewWords(kWords);
  EXPECT_EQ(arenas_.reserved(), 3u);
}

// The bitmap, but not the arena to sweep its span with, or the other way round.
TEST_F(MarkBitArenasTest, NewSpanWithoutReserveForItsSweepIsRefused) {
  for (uint64_t k = 1; k <= 9; ++k) {
    PersistentAlloc memory(os_);
    MarkBitArenas arenas(memory);
    ASSERT_TRUE(arenas.Rotate());
    os_.FailFrom(k);
    EXPECT_EQ(arenas.NewMarkBits(64), nullptr) << k;
    EXPECT_EQ(arenas.reserved(), 0u);
    arenas.CheckInvariants();
    os_.StopFailing();
    EXPECT_NE(arenas.NewMarkBits(64), nullptr);
  }
}

TEST(MarkBitArenasFailureTest, SurvivesTheRefusalOfEachOsCall) {
  const uint64_t failures = ForEachOsFailure([](FakeOsMemory& os) {
    PersistentAlloc memory(os);
    MarkBitArenas arenas(memory);
    int spans = 0;
    for (int i = 0; i < 6000; ++i) {
      MarkWord* bits = arenas.NewMarkBits(kMost);
      if (bits != nullptr) {
        ExpectZeroAndDirty(bits, kMost);
        ++spans;
      }
      if (i % 1500 != 1000) continue;
      const bool rotated = arenas.Rotate();
      arenas.CheckInvariants();
      if (!rotated) continue;
      arenas.MarkingDone();
      for (int swept = 0; swept < spans; ++swept) {
        ExpectZeroAndDirty(arenas.NewSweptBits(kMost), kMost);
      }
      arenas.CheckInvariants();
    }
  });
  EXPECT_GE(failures, 40u);
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
        for (int i = 0; i < 8000; ++i) {
          // Long ones make the threads meet at the ends of arenas.
          const uint32_t objects =
              kMost - static_cast<uint32_t>(random() % 4) * 300;
          // Two of them have a shard in common.
          const auto shard = static_cast<uint32_t>(t / 2);
          MarkWord* bits = t % 4 == 0 ? arenas_.NewMarkBits(objects, shard)
                                      : arenas_.NewSweptBits(objects, shard);
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
    ASSERT_TRUE(arenas_.Rotate());
    arenas_.MarkingDone();
  }
}

// All threads want a new arena at once; one of them gets it for all.
TEST_F(MarkBitArenasTest, ThreadsAtTheEndOfAnArenaTakeOneNew) {
  for (int round = 0; round < 200; ++round) {
    NewWords(kWords);
    const uint64_t before = arenas_.arenas();
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back(
          [this] { ASSERT_NE(arenas_.NewMarkBits(1024), nullptr); });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(arenas_.arenas(), before + 1);
    ASSERT_TRUE(arenas_.Rotate());
    arenas_.MarkingDone();
  }
  EXPECT_LE(arenas_.arenas(), 8u);
  arenas_.CheckInvariants();
}

// ---- Misuse and corruption.

using MarkBitArenasDeathTest = MarkBitArenasTest;

TEST_F(MarkBitArenasDeathTest, BitmapOfNoOrTooManyObjects) {
  EXPECT_DEATH(static_cast<void>(arenas_.NewMarkBits(0)),
               "bitmap for 0 objects, expected 1 to 1024");
  EXPECT_DEATH(static_cast<void>(arenas_.NewMarkBits(kMost + 1)),
               "bitmap for 1025 objects");
}

TEST_F(MarkBitArenasDeathTest, CheckSeesAReserveThatIsTooSmall) {
  New(64);
  constexpr uint64_t kSure = SureOf(1);
  arenas_.CheckReserve({.words = kSure, .all_words = kSure});  // no cycle
  ASSERT_TRUE(arenas_.Rotate());
  arenas_.CheckReserve({.words = 0, .all_words = kSure});
  EXPECT_DEATH(arenas_.CheckReserve({.words = 0, .all_words = kSure + 1}),
               "3849 words are needed to sweep, and 3848 reserved "
               ".INV-MHEAP-MARKRESERVE");
  arenas_.MarkingDone();
  arenas_.CheckReserve({.words = 0, .all_words = kSure + 1});
  NewSwept(128);
  arenas_.CheckReserve({.words = kSure - 2, .all_words = 0});
  EXPECT_DEATH(arenas_.CheckReserve({.words = kSure - 1, .all_words = 0}),
               "INV-MHEAP-MARKRESERVE");
}

}  // namespace
}  // namespace tricolor::mheap
