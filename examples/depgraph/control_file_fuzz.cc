// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Any text as a control file: read as stanzas, written again and read again;
// and loaded as a graph, in a heap that collects all the time, against a graph
// of ordinary containers.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tricolor/base/check.h"
#include "tricolor/base/fuzzing.h"
#include "tricolor/examples/depgraph/analysis.h"
#include "tricolor/examples/depgraph/control_file.h"
#include "tricolor/examples/depgraph/graph.h"
#include "tricolor/examples/depgraph/reference.h"
#include "tricolor/runtime/heap.h"

namespace depgraph {
namespace {

using tricolor::Heap;
using tricolor::HeapOptions;
using tricolor::Mutator;
using tricolor::Root;

bool IsIn(std::string_view view, std::string_view text) {
  return view.data() >= text.data() &&
         view.data() + view.size() <= text.data() + text.size();
}

// False when the text is no control file.
bool ReadStanzas(std::string_view text, std::vector<Stanza>* stanzas) {
  StanzaReader reader(text);
  for (;;) {
    Stanza stanza;
    const absl::StatusOr<bool> more = reader.Next(&stanza);
    if (!more.ok() || !*more) return more.ok();
    TRICOLOR_CHECK(!stanza.package.empty() && IsIn(stanza.package, text),
                   "a stanza's name is not in the text");
    TRICOLOR_CHECK(stanzas->size() < text.size(), "stanzas without end");
    stanzas->push_back(stanza);
  }
}

std::string Write(const std::vector<Stanza>& stanzas) {
  std::string text;
  for (const Stanza& stanza : stanzas) {
    absl::StrAppend(&text, "Package: ", stanza.package, "\n");
    absl::StrAppend(&text, "Provides: ", absl::StrJoin(stanza.provides, ", "),
                    "\nDepends: ");
    for (const auto& alternatives : stanza.dependencies) {
      absl::StrAppend(&text, absl::StrJoin(alternatives, " | "), ",\n ");
    }
    absl::StrAppend(&text, "\n\n");
  }
  return text;
}

// Names that the text itself cannot hold again (a field's value may go on over
// lines, a package's name should not) are the reader's to take as they are.
bool CanBeWritten(const std::vector<Stanza>& stanzas) {
  for (const Stanza& stanza : stanzas) {
    if (stanza.package.find('\n') != std::string_view::npos) return false;
  }
  return true;
}

void CheckStanzas(std::string_view text) {
  std::vector<Stanza> stanzas;
  if (!ReadStanzas(text, &stanzas) || !CanBeWritten(stanzas)) return;
  const std::string written = Write(stanzas);
  std::vector<Stanza> again;
  TRICOLOR_CHECK(ReadStanzas(written, &again),
                 "what was written is no "
                 "control file");
  TRICOLOR_CHECK(again.size() == stanzas.size(),
                 "%zu stanzas were written, %zu are read", stanzas.size(),
                 again.size());
  for (size_t i = 0; i < again.size(); ++i) {
    TRICOLOR_CHECK(again[i].package == stanzas[i].package &&
                       again[i].provides == stanzas[i].provides &&
                       again[i].dependencies == stanzas[i].dependencies,
                   "stanza %zu is not what was written", i);
  }
}

size_t CountCycles(const Components& components) {
  size_t cycles = 0;
  for (const uint32_t size : components.sizes) cycles += size > 1;
  return cycles;
}

void CheckGraph(std::string_view text) {
  HeapOptions options;
  options.gc_threads = 1;
  options.reservation_bytes = size_t{256} << 20;
  options.debug = "zeal=3,clobberfree=1";
  Heap heap(options);
  Mutator mutator(heap);
  const absl::StatusOr<Graph*> loaded = LoadGraph(mutator, text);
  const absl::StatusOr<Reference> reference = Reference::Load(text);
  const bool expected = reference.ok() && reference->packages() != 0;
  TRICOLOR_CHECK(loaded.ok() == expected, "the text is %sa graph",
                 loaded.ok() ? "" : "not ");
  if (!loaded.ok()) return;
  const Root<Graph> root(*loaded);
  const Graph& graph = *root;
  TRICOLOR_CHECK(graph.packages.size == reference->packages(),
                 "%u packages, not %zu", graph.packages.size,
                 reference->packages());
  TRICOLOR_CHECK(graph.CountEdges() == reference->CountEdges(),
                 "%llu edges, not %llu",
                 static_cast<unsigned long long>(graph.CountEdges()),
                 static_cast<unsigned long long>(reference->CountEdges()));
  const Components components = FindComponents(mutator, graph);
  TRICOLOR_CHECK(CountCycles(components) == reference->Cycles().size(),
                 "%zu cycles, not %zu", CountCycles(components),
                 reference->Cycles().size());
  const Array<uint32_t> closures =
      CountReverseClosures(mutator, graph, components);
  for (const auto& [name, count] : reference->ReverseClosures()) {
    const uint32_t found = closures[graph.Find(name)->package->index];
    TRICOLOR_CHECK(found == count, "%u packages depend on one, not %u", found,
                   count);
  }
}

}  // namespace
}  // namespace depgraph

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  tricolor::FuzzProgram program("", "");
  program.Note("LoadGraph", text);
  depgraph::CheckStanzas(text);
  depgraph::CheckGraph(text);
  return 0;
}
