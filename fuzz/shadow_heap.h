// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A Tricolor heap side by side with a model of it in ordinary containers: each
// operation is done to both, and after a collection the two must agree: every
// object that the model can reach, or that a finalizer keeps, is intact, every
// other one is gone, and just those finalizers have run that were due.
//
// The heap runs in exact mode, so that a Root is the only thing that keeps an
// object. Zeal has many collections run at points that repeat themselves; those
// that the heap's growth asks for run beside the program, on the heap's thread.
// A second marker checks them all, and dead objects are overwritten.

#ifndef TRICOLOR_FUZZ_SHADOW_HEAP_H_
#define TRICOLOR_FUZZ_SHADOW_HEAP_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tricolor/runtime/heap.h"

namespace tricolor::fuzz {

// One way in which objects are laid out and traced.
struct ObjectKind {
  TypeInfo type;
  std::vector<uint32_t> pointer_words;  // of one element; never word 0
  bool tagged = false;  // pointers are stored with a tag in bit 0
};

// Every kind that an operation may ask for, one for each way of the allocator
// and the marker.
const std::vector<ObjectKind>& ObjectKinds();

class ShadowHeap {
 public:
  static constexpr uint32_t kRoots = 16;
  static constexpr uint32_t kMaxCount = 5;
  // An operation that would grow the model beyond this does nothing.
  static constexpr uint64_t kMaxBytes = 48 << 20;

  // The most that one AllocateGarbage makes.
  static constexpr uint64_t kMaxGarbageBytes = 2 << 20;

  ShadowHeap();
  ~ShadowHeap();

  // ---- Operations. All arguments are taken modulo what there is, and what
  // makes no sense does nothing.
  // A new object of `count` elements, held by root `root`.
  void Allocate(uint32_t kind, uint32_t count, uint32_t root);
  // Up to `objects` objects that nothing holds.
  void AllocateGarbage(uint32_t kind, uint32_t objects);
  // Pointer `slot` of the object in root `from` is made to point `offset` bytes
  // into the object in root `to`, or to null if there is none.
  void Link(uint32_t from, uint32_t slot, uint32_t to, uint32_t offset);
  // Root `to` is made to hold what pointer `slot` of root `from` points into.
  void Follow(uint32_t from, uint32_t slot, uint32_t to);
  void CopyRoot(uint32_t from, uint32_t to);
  void DropRoot(uint32_t root);
  // Objects of tiny blocks have no identity of their own and are passed over.
  void MakeWeak(uint32_t root);
  void AddCleanup(uint32_t root);
  void StopCleanup(uint32_t cleanup);
  // Its finalizer puts the object into root `save` % 32, if there is that one.
  // One that it has is taken off before.
  void SetFinalizer(uint32_t root, uint32_t save);
  void ClearFinalizer(uint32_t root);
  void Collect();
  void FreeOsMemory();
  void SetGcPercent(uint32_t percent);

  // What is reachable is intact; weak pointers to it give it. Needs no
  // collection to have happened.
  void CheckReachable();

 private:
  struct Edge {
    uint32_t target = 0;  // node; 0: none
    uint32_t offset = 0;
  };
  struct CleanupState {
    Cleanup handle;
    uint32_t node = 0;
    bool stopped = false;
    int runs = 0;
  };
  struct Node {
    uint32_t kind = 0;
    uint32_t count = 0;
    char* address = nullptr;
    std::vector<Edge> edges;
    std::vector<Weak<char>> weak;
    std::vector<CleanupState*> cleanups;
    bool finalizer = false;  // set, and has not run
  };

  Node* NodeInRoot(uint32_t root);
  // Whether it shares a block with others, as far as weak pointers, cleanups
  // and counts of objects go.
  static bool IsTiny(const Node& node);
  char* NewObject(uint32_t kind, uint32_t count, uint32_t id);
  uintptr_t* SlotAddress(const Node& node, uint32_t slot) const;
  void FillAndCheckZero(const Node& node, uint32_t id);
  void CheckIntact(uint32_t id, const Node& node) const;
  // From these, with them.
  std::vector<uint32_t> ReachableFrom(const std::vector<uint32_t>& ids) const;
  std::vector<uint32_t> Reachable() const;
  // Nodes whose finalizer is set.
  std::vector<uint32_t> Finalizable() const;
  // What nodes point to.
  std::vector<uint32_t> TargetsOf(const std::vector<uint32_t>& ids) const;
  // Of the nodes whose finalizer is set, those that nothing reaches but
  // themselves: neither a root nor an object with a finalizer.
  std::vector<uint32_t> DueFinalizers() const;
  void RunFinalizer(uint32_t id, const char* object, uint32_t save);
  void CheckWholeNode(uint32_t id) const;
  void CheckAfterCollection();
  // Takes the nodes that are not in `reachable` out of the model.
  void Forget(const std::vector<uint32_t>& reachable);

  Heap heap_;
  std::unique_ptr<Mutator> mutator_;
  std::map<uint32_t, Node> nodes_;
  uint32_t next_id_ = 1;
  uint64_t bytes_ = 0;
  Root<char> roots_[kRoots];
  uint32_t root_nodes_[kRoots] = {};
  std::vector<std::unique_ptr<CleanupState>> cleanups_;
};

}  // namespace tricolor::fuzz

#endif  // TRICOLOR_FUZZ_SHADOW_HEAP_H_
