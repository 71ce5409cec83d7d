// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Questions to a dependency graph. All working memory is garbage in the
// graph's heap; several threads may ask at once, each with its own mutator.

#ifndef TRICOLOR_EXAMPLES_DEPGRAPH_ANALYSIS_H_
#define TRICOLOR_EXAMPLES_DEPGRAPH_ANALYSIS_H_

#include <cstdint>

#include "tricolor/examples/depgraph/graph.h"

namespace depgraph {

// The strongly connected components: packages in one component all depend on
// each other, directly or not.
struct Components {
  // The component of each package, by package index. A package's successors
  // are in its own component or in one with a smaller number.
  Array<uint32_t> of;
  Array<uint32_t> sizes;
};
Components FindComponents(tricolor::Mutator& mutator, const Graph& graph);

// For each package, by index, how many others depend on it, directly or not,
// whatever alternatives they have.
Array<uint32_t> CountReverseClosures(tricolor::Mutator& mutator,
                                     const Graph& graph,
                                     const Components& components);
// The same for one package.
uint32_t CountReverseClosure(tricolor::Mutator& mutator, const Graph& graph,
                             const Package& package);

// The packages that can no longer be used when `package` is gone: those with a
// dependency of whose alternatives nothing is left, and so on. `package` itself
// is not listed; what was broken to begin with does not count.
Array<tricolor::Ptr<Package>> FindBroken(tricolor::Mutator& mutator,
                                         const Graph& graph, Package& package);

}  // namespace depgraph

#endif  // TRICOLOR_EXAMPLES_DEPGRAPH_ANALYSIS_H_
