// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// When marking is over: work buffers that are handed from worker to worker, and
// the decision that nothing is left, under every schedule of a few preemptions.
// By hand on WorkBufs and IdleWorkers, and with the marker itself.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/check.h"
#include "tricolor/base/pause.h"
#include "tricolor/base/schedule.h"
#include "tricolor/base/schedule_testing.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/gc/gc_testing.h"
#include "tricolor/gc/grey_buffer.h"
#include "tricolor/gc/idle_workers.h"
#include "tricolor/gc/marker.h"
#include "tricolor/gc/work_bufs.h"

namespace tricolor::gc {
namespace {

FakeOsMemoryOptions OsOptions() { return {.protect = false}; }
mheap::MHeapOptions HeapOptions() { return {.reservation = mheap::kArenaSize}; }

// ---- The pool of buffers and the count of idle workers alone.

// Tasks: an item n is n tasks, one of which is to publish an item n - 1. They
// come from outside, as a mutator's do, or are there at first.
class TaskScenario final : public schedule::Scenario {
 public:
  // Besides `workers`, a thread that publishes one more item, if `late` is not
  // 0.
  TaskScenario(int workers, uint32_t first, uint32_t late)
      : workers_(workers), late_(late) {
    bufs_.BeginCycle();
    for (int i = 0; i < 8; ++i) spare_.push_back(bufs_.GetEmpty());
    for (WorkBuf* buf : spare_) bufs_.PutEmpty(buf);
    idle_.Reset(static_cast<uint32_t>(workers));
    if (first != 0) Publish(first);
  }
  ~TaskScenario() override { bufs_.EndCycle(); }

  int threads() const override { return workers_ + (late_ != 0 ? 1 : 0); }

  void Run(int t) override {
    if (t == workers_) return Publish(late_);
    do {
      while (WorkBuf* buf = bufs_.TryGetFull()) {
        TRICOLOR_CHECK(!over_, "work is done after the end");
        const auto n = static_cast<uint32_t>(buf->items[0]);
        buf->count = 0;
        bufs_.PutEmpty(buf);
        if (n > 1) Publish(n - 1);
        done_.FetchAddRelaxed(1);
      }
    } while (HasMore());
  }

  std::string Check() override {
    bufs_.CheckInvariants();
    uint32_t left = 0;
    while (WorkBuf* buf = bufs_.TryGetFull()) {
      left += static_cast<uint32_t>(buf->items[0]);
      buf->count = 0;
      bufs_.PutEmpty(buf);
    }
    // Only what came from outside, and late, may be left.
    if (left > late_) return std::to_string(left) + " tasks are left";
    return "";
  }

 private:
  void Publish(uint32_t n) {
    WorkBuf* buf = bufs_.GetEmpty();
    buf->items[0] = n;
    buf->count = 1;
    bufs_.PutFull(buf);
    idle_.WorkPublished();
  }

  bool HasMore() {
    switch (idle_.Await([this] { return bufs_.HasFull(); })) {
      case IdleWorkers::Outcome::kWork:
        schedule::Witness(0);
        TRICOLOR_CHECK(!over_, "a worker goes on after the end");
        return true;
      case IdleWorkers::Outcome::kDone:
        return false;
      case IdleWorkers::Outcome::kLast:
        over_ = true;
        schedule::Step();
        idle_.Finish();
        return false;
    }
    return false;
  }

  const int workers_;
  const uint32_t late_;
  FakeOsMemory os_{OsOptions()};
  TestHeap heap_{os_, HeapOptions()};
  WorkBufs bufs_{heap_.heap};
  IdleWorkers idle_;
  Atomic<uint32_t> done_;
  std::vector<WorkBuf*> spare_;
  bool over_ = false;
};

schedule::Result ExploreTasks(int workers, uint32_t first, uint32_t late,
                              int preemptions, uint64_t at_least) {
  return schedule::ExploreGood(
      [=] { return std::make_unique<TaskScenario>(workers, first, late); },
      preemptions, at_least);
}

TEST(MarkScheduleTest, WorkersStopWhenNothingIsLeftAndNotBefore) {
  const schedule::Result result = ExploreTasks(2, 2, 0, 2, 100);
  EXPECT_GT(result.witnessed[0], 0u);  // one was idle, and got work
}

TEST(MarkScheduleTest, WhoIsIdleStaysSoOnceTheLastOneDecides) {
  ExploreTasks(2, 0, 1, 2, 100);
  ExploreTasks(3, 0, 1, 0, 100);
}

TEST(MarkScheduleTest, ManyWorkersUnderRandomPriorities) {
  schedule::PctGood([] { return std::make_unique<TaskScenario>(4, 5, 3); }, 1,
                    1000);
}

// ---- The marker, beside a mutator.

using Tracing = TypeInfo::Tracing;
constexpr uint64_t kPointers[] = {0b11};
constexpr TypeInfo kPair = {.size = 16,
                            .align = 8,
                            .tracing = Tracing::kBitmap,
                            .pointer_words = 2,
                            .bitmap = kPointers,
                            .name = "Pair"};

// Two workers mark from a root; a mutator takes the object at the end of the
// list out, and records it. Rounds go on until one has found nothing.
class MarkerScenario final : public schedule::Scenario {
 public:
  MarkerScenario() {
    for (int i = 0; i < 4; ++i) {
      void** object = static_cast<void**>(heap_.New(kPair));
      object[0] = list_;
      list_ = object;
    }
    hidden_ = static_cast<void**>(heap_.New(kPair));
    list_[1] = hidden_;
    roots_.AddPointer(list_);
    roots_.AddPointer(list_[0]);
    marker_.BeginCycle(roots_, {.workers = 2, .concurrent = true});
  }

  int threads() const override { return 3; }

  void Run(int t) override {
    if (t == 2) {
      // The barrier of list_[1] = nullptr.
      GreyBuffer grey(marker_);
      grey.Add(Addr(LoadWordRelaxed(&list_[1])).value());
      StoreWordRelaxed(&list_[1], static_cast<void*>(nullptr));
      grey.Publish();
      published_.StoreRelease(true);
      return;
    }
    for (uint32_t round = 0;; ++round) {
      marker_.RunWorker(t);
      returned_.FetchAddAcqRel(1);
      if (t == 0 ? !BeginRound() : !AwaitRound(round)) return;
    }
  }

  std::string Check() override {
    marker_.EndCycle();
    marker_.CheckInvariants();
    for (void** object = list_; object != nullptr;
         object = static_cast<void**>(object[0])) {
      if (!heap_.IsMarked(object)) return "an object is not marked";
    }
    return heap_.IsMarked(hidden_) ? "" : "what was recorded is not marked";
  }

 private:
  // Whether there is another one; by worker 0.
  bool BeginRound() {
    while (returned_.LoadAcquire() != 2 || !published_.LoadAcquire()) {
      PauseCpu();
    }
    returned_.StoreRelaxed(0);
    const bool more = marker_.HasWork();
    if (more) {
      schedule::Witness(0);
      marker_.NextRound(2);
    }
    ended_.StoreRelaxed(!more);
    rounds_.FetchAddAcqRel(1);
    return more;
  }
  bool AwaitRound(uint32_t round) {
    while (rounds_.LoadAcquire() == round) PauseCpu();
    return !ended_.LoadRelaxed();
  }

  FakeOsMemory os_{OsOptions()};
  TestHeap heap_{os_, HeapOptions()};
  Marker marker_{heap_.heap, 2};
  TestRoots roots_;
  void** list_ = nullptr;
  void** hidden_ = nullptr;
  Atomic<bool> published_{false};
  Atomic<uint32_t> returned_;
  Atomic<uint32_t> rounds_;
  Atomic<bool> ended_{false};
};

schedule::Factory Marking() {
  return [] { return std::make_unique<MarkerScenario>(); };
}

TEST(MarkScheduleTest, AllThatIsReachableIsMarked) {
  const schedule::Result result = schedule::ExploreGood(Marking(), 1, 50);
  EXPECT_GT(result.witnessed[0], 0u);  // another round
}

TEST(MarkScheduleTest, AllThatIsReachableIsMarkedUnderRandomPriorities) {
  schedule::PctGood(Marking(), 1, 500);
}

}  // namespace
}  // namespace tricolor::gc
