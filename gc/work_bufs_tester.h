// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// WorkBufsTester: workers that push, pop, share and take items, an assistant,
// threads that publish words, and the decision that nothing is left, all in one
// thread and in any order. A model knows every item and word: each is taken
// just once, and none is lost unless the OS had refused memory and the loss has
// been told. Every operation is total.
//
// Test-only. Thread-compatible. One exists at a time.

#ifndef TRICOLOR_GC_WORK_BUFS_TESTER_H_
#define TRICOLOR_GC_WORK_BUFS_TESTER_H_

#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "tricolor/base/fuzzing.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/gc/gc_testing.h"
#include "tricolor/gc/grey_buffer.h"
#include "tricolor/gc/local_work.h"
#include "tricolor/gc/marker.h"

namespace tricolor::gc {

class WorkBufsTester {
 public:
  WorkBufsTester();
  // Ends the cycle and gives all spans back.
  ~WorkBufsTester();
  WorkBufsTester(const WorkBufsTester&) = delete;
  WorkBufsTester& operator=(const WorkBufsTester&) = delete;

  void Push(uint32_t worker, uint32_t items);
  void Pop(uint32_t worker, uint32_t items);
  void Share(uint32_t worker);
  void ShareAll(uint32_t worker);
  // A published buffer, if the worker is without items: of items, or of words,
  // whose objects it marks.
  void TakeShared(uint32_t worker);
  // A thread begins to assist with what others have published, or ends.
  void Attach();
  void Detach();
  // `words` objects, from `first` on, `step` apart.
  void AddWords(uint32_t thread, uint32_t first, uint32_t words, uint32_t step);
  void PublishWords(uint32_t thread);
  void MarkObjects(uint32_t first, uint32_t objects);
  // The worker does the rest of its items, and waits; then so do the others,
  // one after the other, but those for which a bit of `share` says that they
  // publish what they have.
  void GoIdle(uint32_t worker, uint32_t share);
  // All work is done, the cycle ends; some spans go back; another one begins.
  void NextCycle(uint32_t batches);
  void RefuseMemory(uint32_t k);
  void Recover();

 private:
  static constexpr uint32_t kWorkers = 3;
  static constexpr uint32_t kThreads = 2;
  static constexpr uint32_t kObjects = 1000;

  struct Worker {
    explicit Worker(MarkCycle& cycle) : work(cycle.bufs, cycle.idle) {}
    LocalWork work;
    bool idle = false;
  };

  WorkBufs& bufs() { return marker_.cycle().bufs; }
  IdleWorkers& idle() { return marker_.cycle().idle; }
  // kWorkers is the assistant, or a worker while there is none.
  Worker& Of(uint32_t worker);
  void PushItems(Worker& w, uint32_t items);
  void PopItems(Worker& w, uint64_t items);
  bool TakeSharedItems(Worker& w);
  void DetachAssistant();
  // Somebody's items have been dropped.
  void NoteLoss() { items_may_be_lost_ = true; }
  void TakeWords(WorkBuf& words);
  void MarkObject(uint64_t address);
  bool IsMarked(uint64_t address) const;
  void Await(uint32_t worker, uint32_t share);
  // What another one does while somebody waits; whether there is work now.
  bool OthersGoOn(uint32_t share);
  void DecideLast(Worker& w, uint32_t share);
  void FinishCycle();
  void BeginCycle();
  void CheckQuiescent() const;

  FuzzProgram program_;
  FakeOsMemory os_;
  TestHeap heap_;
  Marker marker_;
  std::vector<std::unique_ptr<Worker>> workers_;  // and the assistant
  std::vector<std::unique_ptr<GreyBuffer>> threads_;
  std::vector<uint64_t> objects_;  // addresses
  bool attached_ = false;

  std::set<uint64_t> items_;  // that nobody has popped
  uint64_t next_item_ = 1;
  bool items_may_be_lost_ = false;
  // Objects that threads have added and no worker has got, unmarked then.
  std::set<uint64_t> words_;
  bool round_over_ = false;
  bool resumed_ = false;  // by the last one, once in a wait
  bool refusing_ = false;
};

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_WORK_BUFS_TESTER_H_
