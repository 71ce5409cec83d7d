// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/examples/depgraph/reference.h"

#include <algorithm>

#include "tricolor/examples/depgraph/control_file.h"

namespace depgraph {

absl::StatusOr<Reference> Reference::Load(std::string_view text) {
  Reference result;
  std::set<std::string> known;
  StanzaReader reader(text);
  Stanza stanza;
  while (true) {
    absl::StatusOr<bool> more = reader.Next(&stanza);
    if (!more.ok()) return more.status();
    if (!*more) break;
    Package package;
    package.name = std::string(stanza.package);
    if (!known.insert(package.name).second) continue;
    package.provides.assign(stanza.provides.begin(), stanza.provides.end());
    package.provides.push_back(package.name);
    for (const auto& d : stanza.dependencies) {
      package.dependencies.emplace_back(d.begin(), d.end());
    }
    const uint32_t index = static_cast<uint32_t>(result.packages_.size());
    for (const std::string& name : package.provides) {
      result.providers_[name].insert(index);
    }
    result.packages_.push_back(std::move(package));
  }
  result.successors_.resize(result.packages_.size());
  result.predecessors_.resize(result.packages_.size());
  for (uint32_t i = 0; i < result.packages_.size(); ++i) {
    for (const auto& alternatives : result.packages_[i].dependencies) {
      for (const std::string& name : alternatives) {
        const auto found = result.providers_.find(name);
        if (found == result.providers_.end()) continue;
        for (uint32_t provider : found->second) {
          if (provider == i) continue;
          result.successors_[i].insert(provider);
          result.predecessors_[provider].insert(i);
        }
      }
    }
  }
  return result;
}

uint64_t Reference::CountEdges() const {
  uint64_t edges = 0;
  for (const auto& s : successors_) edges += s.size();
  return edges;
}

std::vector<uint32_t> Reference::Reach(
    const std::vector<std::set<uint32_t>>& edges, uint32_t start,
    std::vector<uint32_t>& seen, uint32_t mark) {
  std::vector<uint32_t> queue = {start};
  seen[start] = mark;
  for (size_t i = 0; i < queue.size(); ++i) {
    for (uint32_t next : edges[queue[i]]) {
      if (seen[next] == mark) continue;
      seen[next] = mark;
      queue.push_back(next);
    }
  }
  return queue;
}

std::set<std::set<std::string>> Reference::Cycles() const {
  std::set<std::set<std::string>> cycles;
  std::vector<bool> done(packages_.size());
  std::vector<uint32_t> forward(packages_.size());
  std::vector<uint32_t> backward(packages_.size());
  for (uint32_t i = 0; i < packages_.size(); ++i) {
    if (done[i]) continue;
    // A component is what can be reached both ways.
    Reach(successors_, i, forward, i + 1);
    std::set<std::string> component;
    for (uint32_t member : Reach(predecessors_, i, backward, i + 1)) {
      if (forward[member] != i + 1) continue;
      component.insert(packages_[member].name);
      done[member] = true;
    }
    if (component.size() > 1) cycles.insert(std::move(component));
  }
  return cycles;
}

std::map<std::string, uint32_t> Reference::ReverseClosures() const {
  std::map<std::string, uint32_t> result;
  std::vector<uint32_t> seen(packages_.size());
  for (uint32_t i = 0; i < packages_.size(); ++i) {
    result[packages_[i].name] =
        static_cast<uint32_t>(Reach(predecessors_, i, seen, i + 1).size() - 1);
  }
  return result;
}

std::set<std::string> Reference::Broken(const std::string& package) const {
  std::set<std::string> gone = {package};
  const auto available = [&](const std::string& name) {
    const auto found = providers_.find(name);
    return found != providers_.end() &&
           std::any_of(
               found->second.begin(), found->second.end(),
               [&](uint32_t i) { return gone.count(packages_[i].name) == 0; });
  };
  const auto satisfied = [&](const std::vector<std::string>& alternatives) {
    return std::any_of(alternatives.begin(), alternatives.end(), available);
  };
  const auto known = [&](const std::vector<std::string>& alternatives) {
    return std::any_of(
        alternatives.begin(), alternatives.end(),
        [&](const std::string& name) { return providers_.count(name) > 0; });
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (const Package& p : packages_) {
      if (gone.count(p.name) > 0) continue;
      for (const auto& alternatives : p.dependencies) {
        if (known(alternatives) && !satisfied(alternatives)) {
          gone.insert(p.name);
          changed = true;
          break;
        }
      }
    }
  }
  gone.erase(package);
  return gone;
}

}  // namespace depgraph
