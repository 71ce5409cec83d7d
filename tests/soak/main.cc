// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// soak --minutes=120: runs a mixed program for so long, and exits with 1 when
// something is wrong. The last line says which.

#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "tricolor/base/test_random.h"
#include "tricolor/tests/soak/soak.h"

ABSL_FLAG(double, minutes, 1, "how long it runs");
ABSL_FLAG(double, report_minutes, 1, "how often it reports");
ABSL_FLAG(int, threads, 3, "threads at a time, in each of two heaps");
ABSL_FLAG(uint64_t, seed, 0, "of all that is random; 0: a new one");

// Forks with many threads; the child is not looked at.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }
// What is freed outside of the heap is not to look like a leak of it.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
  return "quarantine_size_mb=8";
}

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "soak --minutes=M: a mixed program on Tricolor heaps for M minutes.");
  absl::ParseCommandLine(argc, argv);
  tricolor::soak::SoakOptions options;
  options.minutes = absl::GetFlag(FLAGS_minutes);
  options.report_minutes = absl::GetFlag(FLAGS_report_minutes);
  options.threads = absl::GetFlag(FLAGS_threads);
  options.seed = absl::GetFlag(FLAGS_seed);
  if (options.seed == 0) options.seed = tricolor::TestSeed();
  const std::string finding = tricolor::soak::RunSoak(options, stdout);
  if (finding.empty()) {
    std::printf("soak: nothing wrong\n");
    return 0;
  }
  std::printf("soak: FAILED: %s\n", finding.c_str());
  return 1;
}
