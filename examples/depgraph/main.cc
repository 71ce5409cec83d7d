// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// depgraph: what depends on what among the packages of a Debian system. One
// thread reloads the graph round after round while others ask it questions,
// all in one collected heap.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tricolor/examples/depgraph/analysis.h"
#include "tricolor/examples/depgraph/control_file.h"
#include "tricolor/examples/depgraph/graph.h"
#include "tricolor/examples/depgraph/reference.h"
#include "tricolor/examples/depgraph/report.h"
#include "tricolor/runtime/heap.h"

ABSL_FLAG(std::string, input, "/var/lib/dpkg/status",
          "the dpkg status file or Packages index to read");
ABSL_FLAG(int, rounds, 10, "how often the graph is reloaded");
ABSL_FLAG(int, threads, 2, "threads that ask questions meanwhile");
ABSL_FLAG(int, top, 10, "how many rows each answer shows");
ABSL_FLAG(std::vector<std::string>, without, {},
          "packages to do without, separated by commas; by default the one "
          "that most others depend on");
ABSL_FLAG(bool, check, false,
          "compute the answers again with ordinary containers and compare");

namespace depgraph {
namespace {

using tricolor::Heap;
using tricolor::Mutator;
using tricolor::Ptr;
using tricolor::Root;

// The graph that questions are put to, replaced while they are asked.
class CurrentGraph {
 public:
  void Set(Graph* graph) {
    const std::lock_guard<std::mutex> lock(mutex_);
    graph_ = graph;
  }
  Graph* Get() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return graph_.get();
  }

 private:
  std::mutex mutex_;
  Root<Graph> graph_;
};

// One run of the program over one file.
class Run {
 public:
  explicit Run(std::string text) : text_(std::move(text)), mutator_(heap_) {}

  // The exit status.
  int Main() {
    absl::StatusOr<Graph*> graph = LoadGraph(mutator_, text_);
    if (!graph.ok()) return Fail(graph.status().message());
    current_.Set(*graph);
    PrintGraph(**graph);
    for (const std::string& name : absl::GetFlag(FLAGS_without)) {
      const Name* found = (*graph)->Find(name);
      if (found == nullptr || found->package == nullptr) {
        return Fail(absl::StrCat("there is no package '", name, "'"));
      }
    }
    const Components components = FindComponents(mutator_, **graph);
    closures_ = CountReverseClosures(mutator_, **graph, components);
    expected_.assign(closures_.begin(), closures_.end());

    ReloadWhileAsking();
    PrintAnswers(**graph, components);
    if (wrong_answers_ > 0) {
      return Fail(absl::StrCat(wrong_answers_.load(), " of ", questions_.load(),
                               " answers were wrong"));
    }
    if (absl::GetFlag(FLAGS_check) && !Check(**graph, components)) return 1;
    PrintCollector(heap_.ReadMemStats());
    return 0;
  }

 private:
  static int Fail(std::string_view message) {
    std::fflush(stdout);
    std::fprintf(stderr, "depgraph: %s: %.*s\n",
                 absl::GetFlag(FLAGS_input).c_str(),
                 static_cast<int>(message.size()), message.data());
    return 1;
  }

  void ReloadWhileAsking() {
    const int rounds = absl::GetFlag(FLAGS_rounds);
    std::atomic<bool> done{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < absl::GetFlag(FLAGS_threads); ++i) {
      threads.emplace_back([this, i, &done] { Ask(i, done); });
    }
    const int step = std::max(1, rounds / 10);
    for (int round = 1; round <= rounds; ++round) {
      current_.Set(*LoadGraph(mutator_, text_));
      if (round % step == 0 || round == rounds) {
        PrintRound(round, rounds, questions_, heap_.ReadMemStats());
      }
    }
    done = true;
    // The threads need the heap to finish; this one does not.
    const Mutator::NativeScope native(mutator_);
    for (std::thread& t : threads) t.join();
  }

  // Asks about random packages, and compares with what was found at first.
  void Ask(int seed, const std::atomic<bool>& done) {
    Mutator mutator(heap_);
    std::mt19937 random(static_cast<uint32_t>(seed));
    do {
      const Graph& graph = *current_.Get();
      const uint32_t index =
          static_cast<uint32_t>(random()) % graph.packages.size;
      Package& package = *graph.packages[index];
      const uint32_t closure = CountReverseClosure(mutator, graph, package);
      const uint32_t broken = FindBroken(mutator, graph, package).size;
      if (closure != expected_[index] || broken > closure) ++wrong_answers_;
      ++questions_;
    } while (!done);
  }

  // Package indexes by falling closure; equal ones by name.
  std::vector<uint32_t> ByClosure(const Graph& graph) const {
    std::vector<uint32_t> order(graph.packages.size);
    for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      if (closures_[a] != closures_[b]) return closures_[a] > closures_[b];
      return graph.packages[a]->name->view() < graph.packages[b]->name->view();
    });
    return order;
  }

  std::vector<std::string> Without(const Graph& graph) const {
    std::vector<std::string> names = absl::GetFlag(FLAGS_without);
    if (names.empty()) {
      names.emplace_back(graph.packages[ByClosure(graph)[0]]->name->view());
    }
    return names;
  }

  void PrintAnswers(const Graph& graph, const Components& components) {
    const auto top = static_cast<size_t>(std::max(0, absl::GetFlag(FLAGS_top)));
    PrintCycles(CyclesOf(graph, components), top);
    std::vector<Row> rows;
    for (uint32_t i : ByClosure(graph)) {
      if (rows.size() == top) break;
      rows.push_back(
          {std::string(graph.packages[i]->name->view()), closures_[i]});
    }
    PrintClosures(rows);
    for (const std::string& name : Without(graph)) {
      PrintBroken(
          name,
          NamesOf(FindBroken(mutator_, graph, *graph.Find(name)->package)),
          top);
    }
  }

  bool Check(const Graph& graph, const Components& components) {
    const absl::StatusOr<Reference> reference = Reference::Load(text_);
    if (!reference.ok()) return Fail(reference.status().message()) == 0;
    bool good = true;
    const auto compare = [&good](std::string_view what, bool equal) {
      std::printf("check: %.*s: %s\n", static_cast<int>(what.size()),
                  what.data(), equal ? "equal" : "DIFFERENT");
      good &= equal;
    };
    std::printf("\n");
    compare("packages", reference->packages() == graph.packages.size);
    compare("edges", reference->CountEdges() == graph.CountEdges());
    compare("cycles", reference->Cycles() == CyclesOf(graph, components));
    std::map<std::string, uint32_t> closures;
    for (Package* p : graph.packages) {
      closures[std::string(p->name->view())] = closures_[p->index];
    }
    compare("reverse closures", reference->ReverseClosures() == closures);
    for (const std::string& name : Without(graph)) {
      const std::set<std::string> broken =
          NamesOf(FindBroken(mutator_, graph, *graph.Find(name)->package));
      compare(absl::StrCat("without ", name),
              reference->Broken(name) == broken);
    }
    return good;
  }

  static std::set<std::string> NamesOf(const Array<Ptr<Package>>& packages) {
    std::set<std::string> names;
    for (Package* p : packages) names.emplace(p->name->view());
    return names;
  }

  // The components of more than one package.
  static std::set<std::set<std::string>> CyclesOf(
      const Graph& graph, const Components& components) {
    std::vector<std::set<std::string>> members(components.sizes.size);
    for (Package* p : graph.packages) {
      const uint32_t component = components.of[p->index];
      if (components.sizes[component] > 1) {
        members[component].emplace(p->name->view());
      }
    }
    std::set<std::set<std::string>> cycles(members.begin(), members.end());
    cycles.erase(std::set<std::string>());
    return cycles;
  }

  const std::string text_;
  Heap heap_;
  Mutator mutator_;
  CurrentGraph current_;
  Array<uint32_t> closures_;  // on the stack, as the whole Run is
  std::vector<uint32_t> expected_;
  std::atomic<uint64_t> questions_{0};
  std::atomic<uint64_t> wrong_answers_{0};
};

int Main() {
  absl::StatusOr<std::string> text = ReadFile(absl::GetFlag(FLAGS_input));
  if (!text.ok()) {
    std::fprintf(stderr, "depgraph: %s\n",
                 std::string(text.status().message()).c_str());
    return 1;
  }
  return Run(*std::move(text)).Main();
}

}  // namespace
}  // namespace depgraph

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "what depends on what among the packages of a Debian system");
  if (absl::ParseCommandLine(argc, argv).size() > 1) {
    std::fprintf(stderr, "depgraph: takes flags only; see --help\n");
    return 1;
  }
  return depgraph::Main();
}
