// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/schedule.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/debugging/symbolize.h"
#include "tricolor/base/check.h"
#include "tricolor/base/schedule_runner.h"
#include "tricolor/base/schedule_strategy.h"

namespace tricolor::schedule {
namespace {

// ---- The child process.

// In the child, of what it runs.
Report* report = nullptr;

void NoteFatal(const char* message) {
  std::snprintf(report->failure, sizeof report->failure, "%s", message);
}

// The turn is handed on quickest when nobody has to wake another CPU for it.
void StayOnOneCpu() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(sched_getcpu(), &set);
  sched_setaffinity(0, sizeof set, &set);
}

[[noreturn]] void RunInChild(const Factory& factory, Strategy& strategy,
                             bool quiet) {
  if (quiet) {
    const int null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
  }
  StayOnOneCpu();
  SetFatalHook(&NoteFatal);
  // Never destroyed: its threads wait for their turns.
  auto& runner = *new Runner(*report);
  // What the first schedule makes once for the process makes it unlike others.
  Guided without_preemption({});
  runner.RunOnce(factory, without_preemption);
  while (strategy.Begin(report->longest)) {
    if (strategy.BeginsSearch()) report->schedules = 0;
    runner.RunOnce(factory, strategy);
    ++report->schedules;
  }
  report->complete = true;
  _exit(0);
}

// ---- Its report.

std::string HowItEnded(int status) {
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    if (signal == SIGALRM) return "hung: waits for what is not scheduled";
    return "died of signal " + std::to_string(signal);
  }
  return "died with exit code " + std::to_string(WEXITSTATUS(status));
}

const char* NameOf(StepKind kind) {
  constexpr const char* kNames[] = {
      "start", "step",       "load", "store",  "exchange", "compare-exchange",
      "fetch", "lock",       "try",  "unlock", "wait",     "signal",
      "yield", "new thread", "join",
  };
  return kNames[static_cast<int>(kind)];
}

// The innermost function that is not of the primitives.
std::string PlaceOf(const TracedStep& step) {
  constexpr std::string_view kInner[] = {"tricolor::schedule::Runner::",
                                         "tricolor::schedule::Step(",
                                         "tricolor::schedule::Scheduled",
                                         "tricolor::Atomic<",
                                         "tricolor::LoadWord",
                                         "tricolor::StoreWord",
                                         "tricolor::Mutex::",
                                         "tricolor::MutexLock::",
                                         "tricolor::CondVar::",
                                         "tricolor::PauseCpu(",
                                         "sched_yield",
                                         "std::"};
  for (void* const place : step.places) {
    char name[256];
    if (place == nullptr || !absl::Symbolize(place, name, sizeof name)) break;
    const std::string_view text = name;
    const bool inner = std::any_of(
        std::begin(kInner), std::end(kInner), [text](std::string_view prefix) {
          return text.substr(0, prefix.size()) == prefix;
        });
    if (!inner) return name;
  }
  return "";
}

// Steps that could have mattered to another thread; the others are counted.
std::string TraceOf(const Report& from) {
  struct Use {
    uint32_t threads = 0;  // a bit each
    bool written = false;
  };
  const uint64_t steps = std::min<uint64_t>(from.steps, Report::kTraced);
  std::map<uint32_t, Use> uses;
  for (uint64_t i = 0; i < steps; ++i) {
    Use& use = uses[from.trace[i].object];
    use.threads |= uint32_t{1} << from.schedule[i];
    use.written |= Writes(from.trace[i].kind);
  }
  std::string text;
  int before = -1;
  uint64_t own = 0;
  const auto flush = [&] {
    if (own != 0) text += "  (" + std::to_string(own) + " steps of its own)\n";
    own = 0;
  };
  for (uint64_t i = 0; i < steps; ++i) {
    const TracedStep& step = from.trace[i];
    const int thread = from.schedule[i];
    if (thread != before) {
      flush();
      text += "thread " + std::to_string(thread) + ":\n";
    }
    before = thread;
    const Use& use = uses[step.object];
    if (step.object != 0 &&
        (!use.written || std::has_single_bit(use.threads))) {
      ++own;
      continue;
    }
    flush();
    char line[60];
    std::snprintf(line, sizeof line, "  %-16s #%-4u ", NameOf(step.kind),
                  step.object);
    text += line + PlaceOf(step) + "\n";
  }
  flush();
  return text;
}

// ---- Runs.

struct How {
  bool traced = false;
  bool quiet = false;
};

Result Run(const Factory& factory, Strategy& strategy, How how = {}) {
  void* memory = mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  TRICOLOR_CHECK(memory != MAP_FAILED, "no memory for a report");
  report = static_cast<Report*>(memory);  // zeroed
  report->traced = how.traced;
  std::fflush(nullptr);
  const pid_t child = fork();
  TRICOLOR_CHECK(child >= 0, "no process for schedules");
  if (child == 0) RunInChild(factory, strategy, how.quiet);
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
  }
  Result result;
  result.schedules = report->schedules;
  result.steps = std::max(report->longest, report->steps);
  result.witnessed = report->witnessed;
  if (!report->complete) {
    result.failure =
        report->failure[0] != 0 ? report->failure : HowItEnded(status);
    result.schedule.assign(report->schedule, report->schedule + report->steps);
    result.preemptions = report->preemptions;
  }
  if (how.traced) result.trace = TraceOf(*report);
  munmap(memory, sizeof(Report));
  return result;
}

// ---- Shrinking.

using Turns = Guided::Turns;

bool Smaller(const Result& a, const Result& b) {
  const size_t a_turns = Guided::TurnsOf(a.schedule).size();
  const size_t b_turns = Guided::TurnsOf(b.schedule).size();
  return std::make_tuple(a.preemptions, a_turns, a.schedule.size()) <
         std::make_tuple(b.preemptions, b_turns, b.schedule.size());
}

class Shrinker {
 public:
  Shrinker(const Factory& factory, const Result& failing)
      : factory_(factory), best_(failing) {}

  Result Run() {
    while (attempts_ < kMaxAttempts && Pass()) {
    }
    return best_;
  }

 private:
  static constexpr int kMaxAttempts = 400;

  // Whether it has found something smaller. The rest of the list is changed on
  // from there, not all of it again.
  bool Pass() {
    bool found = false;
    for (size_t keep = 0; keep < turns().size(); keep = 2 * keep + 1) {
      Turns cut = turns();
      cut.resize(keep);
      if (Try(cut)) return true;
    }
    for (size_t i = 0; i < turns().size() && attempts_ < kMaxAttempts; ++i) {
      found |= TryWithout(i) || TrySwapped(i) || TryLonger(i);
    }
    return found;
  }
  bool TryWithout(size_t i) {
    Turns changed = turns();
    changed.erase(changed.begin() + static_cast<ptrdiff_t>(i));
    return Try(changed);
  }
  bool TrySwapped(size_t i) {
    Turns changed = turns();
    if (i + 1 >= changed.size()) return false;
    std::swap(changed[i], changed[i + 1]);
    return Try(changed);
  }
  // Until the thread must wait or ends.
  bool TryLonger(size_t i) {
    Turns changed = turns();
    if (i >= changed.size()) return false;
    changed[i].second = kMaxSteps;
    return Try(changed);
  }
  Turns turns() const { return Guided::TurnsOf(best_.schedule); }

  bool Try(const Turns& turns) {
    ++attempts_;
    Guided guided(turns);
    Result result = schedule::Run(factory_, guided, {.quiet = true});
    if (result.ok() || !Smaller(result, best_)) return false;
    best_ = std::move(result);
    return true;
  }

  const Factory& factory_;
  Result best_;
  int attempts_ = 0;
};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

std::string Result::Describe() const {
  if (ok()) {
    return std::to_string(schedules) + " schedules of up to " +
           std::to_string(steps) + " steps are good";
  }
  std::string text = failure + "\nafter " + std::to_string(schedules) +
                     " good schedules, in one of " +
                     std::to_string(schedule.size()) + " steps with " +
                     std::to_string(preemptions) + " preemptions:";
  for (const auto& [thread, turn] : Guided::TurnsOf(schedule)) {
    text += " " + std::to_string(thread) + "x" + std::to_string(turn);
  }
  return text + "\n" + trace;
}

Result Explore(const Factory& factory, int preemptions) {
  BoundedSearch search(preemptions);
  return Run(factory, search);
}

Result RandomWalk(const Factory& factory, uint64_t seed, uint64_t schedules) {
  RandomChoices choices(seed, schedules);
  return Run(factory, choices);
}

Result Pct(const Factory& factory, uint64_t seed, uint64_t schedules,
           int depth) {
  RandomPriorities priorities(seed, schedules, depth);
  return Run(factory, priorities);
}

Result Replay(const Factory& factory, const Schedule& schedule) {
  Repeated repeated(schedule);
  return Run(factory, repeated, {.traced = true, .quiet = true});
}

Result Shrink(const Factory& factory, const Result& failing) {
  Result smallest = Shrinker(factory, failing).Run();
  smallest.trace = Replay(factory, smallest.schedule).trace;
  smallest.schedules = failing.schedules;
  return smallest;
}

uint64_t ScaledSchedules(uint64_t schedules) {
  return FromEnvironment("TRICOLOR_SCHEDULES", schedules);
}

int ScaledPreemptions(int preemptions) {
  return preemptions +
         static_cast<int>(FromEnvironment("TRICOLOR_MORE_PREEMPTIONS", 0));
}

void Witness(int which) { ++report->witnessed[static_cast<size_t>(which)]; }

void Wait() {
  if (hooks != nullptr) hooks->Yield();
}

}  // namespace tricolor::schedule
