// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The same questions answered with ordinary containers and plainer algorithms,
// to check the answers that came out of the collected heap.

#ifndef TRICOLOR_EXAMPLES_DEPGRAPH_REFERENCE_H_
#define TRICOLOR_EXAMPLES_DEPGRAPH_REFERENCE_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace depgraph {

class Reference {
 public:
  static absl::StatusOr<Reference> Load(std::string_view text);

  size_t packages() const { return packages_.size(); }
  uint64_t CountEdges() const;
  // The components of more than one package, as sets of names.
  std::set<std::set<std::string>> Cycles() const;
  // By package name.
  std::map<std::string, uint32_t> ReverseClosures() const;
  std::set<std::string> Broken(const std::string& package) const;

 private:
  struct Package {
    std::string name;
    std::vector<std::string> provides;
    std::vector<std::vector<std::string>> dependencies;
  };

  // The packages reachable from `start`, itself included.
  static std::vector<uint32_t> Reach(
      const std::vector<std::set<uint32_t>>& edges, uint32_t start,
      std::vector<uint32_t>& seen, uint32_t mark);

  std::vector<Package> packages_;
  std::map<std::string, std::set<uint32_t>> providers_;
  std::vector<std::set<uint32_t>> successors_;
  std::vector<std::set<uint32_t>> predecessors_;
};

}  // namespace depgraph

#endif  // TRICOLOR_EXAMPLES_DEPGRAPH_REFERENCE_H_
