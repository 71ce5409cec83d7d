// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/examples/depgraph/control_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace depgraph {
namespace {

// "libfoo1:any (>= 1.2) [amd64]" -> "libfoo1".
std::string_view NameIn(std::string_view relation) {
  relation = absl::StripAsciiWhitespace(relation);
  return relation.substr(0, relation.find_first_of(" \t\n:(["));
}

// The names of a list that `separator` divides; empty ones are left out.
std::vector<std::string_view> Names(std::string_view list, char separator) {
  std::vector<std::string_view> names;
  for (std::string_view item : absl::StrSplit(list, separator)) {
    if (std::string_view name = NameIn(item); !name.empty()) {
      names.push_back(name);
    }
  }
  return names;
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const auto close = [](std::FILE* f) { std::fclose(f); };
  std::unique_ptr<std::FILE, decltype(close)> file(
      std::fopen(path.c_str(), "rb"), close);
  if (file == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("cannot open ", path, ": ", std::strerror(errno)));
  }
  std::string text;
  char buffer[1 << 16];
  size_t n;
  while ((n = std::fread(buffer, 1, sizeof(buffer), file.get())) > 0) {
    text.append(buffer, n);
  }
  if (std::ferror(file.get()) != 0) {
    return absl::DataLossError(
        absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
  }
  return text;
}

std::string_view StanzaReader::TakeLine() {
  const size_t end = rest_.find('\n');
  const std::string_view line = rest_.substr(0, end);
  rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
  ++line_number_;
  return line;
}

absl::Status StanzaReader::ReadField(std::string_view field, Stanza* stanza) {
  const size_t colon = field.find(':');
  if (colon == 0 || colon == std::string_view::npos ||
      field.substr(0, colon).find_first_of(" \t") != std::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "line ", line_number_, " is not of the form 'Key: value'"));
  }
  const std::string_view key = field.substr(0, colon);
  const std::string_view value =
      absl::StripAsciiWhitespace(field.substr(colon + 1));
  if (key == "Package") {
    if (!stanza->package.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "line ", line_number_, " names a second package in one stanza"));
    }
    stanza->package = value;
  } else if (key == "Status") {
    installed_ = absl::EndsWith(value, " installed");
  } else if (key == "Provides") {
    stanza->provides = Names(value, ',');
  } else if (key == "Depends" || key == "Pre-Depends") {
    for (std::string_view dependency : absl::StrSplit(value, ',')) {
      std::vector<std::string_view> alternatives = Names(dependency, '|');
      if (!alternatives.empty()) {
        stanza->dependencies.push_back(std::move(alternatives));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> StanzaReader::Next(Stanza* stanza) {
  while (!rest_.empty()) {
    *stanza = Stanza();
    installed_ = true;
    const int first_line = line_number_ + 1;
    bool any_field = false;
    while (!rest_.empty()) {
      const char* const start = rest_.data();
      std::string_view line = TakeLine();
      if (absl::StripAsciiWhitespace(line).empty()) break;
      // A field goes on over the lines that begin with a blank.
      while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t')) {
        line = TakeLine();
      }
      const size_t length =
          static_cast<size_t>(line.data() + line.size() - start);
      if (absl::Status s = ReadField({start, length}, stanza); !s.ok()) {
        return s;
      }
      any_field = true;
    }
    if (!any_field) continue;
    if (stanza->package.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the stanza that begins on line ", first_line, " names no package"));
    }
    if (installed_) return true;
  }
  return false;
}

}  // namespace depgraph
