// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A list of operations on a pacer, its credit and a limiter, with arbitrary
// 64-bit numbers; a model of the credit, and all invariants, are checked after
// each. A failure prints the operations as C++ for a test.
//
// An operation is one byte and its numbers; a number is a byte that says how
// long it is (0 to 8 bytes, or all ones), and so many bytes.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tricolor/base/check.h"
#include "tricolor/base/fuzzing.h"
#include "tricolor/base/saturating.h"
#include "tricolor/gc/cpu_limiter.h"
#include "tricolor/gc/gc_pacer.h"
#include "tricolor/gc/pacing.h"

namespace tricolor::gc {
namespace {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), end_(data + size) {}
  bool empty() const { return data_ == end_; }
  uint8_t Byte() { return empty() ? 0 : *data_++; }
  uint64_t Number() {
    const int length = Byte() % 10;
    if (length == 9) return UINT64_MAX;
    uint64_t number = 0;
    for (int i = 0; i < length; ++i) number = number << 8 | Byte();
    return number;
  }
  int64_t Signed() { return static_cast<int64_t>(Number()); }
  int Int() { return static_cast<int>(static_cast<uint32_t>(Number())); }
  double Double() { return std::bit_cast<double>(Number()); }

 private:
  const uint8_t* data_;
  const uint8_t* const end_;
};

std::string Text(uint64_t n) { return std::to_string(n) + "u"; }
std::string Text(int64_t n) {
  return "static_cast<int64_t>(" + Text(static_cast<uint64_t>(n)) + ")";
}
std::string Text(int n) { return std::to_string(n); }
std::string Text(double d) {
  return "std::bit_cast<double>(" + Text(std::bit_cast<uint64_t>(d)) + ")";
}
std::string Text(ScanWork kind) {
  return "ScanWork{" + std::to_string(static_cast<int>(kind)) + "}";
}

template <typename... Args>
std::string List(Args... args) {
  std::string text;
  ((text += (text.empty() ? "" : ", ") + Text(args)), ...);
  return text;
}

#define CHECK_MODEL(condition) TRICOLOR_CHECK(condition, "%s", #condition)

class Harness {
 public:
  explicit Harness(Input& in)
      : in_(in),
        settings_{.gc_percent = in.Int(),
                  .memory_limit = in.Signed(),
                  .min_heap = in.Number()},
        pacer_(settings_),
        limiter_(0, 4) {
    Log("CpuLimiter limiter", 0, 4);
    LogStruct("GcPacer pacer", settings_.gc_percent, settings_.memory_limit,
              settings_.min_heap);
  }
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;

  void Step() {
    const uint8_t op = in_.Byte() % 24;
    if (op < 8) {
      StepProgram(op);
    } else if (op < 12) {
      StepCycle(op);
    } else if (op < 17) {
      StepSettings(op);
    } else if (op < 22) {
      StepLimiter(op);
    } else {
      StepEquations(op);
    }
    Check();
  }

 private:
  void StepProgram(uint8_t op) {
    switch (op) {
      case 0: {
        const int64_t bytes = in_.Signed();
        const int64_t scannable = in_.Signed();
        Log("pacer.HeapLiveChanged", bytes, scannable);
        return pacer_.HeapLiveChanged(bytes, scannable);
      }
      case 1: {
        const auto kind = static_cast<ScanWork>(in_.Byte() % 3);
        const uint64_t work = in_.Number();
        Log("pacer.AddWork", kind, work);
        return pacer_.AddWork(kind, work);
      }
      case 2:
        Log("pacer.Revise");
        return pacer_.Revise();
      case 3: {
        const uint64_t work = in_.Number();
        Log("pacer.credit().Add", work);
        credit_ = SaturatingAdd(credit_, work);
        return pacer_.credit().Add(work);
      }
      case 4:
        return Take(in_.Number());
      case 5: {
        const uint64_t worked = in_.Number();
        const uint64_t now = in_.Number();
        Log("pacer.FractionalMayRun", worked, now);
        CHECK_MODEL(!pacer_.FractionalMayRun(worked, now) || pacer_.marking());
        return;
      }
      default:
        return Assist(in_.Number(), op == 7);
    }
  }

  void Take(uint64_t most) {
    Log("pacer.credit().Take", most);
    const uint64_t taken = pacer_.credit().Take(most);
    CHECK_MODEL(taken == std::min(most, credit_));
    credit_ -= taken;
  }

  void Assist(uint64_t bytes, bool work) {
    program_.Note("account.Charge", FuzzCode{Text(bytes) + ", pacer.cycle()"});
    if (work) {
      program_.Note("pacer.FinishAssist",
                    FuzzCode{"account, pacer.BeginAssist(account)"});
    } else {
      program_.Note("pacer.BeginAssist", FuzzCode{"account"});
    }
    account_.Charge(bytes, pacer_.cycle());
    const double price = pacer_.work_per_byte();
    const uint64_t debt = account_.debt();
    const uint64_t owed = AssistDueFor(debt, price).work;
    const uint64_t rest = pacer_.BeginAssist(account_);
    CHECK_MODEL(rest <= owed);
    CHECK_MODEL(rest == SaturatingSub(owed, credit_));
    credit_ -= owed - rest;
    CHECK_MODEL(account_.debt() <= debt);
    if (!work) return;
    pacer_.FinishAssist(account_, rest);
    if (price > 0 && debt < uint64_t{1} << 50 && owed != UINT64_MAX) {
      CHECK_MODEL(account_.debt() == 0);
    }
  }

  void StepCycle(uint8_t op) {
    if (op == 8) {
      Log("pacer.SweepDone");
      return pacer_.SweepDone();
    }
    if (op == 9) {
      Log("pacer.CycleRefused");
      return pacer_.CycleRefused();
    }
    if (!pacer_.marking()) {
      const CycleStart start{.now = in_.Number(),
                             .processors = in_.Int(),
                             .stack_bytes = in_.Number(),
                             .global_bytes = in_.Number()};
      LogStruct("pacer.StartCycle", start.now, start.processors,
                start.stack_bytes, start.global_bytes);
      const MarkWorkers workers = pacer_.StartCycle(start);
      CHECK_MODEL(workers.dedicated >= 0);
      CHECK_MODEL(workers.fractional >= 0 && workers.fractional < 1);
    } else {
      const CycleEnd end{.now = in_.Number(),
                         .background_time = in_.Number(),
                         .assist_time = in_.Number(),
                         .idle_time = in_.Number(),
                         .marked = in_.Number(),
                         .overhead = in_.Number()};
      LogStruct("pacer.EndCycle", end.now, end.background_time, end.assist_time,
                end.idle_time, end.marked, end.overhead);
      const CycleResult result = pacer_.EndCycle(end);
      CHECK_MODEL(std::isfinite(result.utilization));
      CHECK_MODEL(result.cons_mark >= 0);
      CHECK_MODEL(std::isfinite(result.cons_mark));
    }
    credit_ = 0;
  }

  void StepSettings(uint8_t op) {
    if (op == 12) {
      const int percent = in_.Int();
      Log("pacer.SetGcPercent", percent);
      pacer_.SetGcPercent(percent);
      return;
    }
    const uint64_t bytes = in_.Number();
    if (op < 15) {
      Log("pacer.SetMemoryLimit", static_cast<int64_t>(bytes));
      pacer_.SetMemoryLimit(static_cast<int64_t>(bytes));
    } else {
      Log("pacer.SetOverhead", bytes);
      pacer_.SetOverhead(bytes);
    }
  }

  void StepLimiter(uint8_t op) {
    const uint64_t n = in_.Number();
    switch (op) {
      case 17:
        Log("limiter.AddAssistTime", n);
        return limiter_.AddAssistTime(n);
      case 18:
        Log("limiter.AddIdleTime", n);
        return limiter_.AddIdleTime(n);
      case 19: {
        const double share = in_.Double();
        Log("limiter.SetBackgroundShare", n, share);
        return limiter_.SetBackgroundShare(n, share);
      }
      case 20: {
        const int processors = in_.Int();
        Log("limiter.SetProcessors", n, processors);
        return limiter_.SetProcessors(n, processors);
      }
      default:
        Log("limiter.Update", n);
        return limiter_.Update(n);
    }
  }

  void StepEquations(uint8_t op) {
    if (op == 22) {
      const TriggerInputs t{.marked = in_.Number(),
                            .goal = in_.Number(),
                            .least = in_.Number(),
                            .runway = in_.Number()};
      LogStruct("TriggerFor", t.marked, t.goal, t.least, t.runway);
      const uint64_t trigger = TriggerFor(t);
      CHECK_MODEL(trigger <= t.goal);
      CHECK_MODEL(trigger >= std::min(t.marked, t.goal));
      CHECK_MODEL(trigger >= std::min(t.least, t.goal));
      return;
    }
    const MarkRates rates{.allocated = in_.Number(),
                          .work = in_.Number(),
                          .utilization = in_.Double(),
                          .idle_utilization = in_.Double()};
    LogStruct("ConsMark", rates.allocated, rates.work, rates.utilization,
              rates.idle_utilization);
    const double cons_mark = ConsMark(rates);
    CHECK_MODEL(cons_mark >= 0 && std::isfinite(cons_mark));
    // Whatever it was told, a runway is a number.
    Runway(in_.Double(), in_.Number());
  }

  void Check() {
    pacer_.CheckInvariants();
    limiter_.CheckInvariants();
    CHECK_MODEL(pacer_.credit().available() == credit_);
    CHECK_MODEL(std::isfinite(pacer_.bytes_per_work()));
    CHECK_MODEL(pacer_.bytes_per_work() >= 0);
    CHECK_MODEL(pacer_.cons_mark() >= 0);
    CHECK_MODEL(pacer_.heap_live() <= INT64_MAX);
    CHECK_MODEL(limiter_.capacity() >= CpuLimiter::kCapacityPerProcessor);
  }

  // A call with these arguments, or with one structure of them.
  template <typename... Args>
  void Log(const char* call, Args... args) {
    program_.Note(call, FuzzCode{List(args...)});
  }
  template <typename... Args>
  void LogStruct(const char* call, Args... args) {
    program_.Note(call, FuzzCode{"{" + List(args...) + "}"});
  }

  FuzzProgram program_{"AssistAccount account;", ""};
  Input& in_;
  const PacerSettings settings_;
  GcPacer pacer_;
  CpuLimiter limiter_;
  AssistAccount account_;
  uint64_t credit_ = 0;  // the model
};

}  // namespace
}  // namespace tricolor::gc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tricolor::gc::Input in(data, size);
  tricolor::gc::Harness harness(in);
  while (!in.empty()) harness.Step();
  return 0;
}
