// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/fuzz/shadow_heap.h"

#include <algorithm>
#include <set>

#include "tricolor/base/check.h"
#include "tricolor/fuzz/reachability.h"

namespace tricolor::fuzz {
namespace {

using Tracing = TypeInfo::Tracing;

constexpr uint64_t kOneWord[] = {0b10};
constexpr uint64_t kFourWords[] = {0b11110};
constexpr uint64_t kAllButFirst[] = {~uint64_t{1}};
constexpr uint64_t kScattered[] = {0b10 | uint64_t{1} << 60,
                                   uint64_t{1} << (124 - 64)};
constexpr uint64_t kSecondWord[] = {0b100};

// Reads the pointers of a tagged kind: words 1 and 3, with a one in bit 0.
void VisitTagged(const void* object, PointerVisitor& visitor) {
  const auto* words = static_cast<const uintptr_t*>(object);
  for (const int i : {1, 3}) {
    const uintptr_t word = LoadWordRelaxed(words + i);
    if (word != 0) visitor.Visit(reinterpret_cast<const void*>(word - 1));
  }
}

TypeInfo Bitmap(size_t size, size_t align, const uint64_t* bitmap,
                size_t pointer_words, const char* name) {
  TypeInfo type;
  type.size = size;
  type.align = align;
  type.tracing = Tracing::kBitmap;
  type.bitmap = bitmap;
  type.pointer_words = pointer_words;
  type.name = name;
  return type;
}

TypeInfo Untyped(size_t size, size_t align, Tracing tracing, const char* name) {
  TypeInfo type;
  type.size = size;
  type.align = align;
  type.tracing = tracing;
  type.name = name;
  return type;
}

TypeInfo Callback(size_t size, const char* name) {
  TypeInfo type = Untyped(size, 8, Tracing::kCallback, name);
  type.trace = &VisitTagged;
  return type;
}

// What a word that is neither the id nor a pointer holds: small, so that it is
// no address.
uintptr_t PatternAt(uint32_t id, uint64_t word) {
  return (id * 2654435761u + static_cast<uint32_t>(word) * 40503u) % 65521;
}

// What a program does that stores pointers by itself.
void StoreTagged(uintptr_t* slot, uintptr_t word) {
  const auto pointer = [](uintptr_t w) {
    return reinterpret_cast<const void*>(w == 0 ? 0 : w - 1);
  };
  WriteBarrier(pointer(LoadWordRelaxed(slot)), pointer(word));
  reinterpret_cast<Atomic<uintptr_t>*>(slot)->StoreRelease(word);
}

bool IsPointerWord(const ObjectKind& kind, uint64_t word) {
  const uint64_t in_element = word % (kind.type.size / 8);
  return std::find(kind.pointer_words.begin(), kind.pointer_words.end(),
                   in_element) != kind.pointer_words.end();
}

}  // namespace

const std::vector<ObjectKind>& ObjectKinds() {
  // Never destroyed: the heap's objects refer to these types to the last.
  static const auto& kinds = *new std::vector<ObjectKind>{
      {Bitmap(16, 8, kOneWord, 2, "pair"), {1}},
      {Bitmap(24, 8, kSecondWord, 3, "triple"), {2}},
      {Bitmap(64, 8, kFourWords, 5, "node"), {1, 2, 3, 4}},
      {Bitmap(64, 64, kFourWords, 5, "cache line"), {1, 2, 3, 4}},
      {Bitmap(512, 8, kAllButFirst, 64, "largest with bits"), {1, 2, 31, 63}},
      {Bitmap(1000, 8, kScattered, 125, "with header"), {1, 60, 124}},
      {Bitmap(1024, 1024, kFourWords, 5, "aligned"), {1, 2, 3, 4}},
      {Bitmap(40000, 8, kScattered, 125, "large"), {1, 60, 124}},
      {Bitmap(300000, 16384, kFourWords, 5, "larger"), {1, 2, 3, 4}},
      {Untyped(8, 8, Tracing::kNoPointers, "word"), {}},
      {Untyped(48, 16, Tracing::kNoPointers, "data"), {}},
      {Untyped(33000, 8, Tracing::kNoPointers, "large data"), {}},
      {Untyped(80, 8, Tracing::kConservative, "unknown"), {1, 2, 9}},
      {Untyped(34000, 8, Tracing::kConservative, "large unknown"), {1, 4000}},
      {Callback(48, "tagged"), {1, 3}, true},
      {Callback(5000, "larger tagged"), {1, 3}, true},
  };
  return kinds;
}

ShadowHeap::ShadowHeap()
    : heap_([] {
        HeapOptions options;
        options.conservative_stacks = false;
        options.gc_threads = 1;
        options.background_sweep = false;
        options.cleanup_thread = false;
        options.reservation_bytes = size_t{256} << 20;
        options.debug = "gccheckmark=1,clobberfree=1,zeal=7";
        return options;
      }()),
      mutator_(std::make_unique<Mutator>(heap_)) {}

ShadowHeap::~ShadowHeap() {
  for (Root<char>& root : roots_) root = nullptr;
}

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

char* ShadowHeap::NewObject(uint32_t kind, uint32_t count, uint32_t id) {
  const TypeInfo& type = ObjectKinds()[kind].type;
  auto* address = static_cast<char*>(mutator_->Allocate(type, count));
  if (address == nullptr) return nullptr;
  TRICOLOR_CHECK(reinterpret_cast<uintptr_t>(address) % type.align == 0,
                 "a '%s' was allocated at %p", type.name,
                 static_cast<void*>(address));
  Node node;
  node.kind = kind;
  node.count = count;
  node.address = address;
  FillAndCheckZero(node, id);
  return address;
}

void ShadowHeap::Allocate(uint32_t kind, uint32_t count, uint32_t root) {
  kind %= static_cast<uint32_t>(ObjectKinds().size());
  count = count % kMaxCount + 1;
  const ObjectKind& k = ObjectKinds()[kind];
  if (bytes_ + k.type.size * count > kMaxBytes) return;
  const uint32_t id = next_id_++;
  char* const address = NewObject(kind, count, id);
  if (address == nullptr) return;
  roots_[root % kRoots] = address;
  root_nodes_[root % kRoots] = id;
  Node& node = nodes_[id];
  node.kind = kind;
  node.count = count;
  node.address = address;
  node.edges.resize(k.pointer_words.size() * count);
  bytes_ += k.type.size * count;
}

void ShadowHeap::AllocateGarbage(uint32_t kind, uint32_t objects) {
  kind %= static_cast<uint32_t>(ObjectKinds().size());
  const auto most = static_cast<uint32_t>(
      kMaxGarbageBytes / ObjectKinds()[kind].type.size + 1);
  objects = std::min(objects, most);
  for (uint32_t i = 0; i < objects; ++i) NewObject(kind, 1, i);
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
  root_nodes_[to % kRoots] = edge.target;
  if (edge.target == 0) {
    roots_[to % kRoots] = nullptr;
  } else {
    roots_[to % kRoots] = nodes_.at(edge.target).address + edge.offset;
  }
}

void ShadowHeap::CopyRoot(uint32_t from, uint32_t to) {
  roots_[to % kRoots] = roots_[from % kRoots];
  root_nodes_[to % kRoots] = root_nodes_[from % kRoots];
}

void ShadowHeap::DropRoot(uint32_t root) {
  roots_[root % kRoots] = nullptr;
  root_nodes_[root % kRoots] = 0;
}

void ShadowHeap::MakeWeak(uint32_t root) {
  if (Node* node = NodeInRoot(root); node != nullptr && !IsTiny(*node)) {
    node->weak.emplace_back(node->address);
    TRICOLOR_CHECK(node->weak.front() == node->weak.back(),
                   "two weak pointers to one object differ");
  }
}

void ShadowHeap::AddCleanup(uint32_t root) {
  Node* const node = NodeInRoot(root);
  if (node == nullptr || IsTiny(*node)) return;
  auto state = std::make_unique<CleanupState>();
  state->node = root_nodes_[root % kRoots];
  state->handle = tricolor::AddCleanup(
      node->address, [](CleanupState* s) { ++s->runs; }, state.get());
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
  ClearFinalizer(root);
  const uint32_t id = root_nodes_[root % kRoots];
  node->finalizer = tricolor::SetFinalizer(
      node->address,
      [this, id, save](const char* p) { RunFinalizer(id, p, save); });
}

void ShadowHeap::ClearFinalizer(uint32_t root) {
  Node* const node = NodeInRoot(root);
  if (node == nullptr || IsTiny(*node)) return;
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
  roots_[save % 32] = node.address;
  root_nodes_[save % 32] = id;
}

std::vector<uint32_t> ShadowHeap::ReachableFrom(
    const std::vector<uint32_t>& ids) const {
  return fuzz::ReachableFrom(ids, [this](uint32_t id, const auto& add) {
    for (const Edge& edge : nodes_.at(id).edges) add(edge.target);
  });
}

std::vector<uint32_t> ShadowHeap::Reachable() const {
  return ReachableFrom({root_nodes_, root_nodes_ + kRoots});
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
  from.insert(from.end(), root_nodes_, root_nodes_ + kRoots);
  const std::vector<uint32_t> kept = ReachableFrom(from);
  const std::set<uint32_t> marked(kept.begin(), kept.end());
  std::erase_if(due, [&](uint32_t id) { return marked.count(id) > 0; });
  return due;
}

void ShadowHeap::CheckWholeNode(uint32_t id) const {
  const Node& node = nodes_.at(id);
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
  kept.insert(kept.end(), root_nodes_, root_nodes_ + kRoots);
  const std::vector<uint32_t> reachable = ReachableFrom(kept);
  heap_.RunCleanups();
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
  const uint64_t objects = heap_.ReadMemStats().heap_objects;
  TRICOLOR_CHECK(
      objects <= reachable.size() && objects + packed >= reachable.size(),
      "the heap holds %llu objects; %llu are kept, %llu of them tiny",
      static_cast<unsigned long long>(objects),
      static_cast<unsigned long long>(reachable.size()),
      static_cast<unsigned long long>(packed));
  heap_.CheckInvariants();
}

void ShadowHeap::Collect() {
  heap_.Collect();
  CheckAfterCollection();
}

void ShadowHeap::FreeOsMemory() {
  heap_.FreeOsMemory();
  CheckAfterCollection();
}

void ShadowHeap::SetGcPercent(uint32_t percent) {
  // From a collection at almost every refill to none.
  constexpr int kPercents[] = {1, 25, 100, 400, -1};
  heap_.SetGcPercent(kPercents[percent % 5]);
}

}  // namespace tricolor::fuzz
