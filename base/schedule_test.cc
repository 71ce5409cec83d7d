// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/schedule.h"

#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/check.h"
#include "tricolor/base/lock_rank.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/pause.h"

namespace tricolor::schedule {
namespace {

// Threads that share a State, which says in the end what is wrong.
template <typename State>
class Threads final : public Scenario {
 public:
  using Body = void (*)(State&);
  explicit Threads(std::vector<Body> bodies) : bodies_(std::move(bodies)) {}
  int threads() const override { return static_cast<int>(bodies_.size()); }
  void Run(int t) override { bodies_[static_cast<size_t>(t)](state_); }
  std::string Check() override { return state_.Check(); }

 private:
  State state_;
  std::vector<Body> bodies_;
};

template <typename State>
Factory Of(std::vector<void (*)(State&)> bodies) {
  return [bodies] { return std::make_unique<Threads<State>>(bodies); };
}

// ---- Two threads that each add one, not in one step.

struct Counter {
  Atomic<int> value;
  std::string Check() const {
    return value.LoadRelaxed() == 2 ? "" : "an addition is lost";
  }
};
void AddInTwoSteps(Counter& c) { c.value.AddOwned(1); }
void AddInOneStep(Counter& c) { c.value.FetchAddRelaxed(1); }

TEST(ScheduleTest, EveryOperationOfAnAtomicIsAStep) {
  const Factory lossy = Of<Counter>({&AddInTwoSteps, &AddInTwoSteps});
  EXPECT_TRUE(Explore(lossy, 0).ok());
  const Result result = Explore(lossy, 1);
  EXPECT_EQ(result.failure, "an addition is lost");
  EXPECT_EQ(result.preemptions, 1);
  EXPECT_TRUE(Explore(Of<Counter>({&AddInOneStep, &AddInOneStep}), 5).ok());
}

TEST(ScheduleTest, ExploresEverySchedule) {
  struct Steps {
    std::string Check() const { return ""; }
  };
  // Before a thread's first step nothing has happened: a and b steps, and the
  // places before them, make (a + b choose a) orders.
  const auto three = [](Steps&) {
    for (int i = 0; i < 2; ++i) Step();
  };
  const Result result = Explore(Of<Steps>({three, three}), INT32_MAX);
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.schedules, 20u);  // 6 choose 3
  EXPECT_EQ(result.steps, 6u);
  EXPECT_EQ(Explore(Of<Steps>({three, three}), 0).schedules, 2u);
}

TEST(ScheduleTest, EveryStrategyFindsAndRepeatsABug) {
  const Factory lossy = Of<Counter>({&AddInTwoSteps, &AddInTwoSteps});
  for (const Result& found :
       {Explore(lossy, 2), RandomWalk(lossy, 1, 100), Pct(lossy, 1, 100, 2)}) {
    EXPECT_EQ(found.failure, "an addition is lost");
    EXPECT_LT(found.schedules, 100u);
    EXPECT_EQ(Replay(lossy, found.schedule).failure, found.failure);
  }
  // From the seed alone.
  EXPECT_EQ(Pct(lossy, 1, 100, 2).schedule, Pct(lossy, 1, 100, 2).schedule);
}

// ---- A lock that is taken in different orders, and one that is not.

struct TwoLocks {
  Mutex a{LockRank::kHeap};
  Mutex b{LockRank::kLeaf};
  int value = 0;
  Atomic<bool> turned{false};
  std::string Check() const { return ""; }
};

TEST(ScheduleTest, FindsADeadlock) {
  // Ranks forbid the other order, so a spinning lock stands in for one of them.
  const auto a_then_turned = [](TwoLocks& l) {
    MutexLock lock(l.a);
    while (l.turned.ExchangeAcquire(true)) PauseCpu();
    l.turned.StoreRelease(false);
  };
  const auto turned_then_a = [](TwoLocks& l) {
    while (l.turned.ExchangeAcquire(true)) PauseCpu();
    { MutexLock lock(l.a); }
    l.turned.StoreRelease(false);
  };
  EXPECT_TRUE(Explore(Of<TwoLocks>({a_then_turned, a_then_turned}), 3).ok());
  const Result result =
      Explore(Of<TwoLocks>({a_then_turned, turned_then_a}), 3);
  EXPECT_NE(result.failure, "");
}

TEST(ScheduleTest, AMutexExcludes) {
  struct Guarded {
    Mutex mutex{LockRank::kLeaf};
    int value = 0;
    std::string Check() const { return value == 2 ? "" : "not excluded"; }
  };
  const auto add = [](Guarded& g) {
    MutexLock lock(g.mutex);
    const int before = g.value;
    Step();
    g.value = before + 1;
  };
  const auto try_to_add = [](Guarded& g) {
    while (!g.mutex.TryLock()) PauseCpu();
    ++g.value;
    g.mutex.Unlock();
  };
  EXPECT_TRUE(Explore(Of<Guarded>({add, add}), 4).ok());
  EXPECT_TRUE(Explore(Of<Guarded>({add, try_to_add}), 4).ok());
}

// ---- Waiting.

struct Mailbox {
  Mutex mutex{LockRank::kLeaf};
  CondVar arrives;
  Atomic<int> letters;
  int taken = 0;
  int late = 0;
  std::string Check() const { return taken == 1 ? "" : "nothing was taken"; }
};
void Take(Mailbox& m) {
  MutexLock lock(m.mutex);
  while (m.letters.LoadRelaxed() == 0) m.arrives.Wait(m.mutex);
  ++m.taken;
}
void SendUnderLock(Mailbox& m) {
  MutexLock lock(m.mutex);
  m.letters.StoreRelaxed(1);
  m.arrives.Signal();
}
void SendWithoutLock(Mailbox& m) {
  m.letters.StoreRelaxed(1);
  m.arrives.Signal();
}
void TakeInTime(Mailbox& m) {
  MutexLock lock(m.mutex);
  while (m.letters.LoadRelaxed() == 0) {
    if (!m.arrives.WaitFor(m.mutex, 1000)) ++m.late;
  }
  ++m.taken;
}

TEST(ScheduleTest, FindsASignalThatIsLost) {
  EXPECT_TRUE(Explore(Of<Mailbox>({&Take, &SendUnderLock}), 4).ok());
  const Result result = Explore(Of<Mailbox>({&Take, &SendWithoutLock}), 2);
  EXPECT_EQ(result.failure.substr(0, 8), "deadlock") << result.failure;
  EXPECT_NE(result.failure.find("thread 0 is blocked"), std::string::npos);
}

TEST(ScheduleTest, TimeRunsOutWhenNobodySignalsAndEarlier) {
  EXPECT_TRUE(Explore(Of<Mailbox>({&TakeInTime, &SendWithoutLock}), 3).ok());
  struct Early : Mailbox {
    std::string Check() const { return late == 0 ? "" : "late"; }
  };
  const auto take = [](Early& m) { TakeInTime(m); };
  const auto send = [](Early& m) { SendUnderLock(m); };
  EXPECT_EQ(Explore(Of<Early>({take, send}), 0).failure, "");
  EXPECT_EQ(Explore(Of<Early>({take, send}), 1).failure, "late");
}

TEST(ScheduleTest, WaitingInALoopIsNoFailureUnlessAllDo) {
  struct Flag {
    Atomic<bool> set{false};
    std::string Check() const { return ""; }
  };
  const auto await = [](Flag& f) {
    while (!f.set.LoadAcquire()) PauseCpu();
  };
  const auto set = [](Flag& f) { f.set.StoreRelease(true); };
  EXPECT_TRUE(Explore(Of<Flag>({await, set, await}), 2).ok());
  EXPECT_EQ(Explore(Of<Flag>({await, await}), 2).failure.substr(0, 8),
            "livelock");
}

// ---- Failures of all kinds, and what is made of them.

TEST(ScheduleTest, ADeadProcessIsAFailure) {
  struct Nothing {
    std::string Check() const { return ""; }
  };
  const auto check = [](Nothing&) {
    Step();
    TRICOLOR_CHECK(hooks == nullptr, "a check failed");
  };
  const Result checked = Explore(Of<Nothing>({check}), 0);
  EXPECT_EQ(checked.failure, "tricolor: fatal: a check failed");
  EXPECT_EQ(checked.schedule, Schedule({0, 0}));
  EXPECT_EQ(Replay(Of<Nothing>({check}), checked.schedule).failure,
            checked.failure);
  const auto leave = [](Nothing&) { _exit(3); };
  EXPECT_EQ(Explore(Of<Nothing>({leave}), 0).failure, "died with exit code 3");
}

TEST(ScheduleTest, AScenarioThatDependsOnMoreThanItsScheduleIsRefused) {
  class Varying final : public Scenario {
   public:
    explicit Varying(int threads) : threads_(threads) {}
    int threads() const override { return threads_; }
    void Run(int) override { Step(); }
    std::string Check() override { return ""; }

   private:
    const int threads_;
  };
  int threads = 2;
  const Factory factory = [&threads] {
    return std::make_unique<Varying>(threads++);
  };
  const Result result = Explore(factory, 1);
  EXPECT_NE(result.failure.find("more than its schedule"), std::string::npos)
      << result.failure;
}

// Three steps of one thread must fall between steps of the other.
struct Deep {
  Atomic<int> stage;
  Atomic<int> noise;
  std::string Check() const {
    return stage.LoadRelaxed() == 4 ? "all four in a row" : "";
  }
};
void Odd(Deep& d) {
  for (const int from : {0, 2}) {
    for (int i = 0; i < 5; ++i) d.noise.FetchAddRelaxed(1);
    int expected = from;
    d.stage.CompareExchangeRelaxed(expected, from + 1);
  }
}
void Even(Deep& d) {
  for (const int from : {1, 3}) {
    for (int i = 0; i < 5; ++i) d.noise.FetchAddRelaxed(1);
    int expected = from;
    d.stage.CompareExchangeRelaxed(expected, from + 1);
  }
}

TEST(ScheduleTest, AFailureIsRepeatedAHundredTimes) {
  const Factory deep = Of<Deep>({&Odd, &Even});
  const Result found = Pct(deep, 3, 100000, 4);
  ASSERT_EQ(found.failure, "all four in a row");
  const Result first = Replay(deep, found.schedule);
  EXPECT_EQ(first.failure, found.failure);
  for (int i = 1; i < 100; ++i) {
    const Result again = Replay(deep, found.schedule);
    ASSERT_EQ(again.failure, first.failure);
    ASSERT_EQ(again.schedule, found.schedule);
    ASSERT_EQ(again.trace, first.trace);
  }
}

TEST(ScheduleTest, AFailureIsShrunk) {
  const Factory deep = Of<Deep>({&Odd, &Even});
  const Result found = RandomWalk(deep, 1, 100000);
  ASSERT_EQ(found.failure, "all four in a row");
  const Result small = Shrink(deep, found);
  EXPECT_EQ(small.failure, found.failure);
  EXPECT_LT(small.preemptions, found.preemptions);
  // No schedule has fewer: the search of all those finds none.
  EXPECT_EQ(small.preemptions, 2);
  EXPECT_TRUE(Explore(deep, 1).ok());
  EXPECT_EQ(Replay(deep, small.schedule).trace, small.trace);
  EXPECT_NE(small.trace.find("compare-exchange"), std::string::npos);
  EXPECT_NE(small.trace.find("Odd()"), std::string::npos) << small.trace;
}

}  // namespace
}  // namespace tricolor::schedule
