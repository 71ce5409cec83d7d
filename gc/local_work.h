// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// One worker's own items: a stack in two work buffers. The second one is nearly
// full or empty in between, so that a worker whose number of items swings about
// a buffer's edge does not go to the shared stacks each time. The worker brings
// its first two buffers along: a small heap is marked without any memory from
// the page heap, and marking can go on when the OS refuses more.
//
// Go counterpart: gcWork's wbuf1 and wbuf2 in mgcwork.go.
// Thread-compatible: its worker's.

#ifndef TRICOLOR_GC_LOCAL_WORK_H_
#define TRICOLOR_GC_LOCAL_WORK_H_

#include <cstdint>

#include "absl/base/optimization.h"
#include "tricolor/gc/idle_workers.h"
#include "tricolor/gc/mark_item.h"
#include "tricolor/gc/work_bufs.h"

namespace tricolor::gc {

// The buffer, which is not empty, to whoever looks for work first.
inline void PublishWork(WorkBufs& bufs, IdleWorkers& idle, WorkBuf* buf) {
  bufs.PutFull(buf);
  idle.WorkPublished();
}

class LocalWork {
 public:
  static constexpr uint64_t kMaxReserve = WorkBuf::kCapacity / 2;

  // Both outlive this.
  LocalWork(WorkBufs& bufs, IdleWorkers& idle) : bufs_(bufs), idle_(idle) {}
  LocalWork(const LocalWork&) = delete;
  LocalWork& operator=(const LocalWork&) = delete;

  // Around a cycle, with all of its rounds: in between, the two buffers that a
  // worker brings along may be in other hands. End: without items.
  void Begin();
  void End();

  // Around an assist, in the place of Begin and End: takes two buffers (false
  // when they cannot be had), and publishes what is in them in the end.
  [[nodiscard]] bool Attach();
  void Detach();

  bool empty() const { return top_ == first_->items && second_->count == 0; }

  // Room for `count` <= kMaxReserve items, or null: see MakeRoom. Items that
  // are written there count as pushed up to the pointer given to Commit.
  uint64_t* TryReserve(uint64_t count) {
    return ABSL_PREDICT_TRUE(RoomIn(top_, count)) ? top_ : nullptr;
  }
  void Commit(uint64_t* top) { top_ = top; }
  // The item pushed last, more or less.
  bool TryPop(MarkItem* item) {
    if (ABSL_PREDICT_FALSE(top_ == first_->items)) {
      if (second_->count == 0) return false;
      Swap();
    }
    *item = MarkItem(*--top_);
    return true;
  }

  // When TryReserve has failed: publishes a buffer if it must. False when no
  // empty one can be had; then DropSome makes room.
  [[nodiscard]] bool MakeRoom(uint64_t count);
  // Empties one buffer: its items are forgotten.
  void DropSome();

  // Publishes a part of the items, the older ones, if there are enough.
  void Share();
  // Publishes all items, as far as there are empty buffers for it.
  void ShareAll();
  // When empty: takes a buffer that somebody has published. One of words is
  // not pushed here, but returned in *words for the caller to deal with.
  bool TryTakeShared(WorkBuf** words);

 private:
  static constexpr int64_t kMinToShare = 4;

  void SetFirst(WorkBuf* buf) {
    first_ = buf;
    top_ = buf->items + buf->count;
  }
  bool RoomIn(const uint64_t* top, uint64_t count) const {
    return static_cast<uint64_t>(top - first_->items) + count <=
           WorkBuf::kCapacity;
  }
  void StoreCount() {
    first_->count = static_cast<uint32_t>(top_ - first_->items);
  }
  void Swap();
  void PublishOrPutBack(WorkBuf* buf);

  WorkBufs& bufs_;
  IdleWorkers& idle_;
  // The buffer that is used. Its count is that when it became `first_`.
  WorkBuf* first_ = nullptr;
  uint64_t* top_ = nullptr;
  WorkBuf* second_ = nullptr;
  WorkBuf own_[2];
};

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_LOCAL_WORK_H_
