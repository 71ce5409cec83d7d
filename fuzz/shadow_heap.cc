// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/fuzz/shadow_heap.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tricolor/base/check.h"
#include "tricolor/fuzz/object_kinds.h"
#include "tricolor/fuzz/shadow_heap_refusal.h"

namespace tricolor::fuzz {
namespace {

// What a program does that stores pointers by itself.
void StoreTagged(uintptr_t* slot, uintptr_t word) {
  const auto pointer = [](uintptr_t w) {
    return reinterpret_cast<const void*>(w == 0 ? 0 : w - 1);
  };
  WriteBarrier(pointer(LoadWordRelaxed(slot)), pointer(word));
  reinterpret_cast<Atomic<uintptr_t>*>(slot)->StoreRelease(word);
}

}  // namespace

ShadowHeap::ShadowHeap() {
  const bool started = Start(0);
  TRICOLOR_CHECK(started, "the process has no memory for a heap");
}

ShadowHeap::~ShadowHeap() { DropEverything(); }

ShadowHeap::Node* ShadowHeap::NodeInRoot(uint32_t root) {
  const uint32_t id = root_nodes_[root % kRoots];
  return id == 0 ? nullptr : &nodes_.at(id);
}

bool ShadowHeap::IsTiny(const Node& node) {
  return ObjectKinds()[node.kind].type.size * node.count < 16;
}

uintptr_t* ShadowHeap::SlotAddress(const Node& node, uint32_t slot) const {
  const ObjectKind& kind = ObjectKinds()[node.kind];
  const auto per_element = static_cast<uint32_t>(kind.pointer_words.size());
  return reinterpret_cast<uintptr_t*>(
      node.address + kind.type.size * (slot / per_element) +
      size_t{8} * kind.pointer_words[slot % per_element]);
}

char* ShadowHeap::NewObject(uint32_t kind, uint32_t count, uint32_t id,
                            bool typed) {
  const ObjectKind& k = ObjectKinds()[kind];
  const TypeInfo& type = k.type;
  EndMarking();
  sampled_ = nullptr;
  void* object = nullptr;
  {
    const Refusal refusal(*this);
    object = typed ? k.make(*mutator_, count) : mutator_->Allocate(type, count);
  }
  if (object == nullptr) return nullptr;
  auto* const address = static_cast<char*>(object);
  TRICOLOR_CHECK(reinterpret_cast<uintptr_t>(address) % type.align == 0,
                 "a '%s' was allocated at %p", type.name,
                 static_cast<void*>(address));
  Node node;
  node.kind = kind;
  node.count = count;
  node.address = address;
  TRICOLOR_CHECK(
      !sampling_ || !samples_all_ || IsTiny(node) || sampled_ == object,
      "a '%s' at %p was not sampled", type.name, object);
  FillAndCheckZero(node, id);
  return address;
}

ShadowHeap::Node& ShadowHeap::AddNode(uint32_t kind, uint32_t count,
                                      char* address) {
  const ObjectKind& k = ObjectKinds()[kind];
  Node& node = nodes_[next_id_ - 1];
  node.kind = kind;
  node.count = count;
  node.address = address;
  node.edges.resize(k.pointer_words.size() * count);
  bytes_ += k.type.size * count;
  return node;
}

void ShadowHeap::AddHeldNode(uint32_t kind, uint32_t count, char* address,
                             uint32_t root) {
  if (SetRoot(root, address, next_id_ - 1)) AddNode(kind, count, address);
}

void ShadowHeap::Allocate(uint32_t kind, uint32_t count, uint32_t root) {
  kind %= static_cast<uint32_t>(ObjectKinds().size());
  count = count % kMaxCount + 1;
  if (bytes_ + ObjectKinds()[kind].type.size * count > kMaxBytes) return;
  char* const address = NewObject(kind, count, next_id_++, /*typed=*/false);
  if (address != nullptr) AddHeldNode(kind, count, address, root);
}

void ShadowHeap::AllocateGarbage(uint32_t kind, uint32_t objects) {
  kind %= static_cast<uint32_t>(ObjectKinds().size());
  const auto most = static_cast<uint32_t>(
      kMaxGarbageBytes / ObjectKinds()[kind].type.size + 1);
  objects = std::min(objects, most);
  for (uint32_t i = 0; i < objects; ++i) NewObject(kind, 1, i, /*typed=*/false);
}

void ShadowHeap::Link(uint32_t from, uint32_t slot, uint32_t to,
                      uint32_t offset) {
  Node* const source = NodeInRoot(from);
  if (source == nullptr || source->edges.empty()) return;
  slot %= static_cast<uint32_t>(source->edges.size());
  Edge& edge = source->edges[slot];
  uintptr_t value = 0;
  edge = Edge();
  if (const Node* target = NodeInRoot(to); target != nullptr) {
    const ObjectKind& kind = ObjectKinds()[target->kind];
    edge.target = root_nodes_[to % kRoots];
    edge.offset =
        static_cast<uint32_t>(offset % (kind.type.size * target->count));
    value = reinterpret_cast<uintptr_t>(target->address) + edge.offset +
            (ObjectKinds()[source->kind].tagged ? 1 : 0);
  }
  if (ObjectKinds()[source->kind].tagged) {
    StoreTagged(SlotAddress(*source, slot), value);
  } else {
    *reinterpret_cast<Ptr<char>*>(SlotAddress(*source, slot)) =
        reinterpret_cast<char*>(value);
  }
}

void ShadowHeap::Follow(uint32_t from, uint32_t slot, uint32_t to) {
  const Node* const source = NodeInRoot(from);
  if (source == nullptr || source->edges.empty()) return;
  const Edge edge = source->edges[slot % source->edges.size()];
  char* target = nullptr;
  if (edge.target != 0) target = nodes_.at(edge.target).address + edge.offset;
  SetRoot(to, target, edge.target);
}

bool ShadowHeap::SetRoot(uint32_t root, char* address, uint32_t id) {
  const Refusal refusal(*this);
  try {
    roots_[root % kRoots] = address;
  } catch (const std::bad_alloc&) {
    TRICOLOR_CHECK(os_ != nullptr && os_->failures() > 0,
                   "no root for object %u", id);
    return false;
  }
  root_nodes_[root % kRoots] = id;
  return true;
}

void ShadowHeap::CopyRoot(uint32_t from, uint32_t to) {
  SetRoot(to, roots_[from % kRoots], root_nodes_[from % kRoots]);
}

void ShadowHeap::DropRoot(uint32_t root) { SetRoot(root, nullptr, 0); }

void ShadowHeap::MakeWeak(uint32_t root) {
  if (Node* node = NodeInRoot(root); node != nullptr && !IsTiny(*node)) {
    EndMarking();
    const Refusal refusal(*this);
    const Weak<char> weak(node->address);
    if (weak == Weak<char>()) {
      TRICOLOR_CHECK(os_ != nullptr && os_->failures() > 0,
                     "no weak pointer to object %u",
                     root_nodes_[root % kRoots]);
      return;
    }
    node->weak.push_back(weak);
    const Weak<char>& first = node->weak.front();
    const std::hash<Weak<char>> hash;
    TRICOLOR_CHECK(first == weak && hash(first) == hash(weak),
                   "two weak pointers to one object differ");
    const Weak<const void> converted(weak);
    const Weak<char> inner(node->address + 1);
    TRICOLOR_CHECK(!weak.expired() && converted.Get() == node->address &&
                       (inner == Weak<char>() || inner != weak),
                   "weak pointers into object %u are mistaken",
                   root_nodes_[root % kRoots]);
  }
}

void ShadowHeap::AddCleanup(uint32_t root) {
  AddCleanupThat(
      root, [](CleanupState* state) { ++state->runs; }, 0);
}

void ShadowHeap::AddThrowingCleanup(uint32_t root) {
  const CleanupFunction run = [](CleanupState* state) {
    ++state->runs;
    if (state->node % 2 == 1) throw state->node;
    throw std::runtime_error("an error for the report");
  };
  AddCleanupThat(root, run, 0);
}

void ShadowHeap::AddHoldingCleanup(uint32_t root, uint32_t kind) {
  const uint32_t next = root + 1;
  Allocate(kind, 0, next);
  const uint32_t held = next_id_ - 1;
  if (root_nodes_[next % kRoots] != held) return;
  // It must not lead to the cleanup's object: nothing can be stored into it
  // when it is in no root.
  Link(next, 0, next, 8);
  Link(next, 1, next, 0);
  AddCleanupThat(
      root, [](CleanupState* state) { ++state->runs; }, held);
  DropRoot(next);
}

void ShadowHeap::AddCleanupThat(uint32_t root, CleanupFunction run,
                                uint32_t held) {
  Node* const node = NodeInRoot(root);
  if (node == nullptr || IsTiny(*node)) return;
  EndMarking();
  auto state = std::make_unique<CleanupState>();
  state->node = root_nodes_[root % kRoots];
  state->held = held;
  char* const object = held == 0 ? nullptr : nodes_.at(held).address;
  const Root<char> holder(object);
  const Refusal refusal(*this);
  if (held == 0) {
    state->handle = tricolor::AddCleanup(node->address, run, state.get());
  } else {
    state->handle = tricolor::AddCleanup(
        node->address, [run, s = state.get(), holder] { run(s); });
  }
  if (!state->handle) {
    TRICOLOR_CHECK(os_ != nullptr && os_->failures() > 0,
                   "no cleanup for object %u", state->node);
    return;
  }
  node->cleanups.push_back(state.get());
  cleanups_.push_back(std::move(state));
}

void ShadowHeap::StopCleanup(uint32_t cleanup) {
  if (cleanups_.empty()) return;
  CleanupState& state = *cleanups_[cleanup % cleanups_.size()];
  const bool stopped = state.handle.Stop();
  TRICOLOR_CHECK(!stopped || (!state.stopped && state.runs == 0),
                 "a cleanup of object %u was stopped after it had %s",
                 state.node, state.stopped ? "been stopped" : "run");
  state.stopped |= stopped;
}

void ShadowHeap::SetFinalizer(uint32_t root, uint32_t save) {
  Node* const node = NodeInRoot(root);
  if (node == nullptr || IsTiny(*node)) return;
  ClearFinalizer(root);  // which ends marking
  const uint32_t id = root_nodes_[root % kRoots];
  const Refusal refusal(*this);
  node->finalizer = tricolor::SetFinalizer(
      node->address,
      [this, id, save](const char* p) { RunFinalizer(id, p, save); });
  TRICOLOR_CHECK(node->finalizer || (os_ != nullptr && os_->failures() > 0),
                 "no finalizer for object %u", id);
}

void ShadowHeap::ClearFinalizer(uint32_t root) {
  Node* const node = NodeInRoot(root);
  if (node == nullptr || IsTiny(*node)) return;
  EndMarking();
  const bool cleared = tricolor::ClearFinalizer(node->address);
  TRICOLOR_CHECK(cleared == node->finalizer,
                 "object %u has %s finalizer, the model says otherwise",
                 root_nodes_[root % kRoots], cleared ? "a" : "no");
  node->finalizer = false;
}

void ShadowHeap::RunFinalizer(uint32_t id, const char* object, uint32_t save) {
  const auto found = nodes_.find(id);
  TRICOLOR_CHECK(found != nodes_.end(), "the finalizer of dead object %u runs",
                 id);
  Node& node = found->second;
  TRICOLOR_CHECK(node.finalizer && object == node.address,
                 "the finalizer of object %u at %p runs, %s, with %p", id,
                 static_cast<const void*>(node.address),
                 node.finalizer ? "the first time" : "though it was not set",
                 static_cast<const void*>(object));
  const std::vector<uint32_t> due = DueFinalizers();
  TRICOLOR_CHECK(std::find(due.begin(), due.end(), id) != due.end(),
                 "the finalizer of object %u runs before its time", id);
  for (const Weak<char>& weak : node.weak) {
    TRICOLOR_CHECK(weak.Get() == nullptr,
                   "a weak pointer to object %u, whose finalizer runs, is not "
                   "null",
                   id);
  }
  node.weak.clear();
  node.finalizer = false;
  for (const uint32_t i : ReachableFrom({id})) CheckWholeNode(i);
  if (save % 32 >= kRoots) return;
  SetRoot(save, node.address, id);
}

void ShadowHeap::Collect() {
  if (CollectUnchecked(/*free_memory=*/false)) CheckAfterCollection();
}

void ShadowHeap::FreeOsMemory() {
  if (CollectUnchecked(/*free_memory=*/true)) CheckAfterCollection();
}

bool ShadowHeap::CollectUnchecked(bool free_memory) {
  EndMarking();
  const uint64_t refused = heap_->ReadMemStats().num_gc_refused;
  {
    const Refusal refusal(*this);
    free_memory ? heap_->FreeOsMemory() : heap_->Collect();
  }
  const bool done = heap_->ReadMemStats().num_gc_refused == refused;
  TRICOLOR_CHECK(done || (os_ != nullptr && os_->failures() > 0),
                 "a collection did not take place");
  return done;
}

void ShadowHeap::SetGcPercent(uint32_t percent) {
  // From a collection at almost every refill to none.
  EndMarking();
  constexpr int kPercents[] = {1, 25, 100, 400, -1};
  const int before = heap_->SetGcPercent(kPercents[percent % 5]);
  TRICOLOR_CHECK(before == gc_percent_, "gc_percent was %d, not %d", before,
                 gc_percent_);
  gc_percent_ = kPercents[percent % 5];
}

}  // namespace tricolor::fuzz
