// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/cleanup_queue.h"

#include <cstdio>
#include <exception>
#include <memory>
#include <utility>

#include "tricolor/base/check.h"
#include "tricolor/runtime/mutator.h"

namespace tricolor::runtime {
namespace {

// An exception must not leave the heap's thread, nor keep the other cleanups
// from running.
void CallGuarded(CleanupCall& call) {
  try {
    call.Run();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "tricolor: a cleanup threw an exception: %s\n",
                 e.what());
  } catch (...) {
    std::fprintf(stderr, "tricolor: a cleanup threw an exception\n");
  }
}

}  // namespace

CleanupRecord& CleanupQueue::NewRecord(const void* object,
                                       std::unique_ptr<CleanupCall> call) {
  if (free_ == nullptr) free_ = &records_.emplace_back();
  CleanupRecord& record = *free_;
  free_ = record.next;
  record.next = nullptr;
  record.state = CleanupRecord::State::kArmed;
  record.id = ++last_id_;
  record.object = Addr(object);
  record.call = std::move(call);
  return record;
}

std::unique_ptr<CleanupCall> CleanupQueue::Recycle(CleanupRecord& record) {
  record.state = CleanupRecord::State::kFree;
  record.id = 0;
  record.next = free_;
  free_ = &record;
  return std::move(record.call);
}

Cleanup CleanupQueue::Add(mheap::MSpan& span, const void* object,
                          std::unique_ptr<CleanupCall> call) {
  Cleanup handle;
  MutexLock lock(mutex_);
  CleanupRecord& record = NewRecord(object, std::move(call));
  const mheap::CallSpecial* special =
      heap_.AddCleanup(span, span.IndexOf(record.object), &record);
  TRICOLOR_CHECK(special != nullptr, "out of memory for a cleanup of %p",
                 object);
  record.special_id = special->id;
  handle.queue_ = this;
  handle.record_ = &record;
  handle.id_ = record.id;
  return handle;
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
    dropped = std::move(record.call);
  }
  return true;
}

void CleanupQueue::ObjectDied(mheap::Special* special) {
  if (special->kind == mheap::SpecialKind::kWeakHandle) {
    heap_.FreeSpecial(special);
    return;
  }
  auto& record = *static_cast<CleanupRecord*>(
      static_cast<mheap::CallSpecial*>(special)->record);
  heap_.FreeSpecial(special);
  MutexLock lock(mutex_);
  if (record.state == CleanupRecord::State::kStopped) {
    Recycle(record);
    return;
  }
  TRICOLOR_CHECK(record.state == CleanupRecord::State::kArmed,
                 "the cleanup of %p dies in state %u", record.object.pointer(),
                 static_cast<unsigned>(record.state));
  record.state = CleanupRecord::State::kQueued;
  record.next = nullptr;
  *queue_end_ = &record;
  queue_end_ = &record.next;
  executor_wakes_.Signal();
}

std::unique_ptr<CleanupCall> CleanupQueue::TakeQueued() {
  MutexLock lock(mutex_);
  if (queue_ == nullptr) return nullptr;
  CleanupRecord& record = *queue_;
  queue_ = record.next;
  if (queue_ == nullptr) queue_end_ = &queue_;
  return Recycle(record);
}

size_t CleanupQueue::Run() {
  size_t count = 0;
  while (const std::unique_ptr<CleanupCall> call = TakeQueued()) {
    CallGuarded(*call);
    ++count;
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

void CleanupQueue::DropAll() {
  // Destroyed with no lock held: a callable may hold Roots.
  std::deque<CleanupRecord> dropped;
  MutexLock lock(mutex_);
  dropped.swap(records_);
  free_ = nullptr;
  queue_ = nullptr;
  queue_end_ = &queue_;
}

bool CleanupQueue::AwaitQueued() {
  MutexLock lock(mutex_);
  while (!ending_ && queue_ == nullptr) executor_wakes_.Wait(mutex_);
  return !ending_;
}

void CleanupQueue::ExecutorLoop() {
  Mutator mutator(*executor_heap_);
  for (;;) {
    {
      Mutator::NativeScope waiting(mutator);
      if (!AwaitQueued()) return;
    }
    while (const std::unique_ptr<CleanupCall> call = TakeQueued()) {
      CallGuarded(*call);
      MutexLock lock(mutex_);
      if (ending_) return;
    }
  }
}

}  // namespace tricolor::runtime
