// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/examples/depgraph/analysis.h"

#include <algorithm>
#include <bit>

namespace depgraph {
namespace {

using tricolor::Mutator;
using tricolor::Ptr;

// Tarjan's algorithm, with the recursion in an array of its own.
class ComponentFinder {
 public:
  ComponentFinder(Mutator& mutator, const Graph& graph)
      : mutator_(mutator),
        graph_(graph),
        component_(NewArray<uint32_t>(mutator, graph.packages.size)),
        order_(NewArray<uint32_t>(mutator, graph.packages.size)),
        low_(NewArray<uint32_t>(mutator, graph.packages.size)),
        open_(NewArray<uint32_t>(mutator, graph.packages.size)),
        path_(NewArray<Step>(mutator, graph.packages.size)) {}

  Components Find() {
    for (uint32_t i = 0; i < graph_.packages.size; ++i) {
      if (order_[i] == 0) Visit(i);
    }
    Components result;
    result.of = component_;
    result.sizes = NewArray<uint32_t>(mutator_, components_);
    for (uint32_t& c : component_) ++result.sizes[--c];
    return result;
  }

 private:
  struct Step {
    TRICOLOR_TRACE(Step);
    uint32_t package;
    uint32_t next_successor;
  };

  void Enter(uint32_t package) {
    order_[package] = low_[package] = ++entered_;
    open_[open_count_++] = package;
    path_[path_length_++] = {package, 0};
  }

  void Visit(uint32_t root) {
    Enter(root);
    while (path_length_ > 0) {
      Step& step = path_[path_length_ - 1];
      const Package& package = *graph_.packages[step.package];
      if (step.next_successor < package.successors.size) {
        const uint32_t next = package.successors[step.next_successor++]->index;
        if (order_[next] == 0) {
          Enter(next);
        } else if (component_[next] == 0) {
          low_[step.package] = std::min(low_[step.package], order_[next]);
        }
      } else {
        Leave(step.package);
      }
    }
  }

  void Leave(uint32_t package) {
    --path_length_;
    if (path_length_ > 0) {
      uint32_t& parent = low_[path_[path_length_ - 1].package];
      parent = std::min(parent, low_[package]);
    }
    if (low_[package] != order_[package]) return;
    ++components_;
    uint32_t member;
    do {
      member = open_[--open_count_];
      component_[member] = components_;
    } while (member != package);
  }

  Mutator& mutator_;
  const Graph& graph_;
  Array<uint32_t> component_;  // number + 1; 0: not known yet
  Array<uint32_t> order_;      // 0: not entered
  Array<uint32_t> low_;
  Array<uint32_t> open_;
  Array<Step> path_;
  uint32_t entered_ = 0;
  uint32_t open_count_ = 0;
  uint32_t path_length_ = 0;
  uint32_t components_ = 0;
};

// Packages whose paths are followed at once in CountReverseClosures.
constexpr uint32_t kBlockWords = 16;
constexpr uint32_t kBlockBits = kBlockWords * 64;

// Package indexes in the order of their components, from those that depend on
// others to those that others depend on.
Array<uint32_t> InTopologicalOrder(Mutator& mutator,
                                   const Components& components) {
  const uint32_t count = components.of.size;
  Array<uint32_t> next = NewArray<uint32_t>(mutator, components.sizes.size);
  uint32_t position = 0;
  for (uint32_t c = components.sizes.size; c-- > 0;) {
    next[c] = position;
    position += components.sizes[c];
  }
  Array<uint32_t> order = NewArray<uint32_t>(mutator, count);
  for (uint32_t i = 0; i < count; ++i) {
    order[next[components.of[i]]++] = i;
  }
  return order;
}

// What a walk over packages needs: a queue, and who has been in it.
class Walk {
 public:
  Walk(Mutator& mutator, const Graph& graph)
      : seen_(NewArray<uint64_t>(mutator, graph.packages.size / 64 + 1)),
        queue_(NewArray<Ptr<Package>>(mutator, graph.packages.size)) {
    queue_.size = 0;
  }

  void Add(Package* package) {
    uint64_t& word = seen_[package->index / 64];
    const uint64_t bit = uint64_t{1} << (package->index % 64);
    if ((word & bit) != 0) return;
    word |= bit;
    queue_.data[queue_.size++] = package;
  }
  // Null when all have been visited.
  Package* Next() {
    return visited_ == queue_.size ? nullptr : queue_[visited_++].get();
  }
  const Array<Ptr<Package>>& queue() const { return queue_; }

 private:
  Array<uint64_t> seen_;
  Array<Ptr<Package>> queue_;
  uint32_t visited_ = 0;
};

}  // namespace

Components FindComponents(Mutator& mutator, const Graph& graph) {
  return ComponentFinder(mutator, graph).Find();
}

Array<uint32_t> CountReverseClosures(Mutator& mutator, const Graph& graph,
                                     const Components& components) {
  const uint32_t count = graph.packages.size;
  const Array<uint32_t> order = InTopologicalOrder(mutator, components);
  Array<uint32_t> result = NewArray<uint32_t>(mutator, count);
  for (uint32_t first = 0; first < count; first += kBlockBits) {
    // For each component, which packages of the block reach it.
    Array<uint64_t> reached_by =
        NewArray<uint64_t>(mutator, components.sizes.size * kBlockWords);
    const auto row = [&](uint32_t package) {
      return &reached_by[components.of[package] * kBlockWords];
    };
    const uint32_t end = std::min(count, first + kBlockBits);
    for (uint32_t i = first; i < end; ++i) {
      row(i)[(i - first) / 64] |= uint64_t{1} << (i % 64);
    }
    for (uint32_t i : order) {
      for (Package* s : graph.packages[i]->successors) {
        if (components.of[s->index] == components.of[i]) continue;
        for (uint32_t w = 0; w < kBlockWords; ++w) {
          row(s->index)[w] |= row(i)[w];
        }
      }
    }
    for (uint32_t i = 0; i < count; ++i) {
      for (uint32_t w = 0; w < kBlockWords; ++w) {
        result[i] += static_cast<uint32_t>(std::popcount(row(i)[w]));
      }
    }
  }
  for (uint32_t& n : result) --n;  // each reaches itself
  return result;
}

uint32_t CountReverseClosure(Mutator& mutator, const Graph& graph,
                             const Package& package) {
  Walk walk(mutator, graph);
  walk.Add(graph.packages[package.index]);
  while (Package* p = walk.Next()) {
    for (Package* predecessor : p->predecessors) walk.Add(predecessor);
  }
  return walk.queue().size - 1;
}

Array<Ptr<Package>> FindBroken(Mutator& mutator, const Graph& graph,
                               Package& package) {
  // How many providers of a name, and names of a dependency, are left.
  Array<uint32_t> providers = NewArray<uint32_t>(mutator, graph.names.size);
  Array<uint32_t> names = NewArray<uint32_t>(mutator, graph.dependencies.size);
  for (Name* n : graph.names) providers[n->index] = n->providers.size;
  for (Dependency* d : graph.dependencies) {
    for (Name* n : d->alternatives) {
      if (n->providers.size > 0) ++names[d->index];
    }
  }
  Walk walk(mutator, graph);
  walk.Add(&package);
  while (Package* gone = walk.Next()) {
    for (Name* n : gone->provides) {
      if (--providers[n->index] > 0) continue;
      for (Dependency* d : n->used_by) {
        if (--names[d->index] == 0) walk.Add(d->owner);
      }
    }
  }
  Array<Ptr<Package>> broken =
      NewArray<Ptr<Package>>(mutator, walk.queue().size);
  std::copy(walk.queue().begin() + 1, walk.queue().end(), broken.begin());
  broken.size = walk.queue().size - 1;
  return broken;
}

}  // namespace depgraph
