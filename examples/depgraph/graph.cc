// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/examples/depgraph/graph.h"

#include <algorithm>
#include <cstring>

#include "absl/hash/hash.h"
#include "tricolor/examples/depgraph/control_file.h"

namespace depgraph {
namespace {

using tricolor::Mutator;
using tricolor::Ptr;

size_t HashOf(std::string_view text) { return absl::HashOf(text); }

// The slot of `table` that holds `name`, or the free one where it belongs.
Ptr<Name>& SlotFor(const Array<Ptr<Name>>& table, std::string_view name) {
  const uint32_t mask = table.size - 1;
  uint32_t i = static_cast<uint32_t>(HashOf(name)) & mask;
  while (table[i] != nullptr && table[i]->view() != name) i = (i + 1) & mask;
  return table[i];
}

// A list under construction, kept alive by the stack it lies on.
template <typename T>
class Builder {
 public:
  explicit Builder(Mutator& mutator) : mutator_(mutator) {}

  void Add(T* object) {
    if (list_.size == capacity_) Grow();
    list_.data[list_.size++] = object;
  }
  bool Contains(const T* object) const {
    return std::find(list_.begin(), list_.end(), object) != list_.end();
  }
  uint32_t size() const { return list_.size; }
  const Array<Ptr<T>>& list() const { return list_; }
  // The list in an array of just its length; the builder is empty afterwards.
  Array<Ptr<T>> Take() {
    Array<Ptr<T>> exact;
    if (list_.size > 0) {
      exact = NewArray<Ptr<T>>(mutator_, list_.size);
      std::copy(list_.begin(), list_.end(), exact.begin());
    }
    list_.size = 0;
    return exact;
  }

 private:
  void Grow() {
    capacity_ = capacity_ == 0 ? 8 : capacity_ * 2;
    Array<Ptr<T>> larger = NewArray<Ptr<T>>(mutator_, capacity_);
    std::copy(list_.begin(), list_.end(), larger.begin());
    larger.size = list_.size;
    list_ = larger;
  }

  Mutator& mutator_;
  Array<Ptr<T>> list_;
  uint32_t capacity_ = 0;
};

// Turns (key, value) pairs, asked for in the order of values, into one array
// of values for each key: counts first, then fills.
template <typename T>
class Grouping {
 public:
  Grouping(Mutator& mutator, uint32_t keys)
      : mutator_(mutator), counts_(NewArray<uint32_t>(mutator, keys)) {}

  void Count(uint32_t key) { ++counts_[key]; }
  void Add(Array<Ptr<T>>& list, uint32_t key, T* value) {
    if (list.data == nullptr) {
      list = NewArray<Ptr<T>>(mutator_, counts_[key]);
      list.size = 0;
    }
    list.data[list.size++] = value;
  }

 private:
  Mutator& mutator_;
  Array<uint32_t> counts_;
};

class Loader {
 public:
  explicit Loader(Mutator& mutator)
      : mutator_(mutator),
        graph_(OrDie(mutator.New<Graph>())),
        packages_(mutator),
        names_(mutator),
        dependencies_(mutator) {
    graph_->table = NewArray<Ptr<Name>>(mutator, 1024);
  }

  void AddPackage(const Stanza& stanza) {
    Name* name = Intern(stanza.package);
    if (name->package != nullptr) return;  // the first of a name counts
    Package* package = OrDie(mutator_.New<Package>());
    package->name = name;
    package->index = packages_.size();
    name->package = package;
    packages_.Add(package);

    Builder<Name> provides(mutator_);
    provides.Add(name);
    for (std::string_view provided : stanza.provides) {
      Name* n = Intern(provided);
      if (!provides.Contains(n)) provides.Add(n);
    }
    package->provides = provides.Take();

    Builder<Dependency> dependencies(mutator_);
    for (const auto& alternatives : stanza.dependencies) {
      dependencies.Add(NewDependency(package, alternatives));
    }
    package->dependencies = dependencies.Take();
  }

  Graph* Finish() {
    graph_->packages = packages_.Take();
    graph_->names = names_.Take();
    graph_->dependencies = dependencies_.Take();
    LinkNames();
    LinkSuccessors();
    LinkPredecessors();
    return graph_;
  }

  uint32_t packages() const { return packages_.size(); }

 private:
  Name* Intern(std::string_view text) {
    if (names_.size() >= graph_->table.size / 2) GrowTable();
    Ptr<Name>& slot = SlotFor(graph_->table, text);
    if (slot != nullptr) return slot;
    Name* name = OrDie(mutator_.New<Name>());
    name->text = NewArray<char>(mutator_, static_cast<uint32_t>(text.size()));
    std::memcpy(name->text.begin(), text.data(), text.size());
    name->index = names_.size();
    names_.Add(name);
    slot = name;
    return name;
  }

  void GrowTable() {
    const Array<Ptr<Name>> old = graph_->table;
    graph_->table = NewArray<Ptr<Name>>(mutator_, old.size * 2);
    for (Name* name : old) {
      if (name != nullptr) SlotFor(graph_->table, name->view()) = name;
    }
  }

  Dependency* NewDependency(Package* owner,
                            const std::vector<std::string_view>& names) {
    Dependency* dependency = OrDie(mutator_.New<Dependency>());
    dependency->owner = owner;
    dependency->index = dependencies_.size();
    dependencies_.Add(dependency);
    Builder<Name> alternatives(mutator_);
    for (std::string_view text : names) {
      Name* name = Intern(text);
      if (!alternatives.Contains(name)) alternatives.Add(name);
    }
    dependency->alternatives = alternatives.Take();
    return dependency;
  }

  // Name::providers and Name::used_by.
  void LinkNames() {
    Grouping<Package> providers(mutator_, graph_->names.size);
    Grouping<Dependency> users(mutator_, graph_->names.size);
    for (Package* p : graph_->packages) {
      for (Name* n : p->provides) providers.Count(n->index);
    }
    for (Dependency* d : graph_->dependencies) {
      for (Name* n : d->alternatives) users.Count(n->index);
    }
    for (Package* p : graph_->packages) {
      for (Name* n : p->provides) providers.Add(n->providers, n->index, p);
    }
    for (Dependency* d : graph_->dependencies) {
      for (Name* n : d->alternatives) users.Add(n->used_by, n->index, d);
    }
  }

  void LinkSuccessors() {
    // The package whose successors a package was last added to, plus one.
    Array<uint32_t> seen = NewArray<uint32_t>(mutator_, graph_->packages.size);
    Builder<Package> successors(mutator_);
    for (Package* p : graph_->packages) {
      for (Dependency* d : p->dependencies) {
        for (Name* n : d->alternatives) {
          for (Package* provider : n->providers) {
            if (provider == p || seen[provider->index] == p->index + 1) {
              continue;
            }
            seen[provider->index] = p->index + 1;
            successors.Add(provider);
          }
        }
      }
      p->successors = successors.Take();
    }
  }

  void LinkPredecessors() {
    Grouping<Package> predecessors(mutator_, graph_->packages.size);
    for (Package* p : graph_->packages) {
      for (Package* s : p->successors) predecessors.Count(s->index);
    }
    for (Package* p : graph_->packages) {
      for (Package* s : p->successors) {
        predecessors.Add(s->predecessors, s->index, p);
      }
    }
  }

  Mutator& mutator_;
  Graph* graph_;
  Builder<Package> packages_;
  Builder<Name> names_;
  Builder<Dependency> dependencies_;
};

}  // namespace

Name* Graph::Find(std::string_view name) const { return SlotFor(table, name); }

uint64_t Graph::CountEdges() const {
  uint64_t edges = 0;
  for (Package* p : packages) edges += p->successors.size;
  return edges;
}

uint32_t Graph::CountVirtualNames() const {
  return static_cast<uint32_t>(
      std::count_if(names.begin(), names.end(),
                    [](Name* n) { return n->package == nullptr; }));
}

uint32_t Graph::CountWithAlternatives() const {
  return static_cast<uint32_t>(
      std::count_if(dependencies.begin(), dependencies.end(),
                    [](Dependency* d) { return d->alternatives.size > 1; }));
}

absl::StatusOr<Graph*> LoadGraph(tricolor::Mutator& mutator,
                                 std::string_view text) {
  Loader loader(mutator);
  StanzaReader reader(text);
  Stanza stanza;
  while (true) {
    absl::StatusOr<bool> more = reader.Next(&stanza);
    if (!more.ok()) return more.status();
    if (!*more) break;
    loader.AddPackage(stanza);
  }
  if (loader.packages() == 0) {
    return absl::InvalidArgumentError("the file lists no installed package");
  }
  return loader.Finish();
}

}  // namespace depgraph
