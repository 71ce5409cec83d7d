// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/examples/depgraph/analysis.h"

#include <map>
#include <random>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tricolor/examples/depgraph/graph.h"
#include "tricolor/examples/depgraph/reference.h"

namespace depgraph {
namespace {

using tricolor::Heap;
using tricolor::Mutator;

class AnalysisTest : public testing::Test {
 protected:
  Graph& Load(std::string_view text) {
    absl::StatusOr<Graph*> graph = LoadGraph(mutator_, text);
    EXPECT_TRUE(graph.ok()) << graph.status();
    graph_ = *graph;
    return **graph;
  }

  std::set<std::string> Broken(const Graph& graph, std::string_view name) {
    std::set<std::string> names;
    for (Package* p : FindBroken(mutator_, graph, *graph.Find(name)->package)) {
      names.emplace(p->name->view());
    }
    return names;
  }

  Heap heap_;
  Mutator mutator_{heap_};
  tricolor::Root<Graph> graph_;
};

constexpr std::string_view kSmall =
    "Package: app\nDepends: lib, mta | mail-reader\n\n"
    "Package: lib\nDepends: base\n\n"
    "Package: base\nDepends: lib, missing\n\n"
    "Package: postfix\nProvides: mta\nDepends: base\n\n"
    "Package: exim\nProvides: mta\n\n"
    "Package: exim\nDepends: app\n";

TEST_F(AnalysisTest, LoadsAndLinksBothWays) {
  const Graph& graph = Load(kSmall);
  EXPECT_EQ(graph.packages.size, 5u);
  EXPECT_EQ(graph.names.size, 8u);
  EXPECT_EQ(graph.CountVirtualNames(), 3u);
  EXPECT_EQ(graph.CountWithAlternatives(), 1u);
  // app->lib,postfix,exim; lib->base; base->lib; postfix->base.
  EXPECT_EQ(graph.CountEdges(), 6u);
  EXPECT_EQ(graph.Find("mta")->providers.size, 2u);
  EXPECT_EQ(graph.Find("nothing"), nullptr);
  EXPECT_EQ(graph.Find("base")->package->predecessors.size, 2u);
}

TEST_F(AnalysisTest, FindsCycles) {
  const Graph& graph = Load(kSmall);
  const Components c = FindComponents(mutator_, graph);
  EXPECT_EQ(c.sizes.size, 4u);
  EXPECT_EQ(c.of[graph.Find("lib")->package->index],
            c.of[graph.Find("base")->package->index]);
  EXPECT_EQ(c.sizes[c.of[graph.Find("lib")->package->index]], 2u);
  EXPECT_EQ(c.sizes[c.of[graph.Find("app")->package->index]], 1u);
}

TEST_F(AnalysisTest, AlternativesBreakOnlyTogether) {
  const Graph& graph = Load(kSmall);
  EXPECT_TRUE(Broken(graph, "app").empty());
  EXPECT_TRUE(Broken(graph, "exim").empty());
  // Without lib: base, and so postfix; exim still serves app as mta, but
  // app needs lib itself.
  EXPECT_EQ(Broken(graph, "lib"),
            (std::set<std::string>{"app", "base", "postfix"}));
}

TEST_F(AnalysisTest, TextWithoutPackagesIsAnError) {
  EXPECT_FALSE(LoadGraph(mutator_, "").ok());
  EXPECT_FALSE(LoadGraph(mutator_, "no control file").ok());
}

// A random package index: every name, virtual ones too, is a small number.
std::string RandomIndex(std::mt19937& random, uint32_t packages) {
  const auto below = [&](uint32_t n) {
    return static_cast<uint32_t>(random()) % n;
  };
  std::string text;
  for (uint32_t i = 0; i < packages; ++i) {
    absl::StrAppend(&text, "Package: p", below(packages), "\nProvides: v",
                    below(packages / 4 + 1), "\nDepends: ");
    for (uint32_t d = below(3); d > 0; --d) {
      for (uint32_t a = below(3); a > 0; --a) {
        absl::StrAppend(&text, below(4) == 0 ? "v" : "p", below(packages),
                        " | ");
      }
      absl::StrAppend(&text, "p", below(packages), ", ");
    }
    absl::StrAppend(&text, "\n\n");
  }
  return text;
}

TEST_F(AnalysisTest, AgreesWithTheReferenceOnRandomIndexes) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937 random(seed);
    const std::string text = RandomIndex(random, 5 + seed * 3);
    const Graph& graph = Load(text);
    const absl::StatusOr<Reference> reference = Reference::Load(text);
    ASSERT_TRUE(reference.ok());
    ASSERT_EQ(graph.packages.size, reference->packages());
    ASSERT_EQ(graph.CountEdges(), reference->CountEdges());

    const Components components = FindComponents(mutator_, graph);
    size_t cycles = 0;
    for (uint32_t size : components.sizes) cycles += size > 1;
    EXPECT_EQ(cycles, reference->Cycles().size());

    const auto counts = CountReverseClosures(mutator_, graph, components);
    const auto expected = reference->ReverseClosures();
    for (Package* p : graph.packages) {
      const std::string name(p->name->view());
      EXPECT_EQ(counts[p->index], expected.at(name)) << name;
      EXPECT_EQ(CountReverseClosure(mutator_, graph, *p), expected.at(name));
      EXPECT_EQ(Broken(graph, name), reference->Broken(name)) << name;
    }
  }
}

}  // namespace
}  // namespace depgraph
