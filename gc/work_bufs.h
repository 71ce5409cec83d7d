// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Work buffers: fixed arrays of mark items that workers fill, hand to each
// other and empty, or of words that a thread which does not mark has found (see
// GreyBuffer). They are cut from 32 KiB manual spans and pass through two
// lock-free stacks, `full` and `empty`. When a cycle ends every buffer is
// empty, so it does not matter which span it lies in: the empty stack is
// forgotten and all spans move to the free list at once, from where FreeSome
// gives them back in batches and the next cycle takes them first.
//
// Go counterpart: workbuf, getempty, prepareFreeWorkbufs, freeSomeWbufs in
// mgcwork.go. Thread-safe; BeginCycle and EndCycle: no other user.
// INV-GC-1: between cycles both stacks and the busy list are empty.
// INV-GC-2: a buffer is on one of the stacks or a worker's own, never both;
// one on `empty` has no items. INV-GC-3: no span is freed while a cycle runs.

#ifndef TRICOLOR_GC_WORK_BUFS_H_
#define TRICOLOR_GC_WORK_BUFS_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/lf_stack.h"
#include "tricolor/base/lock_rank.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/processor_cache.h"

namespace tricolor::gc {

inline constexpr ByteCount kWorkBufSize{2 << 10};
inline constexpr ByteCount kWorkBufSpanSize{32 << 10};

// `items` are not initialized.
struct alignas(LfStack::kNodeAlignment) WorkBuf {
  static constexpr uint32_t kCapacity =
      (kWorkBufSize.value() - sizeof(LfNode) - sizeof(uint64_t)) /
      sizeof(uint64_t);

  enum class Contents : uint32_t {
    kItems,  // objects that have their mark and wait to be scanned
    kWords,  // what may be pointers to objects that must be marked
  };

  // Not `= default`: that would make WorkBuf{} clear the items.
  WorkBuf() {}  // NOLINT(modernize-use-equals-default)

  LfNode node;
  uint32_t count = 0;
  Contents contents = Contents::kItems;  // of a published buffer
  uint64_t items[kCapacity];
};
static_assert(sizeof(WorkBuf) == kWorkBufSize.value());
static_assert(WorkBuf::kCapacity == 253);

class WorkBufs {
 public:
  static constexpr uint32_t kBufsPerSpan =
      static_cast<uint32_t>(kWorkBufSpanSize / kWorkBufSize);
  // Spans that FreeSome gives back at most in one call.
  static constexpr uint32_t kFreeBatch = 64;

  // The heap has been initialized and outlives this.
  explicit WorkBufs(mheap::MHeap& heap);
  // Gives all spans back.
  ~WorkBufs();
  WorkBufs(const WorkBufs&) = delete;
  WorkBufs& operator=(const WorkBufs&) = delete;

  void BeginCycle() ABSL_LOCKS_EXCLUDED(mutex_);
  // Fatal when a buffer is still full.
  void EndCycle() ABSL_LOCKS_EXCLUDED(mutex_);

  // While a cycle runs.
  // An empty buffer, the caller's from now on; null when the OS refuses.
  [[nodiscard]] WorkBuf* GetEmpty() ABSL_LOCKS_EXCLUDED(mutex_);
  // `buf` without items; PutFull: with at least one.
  void PutEmpty(WorkBuf* buf);
  void PutFull(WorkBuf* buf);
  // Null when there is none.
  WorkBuf* TryGetFull();
  // May be out of date at once.
  bool HasFull() const { return !full_.Empty(); }

  // Gives some spans back to the page heap, if no cycle runs. Whether there
  // are more.
  bool FreeSome(mheap::ProcessorCache& processor) ABSL_LOCKS_EXCLUDED(mutex_);

  // Spans that hold buffers of the running cycle, and those to be given back.
  uint32_t busy_spans() const ABSL_LOCKS_EXCLUDED(mutex_);
  uint32_t free_spans() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Quiescent: no other user. Fatal when an invariant is broken.
  void CheckInvariants() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // Linked by MSpan::list_next.
  struct SpanList {
    mheap::MSpan* first = nullptr;
    mheap::MSpan* last = nullptr;
    uint32_t count = 0;

    void Push(mheap::MSpan* span);
    mheap::MSpan* Pop();
    // Everything in `other` goes before what is here, in constant time.
    void TakeAll(SpanList& other);
    void CheckInvariants(const char* name) const;
  };

  mheap::MSpan* TakeSpan() ABSL_LOCKS_EXCLUDED(mutex_);

  mheap::MHeap& heap_;
  LfStack full_;
  // On a cache line of its own: it is popped by one worker while another
  // pushes on `full_`.
  alignas(ABSL_CACHELINE_SIZE) LfStack empty_;

  // Guards the lists against a cycle that starts while FreeSome gives spans
  // away: without it the cycle could cut a span that is being freed.
  mutable Mutex mutex_{LockRank::kWorkBufSpans};
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  SpanList busy_ ABSL_GUARDED_BY(mutex_);
  SpanList free_ ABSL_GUARDED_BY(mutex_);
  // Workers have no processor of their own: they share this one to allocate.
  mheap::ProcessorCache processor_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_WORK_BUFS_H_
