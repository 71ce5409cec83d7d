// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// BarrierTester: mutators that store pointers through the write barrier while a
// marker marks, all in one thread, in an order that is given step by step, so
// that it can be repeated. Barrier, processors, marker and sweeper are the real
// ones; stacks, roots and handshakes are played.
//
// A model knows every object and what each pointer is. At the end of marking
// each object that is reachable must have its mark, and no object that was
// unreachable when marking began. Every step is total.
//
// Test-only. Thread-compatible. One exists at a time.

#ifndef TRICOLOR_FUZZ_BARRIER_TESTER_H_
#define TRICOLOR_FUZZ_BARRIER_TESTER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "tricolor/base/fuzzing.h"
#include "tricolor/gc/gc_pacer.h"
#include "tricolor/gc/marker.h"
#include "tricolor/mcentral/test_heap.h"
#include "tricolor/mheap/special.h"
#include "tricolor/mheap/type_info.h"
#include "tricolor/runtime/processor.h"
#include "tricolor/runtime/world.h"
#include "tricolor/sweep/sweeper.h"

namespace tricolor::fuzz {

// What a mutator does; `m` is which. Its stack has a few slots. "The object in
// slot a" is that in the first slot from there on that is not null.
enum class MutatorOp : uint8_t {
  kAllocate,    // a new object of kind b in stack slot a
  kLoad,        // field b of the object in slot a, into slot c
  kStore,       // slot c into field b of the object in slot a
  kStoreBegin,  // the same; but the store itself comes with its next step
  kPutIn,       // as kStore, and drops slot c
  kTakeOut,     // as kLoad, and stores null
  kCopy,        // slot a into slot b
  kDrop,        // slot a
  kLoadRoot,    // root a into slot b
  kStoreRoot,   // slot b into root a
  kHandshake,   // hands over its buffer and, once a cycle, its stack
  kAssist,      // scans about a * 256 bytes
  kSweep,       // sweeps a few spans
};
inline constexpr uint32_t kMutatorOps = 13;

struct MutatorStep {
  MutatorOp op = MutatorOp::kHandshake;
  uint8_t m = 0;
  uint8_t a = 0;
  uint8_t b = 0;
  uint8_t c = 0;
};

class BarrierTester final : private gc::RootSource,
                            private gc::MarkMonitor,
                            private mheap::SpecialReceiver {
 public:
  BarrierTester();
  // Finishes the cycle.
  ~BarrierTester();
  BarrierTester(const BarrierTester&) = delete;
  BarrierTester& operator=(const BarrierTester&) = delete;

  void Do(const MutatorStep& step);
  // Begins a cycle: sweeps the rest, and switches the barriers on.
  void Start();
  // Marks until the worker has nothing to do. At each place where a marker on
  // its own thread may be overtaken (a root, a field, a piece of a large
  // object) the mutators do the next of these steps.
  void Mark(const std::vector<MutatorStep>& beside);
  // Ends the cycle in a stop, checks the marks, and begins to sweep.
  void Finish();
  // From the k-th call on the OS refuses memory; until Recover.
  void RefuseMemory(uint32_t k);
  void Recover();

 private:
  static constexpr uint32_t kMutators = 3;
  static constexpr uint32_t kSlots = 4;
  static constexpr uint32_t kRoots = 4;

  struct Node {
    uint64_t* fields = nullptr;  // the pointer words
    std::vector<uint32_t> targets;
    bool tagged = false;
  };
  struct PendingStore {
    uint32_t source = 0;  // 0: none
    uint32_t field = 0;
    uint32_t target = 0;
  };
  struct Mutator {
    explicit Mutator(const runtime::ProcessorParts& parts) : processor(parts) {
      context.processor = &processor;
    }
    runtime::Processor processor;
    runtime::MutatorContext context;
    uint32_t stack[kSlots] = {};
    PendingStore pending;
    bool assisting = false;
  };

  // gc::RootSource, MarkMonitor.
  size_t PrepareRoots() override { return kRoots; }
  void MarkRoots(size_t job, gc::MarkWorker& worker) override;
  bool Worked(int index, uint64_t bytes) override;
  bool Rest(int) override { return true; }
  // mheap::SpecialReceiver.
  void TakeDead(mheap::Special* list) override;

  static void TraceObject(const void* object, PointerVisitor& visitor);
  static const TypeInfo& TypeOf(uint32_t kind);

  void DoStep(const MutatorStep& step);
  void DoMarkingStep(Mutator& m, const MutatorStep& step);
  // An object in its stack, from that slot on; 0: it has none.
  static uint32_t ObjectFrom(const Mutator& m, uint32_t slot);
  void Allocate(Mutator& m, uint32_t slot, uint32_t kind);
  void Load(Mutator& m, uint32_t slot, uint32_t field, uint32_t to);
  // `target`: what is stored; 0: null.
  void BeginStore(Mutator& m, uint32_t slot, uint32_t field, uint32_t target);
  void EndStore(Mutator& m);
  void StoreRoot(Mutator& m, uint32_t root, uint32_t slot);
  void Assist(Mutator& m, uint64_t bytes);
  void Handshake(Mutator& m);
  void SweepSome(Mutator& m);

  // A place at which the marker may be overtaken.
  void Overtake();
  void RunRound();
  uint64_t Address(uint32_t id) const;
  bool IsMarked(const Node& node) const;
  std::set<uint32_t> Reachable() const;
  void CheckMarks();
  void CheckFields() const;
  void SetMarking(bool marking);

  static BarrierTester* running_;

  FuzzProgram program_;
  mcentral::TestHeap t_;
  sweep::Sweeper sweeper_;
  gc::GcPacer pacer_;
  gc::Marker marker_;
  std::vector<std::unique_ptr<Mutator>> mutators_;
  uint32_t roots_[kRoots] = {};
  std::map<uint32_t, Node> nodes_;
  uint32_t next_id_ = 1;

  bool marking_ = false;
  bool round_has_run_ = false;
  std::set<uint32_t> snapshot_;  // reachable when marking began
  uint32_t first_new_id_ = 0;    // of objects made since
  const MutatorStep* beside_ = nullptr;
  const MutatorStep* beside_end_ = nullptr;
  bool refusing_ = false;
};

}  // namespace tricolor::fuzz

#endif  // TRICOLOR_FUZZ_BARRIER_TESTER_H_
