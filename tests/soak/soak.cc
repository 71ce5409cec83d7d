// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/tests/soak/soak.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/config.h"
#include "tricolor/base/test_random.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/tests/soak/actor.h"
#include "tricolor/tests/soak/findings.h"
#include "tricolor/tests/soak/ground.h"
#include "tricolor/tests/soak/resident.h"

namespace tricolor::soak {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

// So long without progress is a hang. Counted by sleeps, not by a clock, which
// goes on while the process is stopped.
constexpr int kSecondsOfHang = 600;

// In the child of a process with several threads ThreadSanitizer fails by
// itself when a signal comes to a new thread.
#ifdef ABSL_HAVE_THREAD_SANITIZER
constexpr bool kChildWorks = false;
#else
constexpr bool kChildWorks = true;
#endif

double InMiB(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }
double InMs(uint64_t ns) { return static_cast<double>(ns) / 1e6; }
unsigned long long Number(uint64_t n) { return n; }

HeapOptions PlainOptions() {
  HeapOptions options;
  options.reservation_bytes = size_t{1} << 34;
  return options;
}

HeapOptions CheckedOptions() {
  HeapOptions options = PlainOptions();
  options.debug = "gccheckmark=1,clobberfree=1";
  options.min_heap_bytes = 1 << 20;
  options.gc_threads = 2;
  return options;
}

class Soak {
 public:
  Soak(const SoakOptions& options, std::FILE* out)
      : options_(options),
        out_(out),
        begun_(Clock::now()),
        random_(options.seed),
        plain_(PlainOptions(), uint64_t{512} << 10, findings_),
        checked_(CheckedOptions(), uint64_t{64} << 10, findings_) {}

  void Run();
  std::string finding() { return findings_.first(); }

 private:
  double Minutes() const {
    return std::chrono::duration<double, std::ratio<60>>(Clock::now() - begun_)
        .count();
  }
  bool over() const {
    return findings_.failed() || Minutes() >= options_.minutes;
  }
  // One thread after the other.
  void RunActors(Ground& ground, uint64_t seed);
  // Samples, reports, and sees to it that there is progress.
  void Watch();
  // Between the two, on a thread that is not attached.
  void Disturb();
  void Fork();
  [[noreturn]] void RunChild();
  static void WorkInChild(Ground& ground);
  void Report();
  void ReportResident();

  const SoakOptions options_;
  std::FILE* const out_;
  const Clock::time_point begun_;
  Findings findings_;
  TestRandom random_;
  Ground plain_;
  Ground checked_;
  std::atomic<bool> ended_{false};
  ResidentSeries resident_;
  // Since the last line. A sleep of one second takes much longer when the
  // machine is busy or has stopped the process, and so do stops of the world.
  StopHistogram reported_;
  Clock::duration longest_second_{};
  // Of who disturbs.
  uint64_t forks_ = 0;
  std::atomic<uint64_t> disturbances_{0};
};

void Soak::RunActors(Ground& ground, uint64_t seed) {
  TestRandom random(seed);
  while (!over()) {
    std::thread([this, &ground, &random] {
      Actor actor(ground, random.Next());
      ++ground.counts().threads;
      for (uint64_t n = 1 + random.Below(3000); n > 0 && !over(); --n) {
        actor.Work();
      }
      actor.CheckHeld();
    }).join();
  }
}

// ---- What happens to the heaps.

void Soak::Disturb() {
  Ground& ground = random_.OneIn(2) ? plain_ : checked_;
  Heap& heap = ground.heap();
  switch (random_.Below(10)) {
    case 0:
      heap.Collect();
      break;
    case 1:
      heap.CheckInvariants();
      break;
    case 2:
      heap.SetMemoryLimit(
          static_cast<int64_t>((64 + random_.Below(512)) << 20));
      break;
    case 3:
      heap.SetMemoryLimit(INT64_MAX);
      break;
    case 4:
      heap.SetGcPercent(static_cast<int>(50 + random_.Below(150)));
      break;
    case 5:
      heap.FreeOsMemory();
      break;
    case 6:
      heap.RunCleanups();
      break;
    case 7:
      Fork();
      break;
    default:
      heap.ReadMemStats();
      break;
  }
  ++disturbances_;
  findings_.Progress();
}

void Soak::WorkInChild(Ground& ground) {
  std::thread([&ground] {
    Actor actor(ground, 1);
    for (int i = 0; i < 20; ++i) actor.Work();
    actor.CheckHeld();
  }).join();
}

void Soak::RunChild() {
  for (Ground* ground : {&plain_, &checked_}) {
    ground->CheckBoard();
    ground->heap().Collect();
    ground->CheckBoard();
    if (kChildWorks) WorkInChild(*ground);
    ground->heap().CheckInvariants();
  }
  if (findings_.failed()) {
    std::fprintf(stderr, "soak: in a child: %s\n", findings_.first().c_str());
  }
  _exit(findings_.failed() ? 1 : 0);
}

void Soak::Fork() {
  pid_t child = -1;
  {
    const std::scoped_lock lock(plain_.cache_mutex(), checked_.cache_mutex());
    child = fork();
  }
  if (child < 0) return findings_.Fail("fork() is refused");
  if (child == 0) RunChild();
  ++forks_;
  int status = 0;
  for (int i = 0; waitpid(child, &status, WNOHANG) == 0; ++i) {
    if (i == kSecondsOfHang * 1000) {
      kill(child, SIGKILL);
      findings_.Fail("the child of a fork hangs");
    }
    std::this_thread::sleep_for(milliseconds(1));
  }
  findings_.Check(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "the child of a fork has failed");
}

// ---- Figures.

void Soak::Watch() {
  double next_report = options_.report_minutes;
  uint64_t progress = 0;
  for (int idle = 0; !ended_; ++idle) {
    const Clock::time_point before = Clock::now();
    std::this_thread::sleep_for(seconds(1));
    longest_second_ = std::max(longest_second_, Clock::now() - before);
    resident_.Add(ResidentBytes());
    if (findings_.progress() != progress) idle = 0;
    progress = findings_.progress();
    if (idle == kSecondsOfHang) {
      std::fprintf(out_, "soak: FAILED: no progress for %d seconds\n", idle);
      std::fflush(out_);
      std::_Exit(1);
    }
    if (Minutes() < next_report || ended_) continue;
    Report();
    next_report += options_.report_minutes;
  }
}

void Soak::Report() {
  const MemStats plain = plain_.heap().ReadMemStats();
  const MemStats checked = checked_.heap().ReadMemStats();
  const Counts& a = plain_.counts();
  const Counts& b = checked_.counts();
  const auto sum = [&](std::atomic<uint64_t> Counts::*count) {
    return Number((a.*count) + (b.*count));
  };
  StopHistogram since = plain.pauses;
  since -= reported_;
  reported_ = plain.pauses;
  std::fprintf(
      out_,
      "%6.1f min: cycles %llu + %llu checked, allocated %.1f GiB, live %.0f, "
      "metadata %.1f (spans %.1f, mark bits %.1f, span sets %.1f, specials "
      "%.1f), mapped %.0f, resident %.0f MiB; stops of the unchecked: "
      "99 %% below %.2f ms, longest %.1f ms, since the last line %.1f ms, when "
      "a sleep of 1 s took %.1f s; threads %llu, jobs %llu, cache hits %llu, "
      "misses %llu, calls %llu, pending %llu, fiber switches %llu, "
      "disturbances %llu\n",
      Minutes(), Number(plain.num_gc), Number(checked.num_gc),
      InMiB(plain.total_alloc + checked.total_alloc) / 1024,
      InMiB(plain.last_gc_heap_after + checked.last_gc_heap_after),
      InMiB(plain.metadata_sys + checked.metadata_sys),
      InMiB(plain.spans_sys + checked.spans_sys),
      InMiB(plain.mark_bits_sys + checked.mark_bits_sys),
      InMiB(plain.span_sets_sys + checked.span_sets_sys),
      InMiB(plain.specials_sys + checked.specials_sys),
      InMiB(plain.sys + checked.sys), InMiB(ResidentBytes()),
      InMs(plain.pauses.Quantile(0.99)), InMs(plain.pause_max_ns),
      InMs(since.Quantile(1)),
      std::chrono::duration<double>(longest_second_).count(),
      sum(&Counts::threads), sum(&Counts::jobs), sum(&Counts::cache_hits),
      sum(&Counts::cache_misses), sum(&Counts::calls_run),
      Number(a.calls_pending() + b.calls_pending()),
      sum(&Counts::fiber_switches), Number(disturbances_));
  std::fflush(out_);
  longest_second_ = {};
}

void Soak::ReportResident() {
  std::fprintf(out_, "resident by quarter:");
  for (size_t q = 0; q < 4; ++q) {
    std::fprintf(out_, " %.0f", InMiB(resident_.MeanOfQuarter(q)));
  }
  std::fprintf(
      out_, " MiB, peak %.0f MiB%s; forks %llu\n", InMiB(resident_.Peak()),
      resident_.enough() ? "" : " (too short to say more)", Number(forks_));
}

void Soak::Run() {
  std::fprintf(out_, "soak: %.1f minutes, repeat with --seed=%llu\n",
               options_.minutes, Number(options_.seed));
  std::fflush(out_);
  std::thread watching([this] { Watch(); });
  std::vector<std::thread> acting;
  for (int i = 0; i < options_.threads; ++i) {
    for (Ground* ground : {&plain_, &checked_}) {
      acting.emplace_back(
          [this, ground, seed = random_.Next()] { RunActors(*ground, seed); });
    }
  }
  while (!over()) {
    Disturb();
    std::this_thread::sleep_for(milliseconds(random_.Below(200)));
  }
  for (std::thread& thread : acting) thread.join();
  ended_ = true;
  watching.join();
  Report();
  ReportResident();
  plain_.Drop();
  checked_.Drop();
  // What ThreadSanitizer notes of memory, several times its size, stays for all
  // that was ever touched.
#ifndef ABSL_HAVE_THREAD_SANITIZER
  findings_.Check(!resident_.Creeps(), "the resident memory creeps");
#endif
}

}  // namespace

std::string RunSoak(const SoakOptions& options, std::FILE* out) {
  Soak soak(options, out);
  soak.Run();
  return soak.finding();
}

}  // namespace tricolor::soak
