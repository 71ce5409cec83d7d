// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/stack_scan.h"

#include <pthread.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/base/config.h"
#include "tricolor/base/check.h"

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

namespace tricolor::runtime {
namespace {

constexpr size_t kChunkWords = 256;

// A thread in native code writes its own frames meanwhile: the words that
// matter stay as they are, and the others mean nothing.
// clang-format off
ABSL_ATTRIBUTE_NO_SANITIZE_ADDRESS  // a stack has redzones, which are readable
ABSL_ATTRIBUTE_NO_SANITIZE_THREAD   // frames of running threads: see above
void CopyUnsynchronized(const volatile uint64_t* from, size_t words,
                        uint64_t* to) {
  for (size_t i = 0; i < words; ++i) to[i] = from[i];
}
// clang-format on

class GreySink final : public WordSink {
 public:
  // `ends`: a word may also be the end of what it keeps.
  GreySink(gc::GreyBuffer& grey, bool ends) : grey_(grey), ends_(ends) {}
  void Take(const uint64_t* words, size_t count) override {
    for (size_t i = 0; i < count; ++i) {
      grey_.Add(words[i]);
      if (ends_) grey_.Add(words[i] - 1);
    }
    count_ += count;
  }
  size_t count() const { return count_; }

 private:
  gc::GreyBuffer& grey_;
  const bool ends_;
  size_t count_ = 0;
};

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
void* CurrentFakeStack() { return __asan_get_current_fake_stack(); }

// Gives the words of the fake frames that any of the words points into.
void ReadFakeFrames(void* fake_stack, const uint64_t* words, size_t count,
                    WordSink& sink) {
  if (fake_stack == nullptr) return;
  for (size_t i = 0; i < count; ++i) {
    void* begin = nullptr;
    void* end = nullptr;
    if (__asan_addr_is_in_fake_stack(fake_stack, Addr(words[i]).pointer(),
                                     &begin, &end) != nullptr) {
      ReadUnsynchronized({Addr(begin), Addr(end)}, sink);
    }
  }
}
#else
void* CurrentFakeStack() { return nullptr; }
void ReadFakeFrames(void*, const uint64_t*, size_t, WordSink&) {}
#endif

void ReadAll(void* fake_stack, const uint64_t* words, size_t count,
             WordSink& sink) {
  sink.Take(words, count);
  ReadFakeFrames(fake_stack, words, count, sink);
}

// The aligned words of [base, limit), in chunks.
void ReadMemory(void* fake_stack, uintptr_t base, uintptr_t limit,
                WordSink& sink) {
  uint64_t chunk[kChunkWords];
  constexpr uintptr_t kWordMask = sizeof(uint64_t) - 1;
  base = (base + kWordMask) & ~kWordMask;
  limit &= ~kWordMask;
  while (base < limit) {
    const size_t words =
        std::min(kChunkWords, (limit - base) / sizeof(uint64_t));
    CopyUnsynchronized(Addr(base).as<const volatile uint64_t>(), words, chunk);
    ReadAll(fake_stack, chunk, words, sink);
    base += words * sizeof(uint64_t);
  }
}

}  // namespace

namespace {

constinit thread_local StackBounds bounds_of_thread;

StackBounds AskForBounds() {
  pthread_attr_t attributes;
  void* low = nullptr;
  size_t size = 0;
  int error = pthread_getattr_np(pthread_self(), &attributes);
  if (error == 0) {
    error = pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
  }
  TRICOLOR_CHECK(error == 0, "the bounds of a thread's stack are unknown: %d",
                 error);
  const auto base = reinterpret_cast<uintptr_t>(low);
  return {base, base + size};
}

}  // namespace

StackBounds StackBounds::OfThisThread() {
  if (bounds_of_thread.high == 0) bounds_of_thread = AskForBounds();
  return bounds_of_thread;
}

void StackSnapshot::Finish() {
  // The main thread's stack may have been allowed to grow since.
  if (stack_pointer < bounds.low && bounds.high == bounds_of_thread.high) {
    bounds = AskForBounds();
  }
  TRICOLOR_CHECK(
      bounds.low <= stack_pointer && stack_pointer < bounds.high,
      "stack pointer %#zx is outside of the current stack [%#zx, %#zx)",
      stack_pointer, bounds.low, bounds.high);
  top_words =
      std::min(kTopWords, (bounds.high - stack_pointer) / sizeof(uint64_t));
  CopyUnsynchronized(Addr(stack_pointer).as<const volatile uint64_t>(),
                     top_words, top);
  fake_stack = CurrentFakeStack();
  interrupted = false;
  alternate = {};
}

void StackSnapshot::SetInterrupted(uintptr_t pointer, AddrRange other) {
  for (uint64_t& word : registers) word = 0;
  stack_pointer = pointer;
  top_words = 0;
  fake_stack = CurrentFakeStack();
  alternate = other;
  interrupted = true;
}

void ReadStack(const StackSnapshot& snapshot, WordSink& sink) {
  ReadMemory(snapshot.fake_stack, snapshot.alternate.base.value(),
             snapshot.alternate.limit.value(), sink);
  ReadAll(snapshot.fake_stack, snapshot.registers, StackSnapshot::kRegisters,
          sink);
  ReadAll(snapshot.fake_stack, snapshot.top, snapshot.top_words, sink);
  ReadMemory(snapshot.fake_stack, snapshot.stack_pointer, snapshot.bounds.high,
             sink);
}

void ReadUnsynchronized(AddrRange range, WordSink& sink) {
  ReadMemory(nullptr, range.base.value(), range.limit.value(), sink);
}

// A thread that is interrupted in the middle of an allocation may have no more
// than the end of the slot that it takes.
size_t ShadeStack(const StackSnapshot& snapshot, gc::GreyBuffer& grey) {
  GreySink sink(grey, /*ends=*/snapshot.interrupted);
  ReadStack(snapshot, sink);
  return sink.count();
}

size_t ShadeRange(AddrRange range, gc::GreyBuffer& grey) {
  GreySink sink(grey, /*ends=*/false);
  ReadUnsynchronized(range, sink);
  return sink.count();
}

}  // namespace tricolor::runtime
