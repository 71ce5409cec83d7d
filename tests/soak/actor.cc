// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/tests/soak/actor.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>

#include "tricolor/base/check.h"
#include "tricolor/runtime/fiber_testing.h"

namespace tricolor::soak {

void Actor::NoMemory() { Fatal("soak: the heap has no memory for an object"); }

void Actor::Work() {
  switch (random_.Below(16)) {
    case 0:
    case 1:
    case 2:
      ChangeGraph();
      break;
    case 3:
    case 4:
      ChangeItems();
      break;
    case 5:
    case 6:
    case 7:
      UseCache();
      break;
    case 8:
      ReplaceLarge();
      break;
    case 9:
      ReplaceTable();
      break;
    case 10:
      ReplaceRoot();
      break;
    case 11:
      AddCalls();
      break;
    case 12:
      RunFibers();
      break;
    case 13:
      ComputeOnly();
      break;
    case 14:
      WaitNatively();
      break;
    default:
      MakeGarbage();
      break;
  }
  ++ground_.counts().jobs;
  ground_.findings().Progress();
}

void Actor::CheckHeld() {
  for (const LargeArray& array : large_) CheckLarge(array);
  CheckTable();
  for (const Root<Graph>& root : roots_) {
    Check(root->whole(), "a graph that a Root holds is not whole");
  }
}

// ---- Graphs.

Graph* Actor::NewGraph(uint64_t vertices) {
  Graph* graph = Make<Graph>();
  Vertex* last = Make<Vertex>(random_.Next());
  graph->entry = last;
  graph->sum = last->value;
  last->ring = last;
  for (uint64_t i = 1; i < vertices; ++i) {
    Vertex* v = Make<Vertex>(random_.Next());
    v->ring = graph->entry;
    v->chord = last;
    last->ring = v;
    last = v;
    graph->sum += v->value;
  }
  graph->vertices = vertices;
  return graph;
}

void Actor::Rewire(Graph& graph) {
  Vertex* chord = graph.entry;
  Vertex* v = graph.entry;
  for (uint64_t i = 0; i < graph.vertices; ++i) {
    Vertex* next = v->ring;
    if (random_.OneIn(8) && next != graph.entry) {
      // Out; it leads nowhere any more, or chords to it would keep too much.
      graph.sum -= next->value;
      v->ring = next->ring.get();
      next->ring = nullptr;
      next->chord = nullptr;
      Vertex* in = Make<Vertex>(random_.Next());
      graph.sum += in->value;
      in->ring = v->ring.get();
      in->chord = chord;
      v->ring = in;
    } else if (random_.OneIn(4)) {
      v->chord = chord;
    } else if (random_.OneIn(8)) {
      chord = v;
    }
    v = v->ring;
  }
}

void Actor::ChangeGraph() {
  AtomicPtr<Graph>& place =
      ground_.board().graphs[random_.Below(Board::kGraphs)];
  Graph* graph = place.exchange(nullptr);
  if (graph == nullptr || random_.OneIn(8)) {
    graph = NewGraph(1 + random_.Below(2000));
  } else {
    Check(graph->whole(), "a graph from the board is not whole");
    Rewire(*graph);
    Check(graph->whole(), "a graph that was rewired is not whole");
  }
  const Graph* other = place.exchange(graph);
  Check(other == nullptr || other->whole(), "a graph's other is not whole");
}

// Pointers from item to item are fewer than items, so that what is taken off
// the board keeps little.
void Actor::ChangeItems() {
  const auto any = [this]() -> AtomicPtr<Item>& {
    return ground_.board().items[random_.Below(Board::kItems)];
  };
  for (int i = 0; i < 300; ++i) {
    Item* item = any();
    switch (random_.Below(4)) {
      case 0:
        any().store(Make<Item>(random_.Next()));
        break;
      case 1:
        if (item == nullptr) break;
        item->next[random_.Below(Item::kFields)].store(
            random_.OneIn(4) ? any().load() : nullptr);
        break;
      case 2: {
        Item* expected = item;
        any().compare_exchange_strong(expected, Make<Item>(random_.Next()));
        break;
      }
      default:
        for (int steps = 0; item != nullptr && steps < 20; ++steps) {
          Check(item->whole(), "an item is not whole");
          item = item->next[random_.Below(Item::kFields)];
        }
        break;
    }
  }
}

void Actor::ReplaceRoot() {
  Graph* graph = NewGraph(1 + random_.Below(500));
  if (roots_.size() < kRoots) {
    roots_.emplace_back(mutator_, graph);
    return;
  }
  Root<Graph>& root = roots_[random_.Below(kRoots)];
  Check(root->whole(), "a graph that a Root holds is not whole");
  root = graph;
}

// ---- The cache, cleanups and finalizers.

void Actor::UseCache() {
  for (int i = 0; i < 50; ++i) {
    const uint64_t key = random_.Below(1 + random_.Below(Ground::kKeys));
    Entry* entry = ground_.Find(mutator_, key).Get();
    if (entry != nullptr) {
      ++ground_.counts().cache_hits;
      Check(entry->key == key && entry->whole(), "a cache's entry is wrong");
    } else {
      ++ground_.counts().cache_misses;
      entry = Make<Entry>(key);
      entry->details = Make<Vertex>(key);
      AddCleanup(entry, [ground = &ground_, key,
                         call = CountedCall(ground_.counts(),
                                            ground_.findings())]() mutable {
        call.Run();
        ground->Forget(key);
      });
      ground_.Remember(mutator_, key, Weak<Entry>(entry));
    }
    ground_.board().recent[random_.Below(Board::kEntries)].store(entry);
  }
}

void Actor::AddCalls() {
  Counts& counts = ground_.counts();
  for (int i = 0; i < 20; ++i) {
    Vertex* v = Make<Vertex>(random_.Next());
    v->ring = Make<Vertex>(v->value);
    const Weak<Vertex> weak(v);
    if (random_.OneIn(3)) {
      SetFinalizer(v, [call = CountedCall(counts, ground_.findings()),
                       findings = &ground_.findings()](Vertex* dead) mutable {
        call.Run();
        findings->Check(dead->whole() && dead->ring->value == dead->value,
                        "what a finalizer is given is not whole");
      });
    }
    for (uint64_t n = random_.Below(3); n > 0; --n) {
      Cleanup cleanup = AddCleanup(
          v, [call = CountedCall(counts, ground_.findings())]() mutable {
            call.Run();
          });
      if (random_.OneIn(4) && cleanup.Stop()) ++counts.calls_stopped;
    }
    Check(weak.Get() == v, "a weak pointer has lost what a stack holds");
  }
}

// ---- Large objects.

// One word in so many has a value: all of them would be the test's work only.
constexpr uint64_t kStride = 64;

void Actor::CheckLarge(const LargeArray& array) {
  for (uint64_t i = 0; i < array.length; i += kStride) {
    if (array.words[i] != (array.seed ^ i)) {
      return Check(false, "a large object is not whole");
    }
  }
}

void Actor::ReplaceLarge() {
  LargeArray& array = large_[random_.Below(kLarge)];
  CheckLarge(array);
  array.length = 0;
  array.seed = random_.Next();
  const uint64_t length = 1 + random_.Below(ground_.largest());
  array.words = mutator_.NewArray<uint64_t>(length);
  if (array.words == nullptr) NoMemory();
  for (uint64_t i = 0; i < length; i += kStride) {
    array.words[i] = array.seed ^ i;
  }
  array.length = length;
}

void Actor::CheckTable() {
  for (uint64_t i = 0; i < table_length_; ++i) {
    const Vertex* v = table_[i];
    if (v == nullptr || !v->whole()) {
      return Check(false, "what a large table points to is not whole");
    }
  }
}

void Actor::ReplaceTable() {
  CheckTable();
  table_length_ = 0;
  const uint64_t length = 1 + random_.Below(ground_.largest() / 16);
  table_ = mutator_.NewArray<Ptr<Vertex>>(length);
  if (table_ == nullptr) NoMemory();
  for (uint64_t i = 0; i < length; ++i) {
    table_[i] = random_.OneIn(4) || i == 0 ? Make<Vertex>(random_.Next())
                                           : table_[i - 1].get();
  }
  table_length_ = length;
}

// ---- Whatever else a thread does.

// Two fibers, each with a graph that only its stack knows.
void Actor::RunFibers() {
  const auto body = [this](runtime::Fiber& fiber) {
    const Graph* graph = NewGraph(1 + random_.Below(200));
    for (int i = 0; i < 3; ++i) {
      fiber.Yield();
      Check(graph->whole(), "a graph that a fiber holds is not whole");
    }
  };
  runtime::Fiber a(ground_.heap(), body);
  runtime::Fiber b(ground_.heap(), body);
  while (!a.ended() || !b.ended()) {
    runtime::Fiber& next =
        b.ended() || (!a.ended() && random_.OneIn(2)) ? a : b;
    next.Resume(mutator_);
    ++ground_.counts().fiber_switches;
    MakeGarbage();
  }
}

// Neither allocates nor polls: collections stop it by a signal.
void Actor::ComputeOnly() {
  if (table_length_ == 0) return;
  for (uint64_t i = 0; i < 200'000; ++i) {
    Ptr<Vertex>& a = table_[random_.Below(table_length_)];
    Ptr<Vertex>& b = table_[random_.Below(table_length_)];
    Vertex* const at_a = a;
    a = b.get();
    b = at_a;
  }
}

void Actor::WaitNatively() {
  const Graph* graph = NewGraph(1 + random_.Below(100));
  {
    const Mutator::NativeScope native(mutator_);
    std::this_thread::sleep_for(
        std::chrono::microseconds(random_.Below(10'000)));
  }
  Check(graph->whole(), "a graph held over native code is not whole");
}

void Actor::MakeGarbage() {
  for (uint64_t i = random_.Below(5000); i > 0; --i) {
    Vertex* v = Make<Vertex>(i);
    v->ring = v;
  }
}

}  // namespace tricolor::soak
