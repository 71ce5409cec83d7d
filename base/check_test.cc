// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/check.h"

#include <unistd.h>

#include <csignal>
#include <cstring>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tricolor {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::KilledBySignal;
using ::testing::SizeIs;

void WriteError(const char* text) {
  [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, text, strlen(text));
}

TEST(FatalDeathTest, WritesOneLineAndAborts) {
  EXPECT_EXIT(Fatal("span %p in state %d", reinterpret_cast<void*>(0x1000), 3),
              KilledBySignal(SIGABRT),
              "^tricolor: fatal: span 0x1000 in state 3\n$");
}

TEST(FatalDeathTest, LineBreaksInTheMessageBecomeSpaces) {
  EXPECT_EXIT(Fatal("a\nb%sc\n", "\r\t"), KilledBySignal(SIGABRT),
              "^tricolor: fatal: a b  c \n$");
}

TEST(FatalDeathTest, MessageIsCutAtItsLimit) {
  const std::string prefix = "tricolor: fatal: ";
  const std::string exact(1000, 'x');
  EXPECT_EXIT(Fatal("%s", exact.c_str()), KilledBySignal(SIGABRT),
              AllOf(SizeIs(prefix.size() + 1001), EndsWith("x\n")));
  const std::string longer(5000, 'y');
  EXPECT_EXIT(Fatal("%s", longer.c_str()), KilledBySignal(SIGABRT),
              AllOf(SizeIs(prefix.size() + 1001), EndsWith("y\n")));
}

void PrintingHook(const char* message) {
  WriteError("[hook ");
  WriteError(message);
  WriteError("]");
}

TEST(FatalDeathTest, HookGetsTheLineWithoutItsEnd) {
  EXPECT_EXIT(
      {
        SetFatalHook(PrintingHook);
        Fatal("bad %d", 7);
      },
      KilledBySignal(SIGABRT), "\\[hook tricolor: fatal: bad 7\\]$");
}

TEST(Fatal, SettingAHookReturnsTheOneBefore) {
  EXPECT_EQ(SetFatalHook(PrintingHook), nullptr);
  EXPECT_EQ(SetFatalHook(nullptr), PrintingHook);
  EXPECT_EQ(SetFatalHook(nullptr), nullptr);
}

void FailingHook(const char*) {
  WriteError("[hook]");
  Fatal("second");
}

TEST(FatalDeathTest, FailureInTheHookEndsTheProcess) {
  EXPECT_EXIT(
      {
        SetFatalHook(FailingHook);
        Fatal("first");
      },
      KilledBySignal(SIGABRT),
      "^tricolor: fatal: first\n\\[hook\\]tricolor: fatal: second\n$");
}

// Another thread that fails writes its own line, and leaves the first
// thread's hook the time to finish.
void WaitingHook(const char*) {
  std::thread([] { Fatal("from another thread"); }).detach();
  // Time for that thread to fail.
  usleep(200 * 1000);
  WriteError("[hook done]");
}

TEST(FatalDeathTest, SecondThreadDoesNotCutTheHookShort) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        SetFatalHook(WaitingHook);
        Fatal("first");
      },
      KilledBySignal(SIGABRT),
      AllOf(HasSubstr("tricolor: fatal: first\n"), HasSubstr("[hook done]")));
}

TEST(CheckDeathTest, FailureReportsInEveryBuild) {
  const int found = 3;
  EXPECT_DEATH(TRICOLOR_CHECK(found == 4, "found %d, expected 4", found),
               "found 3, expected 4");
}

TEST(Check, ArgumentsAreNotEvaluatedOnSuccess) {
  int evaluated = 0;
  TRICOLOR_CHECK(true, "%d", ++evaluated);
  TRICOLOR_DCHECK(true, "%d", ++evaluated);
  EXPECT_EQ(evaluated, 0);
}

TEST(Check, IsOneExpression) {
  int branch = 0;
  if (branch == 0)
    TRICOLOR_CHECK(true, "unused");
  else
    branch = 1;
  EXPECT_EQ(branch, 0);
}

#ifdef NDEBUG
TEST(Check, DcheckIsNotEvaluatedInReleaseBuilds) {
  int evaluated = 0;
  TRICOLOR_DCHECK(++evaluated == 0, "not reached");
  EXPECT_EQ(evaluated, 0);
}
#else
TEST(CheckDeathTest, DcheckFailsInDebugBuilds) {
  EXPECT_DEATH(TRICOLOR_DCHECK(false, "debug only"), "debug only");
}
#endif

}  // namespace
}  // namespace tricolor
