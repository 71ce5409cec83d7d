// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The protocol of ConsistentStats as state machines on memory with store
// buffers, in every interleaving: each thread's stores wait in a queue and
// reach memory in their order at any later time (x86-TSO; C++ release and
// acquire promise less); a seq_cst store waits until its queue is empty.
//
// Two writers move units between two counters. The first makes a span and hands
// it to the second, which frees it; the reader reads twice meanwhile. Mutants
// of the protocol are negative controls: each must be caught.

#include <array>
#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace tricolor::mheap {
namespace {

enum class Mutant {
  kNone,
  kWriterEntersWithRelease,       // the sequence may stay in the queue
  kReaderAdvancesWithRelease,     // so may the generation
  kReaderDoesNotWait,             // for the end of sections
  kReaderDoesNotAdvance,          // there is one generation only
  kGenerationReadBeforeEntering,  // and not within the section
  kCountedAfterHandingOver,       // the first section is late
};

constexpr int kWriters = 2;
constexpr int kReader = kWriters;
constexpr int kReads = 2;
constexpr int8_t kUnits = 2;

// Memory: a number each.
constexpr int kGeneration = 0;
constexpr int kHandedOver = 1;
constexpr int Sequence(int writer) { return 2 + writer; }
// Counter 0 is of spans, 1 of what is free.
constexpr int Change(int writer, int generation, int counter) {
  return 4 + writer * 4 + generation * 2 + counter;
}
constexpr int kCells = 4 + kWriters * 4;

struct Store {
  int8_t cell;
  int8_t value;
};

struct Thread {
  int8_t step = 0;
  int8_t round = 0;   // of a writer: sections; of the reader: reads
  int8_t other = 0;   // of the reader: the writer that it looks at
  int8_t kept = 0;    // a generation, or the sequence waited for
  int8_t loaded = 0;  // by an addition that has not stored yet
  std::deque<Store> queue;
};

struct State {
  std::array<int8_t, kCells> memory{};
  std::array<int8_t, 2> total{0, kUnits};  // the reader's
  std::array<Thread, kWriters + 1> threads;

  int8_t Load(int thread, int cell) const {
    const std::deque<Store>& queue = threads[size_t(thread)].queue;
    for (auto it = queue.rbegin(); it != queue.rend(); ++it) {
      if (it->cell == cell) return it->value;
    }
    return memory[size_t(cell)];
  }
  void Put(int thread, int cell, int value) {
    threads[size_t(thread)].queue.push_back(
        {static_cast<int8_t>(cell), static_cast<int8_t>(value)});
  }
  void Drain(int thread) {
    Thread& t = threads[size_t(thread)];
    memory[size_t(t.queue.front().cell)] = t.queue.front().value;
    t.queue.pop_front();
  }
  // A seq_cst store: false while it has to wait for the queue.
  bool PutSeqCst(int thread, int cell, int value) {
    if (!threads[size_t(thread)].queue.empty()) return false;
    memory[size_t(cell)] = static_cast<int8_t>(value);
    return true;
  }
  std::string Key() const {
    std::string key(memory.begin(), memory.end());
    key.append(total.begin(), total.end());
    for (const Thread& t : threads) {
      for (const int8_t n : {t.step, t.round, t.other, t.kept, t.loaded}) {
        key.push_back(static_cast<char>(n));
      }
      for (const Store& s : t.queue) {
        key.push_back(static_cast<char>(s.cell));
        key.push_back(static_cast<char>(s.value));
      }
      key.push_back(127);
    }
    return key;
  }
};

class Model {
 public:
  explicit Model(Mutant mutant) : mutant_(mutant) {}

  // The fault found first, or nothing.
  std::string Explore() {
    std::vector<State> open{State()};
    seen_.insert(open.back().Key());
    while (!open.empty() && fault_.empty()) {
      const State state = open.back();
      open.pop_back();
      bool moved = false;
      for (int t = 0; t <= kReader; ++t) {
        State next = state;
        if (!state.threads[size_t(t)].queue.empty()) {
          next.Drain(t);
          moved = true;
          Visit(next, &open);
          next = state;
        }
        if (Step(next, t)) {
          moved = true;
          Visit(next, &open);
        }
      }
      if (!moved) CheckEnd(state);
    }
    return fault_;
  }
  size_t states() const { return seen_.size(); }

 private:
  void Visit(const State& state, std::vector<State>* open) {
    if (seen_.insert(state.Key()).second) open->push_back(state);
  }

  bool Step(State& s, int t) {
    return t == kReader ? ReaderStep(s) : WriterStep(s, t);
  }

  // Writer 0 makes two spans and hands over the first; writer 1 frees it.
  bool WriterStep(State& s, int w) {
    Thread& t = s.threads[size_t(w)];
    if (t.round == (w == 0 ? 2 : 1)) return false;
    const bool early_handover =
        mutant_ == Mutant::kCountedAfterHandingOver && w == 0 && t.round == 0;
    const int sign = w == 0 ? 1 : -1;
    switch (t.step) {
      case 0:
        if (w == 1 && s.Load(w, kHandedOver) == 0) return false;
        if (early_handover) s.Put(w, kHandedOver, 1);
        break;
      case 1:
      case 2:
        if (!EnterOrReadGeneration(s, w)) return false;
        break;
      case 3:
      case 5:
        t.loaded = s.Load(w, Change(w, t.kept, t.step / 4));
        break;
      case 4:
      case 6:
        s.Put(w, Change(w, t.kept, t.step / 5),
              t.loaded + (t.step == 4 ? sign : -sign));
        break;
      case 7:
        s.Put(w, Sequence(w), s.Load(w, Sequence(w)) + 1);
        break;
      default:
        if (w == 0 && t.round == 0 && !early_handover) {
          s.Put(w, kHandedOver, 1);
        }
        t = {.round = static_cast<int8_t>(t.round + 1), .queue = t.queue};
        return true;
    }
    ++t.step;
    return true;
  }

  // In this order, unless the mutant has it the other way round.
  bool EnterOrReadGeneration(State& s, int w) {
    Thread& t = s.threads[size_t(w)];
    const bool read_first = mutant_ == Mutant::kGenerationReadBeforeEntering;
    if ((t.step == 1) != read_first) return Enter(s, w);
    t.kept = s.Load(w, kGeneration);
    return true;
  }

  bool Enter(State& s, int w) {
    const int next = s.Load(w, Sequence(w)) + 1;
    if (mutant_ != Mutant::kWriterEntersWithRelease) {
      return s.PutSeqCst(w, Sequence(w), next);
    }
    s.Put(w, Sequence(w), next);
    return true;
  }

  // One read: step 0 advances, steps 1 to 6 are repeated for each writer.
  bool ReaderStep(State& s) {
    Thread& t = s.threads[kReader];
    if (t.round == kReads) return false;
    // While the generation has been advanced, that of the read is the other.
    const int past = mutant_ == Mutant::kReaderDoesNotAdvance ? 0 : t.round % 2;
    switch (t.step) {
      case 0:
        if (!Advance(s, 1 - past)) return false;
        break;
      case 1:
        t.kept = s.Load(kReader, Sequence(t.other));
        if (t.kept % 2 == 0 || mutant_ == Mutant::kReaderDoesNotWait)
          t.step = 2;
        break;
      case 2:
        if (s.Load(kReader, Sequence(t.other)) == t.kept) return false;
        break;
      case 3:
      case 5: {
        const int counter = t.step / 4;
        t.loaded = s.Load(kReader, Change(t.other, past, counter));
        s.total[size_t(counter)] =
            static_cast<int8_t>(s.total[size_t(counter)] + t.loaded);
        break;
      }
      case 4:
      case 6:
        s.Put(kReader, Change(t.other, past, t.step / 5), 0);
        break;
      default:
        return NextWriter(s);
    }
    ++t.step;
    return true;
  }

  bool Advance(State& s, int generation) {
    switch (mutant_) {
      case Mutant::kReaderDoesNotAdvance:
        return true;
      case Mutant::kReaderAdvancesWithRelease:
        s.Put(kReader, kGeneration, generation);
        return true;
      default:
        return s.PutSeqCst(kReader, kGeneration, generation);
    }
  }

  bool NextWriter(State& s) {
    Thread& t = s.threads[kReader];
    t.step = 1;
    t.kept = t.loaded = 0;
    if (++t.other < kWriters) return true;
    CheckAnswer(s.total[0], s.total[1]);
    t = {.round = static_cast<int8_t>(t.round + 1), .queue = t.queue};
    return true;
  }

  void CheckAnswer(int spans, int free) {
    if (spans < 0 || free < 0 || spans + free != kUnits) {
      fault_ = "answer of " + std::to_string(spans) + " spans and " +
               std::to_string(free) + " free";
    }
  }

  // Everybody is done, and nothing may be lost.
  void CheckEnd(const State& s) {
    int sum[2] = {s.total[0], s.total[1]};
    for (int w = 0; w < kWriters; ++w) {
      for (const int generation : {0, 1}) {
        for (const int counter : {0, 1}) {
          sum[counter] += s.memory[size_t(Change(w, generation, counter))];
        }
      }
    }
    const bool finished = s.threads[0].round == 2 && s.threads[1].round == 1 &&
                          s.threads[kReader].round == kReads;
    if (!finished) fault_ = "nobody can go on";
    if (finished && (sum[0] != 1 || sum[1] != kUnits - 1)) {
      fault_ = "in the end " + std::to_string(sum[0]) + " spans and " +
               std::to_string(sum[1]) + " free";
    }
  }

  const Mutant mutant_;
  std::set<std::string> seen_;
  std::string fault_;
};

TEST(ConsistentStatsModelTest, EveryAnswerIsACutAndNothingIsLost) {
  Model model(Mutant::kNone);
  EXPECT_EQ(model.Explore(), "");
  EXPECT_GT(model.states(), 10000u);
  RecordProperty("states", std::to_string(model.states()));
}

class MutantTest : public testing::TestWithParam<Mutant> {};

TEST_P(MutantTest, IsCaught) {
  Model model(GetParam());
  const std::string fault = model.Explore();
  EXPECT_NE(fault, "") << "not caught in " << model.states() << " states";
  RecordProperty("fault", fault);
}

INSTANTIATE_TEST_SUITE_P(ConsistentStatsModelTest, MutantTest,
                         testing::Values(Mutant::kWriterEntersWithRelease,
                                         Mutant::kReaderAdvancesWithRelease,
                                         Mutant::kReaderDoesNotWait,
                                         Mutant::kReaderDoesNotAdvance,
                                         Mutant::kGenerationReadBeforeEntering,
                                         Mutant::kCountedAfterHandingOver));

}  // namespace
}  // namespace tricolor::mheap
