// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/work_bufs_tester.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "tricolor/base/check.h"
#include "tricolor/mheap/type_info.h"

namespace tricolor::gc {
namespace {

constexpr TypeInfo kData = {.size = 32, .align = 8};

}  // namespace

WorkBufsTester::WorkBufsTester()
    : program_("WorkBufsTester t;"),
      os_({.protect = false}),
      heap_(os_, SmallHeap()),
      marker_(heap_.heap, 1) {
  for (uint32_t i = 0; i <= kWorkers; ++i) {
    workers_.push_back(std::make_unique<Worker>(marker_.cycle()));
  }
  for (uint32_t i = 0; i < kThreads; ++i) {
    threads_.push_back(std::make_unique<GreyBuffer>(marker_));
  }
  for (uint32_t i = 0; i < kObjects; ++i) {
    objects_.push_back(Addr(heap_.New(kData)).value());
  }
  std::sort(objects_.begin(), objects_.end());
  BeginCycle();
}

WorkBufsTester::~WorkBufsTester() {
  os_.StopFailing();
  FinishCycle();
  while (bufs().FreeSome(heap_.processor)) {
  }
  bufs().CheckInvariants();
  TRICOLOR_CHECK(bufs().free_spans() == 0 && heap_.ManualBytes().value() == 0,
                 "%llu bytes of work buffers are left",
                 static_cast<unsigned long long>(heap_.ManualBytes().value()));
}

void WorkBufsTester::BeginCycle() {
  bufs().BeginCycle();
  for (uint32_t i = 0; i < kWorkers; ++i) {
    workers_[i]->work.Begin();
    workers_[i]->idle = false;
  }
  idle().Reset(kWorkers);
  marker_.cycle().overflowed.StoreRelaxed(false);
  items_may_be_lost_ = false;
}

WorkBufsTester::Worker& WorkBufsTester::Of(uint32_t worker) {
  return *workers_[worker % (attached_ ? kWorkers + 1 : kWorkers)];
}

// ---- Items.

void WorkBufsTester::Push(uint32_t worker, uint32_t items) {
  program_.Note("Push", worker, items);
  PushItems(Of(worker), 1 + items % LocalWork::kMaxReserve);
}

void WorkBufsTester::PushItems(Worker& w, uint32_t items) {
  uint64_t* top = w.work.TryReserve(items);
  if (top == nullptr) {
    if (!w.work.MakeRoom(items)) {
      TRICOLOR_CHECK(refusing_, "no empty buffer, though there is memory");
      NoteLoss();
      w.work.DropSome();
    }
    top = w.work.TryReserve(items);
    TRICOLOR_CHECK(top != nullptr, "no room for %u items", items);
  }
  for (uint32_t i = 0; i < items; ++i) {
    items_.insert(next_item_);
    *top++ = next_item_++;
  }
  w.work.Commit(top);
}

void WorkBufsTester::Pop(uint32_t worker, uint32_t items) {
  program_.Note("Pop", worker, items);
  PopItems(Of(worker), 1 + items % 256);
}

void WorkBufsTester::PopItems(Worker& w, uint64_t items) {
  for (MarkItem item; items > 0 && w.work.TryPop(&item); --items) {
    TRICOLOR_CHECK(items_.erase(item.word()) == 1,
                   "item %llu is popped, which nobody has pushed or somebody "
                   "has popped",
                   static_cast<unsigned long long>(item.word()));
  }
}

void WorkBufsTester::Share(uint32_t worker) {
  program_.Note("Share", worker);
  Of(worker).work.Share();
}

void WorkBufsTester::ShareAll(uint32_t worker) {
  program_.Note("ShareAll", worker);
  Worker& w = Of(worker);
  w.work.ShareAll();
  TRICOLOR_CHECK(w.work.empty() || refusing_,
                 "items are left, though there is memory to share them");
}

void WorkBufsTester::TakeShared(uint32_t worker) {
  program_.Note("TakeShared", worker);
  Worker& w = Of(worker);
  if (w.work.empty()) TakeSharedItems(w);
}

bool WorkBufsTester::TakeSharedItems(Worker& w) {
  const bool any = bufs().HasFull();
  WorkBuf* words = nullptr;
  const bool taken = w.work.TryTakeShared(&words);
  TRICOLOR_CHECK(taken == any, "a buffer was %staken", taken ? "" : "not ");
  if (words != nullptr) TakeWords(*words);
  return taken;
}

void WorkBufsTester::Attach() {
  program_.Note("Attach");
  if (attached_) return;
  attached_ = workers_[kWorkers]->work.Attach();
  TRICOLOR_CHECK(attached_ || refusing_, "no buffers, though there is memory");
}

void WorkBufsTester::Detach() {
  program_.Note("Detach");
  DetachAssistant();
}

void WorkBufsTester::DetachAssistant() {
  if (attached_) workers_[kWorkers]->work.Detach();
  attached_ = false;
}

// ---- Words.

void WorkBufsTester::AddWords(uint32_t thread, uint32_t first, uint32_t words,
                              uint32_t step) {
  program_.Note("AddWords", thread, first, words, step);
  for (uint32_t i = 0; i <= words % 512; ++i) {
    const uint64_t address = objects_[(first + i * step) % kObjects];
    if (!IsMarked(address)) words_.insert(address);
    threads_[thread % kThreads]->Add(address);
  }
}

void WorkBufsTester::PublishWords(uint32_t thread) {
  program_.Note("PublishWords", thread);
  threads_[thread % kThreads]->Publish();
}

void WorkBufsTester::MarkObjects(uint32_t first, uint32_t objects) {
  program_.Note("MarkObjects", first, objects);
  for (uint32_t i = 0; i <= objects % 512; ++i) {
    MarkObject(objects_[(first + i) % kObjects]);
  }
}

void WorkBufsTester::TakeWords(WorkBuf& words) {
  TRICOLOR_CHECK(words.count > 0 && words.count <= WorkBuf::kCapacity,
                 "a published buffer has %u words", words.count);
  for (uint32_t i = 0; i < words.count; ++i) {
    TRICOLOR_CHECK(
        std::count(objects_.begin(), objects_.end(), words.items[i]) == 1,
        "a word that nobody has added");
    MarkObject(words.items[i]);
  }
  words.count = 0;
  words.contents = WorkBuf::Contents::kItems;
  bufs().PutEmpty(&words);
}

void WorkBufsTester::MarkObject(uint64_t address) {
  mheap::MSpan& span = heap_.SpanOf(Addr(address).pointer());
  (void)span.SetMarked(span.IndexOf(Addr(address)));
  words_.erase(address);
}

bool WorkBufsTester::IsMarked(uint64_t address) const {
  return heap_.IsMarked(Addr(address).pointer());
}

// ---- Waiting.

void WorkBufsTester::GoIdle(uint32_t worker, uint32_t share) {
  program_.Note("GoIdle", worker, share);
  // An assistant is at work, or has nothing: it never waits.
  DetachAssistant();
  worker %= kWorkers;
  PopItems(*workers_[worker], UINT64_MAX);
  resumed_ = false;
  Await(worker, share);
  for (const auto& w : workers_) w->idle = false;
  if (round_over_) idle().Reset(kWorkers);
  round_over_ = false;
}

void WorkBufsTester::Await(uint32_t worker, uint32_t share) {
  Worker& w = *workers_[worker];
  TRICOLOR_CHECK(w.work.empty(), "worker %u waits with items", worker);
  w.idle = true;
  const bool last = std::all_of(workers_.begin(), workers_.begin() + kWorkers,
                                [](const auto& other) { return other->idle; });
  const auto outcome =
      idle().Await([this, share] { return OthersGoOn(share); });
  w.idle = outcome == IdleWorkers::Outcome::kDone;
  TRICOLOR_CHECK((outcome == IdleWorkers::Outcome::kLast) == last,
                 "worker %u is %sthe last one", worker, last ? "" : "not ");
  TRICOLOR_CHECK(
      (outcome == IdleWorkers::Outcome::kDone) == (round_over_ && !last),
      "worker %u is done, and the round %s over", worker,
      round_over_ ? "is" : "is not");
  if (last) DecideLast(w, share);
}

bool WorkBufsTester::OthersGoOn(uint32_t share) {
  for (uint32_t i = 0; i < kWorkers && !bufs().HasFull(); ++i) {
    Worker& other = *workers_[i];
    if (other.idle) continue;
    if ((share >> i & 1) != 0) {
      other.work.ShareAll();
      if (bufs().HasFull()) break;
    }
    PopItems(other, UINT64_MAX);
    Await(i, share);
    break;
  }
  return bufs().HasFull();
}

// The last one may know of more work, which it publishes.
void WorkBufsTester::DecideLast(Worker& w, uint32_t share) {
  if ((share >> kWorkers & 1) == 0 || std::exchange(resumed_, true)) {
    round_over_ = true;
    idle().Finish();
    return;
  }
  PushItems(w, 4);
  idle().Resume();
  w.idle = false;
  w.work.ShareAll();
}

// ---- Cycles.

void WorkBufsTester::NextCycle(uint32_t batches) {
  program_.Note("NextCycle", batches);
  FinishCycle();
  const uint32_t before = bufs().free_spans();
  for (uint32_t i = 0; i < batches % 4; ++i) {
    const bool more = bufs().FreeSome(heap_.processor);
    TRICOLOR_CHECK(more == (bufs().free_spans() != 0),
                   "FreeSome tells of %s spans", more ? "more" : "no more");
  }
  TRICOLOR_CHECK(
      bufs().free_spans() ==
          before - std::min(before, batches % 4 * WorkBufs::kFreeBatch),
      "%u of %u spans are left", bufs().free_spans(), before);
  heap_.ClearMarks();
  BeginCycle();
}

void WorkBufsTester::FinishCycle() {
  DetachAssistant();
  for (const auto& thread : threads_) thread->Publish();
  for (uint32_t i = 0; i < kWorkers; ++i) {
    do {
      PopItems(*workers_[i], UINT64_MAX);
    } while (TakeSharedItems(*workers_[i]));
  }
  CheckQuiescent();
  for (uint32_t i = 0; i < kWorkers; ++i) workers_[i]->work.End();
  bufs().CheckInvariants();
  bufs().EndCycle();
  bufs().CheckInvariants();
  items_.clear();
  words_.clear();
}

void WorkBufsTester::CheckQuiescent() const {
  TRICOLOR_CHECK(items_.empty() || items_may_be_lost_,
                 "%zu items are lost, the first is %llu", items_.size(),
                 static_cast<unsigned long long>(*items_.begin()));
  for (const uint64_t address : words_) {
    TRICOLOR_CHECK(IsMarked(address), "an unmarked object's word is lost");
  }
}

void WorkBufsTester::RefuseMemory(uint32_t k) {
  program_.Note("RefuseMemory", k);
  if (refusing_) return;
  os_.FailFrom(1 + k % 4);
  refusing_ = true;
}

void WorkBufsTester::Recover() {
  program_.Note("Recover");
  os_.StopFailing();
  refusing_ = false;
}

}  // namespace tricolor::gc
