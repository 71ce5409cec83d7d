// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/cpu_limiter.h"

#include <algorithm>
#include <cstdint>

#include "tricolor/base/check.h"

namespace tricolor::gc {
namespace {

uint64_t Positive(int processors) {
  return static_cast<uint64_t>(std::max(processors, 1));
}

// Takes all that is in a pool. Others only add, and there is one that takes.
uint64_t Drain(Atomic<uint64_t>& pool) {
  const uint64_t there = pool.LoadRelaxed();
  pool.FetchSubRelaxed(there);
  return there;
}

}  // namespace

CpuLimiter::CpuLimiter(uint64_t now, int processors)
    : last_update_(now),
      processors_(Positive(processors)),
      capacity_(processors_ * kCapacityPerProcessor) {}

void CpuLimiter::Update(uint64_t now) {
  if (!mutex_.TryLock()) return;
  Account(now);
  mutex_.Unlock();
}

void CpuLimiter::SetBackgroundShare(uint64_t now, double share) {
  MutexLock lock(mutex_);
  Account(now);
  background_share_ = share > 0 ? std::min(share, 1.0) : 0.0;
}

void CpuLimiter::SetProcessors(uint64_t now, int processors) {
  MutexLock lock(mutex_);
  Account(now);
  processors_ = Positive(processors);
  capacity_ = processors_ * kCapacityPerProcessor;
  fill_ = std::min(fill_, capacity_);
  limiting_.StoreRelaxed(fill_ >= capacity_);
}

void CpuLimiter::Account(uint64_t now) {
  const uint64_t last = last_update_.LoadRelaxed();
  if (now > last) last_update_.StoreRelaxed(now);
  const uint64_t window = SaturatingMul(SaturatingSub(now, last), processors_);
  const uint64_t background =
      std::min(Scaled(window, background_share_), window);
  const uint64_t collection = SaturatingAdd(background, Drain(assist_time_));
  const uint64_t idle = Drain(idle_time_);
  // The program's time is what remains of the window, and may be negative: an
  // assist that took longer than the window is told at its end, after earlier
  // windows have taken it for the program's.
  //   collection - (window - idle - collection)
  const uint64_t in =
      SaturatingAdd(SaturatingAdd(collection, collection), idle);
  if (in >= window) {
    Fill(in - window);
  } else {
    fill_ = SaturatingSub(fill_, window - in);
  }
  limiting_.StoreRelaxed(fill_ >= capacity_);
}

void CpuLimiter::Fill(uint64_t ns) {
  const uint64_t room = 2 * capacity_ - fill_;
  overflow_ = SaturatingAdd(overflow_, SaturatingSub(ns, room));
  fill_ += std::min(ns, room);
}

uint64_t CpuLimiter::fill() const {
  MutexLock lock(mutex_);
  return fill_;
}

uint64_t CpuLimiter::capacity() const {
  MutexLock lock(mutex_);
  return capacity_;
}

uint64_t CpuLimiter::overflow() const {
  MutexLock lock(mutex_);
  return overflow_;
}

void CpuLimiter::CheckInvariants() const {
  MutexLock lock(mutex_);
  TRICOLOR_CHECK(fill_ <= 2 * capacity_ && limiting() == (fill_ >= capacity_),
                 "INV-GC-PACE-7: %llu ns of %llu, limiting %d",
                 static_cast<unsigned long long>(fill_),
                 static_cast<unsigned long long>(capacity_), limiting());
}

}  // namespace tricolor::gc
