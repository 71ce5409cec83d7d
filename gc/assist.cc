// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/assist.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tricolor/base/saturating.h"

namespace tricolor::gc {
namespace {

bool IsPrice(double work_per_byte) {
  return work_per_byte > 0 && std::isfinite(work_per_byte);
}

// The bytes that scanning `work` pays for. Here and below what is rounded off
// is made up for, so that nobody who has done all is left with a debt.
uint64_t Worth(uint64_t work, double work_per_byte) {
  return SaturatingAdd(Scaled(work, 1 / work_per_byte), 1);
}

}  // namespace

AssistDue AssistDueFor(uint64_t debt, double work_per_byte) {
  if (debt == 0 || !IsPrice(work_per_byte)) return {};
  const uint64_t work =
      std::max(SaturatingAdd(Scaled(debt, work_per_byte), 1), kOverAssist);
  return {.work = work, .bytes = std::max(Worth(work, work_per_byte), debt)};
}

void AssistAccount::Charge(uint64_t bytes, uint32_t cycle) {
  if (cycle != cycle_) {
    cycle_ = cycle;
    balance_ = 0;
  }
  const uint64_t room =
      static_cast<uint64_t>(balance_) - static_cast<uint64_t>(INT64_MIN);
  balance_ = static_cast<int64_t>(static_cast<uint64_t>(balance_) -
                                  std::min(bytes, room));
}

void AssistAccount::Pay(uint64_t bytes) {
  const uint64_t room =
      static_cast<uint64_t>(INT64_MAX) - static_cast<uint64_t>(balance_);
  balance_ = static_cast<int64_t>(static_cast<uint64_t>(balance_) +
                                  std::min(bytes, room));
}

void AssistCredit::Add(uint64_t work) { AddSaturating(work_, work); }

uint64_t AssistCredit::Take(uint64_t most) {
  // A plain load and subtract would let two threads take the same credit, and
  // the pool wrap to an endless one.
  uint64_t there = work_.LoadRelaxed();
  uint64_t taken = std::min(there, most);
  while (taken != 0 && !work_.CompareExchangeRelaxed(there, there - taken)) {
    taken = std::min(there, most);
  }
  return taken;
}

uint64_t AssistCredit::Begin(AssistAccount& account, double work_per_byte) {
  const AssistDue due = AssistDueFor(account.debt(), work_per_byte);
  const uint64_t taken = Take(due.work);
  if (taken == due.work) {
    account.Pay(due.bytes);
    return 0;
  }
  Finish(account, taken, work_per_byte);
  return due.work - taken;
}

void AssistCredit::Finish(AssistAccount& account, uint64_t done,
                          double work_per_byte) {
  if (done == 0 || !IsPrice(work_per_byte)) return;
  account.Pay(Worth(done, work_per_byte));
}

}  // namespace tricolor::gc
