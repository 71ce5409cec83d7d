// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The model of a ShadowHeap, and its comparison with the heap.

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include "tricolor/base/check.h"
#include "tricolor/fuzz/object_kinds.h"
#include "tricolor/fuzz/reachability.h"
#include "tricolor/fuzz/shadow_heap.h"

namespace tricolor::fuzz {

void ShadowHeap::FillAndCheckZero(const Node& node, uint32_t id) {
  const ObjectKind& kind = ObjectKinds()[node.kind];
  auto* words = reinterpret_cast<uintptr_t*>(node.address);
  const uint64_t length = kind.type.size / 8 * node.count;
  for (uint64_t i = 0; i < length; ++i) {
    TRICOLOR_CHECK(words[i] == 0, "word %llu of a new '%s' is 0x%llx, not zero",
                   static_cast<unsigned long long>(i), kind.type.name,
                   static_cast<unsigned long long>(words[i]));
    if (!IsPointerWord(kind, i)) words[i] = PatternAt(id, i);
  }
}

void ShadowHeap::CheckIntact(uint32_t id, const Node& node) const {
  const ObjectKind& kind = ObjectKinds()[node.kind];
  const auto* words = reinterpret_cast<const uintptr_t*>(node.address);
  const uint64_t length = kind.type.size / 8 * node.count;
  for (uint64_t i = 0; i < length; ++i) {
    if (IsPointerWord(kind, i)) continue;
    TRICOLOR_CHECK(words[i] == PatternAt(id, i),
                   "word %llu of object %u ('%s' at %p) is 0x%llx",
                   static_cast<unsigned long long>(i), id, kind.type.name,
                   static_cast<const void*>(node.address),
                   static_cast<unsigned long long>(words[i]));
  }
  for (uint32_t slot = 0; slot < node.edges.size(); ++slot) {
    const Edge& edge = node.edges[slot];
    uintptr_t expected = 0;
    if (edge.target != 0) {
      expected = reinterpret_cast<uintptr_t>(nodes_.at(edge.target).address) +
                 edge.offset + (kind.tagged ? 1 : 0);
    }
    TRICOLOR_CHECK(*SlotAddress(node, slot) == expected,
                   "pointer %u of object %u is 0x%llx, not 0x%llx", slot, id,
                   static_cast<unsigned long long>(*SlotAddress(node, slot)),
                   static_cast<unsigned long long>(expected));
  }
}

std::vector<uint32_t> ShadowHeap::ReachableFrom(
    const std::vector<uint32_t>& ids) const {
  return fuzz::ReachableFrom(ids, [this](uint32_t id, const auto& add) {
    for (const Edge& edge : nodes_.at(id).edges) add(edge.target);
  });
}

std::vector<uint32_t> ShadowHeap::Held() const {
  std::vector<uint32_t> ids(root_nodes_, root_nodes_ + kRoots);
  ids.insert(ids.end(), range_nodes_, range_nodes_ + kRangeWords);
  for (const auto& state : cleanups_) {
    if (!state->stopped && state->runs == 0) ids.push_back(state->held);
  }
  return ids;
}

std::vector<uint32_t> ShadowHeap::Reachable() const {
  return ReachableFrom(Held());
}

std::vector<uint32_t> ShadowHeap::Finalizable() const {
  std::vector<uint32_t> ids;
  for (const auto& [id, node] : nodes_) {
    if (node.finalizer) ids.push_back(id);
  }
  return ids;
}

std::vector<uint32_t> ShadowHeap::TargetsOf(
    const std::vector<uint32_t>& ids) const {
  std::vector<uint32_t> targets;
  for (const uint32_t id : ids) {
    for (const Edge& edge : nodes_.at(id).edges) targets.push_back(edge.target);
  }
  return targets;
}

std::vector<uint32_t> ShadowHeap::DueFinalizers() const {
  std::vector<uint32_t> due = Finalizable();
  std::vector<uint32_t> from = TargetsOf(due);
  const std::vector<uint32_t> held = Held();
  from.insert(from.end(), held.begin(), held.end());
  const std::vector<uint32_t> kept = ReachableFrom(from);
  const std::set<uint32_t> marked(kept.begin(), kept.end());
  std::erase_if(due, [&](uint32_t id) { return marked.count(id) > 0; });
  return due;
}

void ShadowHeap::CheckWholeNode(uint32_t id) const {
  const Node& node = nodes_.at(id);
  TRICOLOR_CHECK(Heap::Of(node.address) == heap_.get(),
                 "object %u is in no heap, or in another one", id);
  CheckIntact(id, node);
  for (const CleanupState* state : node.cleanups) {
    TRICOLOR_CHECK(state->runs == 0, "a cleanup of live object %u has run", id);
  }
}

void ShadowHeap::CheckReachable() {
  for (const uint32_t id : Reachable()) {
    CheckWholeNode(id);
    const Node& node = nodes_.at(id);
    for (const Weak<char>& weak : node.weak) {
      TRICOLOR_CHECK(weak.Get() == node.address,
                     "a weak pointer to live object %u is lost", id);
    }
  }
}

void ShadowHeap::Forget(const std::vector<uint32_t>& reachable) {
  const std::set<uint32_t> live(reachable.begin(), reachable.end());
  for (auto it = nodes_.begin(); it != nodes_.end();) {
    const auto& [id, node] = *it;
    if (live.count(id) > 0) {
      ++it;
      continue;
    }
    for (const Weak<char>& weak : node.weak) {
      TRICOLOR_CHECK(weak.Get() == nullptr,
                     "a weak pointer to dead object %u is not null", id);
    }
    for (const CleanupState* state : node.cleanups) {
      TRICOLOR_CHECK(state->runs == (state->stopped ? 0 : 1),
                     "a cleanup of dead object %u has run %d times", id,
                     state->runs);
    }
    bytes_ -= ObjectKinds()[node.kind].type.size * node.count;
    it = nodes_.erase(it);
  }
}

void ShadowHeap::CheckAfterCollection() {
  // What finalizers keep is there until the next collection, at least.
  std::vector<uint32_t> kept = Finalizable();
  const std::vector<uint32_t> due = DueFinalizers();
  const std::vector<uint32_t> held = Held();
  kept.insert(kept.end(), held.begin(), held.end());
  const std::vector<uint32_t> reachable = ReachableFrom(kept);
  heap_->RunCleanups();
  for (const uint32_t id : due) {
    TRICOLOR_CHECK(!nodes_.at(id).finalizer,
                   "the finalizer of object %u has not run", id);
  }
  Forget(reachable);
  CheckReachable();
  for (const uint32_t id : reachable) CheckWholeNode(id);
  // Objects smaller than the tiny allocator's block share blocks, so that the
  // heap may count fewer of them.
  const auto packed = static_cast<uint64_t>(
      std::count_if(reachable.begin(), reachable.end(),
                    [this](uint32_t id) { return IsTiny(nodes_.at(id)); }));
  const uint64_t objects =
      heap_->ReadMemStats().heap_objects - (gate_ == nullptr ? 0 : 1);
  TRICOLOR_CHECK(
      objects <= reachable.size() && objects + packed >= reachable.size(),
      "the heap holds %llu objects; %llu are kept, %llu of them tiny",
      static_cast<unsigned long long>(objects),
      static_cast<unsigned long long>(reachable.size()),
      static_cast<unsigned long long>(packed));
  heap_->CheckInvariants();
}

}  // namespace tricolor::fuzz
