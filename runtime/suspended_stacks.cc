// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/suspended_stacks.h"

#include <cstddef>
#include <cstdint>

#include "tricolor/base/check.h"
#include "tricolor/base/units.h"

namespace tricolor::runtime {

void SuspendedStacks::Add(StackRecord& stack, bool scanned) {
  stack.suspended = true;
  stack.scanned_in = scanned ? cycle_ : 0;
  stack.prev = scanned ? last_ : nullptr;
  stack.next = scanned ? nullptr : first_;
  (stack.prev != nullptr ? stack.prev->next : first_) = &stack;
  (stack.next != nullptr ? stack.next->prev : last_) = &stack;
  bytes_ += BytesOf(stack);
}

void SuspendedStacks::Remove(StackRecord& stack) {
  (stack.prev != nullptr ? stack.prev->next : first_) = stack.next;
  (stack.next != nullptr ? stack.next->prev : last_) = stack.prev;
  stack.suspended = false;
  bytes_ -= BytesOf(stack);
}

void SuspendedStacks::RemoveWithin(StackBounds bounds) {
  for (StackRecord* s = first_; s != nullptr;) {
    StackRecord& stack = *s;
    s = s->next;
    const auto at = reinterpret_cast<uintptr_t>(&stack);
    if (at >= bounds.low && at < bounds.high) Remove(stack);
  }
}

bool SuspendedStacks::ShadeSome(size_t* words) {
  size_t shaded = 0;
  while (first_ != nullptr && !scanned(*first_) && shaded < kMostWords) {
    StackRecord& stack = *first_;
    shaded += ShadeStack(stack.snapshot, grey_);
    Remove(stack);
    Add(stack, /*scanned=*/true);
  }
  grey_.Publish();
  *words += shaded;
  return shaded != 0;
}

size_t SuspendedStacks::ShadeEach() {
  size_t words = 0;
  for (const StackRecord* s = first_; s != nullptr; s = s->next) {
    words += ShadeStack(s->snapshot, grey_);
  }
  grey_.Publish();
  return words;
}

void SuspendedStacks::Read(WordSink& sink) const {
  for (const StackRecord* s = first_; s != nullptr; s = s->next) {
    ReadStack(s->snapshot, sink);
  }
}

void SuspendedStacks::CheckScanned() const {
  TRICOLOR_CHECK(first_ == nullptr || scanned(*first_),
                 "INV-RUNTIME-5: marking ends, and the suspended stack at %#zx "
                 "has not been scanned",
                 first_->snapshot.bounds.low);
}

void SuspendedStacks::CheckInvariants() const {
  const StackRecord* prev = nullptr;
  uint64_t bytes = 0;
  for (const StackRecord* s = first_; s != nullptr; prev = s, s = s->next) {
    TRICOLOR_CHECK(
        s->suspended && !s->running && s->prev == prev,
        "the list of suspended stacks is broken at the stack at %#zx",
        s->snapshot.bounds.low);
    bytes += BytesOf(*s);
  }
  TRICOLOR_CHECK(last_ == prev && bytes == bytes_,
                 "suspended stacks hold %zu bytes, %zu counted", size_t{bytes},
                 size_t{bytes_});
}

}  // namespace tricolor::runtime
