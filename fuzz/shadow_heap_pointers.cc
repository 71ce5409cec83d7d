// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The many ways in which a ShadowHeap stores pointers.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include "tricolor/base/check.h"
#include "tricolor/fuzz/object_kinds.h"
#include "tricolor/fuzz/shadow_heap.h"
#include "tricolor/runtime/barrier_c_client.h"

namespace tricolor::fuzz {
namespace {

// Replaces a pointer in one of the ways in which a program may; returns what
// was there.
constexpr uint32_t kWays = 13;
char* Replace(void* slot, char* old, char* value, uint32_t way) {
  auto& field = *static_cast<AtomicPtr<char>*>(slot);
  auto& plain = *static_cast<char**>(slot);
  auto** const in_c = static_cast<void**>(slot);
  char* expected = old;
  switch (way) {
    case 0:
      field = value;
      return old;
    case 1:
      field.store(value, std::memory_order_release);
      return old;
    case 2:
      return field.exchange(value);
    case 3:
      return field.exchange(value, std::memory_order_acq_rel);
    case 4:
      TRICOLOR_CHECK(field.compare_exchange_strong(expected, value),
                     "%p was not there", static_cast<void*>(old));
      return expected;
    case 5:
      TRICOLOR_CHECK(field.compare_exchange_strong(expected, value,
                                                   std::memory_order_release,
                                                   std::memory_order_acquire),
                     "%p was not there", static_cast<void*>(old));
      return expected;
    case 6:
      // Fails once, unless it is the same, and then gives what is there.
      expected = value;
      if (field.compare_exchange_weak(expected, value)) return expected;
      TRICOLOR_CHECK(field.compare_exchange_weak(expected, value),
                     "%p was not there", static_cast<void*>(expected));
      return expected;
    case 7:
      StorePointer(plain, value);
      return old;
    case 8:
      client_store(in_c, value);
      return old;
    case 9:
      return static_cast<char*>(client_exchange(in_c, value));
    case 10: {
      void* found = value;
      while (client_compare_exchange(in_c, &found, value) == 0) {
      }
      return static_cast<char*>(found);
    }
    case 11:
      *static_cast<Ptr<char>*>(slot) = value;
      TRICOLOR_CHECK(field.load(std::memory_order_relaxed) == value,
                     "%p was not stored", static_cast<void*>(value));
      return old;
    default:
      // As in a new object: there is nothing to record.
      if (old != nullptr) return field.exchange(value);
      new (slot) AtomicPtr<char>(value);
      TRICOLOR_CHECK(field.load(std::memory_order_acquire) == value,
                     "%p was not stored", static_cast<void*>(value));
      return old;
  }
}

}  // namespace

void ShadowHeap::LinkOtherwise(uint32_t from, uint32_t slot, uint32_t to,
                               uint32_t way) {
  Node* const source = NodeInRoot(from);
  if (source == nullptr || source->edges.empty()) return;
  if (ObjectKinds()[source->kind].tagged) return;
  slot %= static_cast<uint32_t>(source->edges.size());
  uintptr_t* const word = SlotAddress(*source, slot);
  auto* const old = reinterpret_cast<char*>(*word);
  const Node* const target = NodeInRoot(to);
  char* const value = target == nullptr ? nullptr : target->address;
  const char* const found = Replace(word, old, value, way % kWays);
  TRICOLOR_CHECK(found == old, "a pointer to %p was replaced, not to %p",
                 static_cast<const void*>(found), static_cast<void*>(old));
  source->edges[slot] = Edge();
  if (target != nullptr) source->edges[slot].target = root_nodes_[to % kRoots];
}

ShadowHeap::Run ShadowHeap::RunFrom(uint32_t root, uint32_t slot, uint32_t n) {
  Node* const node = NodeInRoot(root);
  if (node == nullptr || node->edges.empty()) return {};
  const ObjectKind& kind = ObjectKinds()[node->kind];
  if (kind.tagged) return {};
  slot %= static_cast<uint32_t>(node->edges.size());
  const std::vector<uint32_t>& words = kind.pointer_words;
  const size_t first = slot % words.size();
  size_t end = first + 1;
  while (end < words.size() && words[end] == words[end - 1] + 1) ++end;
  return {reinterpret_cast<Ptr<char>*>(SlotAddress(*node, slot)),
          &node->edges[slot],
          std::min(1 + n % 4, static_cast<uint32_t>(end - first))};
}

void ShadowHeap::MovePointers(uint32_t from, uint32_t slot, uint32_t to,
                              uint32_t to_slot, uint32_t n, uint32_t way) {
  const Run source = RunFrom(from, slot, n);
  const Run target = RunFrom(to, to_slot, n);
  n = std::min(source.n, target.n);
  if (n == 0) return;
  const std::vector<Edge> edges(source.edges, source.edges + n);
  auto** const to_in_c = reinterpret_cast<void**>(target.first);
  auto** const from_in_c = reinterpret_cast<void**>(source.first);
  switch (way % 3) {
    case 0:
      MovePtrs(target.first, source.first, n);
      break;
    case 1:
      client_move(to_in_c, from_in_c, n);
      break;
    default:
      // Element by element, which does not do where the two overlap.
      if (from % kRoots != to % kRoots) {
        client_copy_by_hand(to_in_c, from_in_c, n);
      } else {
        const std::vector<char*> values(source.first, source.first + n);
        std::copy(values.begin(), values.end(), target.first);
      }
  }
  std::copy(edges.begin(), edges.end(), target.edges);
}

void ShadowHeap::ClearPointers(uint32_t root, uint32_t slot, uint32_t n,
                               uint32_t way) {
  const Run run = RunFrom(root, slot, n);
  if (run.n == 0) return;
  auto** const in_c = reinterpret_cast<void**>(run.first);
  switch (way % 4) {
    case 0:
      ClearPtrs(run.first, run.n);
      break;
    case 1:
      client_clear(in_c, run.n);
      break;
    case 2:
      client_clear_by_hand(in_c, run.n);
      break;
    default:
      std::fill_n(run.first, run.n, nullptr);
  }
  std::fill_n(run.edges, run.n, Edge());
}

}  // namespace tricolor::fuzz
