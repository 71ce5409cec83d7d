// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/fuzzing.h"

#include <cstdint>
#include <cstdio>
#include <string_view>

#include "absl/base/config.h"
#include "gtest/gtest.h"
#include "tricolor/base/check.h"

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
#include <sanitizer/common_interface_defs.h>
#endif

namespace tricolor {
namespace {

TEST(ByteSourceTest, NumbersAreBelowTheirBoundAndZeroAtTheEnd) {
  const uint8_t bytes[] = {7, 0x01, 0x02, 200, 1, 2, 3};
  ByteSource in(bytes, sizeof bytes);
  EXPECT_EQ(in.Byte(), 7);
  EXPECT_EQ(in.Below(65536), 0x0201u);
  EXPECT_EQ(in.Below(100), 0u);
  EXPECT_FALSE(in.empty());
  EXPECT_EQ(in.Word(), 0x030201u);
  EXPECT_TRUE(in.empty());
  EXPECT_EQ(in.Below(5), 0u);
}

TEST(FuzzProgramTest, OperationsAreStatementsOfCpp) {
  FuzzProgram program("Tester t(3);");
  program.Note("Push", 1, true, uint64_t{18});
  program.Note("Check");
  program.Note("Parse", std::string_view("a\"\\\n?\0001", 7));
  EXPECT_EQ(program.text(),
            "  Tester t(3);\n"
            "  t.Push(1, true, 18);\n"
            "  t.Check();\n"
            "  t.Parse(std::string_view(\"a\\\"\\\\\\012\\077\\0001\", 7));\n");
}

TEST(FuzzProgramTest, NumbersAreNotedAsTheyAreChosen) {
  FuzzProgram program("Tester t;");
  program.NoteBegin("Do", FuzzCode{"Kind::kPush"});
  EXPECT_EQ(program.text(), "  Tester t;\n  t.Do(Kind::kPush, {});\n");
  program.NoteNumber(1);
  program.NoteNumber(20);
  EXPECT_EQ(program.text(), "  Tester t;\n  t.Do(Kind::kPush, {1, 20});\n");
  program.NoteEnd();
  program.NoteNumber(300);
  program.Note("Check");
  EXPECT_EQ(program.text(),
            "  Tester t;\n  t.Do(Kind::kPush, {1, 20});\n  t.Check();\n");
}

TEST(FuzzProgramDeathTest, AFatalReportIsFollowedByTheProgram) {
  FuzzProgram program("Tester t;");
  program.Note("Pop", 4);
  EXPECT_DEATH(Fatal("the stack is empty"),
               "the stack is empty(.|\n)*  Tester t;\n  t.Pop\\(4\\);\n");
}

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
// libFuzzer saves the input in the one death callback that there is.
TEST(FuzzProgramDeathTest, ASanitizersReportIsFollowedByTheProgram) {
  __sanitizer_set_death_callback([] { std::fputs("saved\n", stderr); });
  FuzzProgram program("Tester t;");
  program.Note("Pop", 4);
  auto* freed = new volatile int(0);
  delete freed;
  EXPECT_DEATH(*freed = 1,
               "SUMMARY: AddressSanitizer: heap-use-after-free(.|\n)*"
               "  Tester t;\n  t.Pop\\(4\\);\n(.|\n)*saved\n");
}
#endif

}  // namespace
}  // namespace tricolor
