// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Prints mheap/size_classes.h; fails when a rule does not hold:
//
//   bazel run //tools:gen_size_classes > mheap/size_classes.h

#include <cstdio>
#include <string>
#include <vector>

#include "tricolor/tools/size_class_generator.h"

int main() {
  const std::vector<tricolor::tools::SizeClass> classes =
      tricolor::tools::DeriveSizeClasses();
  const std::string violation = tricolor::tools::FindViolation(classes);
  if (!violation.empty()) {
    std::fprintf(stderr, "gen_size_classes: %s\n", violation.c_str());
    return 1;
  }
  const std::string header = tricolor::tools::FormatHeader(classes);
  return std::fputs(header.c_str(), stdout) < 0 ? 1 : 0;
}
