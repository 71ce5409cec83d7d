// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/consistent_stats.h"

#include <sched.h>

#include "tricolor/base/check.h"

namespace tricolor::mheap {

StatsWriter::~StatsWriter() {
  TRICOLOR_CHECK(generation_ == nullptr,
                 "statistics writer %p destroyed while attached",
                 static_cast<void*>(this));
}

void StatsWriter::ReportMisuse(uint32_t sequence) const {
  Fatal("statistics of processor %p written %s (sequence %u, expected even)",
        static_cast<const void*>(this),
        generation_ == nullptr
            ? "while no heap has it"
            : "in two sections at once, nested or by two threads",
        sequence);
}

// A sequence that has moved on is enough, be it odd again: the next section
// began after the generation was advanced, and so writes elsewhere.
void StatsWriter::AwaitSectionEnd() const {
  const uint32_t sequence = sequence_.LoadSeqCst();
  if (sequence % 2 == 0) return;
  // Acquire, pairs with Leave.
  while (sequence_.LoadAcquire() == sequence) sched_yield();
}

ConsistentStats::~ConsistentStats() {
  MutexLock lock(mutex_);
  TRICOLOR_CHECK(writers_ == nullptr,
                 "statistics %p destroyed with writer %p attached",
                 static_cast<void*>(this), static_cast<void*>(writers_));
}

void ConsistentStats::Attach(StatsWriter& writer) {
  MutexLock lock(mutex_);
  TRICOLOR_CHECK(writer.generation_ == nullptr,
                 "statistics writer %p attached twice",
                 static_cast<void*>(&writer));
  writer.generation_ = &generation_;
  writer.next_ = writers_;
  writers_ = &writer;
  writer.sequence_.StoreRelaxed(0);
}

// Both generations go into the total at once. No reader is half-way, and the
// next one answers only when it has the other writers' changes of the present
// generation as well.
void ConsistentStats::Release(StatsWriter& writer) {
  MutexLock lock(mutex_);
  StatsWriter** link = &writers_;
  while (*link != nullptr && *link != &writer) link = &(*link)->next_;
  const uint32_t sequence = writer.sequence_.LoadRelaxed();
  TRICOLOR_CHECK(*link != nullptr && sequence % 2 == 0,
                 "statistics writer %p released %s (sequence %u)",
                 static_cast<void*>(&writer),
                 *link == nullptr ? "by statistics that do not have it"
                                  : "within a section",
                 sequence);
  for (HeapStats& changes : writer.changes_) {
    total_.Add(changes);
    changes = HeapStats();
  }
  *link = writer.next_;
  writer.next_ = nullptr;
  writer.generation_ = nullptr;
  writer.sequence_.StoreRelaxed(StatsWriter::kDetached);
}

// A writer stores its sequence, then loads the generation; we store the
// generation, then load its sequence. All four are seq_cst. With release and
// acquire both stores could still be in store buffers when both loads are done:
// the writer would add to the old generation while we, who saw it outside,
// merge and clear the same changes. Of what comes out in the end one of the two
// is lost, or torn.
HeapStats ConsistentStats::Read() {
  MutexLock lock(mutex_);
  const uint32_t past = generation_.LoadRelaxed();  // stored under the mutex
  generation_.StoreSeqCst(1 - past);
  for (StatsWriter* w = writers_; w != nullptr; w = w->next_) {
    w->AwaitSectionEnd();
    total_.Add(w->changes_[past]);
    w->changes_[past] = HeapStats();
  }
  return total_;
}

}  // namespace tricolor::mheap
