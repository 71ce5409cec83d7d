// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/cleanup_queue.h"

#include <cstdio>
#include <exception>
#include <memory>
#include <utility>

#include "tricolor/base/check.h"
#include "tricolor/runtime/mutator.h"
#include "tricolor/runtime/no_preempt.h"
#include "tricolor/runtime/write_barrier.h"

namespace tricolor::runtime {
namespace {

// An exception must not leave the heap's thread, nor keep the others from being
// called.
void CallGuarded(CleanupCall& call, bool finalizer) {
  const char* kind = finalizer ? "finalizer" : "cleanup";
  try {
    call.Run();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "tricolor: a %s threw an exception: %s\n", kind,
                 e.what());
  } catch (...) {
    std::fprintf(stderr, "tricolor: a %s threw an exception\n", kind);
  }
}

}  // namespace

// ---- Records.

bool CleanupQueue::NewBlock() {
  auto* block = heap_.metadata().New<Block>();
  if (block == nullptr) return false;
  block->next = blocks_;
  blocks_ = block;
  for (size_t i = Block::kRecords; i-- > 0;) {
    block->records[i].next = free_;
    free_ = &block->records[i];
  }
  return true;
}

CleanupRecord* CleanupQueue::NewRecord(const mheap::MSpan& span,
                                       const void* object, bool finalizer) {
  if (free_ == nullptr && !NewBlock()) return nullptr;
  CleanupRecord* record = free_;
  free_ = record->next;
  record->next = nullptr;
  record->state = CleanupRecord::State::kArmed;
  record->finalizer = finalizer;
  record->id = ++last_id_;
  record->given = Addr(object);
  record->object = span.SlotAddress(span.IndexOf(Addr(object)));
  return record;
}

std::unique_ptr<CleanupCall> CleanupQueue::Recycle(CleanupRecord& record) {
  const bool due = record.state == CleanupRecord::State::kQueued ||
                   record.state == CleanupRecord::State::kRunning;
  if (record.finalizer && due) {
    CleanupRecord* next = record.due_next;
    CleanupRecord* prev = record.due_prev;
    (prev == nullptr ? due_finalizers_ : prev->due_next) = next;
    if (next != nullptr) next->due_prev = prev;
  }
  std::unique_ptr<CleanupCall> call(std::exchange(record.call, nullptr));
  record.state = CleanupRecord::State::kFree;
  record.id = 0;
  record.next = free_;
  free_ = &record;
  return call;
}

CleanupRecord* CleanupQueue::Arm(mheap::MSpan& span, const void* object,
                                 bool finalizer,
                                 std::unique_ptr<CleanupCall>& call) {
  CleanupRecord* record = NewRecord(span, object, finalizer);
  if (record == nullptr) return nullptr;
  const uint32_t index = span.IndexOf(record->object);
  const mheap::CallSpecial* special =
      finalizer ? heap_.SetFinalizer(span, index, record)
                : heap_.AddCleanup(span, index, record);
  if (special == nullptr) {
    Recycle(*record);
    return nullptr;
  }
  record->special_id = special->id;
  record->call = call.release();
  return record;
}

Cleanup CleanupQueue::Add(mheap::MSpan& span, const void* object,
                          std::unique_ptr<CleanupCall>& call) {
  Cleanup handle;
  MutexLock lock(mutex_);
  CleanupRecord* record = Arm(span, object, /*finalizer=*/false, call);
  if (record == nullptr) return handle;
  handle.queue_ = this;
  handle.record_ = record;
  handle.id_ = record->id;
  return handle;
}

bool CleanupQueue::SetFinalizer(mheap::MSpan& span, const void* object,
                                std::unique_ptr<CleanupCall>& call) {
  MutexLock lock(mutex_);
  return Arm(span, object, /*finalizer=*/true, call) != nullptr;
}

std::unique_ptr<CleanupCall> CleanupQueue::ClearFinalizer(mheap::MSpan& span,
                                                          const void* object) {
  MutexLock lock(mutex_);
  void* removed = nullptr;
  if (!heap_.ClearFinalizer(span, span.IndexOf(Addr(object)), &removed)) {
    return nullptr;
  }
  return Recycle(*static_cast<CleanupRecord*>(removed));
}

bool CleanupQueue::Stop(const Cleanup& cleanup) {
  std::unique_ptr<CleanupCall> dropped;  // destroyed with no lock held
  MutexLock lock(mutex_);
  CleanupRecord& record = *cleanup.record_;
  if (record.id != cleanup.id_ ||
      record.state != CleanupRecord::State::kArmed) {
    return false;
  }
  // Armed, and not to be queued while we hold the mutex: the span stays.
  mheap::MSpan* span = heap_.HeapSpanOf(record.object);
  TRICOLOR_CHECK(span != nullptr, "the object %p of an armed cleanup is gone",
                 record.object.pointer());
  void* removed = nullptr;
  if (heap_.RemoveCleanup(*span, span->IndexOf(record.object),
                          record.special_id, &removed)) {
    dropped = Recycle(record);
  } else {
    // The sweeper has taken the special, and is about to hand it over.
    record.state = CleanupRecord::State::kStopped;
    dropped.reset(std::exchange(record.call, nullptr));
  }
  return true;
}

// ---- What is due.

// All of them in one piece: those of an object are to be found together in the
// queue, whoever takes from it meanwhile, and whatever other sweepers bring.
void CleanupQueue::TakeDead(mheap::Special* list) {
  MutexLock lock(mutex_);
  while (list != nullptr) {
    mheap::Special* next = list->next;
    if (list->kind != mheap::SpecialKind::kWeakHandle) {
      TakeDeadRecord(*static_cast<CleanupRecord*>(
          static_cast<mheap::CallSpecial*>(list)->record));
    }
    heap_.FreeSpecial(list);
    list = next;
  }
  if (queue_ != nullptr) executor_wakes_.Signal();
}

void CleanupQueue::TakeDeadRecord(CleanupRecord& record) {
  if (record.state == CleanupRecord::State::kStopped) {
    Recycle(record);
    return;
  }
  TRICOLOR_CHECK(record.state == CleanupRecord::State::kArmed,
                 "the object %p dies with a %s in state %u",
                 record.object.pointer(),
                 record.finalizer ? "finalizer" : "cleanup",
                 static_cast<unsigned>(record.state));
  Enqueue(record);
}

void CleanupQueue::Enqueue(CleanupRecord& record) {
  record.state = CleanupRecord::State::kQueued;
  record.next = nullptr;
  *queue_end_ = &record;
  queue_end_ = &record.next;
  if (record.finalizer) {
    record.due_prev = nullptr;
    record.due_next = due_finalizers_;
    if (due_finalizers_ != nullptr) due_finalizers_->due_prev = &record;
    due_finalizers_ = &record;
  }
}

void CleanupQueue::CheckCalls(CleanupChecker& checker) {
  MutexLock lock(mutex_);
  for (const Block* b = blocks_; b != nullptr; b = b->next) {
    for (const CleanupRecord& record : b->records) {
      if (record.state != CleanupRecord::State::kArmed) continue;
      checker.Check(record.given, record.finalizer, *record.call);
    }
  }
}

CleanupRecord* CleanupQueue::TakeUnit() {
  const NoPreempt no_preempt;
  MutexLock lock(mutex_);
  CleanupRecord* const unit = queue_;
  if (unit == nullptr || ending_) return nullptr;
  CleanupRecord* last = nullptr;
  for (CleanupRecord* r = unit; r != nullptr && r->object == unit->object;
       r = r->next) {
    r->state = CleanupRecord::State::kTaken;
    r->taker = ThreadToken();
    last = r;
  }
  queue_ = last->next;
  last->next = nullptr;
  if (queue_ == nullptr) queue_end_ = &queue_;
  return unit;
}

CleanupRecord* CleanupQueue::RunFirst(CleanupRecord* unit) {
  CleanupRecord* const next = unit->next;
  {
    const NoPreempt no_preempt;
    MutexLock lock(mutex_);
    unit->state = CleanupRecord::State::kRunning;
  }
  CallGuarded(*unit->call, unit->finalizer);
  // The list of due finalizers is about to lose the object, which the call may
  // have stored where the barrier does not look for new values.
  if (unit->finalizer) WriteBarrier(unit->object.pointer(), nullptr);
  std::unique_ptr<CleanupCall> done;  // destroyed with no lock held
  const NoPreempt no_preempt;
  MutexLock lock(mutex_);
  done = Recycle(*unit);
  return next;
}

size_t CleanupQueue::Run() {
  size_t count = 0;
  while (CleanupRecord* unit = TakeUnit()) {
    for (; unit != nullptr; unit = RunFirst(unit)) ++count;
  }
  return count;
}

// ---- The executor.

void CleanupQueue::StartExecutor(Heap& heap) {
  MutexLock lock(mutex_);
  if (started_) return;
  started_ = true;
  executor_heap_ = &heap;
  const auto body = [](void* self) {
    static_cast<CleanupQueue*>(self)->ExecutorLoop();
  };
  if (!executor_.Start("tricolor-clean", body, this)) {
    std::fprintf(stderr,
                 "tricolor: no thread for cleanups; they wait for "
                 "RunCleanups\n");
  }
}

void CleanupQueue::EndExecutor() {
  {
    MutexLock lock(mutex_);
    ending_ = true;
    executor_wakes_.Signal();
  }
  executor_.Join();
}

// A callable's destructor may be anything that a callable may be, and collect,
// for example: so it runs with no lock held, after its record has been freed or
// stopped, and what it adds is dropped, too.
void CleanupQueue::DropAll() {
  bool any = true;
  while (any) {
    any = false;
    while (DropQueued()) any = true;
    for (Block* b = FirstBlock(); b != nullptr; b = b->next) {
      any |= DropArmed(*b);
    }
  }
}

bool CleanupQueue::DropQueued() {
  std::unique_ptr<CleanupCall> dropped;  // destroyed with no lock held
  MutexLock lock(mutex_);
  CleanupRecord* const first = queue_;
  if (first == nullptr) return false;
  queue_ = first->next;
  if (queue_ == nullptr) queue_end_ = &queue_;
  dropped = Recycle(*first);
  return true;
}

bool CleanupQueue::DropArmed(Block& block) {
  std::unique_ptr<CleanupCall> dropped[Block::kRecords];
  bool any = false;
  MutexLock lock(mutex_);
  for (size_t i = 0; i < Block::kRecords; ++i) {
    CleanupRecord& record = block.records[i];
    if (record.state != CleanupRecord::State::kArmed) continue;
    record.state = CleanupRecord::State::kStopped;  // until its object dies
    dropped[i].reset(std::exchange(record.call, nullptr));
    any = true;
  }
  return any;
}

CleanupQueue::Block* CleanupQueue::FirstBlock() {
  MutexLock lock(mutex_);
  return blocks_;
}

bool CleanupQueue::AwaitQueued() {
  MutexLock lock(mutex_);
  while (!ending_ && queue_ == nullptr) executor_wakes_.Wait(mutex_);
  return !ending_;
}

bool CleanupQueue::ending() {
  const NoPreempt no_preempt;
  MutexLock lock(mutex_);
  return ending_;
}

void CleanupQueue::ExecutorLoop() {
  Mutator mutator(*executor_heap_);
  for (;;) {
    {
      Mutator::NativeScope waiting(mutator);
      if (!AwaitQueued()) return;
    }
    while (CleanupRecord* unit = TakeUnit()) {
      while (unit != nullptr) {
        unit = RunFirst(unit);
        if (ending()) return;
      }
    }
  }
}

// ---- Fork.

void CleanupQueue::InsertSorted(CleanupRecord** list, CleanupRecord& record) {
  const auto before = [&record](const CleanupRecord& other) {
    return other.object != record.object ? other.object < record.object
                                         : other.id < record.id;
  };
  while (*list != nullptr && before(**list)) list = &(*list)->next;
  record.next = *list;
  *list = &record;
}

void CleanupQueue::ResetAfterFork() {
  executor_wakes_.ResetAfterFork();
  MutexLock lock(mutex_);
  if (executor_.ForgetAfterFork()) {
    started_ = false;
    lost_ = true;
  }
  CleanupRecord* again = nullptr;
  for (Block* b = blocks_; b != nullptr; b = b->next) {
    for (CleanupRecord& record : b->records) {
      if (record.state != CleanupRecord::State::kTaken) continue;
      if (record.taker == ThreadToken()) continue;
      record.state = CleanupRecord::State::kQueued;
      InsertSorted(&again, record);
    }
  }
  // Before the others: they had been taken first.
  CleanupRecord** end = &again;
  while (*end != nullptr) end = &(*end)->next;
  *end = queue_;
  if (queue_ == nullptr) queue_end_ = again == nullptr ? &queue_ : end;
  queue_ = again;
}

void CleanupQueue::ReviveExecutor(Heap& heap) {
  {
    MutexLock lock(mutex_);
    if (!lost_ || ending_) return;
    lost_ = false;
  }
  StartExecutor(heap);
}

}  // namespace tricolor::runtime
