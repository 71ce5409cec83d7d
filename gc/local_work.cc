// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/local_work.h"

#include <cstdint>
#include <cstring>

#include "tricolor/base/check.h"

namespace tricolor::gc {

void LocalWork::Begin() {
  own_[0].count = 0;
  own_[1].count = 0;
  SetFirst(&own_[0]);
  second_ = &own_[1];
}

// The two buffers that this worker ends with need not be its own: those may be
// any worker's by now. All are empty and forgotten together.
void LocalWork::End() {
  TRICOLOR_CHECK(empty(), "mark worker ends its cycle with items left");
  Detach();
}

bool LocalWork::Attach() {
  WorkBuf* first = bufs_.GetEmpty();
  if (first == nullptr) return false;
  second_ = bufs_.GetEmpty();
  if (second_ == nullptr) {
    bufs_.PutEmpty(first);
    return false;
  }
  SetFirst(first);
  return true;
}

void LocalWork::Detach() {
  StoreCount();
  PublishOrPutBack(first_);
  PublishOrPutBack(second_);
  first_ = nullptr;
  second_ = nullptr;
}

void LocalWork::PublishOrPutBack(WorkBuf* buf) {
  if (buf->count == 0) {
    bufs_.PutEmpty(buf);
  } else {
    PublishWork(bufs_, idle_, buf);
  }
}

void LocalWork::Swap() {
  StoreCount();
  WorkBuf* old = first_;
  SetFirst(second_);
  second_ = old;
}

bool LocalWork::MakeRoom(uint64_t count) {
  if (second_->count + count <= WorkBuf::kCapacity) {
    Swap();
    return true;
  }
  WorkBuf* fresh = bufs_.GetEmpty();
  if (fresh == nullptr) return false;
  StoreCount();
  PublishWork(bufs_, idle_, second_);
  second_ = first_;
  SetFirst(fresh);
  return true;
}

void LocalWork::DropSome() {
  second_->count = 0;
  Swap();
}

void LocalWork::ShareAll() {
  for (int i = 0; i < 2; ++i) {
    Swap();
    if (top_ == first_->items) continue;
    WorkBuf* fresh = bufs_.GetEmpty();
    if (fresh == nullptr) return;
    StoreCount();
    PublishWork(bufs_, idle_, first_);
    SetFirst(fresh);
  }
}

void LocalWork::Share() {
  const int64_t count = top_ - first_->items;
  if (second_->count == 0 && count < kMinToShare) return;
  WorkBuf* fresh = bufs_.GetEmpty();
  if (fresh == nullptr) return;
  if (second_->count != 0) {
    PublishWork(bufs_, idle_, second_);
    second_ = fresh;
    return;
  }
  // The older half: larger parts of the graph hang from it.
  const auto half = static_cast<uint64_t>(count / 2);
  const auto rest = static_cast<uint64_t>(count) - half;
  std::memcpy(fresh->items, first_->items, half * sizeof(uint64_t));
  std::memmove(first_->items, first_->items + half, rest * sizeof(uint64_t));
  fresh->count = static_cast<uint32_t>(half);
  top_ -= half;
  PublishWork(bufs_, idle_, fresh);
}

bool LocalWork::TryTakeShared(WorkBuf** words) {
  WorkBuf* full = bufs_.TryGetFull();
  if (full == nullptr) return false;
  if (full->contents == WorkBuf::Contents::kWords) {
    *words = full;
    return true;
  }
  first_->count = 0;
  bufs_.PutEmpty(first_);
  SetFirst(full);
  return true;
}

}  // namespace tricolor::gc
