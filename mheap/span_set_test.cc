// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/span_set.h"

#include <cstdint>
#include <deque>
#include <random>

#include "gtest/gtest.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/lf_stack.h"
#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/test_random.h"
#include "tricolor/mheap/span_set_tester.h"
#include "tricolor/mheap/span_set_testing.h"

namespace tricolor::mheap {
namespace {

using Peer = SpanSetTestPeer;

template <typename Traits>
class SpanSetTest : public ::testing::Test {
 protected:
  using Set = BasicSpanSet<Traits>;
  static constexpr uint32_t kBlockEntries = Traits::kBlockEntries;

  SpanSetTest() : memory_(os_), pool_(memory_), set_(pool_) {}

  void PushIds(uint64_t first, uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      ASSERT_TRUE(set_.Push(FakeSpan(first + i)));
    }
  }
  void PopIds(uint64_t first, uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      ASSERT_EQ(set_.Pop(), FakeSpan(first + i));
    }
  }

  FakeOsMemory os_;
  PersistentAlloc memory_;
  BasicSpanSetBlockPool<Traits> pool_;
  Set set_;
};

using AllTraits = ::testing::Types<SpanSetTraits, SmallBlockTraits<2, 1>,
                                   SmallBlockTraits<4, 2>>;
TYPED_TEST_SUITE(SpanSetTest, AllTraits);

TYPED_TEST(SpanSetTest, NewSetIsEmptyAndTakesNoMemory) {
  EXPECT_TRUE(this->set_.Empty());
  EXPECT_EQ(this->set_.Size(), 0u);
  EXPECT_EQ(this->set_.Pop(), nullptr);
  EXPECT_EQ(this->pool_.blocks(), 0u);
  EXPECT_EQ(this->os_.fallible_calls(), 0u);
  this->set_.CheckInvariants();
}

TYPED_TEST(SpanSetTest, PopsInTheOrderOfPushes) {
  this->PushIds(0, 10);
  EXPECT_EQ(this->set_.Size(), 10u);
  EXPECT_FALSE(this->set_.Empty());
  this->set_.CheckInvariants();
  this->PopIds(0, 10);
  EXPECT_EQ(this->set_.Pop(), nullptr);
  EXPECT_TRUE(this->set_.Empty());
  this->set_.CheckInvariants();
}

TYPED_TEST(SpanSetTest, KeepsOrderAcrossManyBlocksAndSpineSegments) {
  constexpr uint64_t kCount = 70 * TestFixture::kBlockEntries + 1;
  this->PushIds(0, kCount);
  EXPECT_EQ(this->pool_.blocks(), 71u);
  this->set_.CheckInvariants();
  this->PopIds(0, kCount);
  EXPECT_EQ(this->set_.Pop(), nullptr);
  this->set_.CheckInvariants();
  // All but the last, which is in use in part.
  EXPECT_EQ(this->pool_.CheckInvariants(), 70u);
}

TYPED_TEST(SpanSetTest, BlockGoesBackWithItsLastEntryAndNotBefore) {
  constexpr uint32_t kN = TestFixture::kBlockEntries;
  this->PushIds(0, kN + 1);
  this->PopIds(0, kN - 1);
  EXPECT_TRUE(Peer::IsLinked(this->set_, 0));
  EXPECT_EQ(this->pool_.CheckInvariants(), 0u);
  this->PopIds(kN - 1, 1);
  EXPECT_FALSE(Peer::IsLinked(this->set_, 0));
  EXPECT_TRUE(Peer::IsLinked(this->set_, 1));
  EXPECT_EQ(this->pool_.CheckInvariants(), 1u);
  this->set_.CheckInvariants();
}

// The seed form frees a block whenever its entries in use fall to none.
TYPED_TEST(SpanSetTest, BlockStaysWhileEntriesOfItAreUnused) {
  this->PushIds(0, 1);
  this->PopIds(0, 1);
  EXPECT_TRUE(Peer::IsLinked(this->set_, 0));
  this->PushIds(1, 1);
  EXPECT_EQ(this->pool_.blocks(), 1u);
  this->PopIds(1, 1);
}

TYPED_TEST(SpanSetTest, ShortQueueLivesOnTwoBlocksForever) {
  for (uint64_t i = 0; i < 20 * TestFixture::kBlockEntries; ++i) {
    this->PushIds(2 * i, 2);
    this->PopIds(2 * i, 2);
  }
  EXPECT_LE(this->pool_.blocks(), 2u);
  this->set_.CheckInvariants();
}

TYPED_TEST(SpanSetTest, ResetStartsAgainAtZeroAndFreesThePartlyUsedBlock) {
  constexpr uint32_t kN = TestFixture::kBlockEntries;
  for (const uint64_t count : {uint64_t{1}, uint64_t{kN - 1}, uint64_t{kN},
                               uint64_t{kN + 1}, uint64_t{9 * kN}}) {
    this->PushIds(0, count);
    this->PopIds(0, count);
    this->set_.Reset();
    this->set_.CheckInvariants();
    EXPECT_EQ(this->pool_.CheckInvariants(), this->pool_.blocks());
    EXPECT_FALSE(Peer::IsLinked(this->set_, 0));
  }
  // As many as were in use at a time: the blocks were used again.
  EXPECT_EQ(this->pool_.blocks(), 9u);
}

TYPED_TEST(SpanSetTest, ResetOfUnusedSetIsHarmless) {
  this->set_.Reset();
  this->set_.Reset();
  this->PushIds(0, 1);
  this->PopIds(0, 1);
}

TYPED_TEST(SpanSetTest, SetsShareTheBlocksOfAPool) {
  constexpr uint32_t kN = TestFixture::kBlockEntries;
  typename TestFixture::Set other(this->pool_);
  this->PushIds(0, 5 * kN);
  while (MSpan* span = this->set_.Pop()) ASSERT_TRUE(other.Push(span));
  EXPECT_LE(this->pool_.blocks(), 6u);
  for (uint64_t i = 0; i < 5 * kN; ++i) ASSERT_EQ(other.Pop(), FakeSpan(i));
  EXPECT_EQ(this->pool_.CheckInvariants(), this->pool_.blocks());
}

TYPED_TEST(SpanSetTest, AgreesWithADequeOnRandomOperations) {
  std::mt19937_64 random(TestSeed());
  std::deque<MSpan*> model;
  uint64_t next = 0;
  // Waves of mostly pushes and mostly pops.
  uint64_t push_percent = 70;
  for (int i = 0; i < 20000; ++i) {
    if (i % 500 == 0) push_percent = 30 + random() % 41;
    if (random() % 100 < push_percent) {
      ASSERT_TRUE(this->set_.Push(FakeSpan(next)));
      model.push_back(FakeSpan(next++));
    } else {
      MSpan* expected = model.empty() ? nullptr : model.front();
      if (!model.empty()) model.pop_front();
      ASSERT_EQ(this->set_.Pop(), expected);
    }
    ASSERT_EQ(this->set_.Size(), model.size());
    if (i % 1000 == 0) this->set_.CheckInvariants();
    if (model.empty() && random() % 4 == 0) this->set_.Reset();
  }
}

// ---- The OS refuses.

// Pushes `entries` spans and pops a third meanwhile; the OS may refuse.
template <typename Traits>
void PushAndPopUnderRefusals(FakeOsMemory& os, uint64_t entries) {
  PersistentAlloc memory(os);
  BasicSpanSetBlockPool<Traits> pool(memory);
  BasicSpanSet<Traits> set(pool);
  std::deque<MSpan*> model;
  for (uint64_t i = 0; i < entries; ++i) {
    if (set.Push(FakeSpan(i))) model.push_back(FakeSpan(i));
    ASSERT_EQ(set.Size(), model.size());
    if (i % 3 == 2) {
      ASSERT_EQ(set.Pop(), model.empty() ? nullptr : model.front());
      if (!model.empty()) model.pop_front();
    }
  }
  set.CheckInvariants();
  for (MSpan* span : model) ASSERT_EQ(set.Pop(), span);
  ASSERT_EQ(set.Pop(), nullptr);
  set.Reset();
  ASSERT_EQ(pool.CheckInvariants(), pool.blocks());
}

TYPED_TEST(SpanSetTest, SurvivesTheRefusalOfEachOsCall) {
  // Enough for the blocks to need three chunks of memory, of which each takes
  // three calls. A third of what is pushed is popped at once.
  constexpr uint64_t kEntries = TypeParam::kBlockEntries;
  constexpr uint64_t kBlockSize =
      AlignUp(128 + kEntries * sizeof(MSpan*), LfStack::kNodeAlignment);
  constexpr uint64_t kBlocks =
      3 * PersistentAlloc::kChunkSize.value() / kBlockSize;
  const uint64_t failures = ForEachOsFailure([](FakeOsMemory& os) {
    PushAndPopUnderRefusals<TypeParam>(os, kBlocks * 3 / 2 * kEntries);
  });
  EXPECT_GE(failures, 6u);
}

TYPED_TEST(SpanSetTest, RefusedPushClaimsNothing) {
  this->os_.FailFrom(1);
  EXPECT_FALSE(this->set_.Push(FakeSpan(0)));
  EXPECT_TRUE(this->set_.Empty());
  this->set_.CheckInvariants();
  EXPECT_EQ(this->set_.Pop(), nullptr);
  this->set_.Reset();
  this->os_.StopFailing();
  this->PushIds(0, 3);
  this->PopIds(0, 3);
}

TYPED_TEST(SpanSetTest, PushIntoLinkedBlockNeedsNoMemory) {
  constexpr uint32_t kN = TestFixture::kBlockEntries;
  this->PushIds(0, 1);
  this->os_.FailFrom(1);
  // The rest of the chunk.
  while (this->memory_.Allocate(ByteCount(8), 8) != nullptr) {
  }
  this->PushIds(1, kN - 1);
  EXPECT_FALSE(this->set_.Push(FakeSpan(kN)));
  EXPECT_EQ(this->set_.Size(), kN);
  this->set_.CheckInvariants();
  // With its first block free again there is one for the next index.
  this->PopIds(0, kN);
  if (TestFixture::Set::kBlockEntries > 4) {  // its link exists already
    this->PushIds(kN, 1);
    this->PopIds(kN, 1);
  }
}

// ---- The end of the index.

using SpanSetIndexTest = SpanSetTest<SpanSetTraits>;
using SpanSetIndexDeathTest = SpanSetIndexTest;

TEST_F(SpanSetIndexTest, WorksUpToTheLastIndexAndResets) {
  Peer::StartAt(set_, 0u - kBlockEntries);
  PushIds(0, kBlockEntries - 1);
  EXPECT_EQ(set_.Size(), kBlockEntries - 1);
  PopIds(0, kBlockEntries - 1);
  EXPECT_EQ(set_.Pop(), nullptr);
  set_.Reset();
  EXPECT_EQ(pool_.CheckInvariants(), pool_.blocks());
  PushIds(0, kBlockEntries + 1);
  PopIds(0, kBlockEntries + 1);
}

TEST_F(SpanSetIndexTest, OperationsNearTheEndAgreeWithTheirModel) {
  TestRandom random(TestSeed());
  SpanSetTester t;
  for (int round = 0; round < 20; ++round) {
    t.PopNearEnd(256);
    t.StartNearEnd(static_cast<uint32_t>(random.Below(256)));
    for (int i = 0; i < 12; ++i) {
      const auto count = static_cast<uint32_t>(1 + random.Below(64));
      if (random.Below(3) == 0) {
        t.PopNearEnd(count);
      } else {
        t.PushNearEnd(count);
      }
      if (i % 4 == 3) t.Check();
    }
  }
}

TEST_F(SpanSetIndexDeathTest, OverflowIsFatalAndNeverSilent) {
  Peer::StartAt(set_, 0u - kBlockEntries);
  PushIds(0, kBlockEntries - 1);
  EXPECT_DEATH(static_cast<void>(set_.Push(FakeSpan(kBlockEntries))),
               "span set 0x[0-9a-f]+: index overflow, head 4294966784, tail "
               "4294967295");
}

// ---- Misuse and corruption.

using SpanSetDeathTest = SpanSetTest<SmallBlockTraits<4, 2>>;

TEST_F(SpanSetDeathTest, PushOfNull) {
  EXPECT_DEATH(static_cast<void>(set_.Push(nullptr)), "null pushed");
}

TEST_F(SpanSetDeathTest, ResetOfSetWithEntries) {
  PushIds(0, 3);
  PopIds(0, 1);
  EXPECT_DEATH(set_.Reset(), "reset with head 1 and tail 3, expected empty");
}

TEST_F(SpanSetDeathTest, ResetWhilePopperHasNotFinished) {
  PushIds(0, 2);
  PopIds(0, 2);
  Peer::Popped(set_, 0).StoreRelaxed(1);
  EXPECT_DEATH(set_.Reset(), "counts 1 popped, expected 2");
}

TEST_F(SpanSetDeathTest, EntryWhoseBlockIsNotLinked) {
  Peer::SetIndex(set_, 0, 1);
  EXPECT_DEATH(set_.Pop(), "entry 0 claimed, its block is not linked");
}

TEST_F(SpanSetDeathTest, CheckSeesHeadBeyondTail) {
  Peer::SetIndex(set_, 2, 1);
  EXPECT_DEATH(set_.CheckInvariants(), "head 2 is beyond tail 1");
}

TEST_F(SpanSetDeathTest, CheckSeesWrongCount) {
  PushIds(0, 6);
  PopIds(0, 1);
  Peer::Popped(set_, 0).StoreRelaxed(2);
  EXPECT_DEATH(set_.CheckInvariants(), "block 0 counts 2 popped, expected 1");
}

TEST_F(SpanSetDeathTest, CheckSeesLostAndStrayEntries) {
  PushIds(0, 6);
  PopIds(0, 1);
  Peer::Entry(set_, 5).StoreRelaxed(nullptr);
  EXPECT_DEATH(set_.CheckInvariants(), "entry 5 is .* with head 1, tail 6");
  Peer::Entry(set_, 5).StoreRelaxed(FakeSpan(5));
  Peer::Entry(set_, 0).StoreRelaxed(FakeSpan(0));
  EXPECT_DEATH(set_.CheckInvariants(), "entry 0 is .* with head 1, tail 6");
}

TEST_F(SpanSetDeathTest, CheckSeesMissingBlocks) {
  PushIds(0, 4);
  Peer::SetIndex(set_, 0, 5);
  EXPECT_DEATH(set_.CheckInvariants(), "1 blocks linked, tail 5 needs 2");
}

TEST_F(SpanSetDeathTest, PoolSeesDirtyFreeBlock) {
  Peer::FreeDirtyBlock(pool_);
  EXPECT_DEATH(pool_.CheckInvariants(), "free span set block .* has entry 1");
}

}  // namespace
}  // namespace tricolor::mheap
