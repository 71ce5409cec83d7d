// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Several processors that allocate, flush, sweep and go through cycles in one
// thread, in an order that someone chooses, against a model that knows each
// object: no slot is handed out twice, none is lost, all that lives stays
// whole, all that is dead can be reused after the sweep, and the accounts
// agree.
//
// It plays runtime's part: the order of a cycle's steps, and a marker that sets
// marks by hand, all at once or while processors go on allocating.
//
// Test-only. Thread-compatible.

#ifndef TRICOLOR_TESTS_CACHES_SIMULATION_H_
#define TRICOLOR_TESTS_CACHES_SIMULATION_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "tricolor/mcache/mcache.h"
#include "tricolor/mcentral/test_heap.h"
#include "tricolor/mheap/special.h"
#include "tricolor/mheap/type_info.h"
#include "tricolor/sweep/sweeper.h"

namespace tricolor::caches {

// Who decides what happens next.
class Choices {
 public:
  // 0 <= result < n <= 65536.
  virtual uint32_t Below(uint32_t n) = 0;

 protected:
  ~Choices() = default;
};

// In the order of their names.
enum class Operation : uint8_t {
  kAllocate,
  kAllocateUntilNull,
  kAttachSpecial,
  kBeginOrEndMark,
  kCheckQuiescent,
  kClearFinalizer,
  kDrop,
  kEnsureSwept,
  kFlush,
  kMarkConservatively,
  kMarkSome,
  kPublishStats,
  kReclaim,
  kRelease,
  kReplaceProcessor,
  kSetFinalizer,
  kStopTheWorldCycle,
  kSweepSome,
  kVerify,
};

class Simulation final : private mcache::AllocationObserver,
                         private mheap::SpecialReceiver {
 public:
  Simulation(Choices& choices, int processors);
  ~Simulation();

  // The operation that is the next choice, some more likely than others.
  static Operation ChooseOperation(Choices& choices);
  void Do(Operation operation);
  void Step() { Do(ChooseOperation(choices_)); }
  // Ends the cycle and the sweep, and checks everything that must be true then.
  void CheckQuiescent();

  uint64_t objects_allocated() const { return objects_allocated_; }
  uint64_t cycles() const { return cycles_; }

 private:
  struct Processor;
  struct Object {
    uintptr_t address = 0;
    size_t bytes = 0;
    uint8_t tag = 0;
    bool tiny = false;
    std::vector<uintptr_t> cleanups;  // records
    uintptr_t finalizer = 0;          // record; 0: none
    mheap::WeakSlot* weak = nullptr;
    uint64_t serial = 0;
  };
  using Objects = std::vector<Object>;

  // mcache::AllocationObserver, mheap::SpecialReceiver:
  void HeapLiveChanged(int64_t bytes) override { heap_live_ += bytes; }
  void TakeDead(mheap::Special* list) override;

  void CheckDue(const mheap::Special& special);

  // Operations.
  void Allocate();
  void AllocateUntilNull();
  void Drop();
  void Verify();
  void Flush();
  void Release();
  void PublishStats();
  void ReplaceProcessor();
  void SweepSome();
  void Reclaim();
  void EnsureSwept();
  void AttachSpecial();
  void SetFinalizer();
  void ClearFinalizer();
  void BeginMark();
  void MarkSome();
  void MarkConservatively();
  void EndMark();  // if a cycle marks
  void StopTheWorldCycle();

  std::unique_ptr<Processor> NewProcessor();
  Processor& AnyProcessor();
  // As runtime does before a processor is used.
  Processor& AnyFlushedProcessor();
  Object* AnyObject();
  bool AllocateOne(Processor& p, const TypeInfo& type, uint64_t count);
  void CheckNew(const Object& object, const TypeInfo& type, uint64_t count);
  void CheckWhole(const Object& object);
  void FlushAll();
  void Mark(uintptr_t address);
  bool IsMarked(uintptr_t address);
  void Bury(const Object& object);
  void Resurrect(Object& object);
  // Of an object that may have specials, its span swept; null where it cannot
  // be.
  mheap::MSpan* SweptSpanOf(const Object& object);
  void CheckSpans(bool exact);

  Choices& choices_;
  mcentral::TestHeap t_;
  sweep::Sweeper sweeper_;
  std::vector<std::unique_ptr<Processor>> processors_;

  Objects live_;
  Objects dropped_;  // unreachable since the last mark began
  Objects doomed_;   // unreachable when the running mark began
  Objects to_mark_;  // snapshot of the running mark
  // All of the above but to_mark_, by address; the bytes of each.
  std::map<uintptr_t, size_t> occupied_;
  // Records of cleanups whose objects have been found dead, until reported.
  std::set<uintptr_t> due_cleanups_;
  std::set<mheap::WeakSlot*> due_weak_;
  // Finalizers of objects that have been found unreachable, until reported, and
  // the weak handles that are to be dead before; null: none.
  std::map<uintptr_t, mheap::WeakSlot*> due_finalizers_;
  uintptr_t next_record_ = 1;

  bool marking_ = false;
  // Objects were allocated while a cycle marked: the live heap is estimated
  // too high until the next cycle, and unused slots may be lost until then.
  bool allocated_while_marking_ = false;
  int cycles_with_lost_slots_ = 0;
  int64_t heap_live_ = 0;
  uint64_t objects_allocated_ = 0;
  uint64_t cycles_ = 0;
};

struct Simulation::Processor {
  Processor(mcentral::TestHeap& test_heap, mcache::AllocationObserver& observer)
      : t(test_heap) {
    t.heap.AttachProcessor(pages);
    cache.emplace(t.heap, t.centrals, pages, observer);
  }
  ~Processor() {
    cache.reset();
    t.heap.ReleaseProcessor(pages);
  }
  mcentral::TestHeap& t;
  mheap::ProcessorCache pages;
  std::optional<mcache::MCache> cache;
};

}  // namespace tricolor::caches

#endif  // TRICOLOR_TESTS_CACHES_SIMULATION_H_
