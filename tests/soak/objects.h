// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a soak keeps in its heaps. Each object knows by a check word whether it
// is whole, each graph by its sum.

#ifndef TRICOLOR_TESTS_SOAK_OBJECTS_H_
#define TRICOLOR_TESTS_SOAK_OBJECTS_H_

#include <cstdint>

#include "tricolor/runtime/heap.h"

namespace tricolor::soak {

inline constexpr uint64_t kSalt = 0x9e3779b97f4a7c15;

// Of a ring, with chords across it.
struct Vertex {
  TRICOLOR_TRACE(Vertex, ring, chord);

  explicit Vertex(uint64_t v) : value(v), check(v ^ kSalt) {}
  bool whole() const { return check == (value ^ kSalt); }

  Ptr<Vertex> ring;
  Ptr<Vertex> chord;
  uint64_t value;
  uint64_t check;
};

// A ring of vertices. Who has taken it off the board is alone with it.
struct Graph {
  TRICOLOR_TRACE(Graph, entry);

  bool whole() const {
    uint64_t found = 0;
    const Vertex* v = entry;
    for (uint64_t i = 0; i < vertices; ++i) {
      if (v == nullptr || !v->whole()) return false;
      if (v->chord != nullptr && !v->chord->whole()) return false;
      found += v->value;
      v = v->ring;
    }
    return found == sum && v == entry;
  }

  Ptr<Vertex> entry;
  uint64_t vertices = 0;
  uint64_t sum = 0;
};

// What threads change without taking it off the board.
struct Item {
  static constexpr uint64_t kFields = 2;
  TRICOLOR_TRACE(Item, next);

  explicit Item(uint64_t the_id) : id(the_id), check(the_id ^ kSalt) {}
  bool whole() const { return check == (id ^ kSalt); }

  AtomicPtr<Item> next[kFields];
  const uint64_t id;
  const uint64_t check;
};

// Of a cache that knows its entries by weak pointers.
struct Entry {
  TRICOLOR_TRACE(Entry, details);

  explicit Entry(uint64_t the_key) : key(the_key), check(the_key ^ kSalt) {}
  bool whole() const {
    return check == (key ^ kSalt) && details->whole() && details->value == key;
  }

  Ptr<Vertex> details;
  uint64_t key;
  uint64_t check;
};

// All that is shared.
struct Board {
  static constexpr uint64_t kGraphs = 24;
  static constexpr uint64_t kItems = 4096;
  static constexpr uint64_t kEntries = 512;
  TRICOLOR_TRACE(Board, graphs, items, recent);

  AtomicPtr<Graph> graphs[kGraphs];
  AtomicPtr<Item> items[kItems];
  AtomicPtr<Entry> recent[kEntries];
};

}  // namespace tricolor::soak

#endif  // TRICOLOR_TESTS_SOAK_OBJECTS_H_
