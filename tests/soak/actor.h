// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Actor: a thread of a soak, attached to its ground's heap. It does jobs that
// it draws at random, and checks what it finds. It holds objects by words on
// its stack, on which it must lie.

#ifndef TRICOLOR_TESTS_SOAK_ACTOR_H_
#define TRICOLOR_TESTS_SOAK_ACTOR_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "tricolor/base/test_random.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/tests/soak/ground.h"
#include "tricolor/tests/soak/objects.h"

namespace tricolor::soak {

class Actor {
 public:
  Actor(Ground& ground, uint64_t seed)
      : ground_(ground), mutator_(ground.heap()), random_(seed) {}

  // One job, of a moment.
  void Work();
  // At the end: all that it still holds.
  void CheckHeld();

 private:
  static constexpr size_t kLarge = 3;
  static constexpr size_t kRoots = 8;
  struct LargeArray {
    uint64_t* words = nullptr;
    uint64_t length = 0;
    uint64_t seed = 0;
  };

  // The jobs.
  void ChangeGraph();
  void ChangeItems();
  void UseCache();
  void ReplaceLarge();
  void ReplaceTable();
  void ReplaceRoot();
  void AddCalls();
  void RunFibers();
  void ComputeOnly();
  void WaitNatively();
  void MakeGarbage();

  // A new object; a finding when there is no memory for one.
  template <typename T, typename... Args>
  T* Make(Args&&... args) {
    T* object = mutator_.New<T>(std::forward<Args>(args)...);
    if (object == nullptr) NoMemory();
    return object;
  }
  [[noreturn]] static void NoMemory();
  void Check(bool condition, const char* what) {
    ground_.findings().Check(condition, what);
  }
  Graph* NewGraph(uint64_t vertices);
  // Some vertices out, others in, some chords elsewhere.
  void Rewire(Graph& graph);
  void CheckLarge(const LargeArray& array);
  void CheckTable();

  Ground& ground_;
  Mutator mutator_;
  TestRandom random_;
  LargeArray large_[kLarge];
  Ptr<Vertex>* table_ = nullptr;
  uint64_t table_length_ = 0;
  std::vector<Root<Graph>> roots_;  // which lies elsewhere
};

}  // namespace tricolor::soak

#endif  // TRICOLOR_TESTS_SOAK_ACTOR_H_
