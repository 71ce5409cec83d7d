// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// CleanupTester: objects with weak pointers, cleanups and finalizers, whose
// calls do what calls may do: allocate, add and stop cleanups, bring their
// object back, give it a finalizer again, collect. The heap collects only when
// it is told to, so that a model knows at each moment which object has been
// found dead and which calls wait. Every operation is total.
//
// Test-only. On one thread. One exists at a time.

#ifndef TRICOLOR_FUZZ_CLEANUP_TESTER_H_
#define TRICOLOR_FUZZ_CLEANUP_TESTER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "tricolor/base/fuzzing.h"
#include "tricolor/runtime/heap.h"

namespace tricolor::fuzz {

struct CleanupNode {
  static constexpr uint32_t kFields = 2;

  TRICOLOR_TRACE(CleanupNode, next);

  Ptr<CleanupNode> next[kFields];
  uint64_t id = 0;
};

class CleanupTester {
 public:
  CleanupTester();
  // Drops everything, and checks that every call has been made.
  ~CleanupTester();
  CleanupTester(const CleanupTester&) = delete;
  CleanupTester& operator=(const CleanupTester&) = delete;

  // `length` objects, in a large object if there are many.
  void New(uint32_t root, uint32_t length);
  void Link(uint32_t from, uint32_t field, uint32_t to);
  void Follow(uint32_t from, uint32_t field, uint32_t to);
  void CopyRoot(uint32_t from, uint32_t to);
  void DropRoot(uint32_t root);
  // To the element with that index.
  void MakeWeak(uint32_t root, uint32_t element);
  // Into the root, if it is not null.
  void GetWeak(uint32_t weak, uint32_t root);
  void CompareWeak(uint32_t a, uint32_t b);
  // `action`: what the call does, with `number`; see Act.
  void AddCleanup(uint32_t root, uint32_t action, uint32_t number);
  void StopCleanup(uint32_t cleanup);
  void SetFinalizer(uint32_t root, uint32_t action, uint32_t number);
  void ClearFinalizer(uint32_t root);
  void Collect();
  void RunCleanups();

  // Everything that does not change anything.
  void Check();

 private:
  static constexpr uint32_t kRoots = 4;
  static constexpr size_t kMaxCalls = 300;
  static constexpr size_t kMaxNodes = 200;

  enum class State : uint8_t { kArmed, kStopped, kDue, kHasRun };

  struct Call {
    uint32_t node = 0;
    State state = State::kArmed;
    uint32_t action = 0;
    uint32_t number = 0;
    Cleanup handle;
  };
  struct WeakPointer {
    Weak<CleanupNode> weak;
    uint32_t node = 0;
    uint32_t element = 0;
    uint32_t life = 0;  // of the node: it has had so many finalizers called
  };
  struct Node {
    CleanupNode* address = nullptr;
    uint32_t length = 1;
    uint32_t next[CleanupNode::kFields] = {};
    std::vector<size_t> cleanups;  // indexes of calls, armed or due
    size_t finalizer = 0;          // the same; 0: none
    uint32_t life = 0;
  };

  // As the public ones, by a call.
  void DoNew(uint32_t root, uint32_t length);
  void DoAddCleanup(uint32_t root, uint32_t action, uint32_t number);
  void DoStopCleanup(uint32_t cleanup);
  void DoSetFinalizer(uint32_t root, uint32_t action, uint32_t number);
  void DoCollect();
  void Act(uint32_t action, uint32_t number);
  void SetRoot(uint32_t root, uint32_t node);
  Node* InRoot(uint32_t root);

  void RunCleanup(size_t call);
  void RunFinalizer(size_t call, CleanupNode* object);
  // What a collection keeps whatever finalizers there are.
  std::vector<uint32_t> Kept() const;
  bool IsWeakAlive(const WeakPointer& weak) const;
  void Bury(const std::set<uint32_t>& live);

  FuzzProgram program_;
  Heap heap_;
  std::unique_ptr<Mutator> mutator_;
  Root<CleanupNode> roots_[kRoots];
  uint32_t root_nodes_[kRoots] = {};
  std::map<uint32_t, Node> nodes_;
  uint32_t next_id_ = 1;
  std::vector<Call> calls_;  // the first is none
  std::vector<WeakPointer> weak_;
  // Whose finalizers are due, or running: the queue keeps them.
  std::set<uint32_t> finalizing_;
  // Due cleanups of dead objects, in the order of each object's.
  std::map<uint32_t, std::vector<size_t>> due_;
  size_t calls_made_ = 0;
  bool ending_ = false;
};

}  // namespace tricolor::fuzz

#endif  // TRICOLOR_FUZZ_CLEANUP_TESTER_H_
