// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/tools/size_class_generator.h"

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace tricolor::tools {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in.good()) << path;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

TEST(SizeClassGeneratorTest, CheckedInHeaderIsWhatIsGenerated) {
  EXPECT_EQ(ReadFile("mheap/size_classes.h"), FormatHeader(DeriveSizeClasses()))
      << "bazel run //tools:gen_size_classes > mheap/size_classes.h";
}

TEST(SizeClassGeneratorTest, DerivedClassesObeyTheRules) {
  EXPECT_EQ(FindViolation(DeriveSizeClasses()), "");
  EXPECT_EQ(DeriveSizeClasses().size(), 67u);
}

// The rules are worth something only if wrong tables break them.

std::vector<SizeClass> WithChange(size_t i, SizeClass changed) {
  std::vector<SizeClass> classes = DeriveSizeClasses();
  classes[i] = changed;
  return classes;
}

TEST(SizeClassGeneratorTest, ClassesOutOfOrderAreRefused) {
  EXPECT_EQ(FindViolation(WithChange(1, {24, 1})), "order: size 24, at 24");
}

TEST(SizeClassGeneratorTest, LongTailIsRefused) {
  // Four slots of 1792 bytes leave 1024 of 8192; three of 2304 leave 1280.
  EXPECT_EQ(FindViolation(WithChange(38, {2304, 1})),
            "tail waste: size 2304, at 1280");
}

TEST(SizeClassGeneratorTest, SpansOfTooManyPagesAreRefused) {
  EXPECT_EQ(FindViolation(WithChange(66, {32768, 12})),
            "pages of a span: size 32768, at 12");
}

TEST(SizeClassGeneratorTest, MisalignedSlotsAreRefused) {
  EXPECT_EQ(FindViolation(WithChange(4, {44, 1})), "alignment: size 44, at 16");
  EXPECT_EQ(FindViolation(WithChange(32, {1168, 1})),
            "alignment: size 1168, at 128");
}

TEST(SizeClassGeneratorTest, LargeStepsAreRefused) {
  // Without the class of 176 bytes, 161 bytes would get 192.
  std::vector<SizeClass> classes = DeriveSizeClasses();
  classes.erase(classes.begin() + 12);
  EXPECT_EQ(FindViolation(classes), "merging costs slots: size 161, at 192");
}

TEST(SizeClassGeneratorTest, MissingLargestClassIsRefused) {
  std::vector<SizeClass> classes = DeriveSizeClasses();
  classes.pop_back();
  EXPECT_NE(FindViolation(classes), "");
  EXPECT_NE(FindViolation({}), "");
}

}  // namespace
}  // namespace tricolor::tools
