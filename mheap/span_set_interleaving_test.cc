// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// SpanSet with blocks of two entries under every schedule with a few
// preemptions, checked for linearizability; and the form of its seed, which
// counted entries in use, as the mutant that this must catch.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/check.h"
#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/schedule.h"
#include "tricolor/base/schedule_hooks.h"
#include "tricolor/base/schedule_testing.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/sys/linux_memory.h"
#include "tricolor/mheap/span_set-inl.h"
#include "tricolor/mheap/span_set_testing.h"

namespace tricolor::mheap {
namespace {

struct ExploredTraits {
  static constexpr uint32_t kBlockEntries = 2;
  static constexpr uint32_t kFirstSegment = 1;
  static void AtStep(SpanSetStep) {}
  static void Wait(uint32_t) { schedule::Wait(); }
};

// The accounting of the seed in the queue of today: a pusher counts its entry
// after it has claimed it, a popper takes it off, and whoever brings the count
// to zero frees the block. Runs only under the explorer, one thread at a time,
// so that its fields need not be atomic.
class UsedCountingSpanSet {
 public:
  static constexpr uint32_t kBlockEntries = ExploredTraits::kBlockEntries;
  struct Pool {
    explicit Pool(PersistentAlloc&) {}
  };
  explicit UsedCountingSpanSet(Pool&) {}

  bool Push(MSpan* span) {
    const uint32_t tail = tail_++;
    schedule::Step();
    Block* block = FindOrLink(tail / kBlockEntries);
    schedule::Step();
    ++block->used;
    schedule::Step();
    block->entries[tail % kBlockEntries] = span;
    return true;
  }

  MSpan* Pop() {
    if (head_ == tail_) return nullptr;
    const uint32_t head = head_++;
    schedule::Step();
    const uint32_t k = head / kBlockEntries;
    while (Find(k) == nullptr ||
           Find(k)->entries[head % kBlockEntries] == nullptr) {
      if (schedule::hooks == nullptr) return nullptr;
      schedule::Wait();
    }
    Block* block = Find(k);
    MSpan* span = block->entries[head % kBlockEntries];
    block->entries[head % kBlockEntries] = nullptr;
    schedule::Step();
    if (--block->used == 0) {
      spine_[k] = nullptr;
      free_.push_back(block);
    }
    return span;
  }

  void CheckAtEnd() {}

 private:
  struct Block {
    int used = 0;
    MSpan* entries[kBlockEntries] = {};
  };

  Block* Find(uint32_t k) { return k < spine_.size() ? spine_[k] : nullptr; }
  Block* FindOrLink(uint32_t k) {
    if (Find(k) != nullptr) return spine_[k];
    if (k >= spine_.size()) spine_.resize(k + 1);
    if (free_.empty()) {
      blocks_.emplace_back();
      free_.push_back(&blocks_.back());
    }
    spine_[k] = free_.back();
    free_.pop_back();
    return spine_[k];
  }

  uint32_t head_ = 0;
  uint32_t tail_ = 0;
  std::vector<Block*> spine_;
  std::vector<Block*> free_;
  std::deque<Block> blocks_;
};

// The true form, with what must hold when all threads are done.
template <typename Set>
class CheckedSpanSet : public Set {
 public:
  explicit CheckedSpanSet(typename Set::Pool& pool) : Set(pool), pool_(pool) {}
  void CheckAtEnd() {
    Set::CheckInvariants();
    Set::Reset();
    const uint64_t free = pool_.CheckInvariants();
    TRICOLOR_CHECK(free == pool_.blocks(), "%llu of %llu blocks are free",
                   static_cast<unsigned long long>(free),
                   static_cast<unsigned long long>(pool_.blocks()));
  }

 private:
  typename Set::Pool& pool_;
};
using ExploredSpanSet = CheckedSpanSet<BasicSpanSet<ExploredTraits>>;

// The set that the heap uses, just before a block of 512 entries ends.
class HeapSpanSet : public CheckedSpanSet<SpanSet> {
 public:
  explicit HeapSpanSet(Pool& pool) : CheckedSpanSet<SpanSet>(pool) {
    for (uint32_t i = 0; i + 1 < kBlockEntries; ++i) {
      TRICOLOR_CHECK(Push(FakeSpan(i)) && Pop() == FakeSpan(i),
                     "a set of one thread is no queue");
    }
  }
};

// One Push or Pop of a run, and when it began and ended.
struct Operation {
  bool push = false;
  bool refused = false;   // a Push
  MSpan* span = nullptr;  // a Pop's result, null for none
  uint64_t begin = 0;
  uint64_t end = UINT64_MAX;
  bool done = false;  // in the search below
};

// Whether the operations can be put into an order that respects their times
// and in which a queue gives the same results.
bool Linearizable(std::vector<Operation>& operations, std::deque<MSpan*>& queue,
                  size_t left) {
  if (left == 0) return true;
  uint64_t first_end = UINT64_MAX;
  for (const Operation& op : operations) {
    if (!op.done) first_end = std::min(first_end, op.end);
  }
  for (Operation& op : operations) {
    if (op.done || op.begin > first_end) continue;
    bool ok = true;
    if (op.push && !op.refused) {
      queue.push_back(op.span);
    } else if (!op.push && op.span != nullptr) {
      ok = !queue.empty() && queue.front() == op.span;
      if (ok) queue.pop_front();
    } else if (!op.push) {
      ok = queue.empty();
    }
    if (!ok) continue;
    op.done = true;
    if (Linearizable(operations, queue, left - 1)) return true;
    op.done = false;
    if (op.push && !op.refused) queue.pop_back();
    if (!op.push && op.span != nullptr) queue.push_front(op.span);
  }
  return false;
}

// Threads that each run a program: '+' pushes, '-' pops.
template <typename Set>
class QueueScenario : public schedule::Scenario {
 public:
  explicit QueueScenario(std::vector<std::string> programs,
                         OsMemory& os = ProcessMemory())
      : memory_(os), pool_(memory_), set_(pool_), programs_(programs) {
    for (const std::string& program : programs_) {
      log_.emplace_back(program.size());
    }
  }

  int threads() const override { return static_cast<int>(programs_.size()); }

  void Run(int t) override {
    const size_t thread = static_cast<size_t>(t);
    for (size_t i = 0; i < programs_[thread].size(); ++i) {
      Operation& op = log_[thread][i];
      op.begin = clock_++;
      op.push = programs_[thread][i] == '+';
      if (op.push) {
        op.span = FakeSpan(100 * thread + i);
        op.refused = !set_.Push(op.span);
      } else {
        op.span = set_.Pop();
      }
      op.end = clock_++;
    }
  }

  std::string Check() override {
    std::vector<Operation> operations;
    for (const auto& log : log_) {
      operations.insert(operations.end(), log.begin(), log.end());
    }
    // What is left comes out at the end.
    for (bool more = true; more;) {
      Operation op;
      op.begin = clock_++;
      op.span = set_.Pop();
      op.end = clock_++;
      more = op.span != nullptr;
      operations.push_back(op);
    }
    std::deque<MSpan*> queue;
    if (!Linearizable(operations, queue, operations.size())) {
      return "no order of the operations explains their results";
    }
    set_.CheckAtEnd();
    return "";
  }

 protected:
  PersistentAlloc memory_;
  typename Set::Pool pool_;
  Set set_;

 private:
  std::vector<std::string> programs_;
  std::vector<std::vector<Operation>> log_;
  uint64_t clock_ = 0;
};

template <typename Set>
schedule::Factory Threads(std::vector<std::string> programs) {
  return [programs] { return std::make_unique<QueueScenario<Set>>(programs); };
}

schedule::Result ExploreGood(std::vector<std::string> programs, int preemptions,
                             uint64_t at_least) {
  return schedule::ExploreGood(Threads<ExploredSpanSet>(programs), preemptions,
                               at_least);
}

TEST(SpanSetInterleavingTest, TwoPushersAndAPopperAcrossABlockEdge) {
  ExploreGood({"++", "++", "---"}, 2, 1000);
}

TEST(SpanSetInterleavingTest, PusherAndTwoPoppersOfOneBlock) {
  ExploreGood({"+++", "--", "--"}, 2, 1000);
}

TEST(SpanSetInterleavingTest, TwoThreadsThatPushAndPop) {
  ExploreGood({"+-+-", "+-+-"}, 2, 1000);
}

TEST(SpanSetInterleavingTest, FourThreadsUnderRandomSchedules) {
  const schedule::Factory factory =
      Threads<ExploredSpanSet>({"+++", "++-", "--+", "---"});
  schedule::PctGood(factory, 7, 1000);
  schedule::ExpectGood(factory, schedule::RandomWalk(factory, 7, 1000), 1000);
}

TEST(SpanSetInterleavingTest, TheHeapsOwnSetAcrossABlockEdge) {
  schedule::ExploreGood(Threads<HeapSpanSet>({"++", "-+-", "-"}), 2, 1000);
  schedule::ExploreGood(Threads<HeapSpanSet>({"++-", "+--"}), 2, 500);
}

// There is memory for one block only: pushes are refused, or wait for a popper
// to free the block, as the schedule has it.
class OneBlockScenario : public QueueScenario<ExploredSpanSet> {
 public:
  OneBlockScenario(FakeOsMemory& os, std::vector<std::string> programs)
      : QueueScenario(programs, os) {
    // The links of the first seven blocks, and one block.
    for (uint64_t i = 0; i < 7 * ExploredSpanSet::kBlockEntries; ++i) {
      TRICOLOR_CHECK(set_.Push(FakeSpan(i)) && set_.Pop() == FakeSpan(i),
                     "a set of one thread is no queue");
    }
    set_.Reset();
    TRICOLOR_CHECK(pool_.blocks() == 1, "a block is not used again");
    os.FailFrom(1);
    while (memory_.Allocate(ByteCount(512), 8) != nullptr) {
    }
  }
};

TEST(SpanSetInterleavingTest, RefusedPushesClaimNothing) {
  std::unique_ptr<FakeOsMemory> os;
  const schedule::Factory factory = [&os] {
    os = std::make_unique<FakeOsMemory>(
        FakeOsMemoryOptions{.protect = false, .check_leaks = false});
    return std::make_unique<OneBlockScenario>(
        *os, std::vector<std::string>{"++", "++", "--"});
  };
  schedule::ExploreGood(factory, 2, 500);
}

TEST(SpanSetInterleavingTest, SeedFormWorksWhileOneThreadAtATimeUsesIt) {
  schedule::ExploreGood(Threads<UsedCountingSpanSet>({"+++--+---"}), 0, 1);
}

TEST(SpanSetInterleavingTest, SeedFormLosesASpanWhenPushMeetsPop) {
  const schedule::Result result =
      schedule::Explore(Threads<UsedCountingSpanSet>({"+", "+", "-"}), 2);
  EXPECT_NE(result.failure, "")
      << "not caught in " << result.schedules << " schedules";
  ::testing::Test::RecordProperty("caught_in", result.Describe());
}

}  // namespace
}  // namespace tricolor::mheap
