// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Reads Debian control files: the package database of dpkg
// (/var/lib/dpkg/status) and the Packages indexes of archives. Only what a
// dependency graph needs: names, provided names, and hard dependencies.
// Version constraints and architecture qualifiers are dropped.

#ifndef TRICOLOR_EXAMPLES_DEPGRAPH_CONTROL_FILE_H_
#define TRICOLOR_EXAMPLES_DEPGRAPH_CONTROL_FILE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace depgraph {

// One package. The views point into the parsed text.
struct Stanza {
  std::string_view package;
  std::vector<std::string_view> provides;
  // Each dependency is satisfied by any of its alternatives.
  std::vector<std::vector<std::string_view>> dependencies;
};

// The whole file as text; errors name the file.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Walks over the stanzas of a control file, one at a time.
class StanzaReader {
 public:
  explicit StanzaReader(std::string_view text) : rest_(text) {}

  // Reads the next installed package into *stanza. False at the end of the
  // text. What is not a control file is an error with the line's number.
  absl::StatusOr<bool> Next(Stanza* stanza);

 private:
  absl::Status ReadField(std::string_view line, Stanza* stanza);
  std::string_view TakeLine();

  std::string_view rest_;
  int line_number_ = 0;
  bool installed_ = true;
};

}  // namespace depgraph

#endif  // TRICOLOR_EXAMPLES_DEPGRAPH_CONTROL_FILE_H_
