// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A dependency graph that lives in a Tricolor heap: packages, the names that
// they provide, and dependencies with alternatives, linked in both directions
// and full of cycles. A graph is built by one thread and then only read.

#ifndef TRICOLOR_EXAMPLES_DEPGRAPH_GRAPH_H_
#define TRICOLOR_EXAMPLES_DEPGRAPH_GRAPH_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "tricolor/runtime/heap.h"

namespace depgraph {

// Heap objects or nothing: an example has no use for a graph without memory.
template <typename T>
T* OrDie(T* object) {
  if (object == nullptr) {
    std::fprintf(stderr, "depgraph: out of memory\n");
    std::exit(1);
  }
  return object;
}

// An array in the heap and its length; a field of heap objects.
template <typename T>
struct Array {
  TRICOLOR_TRACE(Array, data);

  tricolor::Ptr<T> data;
  uint32_t size = 0;

  T* begin() const { return data; }
  T* end() const { return data + size; }
  T& operator[](uint32_t i) const { return data[i]; }
};

template <typename T>
Array<T> NewArray(tricolor::Mutator& mutator, uint32_t size) {
  return {OrDie(mutator.NewArray<T>(size)), size};
}

struct Package;
struct Dependency;

// A name that dependencies ask for: a package's own or a virtual one.
struct Name {
  TRICOLOR_TRACE(Name, text, package, providers, used_by);

  std::string_view view() const { return {text.begin(), text.size}; }

  Array<char> text;
  tricolor::Ptr<Package> package;           // whose own name it is, or null
  Array<tricolor::Ptr<Package>> providers;  // every package that provides it
  Array<tricolor::Ptr<Dependency>> used_by;
  uint32_t index = 0;
};

// Satisfied by a provider of any of its names.
struct Dependency {
  TRICOLOR_TRACE(Dependency, owner, alternatives);

  tricolor::Ptr<Package> owner;
  Array<tricolor::Ptr<Name>> alternatives;
  uint32_t index = 0;
};

struct Package {
  TRICOLOR_TRACE(Package, name, provides, dependencies, successors,
                 predecessors);

  tricolor::Ptr<Name> name;
  Array<tricolor::Ptr<Name>> provides;  // its own name first
  Array<tricolor::Ptr<Dependency>> dependencies;
  // The packages that may satisfy a dependency of this one, without doubles
  // and without itself; and the other way round.
  Array<tricolor::Ptr<Package>> successors;
  Array<tricolor::Ptr<Package>> predecessors;
  uint32_t index = 0;
};

struct Graph {
  TRICOLOR_TRACE(Graph, packages, names, dependencies, table);

  // Null when there is no such name.
  Name* Find(std::string_view name) const;
  uint64_t CountEdges() const;
  uint32_t CountVirtualNames() const;  // those that no package has as its own
  uint32_t CountWithAlternatives() const;

  Array<tricolor::Ptr<Package>> packages;
  Array<tricolor::Ptr<Name>> names;
  Array<tricolor::Ptr<Dependency>> dependencies;
  Array<tricolor::Ptr<Name>> table;  // open addressing; a power of two
};

// Builds the graph of a control file's text. Of several packages with one name
// the first counts. An error when the text is not a control file or holds no
// package.
absl::StatusOr<Graph*> LoadGraph(tricolor::Mutator& mutator,
                                 std::string_view text);

}  // namespace depgraph

#endif  // TRICOLOR_EXAMPLES_DEPGRAPH_GRAPH_H_
