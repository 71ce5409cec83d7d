// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/fuzz/cleanup_tester.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>

#include "tricolor/base/check.h"
#include "tricolor/fuzz/reachability.h"

namespace tricolor::fuzz {
namespace {

// Enough for a large object.
constexpr uint32_t kManyElements = 2000;

HeapOptions Options() {
  HeapOptions options;
  options.gc_percent = -1;
  options.conservative_stacks = false;
  options.gc_threads = 1;
  options.background_sweep = false;
  options.cleanup_thread = false;
  options.reservation_bytes = size_t{256} << 20;
  options.debug = "gccheckmark=1,clobberfree=1";
  return options;
}

}  // namespace

CleanupTester::CleanupTester()
    : program_("CleanupTester t;"),
      heap_(Options()),
      mutator_(std::make_unique<Mutator>(heap_)),
      calls_(1) {}

// Finalizers run from the outside in, one of a chain in each cycle.
CleanupTester::~CleanupTester() {
  ending_ = true;
  for (uint32_t root = 0; root < kRoots; ++root) SetRoot(root, 0);
  for (size_t i = 0; i <= kMaxNodes && !nodes_.empty(); ++i) {
    const size_t before = calls_made_;
    const size_t nodes = nodes_.size();
    DoCollect();
    RunCleanups();
    if (calls_made_ == before && nodes_.size() == nodes) break;
  }
  RunCleanups();
  TRICOLOR_CHECK(due_.empty() && finalizing_.empty(), "calls are left");
  // Objects that reach themselves, and have finalizers, stay for ever.
  for (auto& [id, node] : nodes_) {
    TRICOLOR_CHECK(node.address != nullptr, "a dead node is left");
  }
}

CleanupTester::Node* CleanupTester::InRoot(uint32_t root) {
  const uint32_t id = root_nodes_[root % kRoots];
  return id == 0 ? nullptr : &nodes_.at(id);
}

void CleanupTester::SetRoot(uint32_t root, uint32_t node) {
  root_nodes_[root % kRoots] = node;
  roots_[root % kRoots] = node == 0 ? nullptr : nodes_.at(node).address;
}

// ---- The graph.

void CleanupTester::New(uint32_t root, uint32_t length) {
  program_.Note("New", root, length);
  DoNew(root, length);
}

void CleanupTester::DoNew(uint32_t root, uint32_t length) {
  if (nodes_.size() >= kMaxNodes) return;
  length = length % 32 == 31 ? kManyElements : 1 + length % 4;
  if (length == kManyElements && nodes_.size() > 20) length = 1;
  auto* array = mutator_->NewArray<CleanupNode>(length);
  if (array == nullptr) return;
  const uint32_t id = next_id_++;
  for (uint32_t i = 0; i < length; ++i) array[i].id = id;
  Node& node = nodes_[id];
  node.address = array;
  node.length = length;
  SetRoot(root, id);
}

void CleanupTester::Link(uint32_t from, uint32_t field, uint32_t to) {
  program_.Note("Link", from, field, to);
  Node* source = InRoot(from);
  if (source == nullptr) return;
  field %= CleanupNode::kFields;
  const uint32_t target = root_nodes_[to % kRoots];
  source->next[field] = target;
  source->address->next[field] =
      target == 0 ? nullptr : nodes_.at(target).address;
}

void CleanupTester::Follow(uint32_t from, uint32_t field, uint32_t to) {
  program_.Note("Follow", from, field, to);
  if (Node* source = InRoot(from); source != nullptr) {
    SetRoot(to, source->next[field % CleanupNode::kFields]);
  }
}

void CleanupTester::CopyRoot(uint32_t from, uint32_t to) {
  program_.Note("CopyRoot", from, to);
  SetRoot(to, root_nodes_[from % kRoots]);
}

void CleanupTester::DropRoot(uint32_t root) {
  program_.Note("DropRoot", root);
  SetRoot(root, 0);
}

// ---- Weak pointers.

void CleanupTester::MakeWeak(uint32_t root, uint32_t element) {
  program_.Note("MakeWeak", root, element);
  Node* node = InRoot(root);
  if (node == nullptr || weak_.size() >= kMaxCalls) return;
  element %= node->length;
  WeakPointer weak;
  weak.weak = Weak<CleanupNode>(&node->address[element]);
  weak.node = root_nodes_[root % kRoots];
  weak.element = element;
  weak.life = node->life;
  weak_.push_back(weak);
}

// A weak pointer of before a finalizer's call is dead, though its object lives.
bool CleanupTester::IsWeakAlive(const WeakPointer& weak) const {
  const auto node = nodes_.find(weak.node);
  return node != nodes_.end() && node->second.life == weak.life;
}

void CleanupTester::GetWeak(uint32_t weak, uint32_t root) {
  program_.Note("GetWeak", weak, root);
  if (weak_.empty()) return;
  const WeakPointer& w = weak_[weak % weak_.size()];
  if (w.weak.Get() != nullptr && IsWeakAlive(w)) SetRoot(root, w.node);
}

void CleanupTester::CompareWeak(uint32_t a, uint32_t b) {
  program_.Note("CompareWeak", a, b);
  if (weak_.empty()) return;
  const WeakPointer& x = weak_[a % weak_.size()];
  const WeakPointer& y = weak_[b % weak_.size()];
  const bool same =
      x.node == y.node && x.element == y.element && x.life == y.life;
  TRICOLOR_CHECK((x.weak == y.weak) == same,
                 "weak pointers to element %u of object %u in its life %u, and "
                 "to %u of %u in %u, are %s",
                 x.element, x.node, x.life, y.element, y.node, y.life,
                 same ? "different" : "equal");
  const std::hash<Weak<CleanupNode>> hash;
  TRICOLOR_CHECK(!same || hash(x.weak) == hash(y.weak),
                 "equal weak pointers have different hashes");
}

// ---- Cleanups and finalizers.

void CleanupTester::AddCleanup(uint32_t root, uint32_t action,
                               uint32_t number) {
  program_.Note("AddCleanup", root, action, number);
  DoAddCleanup(root, action, number);
}

void CleanupTester::DoAddCleanup(uint32_t root, uint32_t action,
                                 uint32_t number) {
  Node* node = InRoot(root);
  if (node == nullptr || calls_.size() >= kMaxCalls) return;
  const size_t index = calls_.size();
  Call call;
  call.node = root_nodes_[root % kRoots];
  call.action = action;
  call.number = number;
  call.handle = tricolor::AddCleanup(node->address + number % node->length,
                                     [this, index] { RunCleanup(index); });
  node->cleanups.push_back(index);
  calls_.push_back(call);
}

void CleanupTester::StopCleanup(uint32_t cleanup) {
  program_.Note("StopCleanup", cleanup);
  DoStopCleanup(cleanup);
}

void CleanupTester::DoStopCleanup(uint32_t cleanup) {
  const size_t index = cleanup % calls_.size();
  Call& call = calls_[index];
  const bool stopped = call.handle.Stop();
  const bool expected = static_cast<bool>(call.handle) && index != 0 &&
                        call.state == State::kArmed;
  TRICOLOR_CHECK(stopped == expected, "cleanup %zu was %sstopped", index,
                 stopped ? "" : "not ");
  if (!stopped) return;
  call.state = State::kStopped;
  std::erase(nodes_.at(call.node).cleanups, index);
}

void CleanupTester::SetFinalizer(uint32_t root, uint32_t action,
                                 uint32_t number) {
  program_.Note("SetFinalizer", root, action, number);
  DoSetFinalizer(root, action, number);
}

void CleanupTester::DoSetFinalizer(uint32_t root, uint32_t action,
                                   uint32_t number) {
  Node* node = InRoot(root);
  if (node == nullptr || node->finalizer != 0 || calls_.size() >= kMaxCalls) {
    return;
  }
  const size_t index = calls_.size();
  Call call;
  call.node = root_nodes_[root % kRoots];
  call.action = action;
  call.number = number;
  const bool set = tricolor::SetFinalizer(
      node->address,
      [this, index](CleanupNode* object) { RunFinalizer(index, object); });
  TRICOLOR_CHECK(set, "no memory for a finalizer");
  node->finalizer = index;
  calls_.push_back(call);
}

void CleanupTester::ClearFinalizer(uint32_t root) {
  program_.Note("ClearFinalizer", root);
  Node* node = InRoot(root);
  if (node == nullptr) return;
  const bool cleared = tricolor::ClearFinalizer(node->address);
  TRICOLOR_CHECK(cleared == (node->finalizer != 0),
                 "object %u has %s finalizer, by the model not so",
                 root_nodes_[root % kRoots], cleared ? "a" : "no");
  if (cleared) calls_[node->finalizer].state = State::kStopped;
  node->finalizer = 0;
}

void CleanupTester::RunCleanup(size_t index) {
  Call& call = calls_[index];
  TRICOLOR_CHECK(call.state == State::kDue, "cleanup %zu runs in state %d",
                 index, static_cast<int>(call.state));
  std::vector<size_t>& due = due_.at(call.node);
  TRICOLOR_CHECK(due.front() == index,
                 "cleanup %zu of object %u runs before %zu, its elder", index,
                 call.node, due.front());
  due.erase(due.begin());
  if (due.empty()) due_.erase(call.node);
  call.state = State::kHasRun;
  ++calls_made_;
  Act(call.action, call.number);
}

void CleanupTester::RunFinalizer(size_t index, CleanupNode* object) {
  Call& call = calls_[index];
  const uint32_t id = call.node;
  TRICOLOR_CHECK(call.state == State::kDue && finalizing_.count(id) == 1,
                 "finalizer %zu runs in state %d", index,
                 static_cast<int>(call.state));
  Node& node = nodes_.at(id);
  TRICOLOR_CHECK(object == node.address && object->id == id,
                 "the finalizer of object %u is given another one", id);
  call.state = State::kHasRun;
  ++calls_made_;
  const uint32_t action = call.action;
  const uint32_t number = call.number;
  if (!ending_ && action % 4 < 2) SetRoot(number, id);  // it comes back
  if (!ending_ && action % 4 == 1) DoSetFinalizer(number, action / 4, number);
  Act(action / 4, number / 4);
  finalizing_.erase(id);
}

// What a call does beside its own business.
void CleanupTester::Act(uint32_t action, uint32_t number) {
  if (ending_) return;
  switch (action % 6) {
    case 0:
      return DoNew(number, number / 4);
    case 1:
      return DoAddCleanup(number, 0, number);
    case 2:
      return DoStopCleanup(number);
    case 3:
      return DoCollect();
    case 4:
      return DoSetFinalizer(number, 2, number);
    default:
      return;
  }
}

// ---- Collections.

std::vector<uint32_t> CleanupTester::Kept() const {
  std::vector<uint32_t> kept(root_nodes_, root_nodes_ + kRoots);
  kept.insert(kept.end(), finalizing_.begin(), finalizing_.end());
  for (const auto& [id, node] : nodes_) {
    if (node.finalizer == 0) continue;
    kept.insert(kept.end(), std::begin(node.next), std::end(node.next));
  }
  return kept;
}

void CleanupTester::Collect() {
  program_.Note("Collect");
  DoCollect();
  Check();
}

void CleanupTester::DoCollect() {
  heap_.Collect();
  const std::vector<uint32_t> kept =
      ReachableFrom(Kept(), [this](uint32_t id, const auto& add) {
        for (const uint32_t next : nodes_.at(id).next) add(next);
      });
  std::set<uint32_t> live(kept.begin(), kept.end());
  for (auto& [id, node] : nodes_) {
    if (node.finalizer == 0 || live.count(id) != 0) continue;
    // What it reaches is kept already.
    live.insert(id);
    calls_[std::exchange(node.finalizer, 0)].state = State::kDue;
    finalizing_.insert(id);
    ++node.life;
  }
  Bury(live);
}

void CleanupTester::Bury(const std::set<uint32_t>& live) {
  for (auto it = nodes_.begin(); it != nodes_.end();) {
    const auto& [id, node] = *it;
    if (live.count(id) != 0) {
      ++it;
      continue;
    }
    for (const size_t index : node.cleanups) {
      calls_[index].state = State::kDue;
      due_[id].push_back(index);
    }
    it = nodes_.erase(it);
  }
}

void CleanupTester::RunCleanups() {
  if (!ending_) program_.Note("RunCleanups");
  const size_t before = calls_made_;
  const size_t run = heap_.RunCleanups();
  TRICOLOR_CHECK(run == calls_made_ - before,
                 "%zu calls were made, and %zu told of", calls_made_ - before,
                 run);
  TRICOLOR_CHECK(due_.empty() && finalizing_.empty(),
                 "cleanups of %zu objects and %zu finalizers have not run",
                 due_.size(), finalizing_.size());
}

void CleanupTester::Check() {
  for (const WeakPointer& w : weak_) {
    CleanupNode* const expected =
        IsWeakAlive(w) ? nodes_.at(w.node).address + w.element : nullptr;
    TRICOLOR_CHECK(
        w.weak.Get() == expected, "a weak pointer to object %u is %p, not %p",
        w.node, static_cast<void*>(w.weak.Get()), static_cast<void*>(expected));
  }
  for (const auto& [id, node] : nodes_) {
    for (uint32_t i = 0; i < node.length; i += node.length / 2 + 1) {
      TRICOLOR_CHECK(node.address[i].id == id, "object %u was overwritten", id);
    }
  }
  const uint64_t objects = heap_.ReadMemStats().heap_objects;
  TRICOLOR_CHECK(objects == nodes_.size(), "%llu objects live, not %zu",
                 static_cast<unsigned long long>(objects), nodes_.size());
  heap_.CheckInvariants();
}

}  // namespace tricolor::fuzz
