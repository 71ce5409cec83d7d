// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/examples/depgraph/control_file.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace depgraph {
namespace {

std::vector<Stanza> ReadAll(std::string_view text) {
  StanzaReader reader(text);
  std::vector<Stanza> stanzas(1);
  while (true) {
    const absl::StatusOr<bool> more = reader.Next(&stanzas.back());
    EXPECT_TRUE(more.ok()) << more.status();
    if (!more.ok() || !*more) break;
    stanzas.emplace_back();
  }
  stanzas.pop_back();
  return stanzas;
}

std::string ErrorOf(std::string_view text) {
  StanzaReader reader(text);
  Stanza stanza;
  while (true) {
    const absl::StatusOr<bool> more = reader.Next(&stanza);
    if (!more.ok()) return std::string(more.status().message());
    if (!*more) return "";
  }
}

TEST(StanzaReaderTest, ReadsNamesProvidesAndDependencies) {
  const auto stanzas = ReadAll(
      "Package: editor\n"
      "Version: 2.1\n"
      "Provides: text-editor (= 2), vi\n"
      "Pre-Depends: libc6 (>= 2.36)\n"
      "Depends: awk | mawk:any (>> 1), libtinfo6 [amd64],\n"
      " perl\n"
      "Description: edits\n"
      " Package: this is prose\n");
  ASSERT_EQ(stanzas.size(), 1u);
  EXPECT_EQ(stanzas[0].package, "editor");
  EXPECT_EQ(stanzas[0].provides,
            (std::vector<std::string_view>{"text-editor", "vi"}));
  EXPECT_EQ(stanzas[0].dependencies,
            (std::vector<std::vector<std::string_view>>{
                {"libc6"}, {"awk", "mawk"}, {"libtinfo6"}, {"perl"}}));
}

TEST(StanzaReaderTest, SeveralStanzasAndBlankLines) {
  const auto stanzas = ReadAll("\n\nPackage: a\n\n \nPackage: b\n\n\n");
  ASSERT_EQ(stanzas.size(), 2u);
  EXPECT_EQ(stanzas[0].package, "a");
  EXPECT_EQ(stanzas[1].package, "b");
}

TEST(StanzaReaderTest, OnlyInstalledPackagesOfAStatusFileCount) {
  const auto stanzas = ReadAll(
      "Package: gone\nStatus: deinstall ok config-files\n\n"
      "Package: here\nStatus: install ok installed\n\n"
      "Package: half\nStatus: install reinstreq half-installed\n");
  ASSERT_EQ(stanzas.size(), 1u);
  EXPECT_EQ(stanzas[0].package, "here");
}

TEST(StanzaReaderTest, NoFinalNewlineAndEmptyText) {
  EXPECT_TRUE(ReadAll("").empty());
  EXPECT_TRUE(ReadAll("\n").empty());
  ASSERT_EQ(ReadAll("Package: a").size(), 1u);
  EXPECT_TRUE(ReadAll("Package: a\nDepends:")[0].dependencies.empty());
}

TEST(StanzaReaderTest, ErrorsNameTheLine) {
  EXPECT_EQ(ErrorOf("Package: a\n\nnonsense\n"),
            "line 3 is not of the form 'Key: value'");
  EXPECT_EQ(ErrorOf("Package: a\nPackage: b\n"),
            "line 2 names a second package in one stanza");
  EXPECT_EQ(ErrorOf("Package: a\n\nVersion: 1\n"),
            "the stanza that begins on line 3 names no package");
  EXPECT_NE(ErrorOf("some words: here\n"), "");
  EXPECT_NE(ErrorOf(std::string_view("\0\1\2\n", 4)), "");
}

TEST(ReadFileTest, AMissingFileIsAnError) {
  const auto text = ReadFile("/nonexistent/file");
  ASSERT_FALSE(text.ok());
  EXPECT_NE(text.status().message().find("/nonexistent/file"),
            std::string::npos);
}

}  // namespace
}  // namespace depgraph
