// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Central lists, caches and sweeper with real threads: mutators, a background
// sweeper and a marker. The world is stopped by a barrier. Meant for
// ThreadSanitizer; by itself it finds objects that are overwritten.

#include <barrier>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/check.h"
#include "tricolor/base/test_random.h"
#include "tricolor/mcache/mcache.h"
#include "tricolor/mcentral/test_heap.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/span_set.h"
#include "tricolor/mheap/type_info.h"
#include "tricolor/sweep/sweeper.h"

namespace tricolor::caches {
namespace {

using mheap::MSpan;
using Tracing = TypeInfo::Tracing;

constexpr uint64_t kPointers[] = {0b101};
constexpr TypeInfo kTypes[] = {
    {.size = 8, .align = 8},
    {.size = 16, .align = 8},
    {.size = 64, .align = 8},
    {.size = 512, .align = 8},
    {.size = 10000, .align = 8},
    {.size = 40000, .align = 8},
    {.size = 32,
     .align = 8,
     .tracing = Tracing::kBitmap,
     .pointer_words = 3,
     .bitmap = kPointers},
    {.size = 600, .align = 8, .tracing = Tracing::kConservative},
};

struct Object {
  void* address;
  size_t bytes;
  uint64_t tag;
};

// An object is filled with its tag at both ends.
void Write(const Object& object) {
  auto* memory = static_cast<char*>(object.address);
  std::memcpy(memory, &object.tag, 8);
  std::memcpy(memory + object.bytes - 8, &object.tag, 8);
}
void Check(const Object& object) {
  const auto* memory = static_cast<const char*>(object.address);
  TRICOLOR_CHECK(
      std::memcmp(memory, &object.tag, 8) == 0 &&
          std::memcmp(memory + object.bytes - 8, &object.tag, 8) == 0,
      "object %p was overwritten", object.address);
}

class NoObserver final : public mcache::AllocationObserver {
 public:
  void HeapLiveChanged(int64_t bytes) override { live_.FetchAddRelaxed(bytes); }

 private:
  Atomic<int64_t> live_;
};

class NoReceiver final : public mheap::SpecialReceiver {
 public:
  void TakeDead(mheap::Special*) override {}
};

struct Processor {
  Processor(mcentral::TestHeap& test_heap, mcache::AllocationObserver& observer)
      : t(test_heap), cache(t.heap, t.centrals, pages, observer) {
    t.heap.AttachProcessor(pages);
  }
  ~Processor() { t.heap.ReleaseProcessor(pages); }
  mcentral::TestHeap& t;
  mheap::ProcessorCache pages;
  mcache::MCache cache;
  std::vector<Object> live;
};

class World {
 public:
  World(int mutators, uint64_t seed)
      : sweeper_(t_.heap, t_.centrals, receiver_),
        barrier_(mutators + 2),
        seed_(seed) {
    t_.heap.set_sweeper(&sweeper_);
    for (int i = 0; i < mutators; ++i) {
      processors_.push_back(std::make_unique<Processor>(t_, observer_));
    }
  }

  void Run(int rounds) {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < processors_.size(); ++i) {
      threads.emplace_back([this, i, rounds] { Mutate(i, rounds); });
    }
    threads.emplace_back([this, rounds] { SweepInBackground(rounds); });
    threads.emplace_back([this] { ReadStats(); });
    Collect(rounds);
    GrantMetadata();
    done_.StoreRelaxed(true);
    for (std::thread& thread : threads) thread.join();
    FinishSweep();
    for (auto& p : processors_) p->cache.ReleaseAll();
    t_.heap.FreeManual(t_.processor, filler_);
    sweeper_.CheckInvariants();
    t_.centrals.CheckInvariants();
    t_.heap.CheckInvariants();
  }

 private:
  // Between two barriers all mutators run; then the world is stopped.
  void Mutate(size_t self, int rounds) {
    TestRandom random(seed_ + self);
    for (int round = 0; round < rounds; ++round) {
      // A processor that is idle is flushed by someone else.
      if (!IsIdle(self, round)) MutateOnce(self, round, random);
      barrier_.arrive_and_wait();
      barrier_.arrive_and_wait();
    }
  }

  bool IsIdle(size_t self, int round) const {
    return self != 0 && (static_cast<size_t>(round) + self) % 3 == 0;
  }

  void MutateOnce(size_t self, int round, TestRandom& random) {
    Processor& p = *processors_[self];
    p.cache.PrepareForSweep();
    if (self == 0) {
      for (size_t i = 0; i < processors_.size(); ++i) {
        if (IsIdle(i, round)) processors_[i]->cache.PrepareForSweep();
      }
    }
    for (int i = 0; i < 300; ++i) {
      const uint64_t choice = random.Below(20);
      if (choice < 12) {
        Allocate(p, random);
      } else if (choice < 17) {
        Drop(p, random);
      } else if (choice == 17) {
        if (p.live.empty()) continue;
        const Object& object = p.live[random.Below(p.live.size())];
        sweeper_.EnsureSwept(p.pages,
                             *t_.heap.HeapSpanOf(Addr(object.address)));
      } else if (choice == 18) {
        sweeper_.Reclaim(p.pages, PageCount(random.Below(20)));
      } else if (random.OneIn(10)) {
        p.cache.ReleaseAll();
      }
    }
  }

  void Allocate(Processor& p, TestRandom& random) {
    const TypeInfo& type = kTypes[random.Below(std::size(kTypes))];
    for (uint64_t n = random.Below(20); n > 0; --n) {
      void* memory = p.cache.Allocate(type, 1);
      if (memory == nullptr) return;
      const Object object{memory, type.size, random.Next()};
      uint64_t first = 1;
      std::memcpy(&first, memory, 8);
      TRICOLOR_CHECK(first == 0, "object %p is not zero", memory);
      Write(object);
      p.live.push_back(object);
    }
  }

  void Drop(Processor& p, TestRandom& random) {
    for (uint64_t n = random.Below(60); n > 0 && !p.live.empty(); --n) {
      Object& object = p.live[random.Below(p.live.size())];
      Check(object);
      object = p.live.back();
      p.live.pop_back();
    }
  }

  void SweepInBackground(int rounds) {
    mheap::ProcessorCache pages;
    t_.heap.AttachProcessor(pages);
    for (int round = 0; round < rounds; ++round) {
      while (sweeper_.SweepOne(pages).has_value()) std::this_thread::yield();
      barrier_.arrive_and_wait();
      barrier_.arrive_and_wait();
    }
    t_.heap.ReleaseProcessor(pages);
  }

  // At any moment: no object is freed before it was allocated, and none is in
  // pages that belong to no heap span (INV-MHEAP-OBJECTS).
  void ReadStats() {
    uint64_t freed = 0;
    while (!done_.LoadRelaxed()) {
      const mheap::HeapStats stats = t_.heap.ReadStats();
      stats.CheckObjects();
      TRICOLOR_CHECK(stats.large_freed_bytes >= freed,
                     "%zu bytes of large objects freed, before %zu",
                     size_t{stats.large_freed_bytes}, size_t{freed});
      freed = stats.large_freed_bytes;
      std::this_thread::yield();
    }
  }

  // Odd rounds mark while the mutators run, even ones with the world stopped.
  void Collect(int rounds) {
    TestRandom random(seed_ + 1000);
    for (int round = 0; round < rounds; ++round) {
      if (marking_) MarkConcurrently(random);
      barrier_.arrive_and_wait();
      if (round % 12 == 9) GrantMetadata();
      if (marking_) {
        EndMark(random);
      } else {
        FinishSweep();
        if (BeginMark() && round % 2 == 0) EndMark(random);
      }
      // A phase has begun: the sets for what it sweeps have no blocks yet.
      if (round % 12 == 4) RefuseMetadata();
      barrier_.arrive_and_wait();
    }
    EXPECT_GT(t_.os.failures(), 0u);
  }

  // From now on the heap grows, but there are no new mark bits and no blocks of
  // span sets: spans stay unlisted.
  void RefuseMetadata() {
    // It needs more than blocks at first.
    TRICOLOR_CHECK(hoard_.Push(filler_), "no memory for a set");
    t_.os.FailOnly(OsCall::kReserve);
    t_.os.FailFrom(1);
    while (t_.heap.metadata().Allocate(ByteCount(512), 8) != nullptr) {
    }
    while (hoard_.Push(filler_)) {
    }
  }
  void GrantMetadata() {
    t_.os.StopFailing();
    while (hoard_.Pop() != nullptr) {
    }
    hoard_.Reset();
  }

  void FinishSweep() {
    for (auto& p : processors_) {
      // Idle in every round so far, or the world has just ended.
      p->cache.PrepareForSweep();
      for (const Object& object : p->live) Check(object);
    }
    sweeper_.SweepAll(t_.processor);
  }

  // False when there is no memory for mark bits.
  bool BeginMark() {
    if (!t_.heap.mark_bit_arenas().Rotate()) return false;
    for (auto& p : processors_) {
      p->cache.ParkRuns();
      p->cache.set_allocate_black(true);
    }
    t_.heap.ClearPageMarks();
    marking_ = true;
    for (auto& p : processors_) {
      for (const Object& object : p->live) snapshot_.push_back(object.address);
    }
    return true;
  }

  void MarkConcurrently(TestRandom& random) {
    for (size_t n = snapshot_.size() / 2; n > 0; --n) {
      Mark(snapshot_.back());
      snapshot_.pop_back();
      const Addr any =
          t_.heap.base() + ByteCount(random.Below(t_.heap.grown().value()));
      MSpan* span = t_.heap.HeapSpanOf(any);
      if (span == nullptr || span->IsFree(span->IndexOf(any))) continue;
      if (span->is_large() && span->large_type() == nullptr) continue;
      Mark(any.pointer());
    }
  }

  void Mark(void* object) {
    MSpan* span = t_.heap.HeapSpanOf(Addr(object));
    TRICOLOR_CHECK(span != nullptr, "object %p in no span", object);
    const uint32_t index = span->IndexOf(Addr(object));
    TRICOLOR_CHECK(!span->IsFree(index), "object %p is free", object);
    t_.Mark(span, index);
  }

  void EndMark(TestRandom& random) {
    for (void* object : snapshot_) Mark(object);
    snapshot_.clear();
    for (auto& p : processors_) p->cache.set_allocate_black(false);
    marking_ = false;
    sweeper_.StartPhase();
    sweeper_.SetPace(ByteCount(random.Below(4 << 20)), t_.heap.pages_in_use());
  }

  mcentral::TestHeap t_;
  // Has the free blocks while metadata is refused.
  mheap::SpanSet hoard_{t_.heap.span_set_blocks()};
  MSpan* const filler_ = t_.heap.AllocManual(t_.processor, PageCount(1));
  NoObserver observer_;
  NoReceiver receiver_;
  sweep::Sweeper sweeper_;
  std::vector<std::unique_ptr<Processor>> processors_;
  std::barrier<> barrier_;
  const uint64_t seed_;
  bool marking_ = false;
  std::vector<void*> snapshot_;
  Atomic<bool> done_;
};

TEST(CachesThreadsTest, NoObjectIsOverwritten) {
  World world(4, TestSeed());
  world.Run(60);
}

}  // namespace
}  // namespace tricolor::caches
