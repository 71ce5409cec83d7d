// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A Tricolor heap side by side with a model of it in ordinary containers: each
// operation is done to both, and after a collection the two must agree: every
// object that the model can reach, or that a finalizer keeps, is intact, every
// other one is gone, and just those finalizers have run that were due.
//
// The heap runs in exact mode, so that a Root or a registered range is the only
// thing that keeps an object. Zeal has many collections run at points that
// repeat themselves; those that the heap's growth asks for run beside the
// program, on the heap's thread. A second marker checks them all, and dead
// objects are overwritten. Restart makes a heap with other options.

#ifndef TRICOLOR_FUZZ_SHADOW_HEAP_H_
#define TRICOLOR_FUZZ_SHADOW_HEAP_H_

#include <atomic>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/fuzz/object_kinds.h"
#include "tricolor/runtime/fiber_testing.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/marking_testing.h"

namespace tricolor::fuzz {

class ShadowHeap final : private AllocationSampler {
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
  // The same of a type that the compiler knows, if the kind has one.
  void AllocateTyped(uint32_t kind, uint32_t count, uint32_t root);
  // An array that points to as many new objects as it has pointers: many are to
  // be marked at once. In root `root`.
  void AllocateFan(uint32_t root, uint32_t width);
  // Of more memory than there is; must fail.
  void AllocateTooMuch(uint32_t kind, uint32_t size);
  // Up to `objects` objects that nothing holds.
  void AllocateGarbage(uint32_t kind, uint32_t objects);
  // Pointer `slot` of the object in root `from` is made to point `offset` bytes
  // into the object in root `to`, or to null if there is none.
  void Link(uint32_t from, uint32_t slot, uint32_t to, uint32_t offset);
  // The same to its beginning, in one of the other ways of storing a pointer:
  // AtomicPtr with every order, what there is for C and for plain pointers.
  void LinkOtherwise(uint32_t from, uint32_t slot, uint32_t to, uint32_t way);
  // Up to `n` pointers from `slot` of root `from` on replace as many from
  // `to_slot` of root `to` on.
  void MovePointers(uint32_t from, uint32_t slot, uint32_t to, uint32_t to_slot,
                    uint32_t n, uint32_t way);
  void ClearPointers(uint32_t root, uint32_t slot, uint32_t n, uint32_t way);
  // Root `to` is made to hold what pointer `slot` of root `from` points into.
  void Follow(uint32_t from, uint32_t slot, uint32_t to);
  void CopyRoot(uint32_t from, uint32_t to);
  void DropRoot(uint32_t root);
  // Objects of tiny blocks have no identity of their own and are passed over.
  void MakeWeak(uint32_t root);
  void AddCleanup(uint32_t root);
  // It throws what the heap then reports.
  void AddThrowingCleanup(uint32_t root);
  // Its callable alone has a Root to a new object of that kind, which has been
  // in the next root before.
  void AddHoldingCleanup(uint32_t root, uint32_t kind);
  void StopCleanup(uint32_t cleanup);
  // Its finalizer puts the object into root `save` % 32, if there is that one.
  // One that it has is taken off before.
  void SetFinalizer(uint32_t root, uint32_t save);
  void ClearFinalizer(uint32_t root);
  void Collect();
  void FreeOsMemory();
  void SetGcPercent(uint32_t percent);
  void SetMemoryLimit(uint32_t limit);
  // For a moment, `n` times four more of root `root`.
  void MakeManyRoots(uint32_t root, uint32_t n);
  // Word `word` of a range outside of the heap points to the object in `root`.
  void PutInRange(uint32_t word, uint32_t root);
  void TakeFromRange(uint32_t word, uint32_t root);
  // Makes the range known to the heap, or no longer so and empty.
  void SwitchRange();
  // Has all objects that are sampled checked, or no longer so.
  void SwitchSampler();
  // Does `action` (see Act) in a NativeScope, in two, or on a thread that is
  // not attached; on a fiber, which is left suspended or ends.
  void DoApart(uint32_t way, uint32_t action, uint32_t root);
  void DoOnFiber(bool end, uint32_t action, uint32_t root);
  // If the heap's memory comes from an OS that can refuse it: all calls fail,
  // from the one with this number on, of the next operation that may need some.
  void RefuseNext(uint32_t call);
  // If the heap marks beside the program: a collection marks, and stands still,
  // up to the next operation that is no mere store or look.
  void BeginMarking();
  // Drops everything; then a new heap, with the options that the bits choose.
  void Restart(uint32_t options);

  // What is reachable is intact; weak pointers to it give it. Needs no
  // collection to have happened.
  void CheckReachable();
  // The numbers fit together.
  void CheckStats();
  void CheckInvariants();

 private:
  static constexpr uint32_t kRangeWords = 8;

  struct Edge {
    uint32_t target = 0;  // node; 0: none
    uint32_t offset = 0;
  };
  struct CleanupState {
    Cleanup handle;
    uint32_t node = 0;
    uint32_t held = 0;  // node; 0: none
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
  // Pointers that lie one after the other in an object, and in its model.
  struct Run {
    Ptr<char>* first = nullptr;
    Edge* edges = nullptr;
    uint32_t n = 0;
  };
  // While it lives, the OS refuses what RefuseNext has said.
  class Refusal;

  void OnSample(const AllocationSample& sample) override;

  // A heap with these options; false: there was no memory.
  bool Start(uint32_t options);
  void DropEverything();
  // False: there was no memory, and nothing has changed.
  bool SetRoot(uint32_t root, char* address, uint32_t id);
  using CleanupFunction = void (*)(CleanupState* state);
  void AddCleanupThat(uint32_t root, CleanupFunction run, uint32_t held);
  // The node of a new object, which has the last id.
  Node& AddNode(uint32_t kind, uint32_t count, char* address);
  // The same, of an object that is then held by the root.
  void AddHeldNode(uint32_t kind, uint32_t count, char* address, uint32_t root);
  // One of the operations that need not be done on a managed thread. Returns
  // whether it was a collection, which is yet to be checked.
  bool Act(uint32_t action, uint32_t root);
  static bool GoesBesideMarking(uint32_t action);
  void EndMarking();
  void RestoreGoals();
  // Whether it took place.
  bool CollectUnchecked(bool free_memory);

  Node* NodeInRoot(uint32_t root);
  // Whether it shares a block with others, as far as weak pointers, cleanups
  // and counts of objects go.
  static bool IsTiny(const Node& node);
  char* NewObject(uint32_t kind, uint32_t count, uint32_t id, bool typed);
  uintptr_t* SlotAddress(const Node& node, uint32_t slot) const;
  // Empty where pointers are tagged, or there are none.
  Run RunFrom(uint32_t root, uint32_t slot, uint32_t n);
  void FillAndCheckZero(const Node& node, uint32_t id);
  void CheckIntact(uint32_t id, const Node& node) const;
  // Nodes that roots, the range and callables hold.
  std::vector<uint32_t> Held() const;
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

  std::unique_ptr<FakeOsMemory> os_;  // null: the process's
  uint32_t refused_call_ = 0;         // 0: none
  std::unique_ptr<Heap> heap_;
  std::unique_ptr<Mutator> mutator_;
  std::map<uint32_t, Node> nodes_;
  uint32_t next_id_ = 1;
  uint64_t bytes_ = 0;
  Root<char> roots_[kRoots];
  uint32_t root_nodes_[kRoots] = {};
  Ptr<char> range_[kRangeWords];
  uint32_t range_nodes_[kRangeWords] = {};
  bool range_known_ = false;
  // While marking stands still: where, the thread that waits for it, and
  // whether it has come to an end without coming there.
  Root<runtime::Gate> gate_;
  std::thread collector_;
  std::atomic<bool> collector_done_{false};
  bool marks_beside_ = false;  // the heap does
  bool sampling_ = false;
  bool samples_all_ = false;       // every object, by the heap's options
  const void* sampled_ = nullptr;  // the last one
  int gc_percent_ = 100;
  int64_t memory_limit_ = std::numeric_limits<int64_t>::max();
  std::vector<std::unique_ptr<CleanupState>> cleanups_;
  std::unique_ptr<runtime::Fiber> fiber_;
  // What the fiber is to do, and has done.
  bool fiber_ends_ = false;
  uint32_t fiber_action_ = 0;
  uint32_t fiber_root_ = 0;
  bool fiber_collected_ = false;
};

}  // namespace tricolor::fuzz

#endif  // TRICOLOR_FUZZ_SHADOW_HEAP_H_
