// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/heap_core.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"
#include "tricolor/base/sys/container_limits.h"
#include "tricolor/base/sys/linux_memory.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/pagealloc/page_alloc.h"
#include "tricolor/runtime/debug_settings.h"
#include "tricolor/runtime/fork.h"
#include "tricolor/runtime/heap_registry.h"

namespace tricolor::runtime {
namespace {

// Read once a process: files of the system.
const ContainerLimits& LimitsOfContainer() {
  static const ContainerLimits limits = ReadContainerLimits();
  return limits;
}

int ProcessorsFor(const HeapOptions& options) {
  static const int affinity = AffinityCpus();
  if (!options.container_limits) return affinity;
  return UsableCpus(LimitsOfContainer(), affinity);
}

int WorkersFor(const HeapOptions& options) {
  return options.gc_threads > 0 ? options.gc_threads : ProcessorsFor(options);
}

// The heap does not know what else the process needs: a tenth is left for it.
int64_t MemoryLimitFrom(const HeapOptions& options) {
  constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
  if (options.memory_limit != kNone || !options.container_limits) {
    return std::max<int64_t>(options.memory_limit, 0);
  }
  const uint64_t memory = LimitsOfContainer().memory;
  return memory == kNoMemoryLimit ? kNone
                                  : static_cast<int64_t>(memory / 10 * 9);
}

CollectorOptions CollectorOptionsFrom(const HeapOptions& options,
                                      const DebugSettings& debug) {
  return {.workers = WorkersFor(options),
          .processors = ProcessorsFor(options),
          .longest_silence_ns = options.longest_silence_ms * 1'000'000,
          .adapt_workers = options.gc_threads <= 0,
          .background_sweep = options.background_sweep,
          .background_scavenge = options.background_scavenge,
          .concurrent = options.concurrent && !debug.gcstoptheworld,
          .brief_bytes = options.brief_bytes,
          .check_marks = debug.gccheckmark,
          .trace = debug.gctrace,
          .trace_pace = debug.gcpacertrace,
          .trace_scavenging = debug.scavtrace};
}

// To the unit in which the heap grows.
uint64_t RoundedUp(uint64_t bytes) {
  const uint64_t unit = pagealloc::kChunkBytes.value();
  return bytes > UINT64_MAX - unit ? UINT64_MAX : AlignUp(bytes, unit);
}

uint64_t NotNegative(int64_t n) {
  return static_cast<uint64_t>(std::max<int64_t>(n, 0));
}

void CountObjects(const mheap::HeapStats& from, MemStats* stats) {
  stats->mallocs = from.small_allocated[0];
  stats->frees = from.small_freed[0];
  stats->total_alloc = from.large_allocated_bytes;
  for (int c = 1; c < mheap::kSizeClasses; ++c) {
    stats->mallocs += from.small_allocated[c];
    stats->frees += from.small_freed[c];
    stats->total_alloc += from.small_allocated[c] * mheap::kClassSize[c];
  }
  stats->heap_objects = stats->mallocs - stats->frees;
  stats->heap_alloc = from.object_bytes();
  stats->alloc = stats->heap_alloc;
  stats->tiny_allocs = from.tiny_allocated;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HeapCore>> HeapCore::Create(
    const HeapOptions& options) {
  InstallForkHandlers();
  OsMemory& os = options.os == nullptr ? ProcessMemory() : *options.os;
  auto mheap = std::make_unique<mheap::MHeap>(
      os, mheap::MHeapOptions{
              .reservation = ByteCount(options.reservation_bytes),
              .max_mapped = ByteCount(RoundedUp(options.max_heap_bytes)),
              .huge_pages_from = ByteCount(options.huge_pages_from_bytes),
              .split_huge_pages = options.split_huge_pages});
  if (!mheap->Init()) {
    return absl::ResourceExhaustedError(
        "the system refuses address space for a heap");
  }
  const AddrRange range{mheap->base(), mheap->base() + mheap->reserved()};
  std::unique_ptr<HeapCore> core(new HeapCore(options, std::move(mheap)));
  if (!core->centrals_.ok()) {
    return absl::ResourceExhaustedError(
        "the system refuses memory for a heap's lists");
  }
  if (!HeapRegistry::Add(core.get(), range)) {
    return absl::ResourceExhaustedError("too many heaps in this process");
  }
  return core;
}

HeapCore::HeapCore(const HeapOptions& options,
                   std::unique_ptr<mheap::MHeap> mheap)
    : options_(options),
      debug_(DebugSettingsFrom(options.debug)),
      mheap_(std::move(mheap)),
      centrals_(*mheap_),
      pacer_({.gc_percent = std::max(options.gc_percent, -1),
              .memory_limit = MemoryLimitFrom(options),
              .min_heap = NotNegative(options.min_heap_bytes)}),
      cleanups_(*mheap_),
      sweeper_(*mheap_, centrals_, cleanups_),
      marker_(*mheap_, WorkersFor(options)),
      world_(ProcessorParts{*mheap_, centrals_, pacer_, marker_},
             options.conservative_stacks,
             options.conservative_stacks ? options.preempt_signal : 0,
             ProcessorsFor(options)),
      roots_(*mheap_, marker_, world_),
      root_set_(*mheap_, roots_, cleanups_, debug_.checkcleanups),
      collector_(CollectorParts{*mheap_, sweeper_, marker_, world_, roots_,
                                root_set_, pacer_},
                 CollectorOptionsFrom(options, debug_)) {
  sweeper_.set_clobber_dead(debug_.clobberfree);
  mheap_->set_sweeper(&sweeper_);
  world_.set_scan_hook(&root_set_);
  mheap_->set_owner(this);
}

HeapCore::~HeapCore() { HeapRegistry::Remove(this); }

void HeapCore::Shutdown() {
  {
    // A cleanup that collects, in any heap, would wait for this thread.
    ThreadNativeScope native;
    cleanups_.EndExecutor();
  }
  const size_t mutators = world_.mutator_count();
  TRICOLOR_CHECK(mutators == 0,
                 "heap %p destroyed while %zu threads are attached to it",
                 static_cast<void*>(heap_), mutators);
  {
    // For good: the sweeper reports dead objects to the queue.
    ThreadNativeScope native;
    Collector::Turn turn(collector_);
    collector_.PauseBackground(turn);
  }
  // Their callables may hold Roots.
  cleanups_.DropAll();
  const size_t roots = roots_.CountUsed();
  TRICOLOR_CHECK(roots == 0 || forked_,
                 "heap %p destroyed while %zu Roots hold objects",
                 static_cast<void*>(heap_), roots);
}

void HeapCore::ReviveServicesSlow() {
  if (!services_lost_.ExchangeRelaxed(false)) return;
  collector_.ReviveThreads();
  cleanups_.ReviveExecutor(*heap_);
}

void HeapCore::EndForkInParent() {
  world_.StartAfterFork();
  collector_.EndForkInParent();
}

void HeapCore::EndForkInChild() {
  forked_ = true;
  services_lost_.StoreRelaxed(true);
  cleanups_.ResetAfterFork();
  world_.ForgetOtherThreads();
  collector_.EndForkInChild();
  world_.StartAfterFork();
}

template <typename Action>
void HeapCore::Stopped(Action action) {
  ReviveServices();
  ThreadNativeScope native;
  Collector::Visit visit(collector_);
  if (visit.turn() != nullptr) collector_.PauseBackground(*visit.turn());
  world_.Stop();
  action();
  world_.Start();
  if (visit.turn() != nullptr) collector_.ResumeBackground(*visit.turn());
}

template <typename Action>
void HeapCore::Quiesced(Action action) {
  ReviveServices();
  ThreadNativeScope native;
  Collector::Turn turn(collector_);
  collector_.PauseBackground(turn);
  world_.Stop();
  action();
  world_.Start();
  collector_.ResumeBackground(turn);
}

bool HeapCore::PrepareForCall(const void* object, bool finalizer,
                              const CleanupCall& call) {
  if (options_.cleanup_thread) cleanups_.StartExecutor(*heap_);
  if (!debug_.checkcleanups) return true;
  const HeldWhileWaiting held(roots_, object);
  if (!held.ok()) return false;
  Quiesced([&] {
    MutexLock lock(roots_.mutex());
    CleanupChecker(*mheap_, roots_).Check(Addr(object), finalizer, call);
  });
  return true;
}

MemStats HeapCore::ReadMemStats() {
  MemStats stats;
  mheap::HeapStats from;
  mheap::MetadataSizes metadata;
  Stopped([&] {
    world_.stopped().Assert();
    collector_.ReadStats(&stats);
    world_.ForEachProcessor([](Processor& p) { p.PublishStats(); });
    from = mheap_->ReadStats();
    from.CheckObjects();
    stats.mutators = world_.mutator_count();
    metadata = mheap_->ReadMetadataSizes();
  });
  CountObjects(from, &stats);
  stats.heap_sys = static_cast<uint64_t>(from.mapped_bytes);
  stats.heap_in_use = static_cast<uint64_t>(from.heap_span_bytes);
  stats.work_buf_in_use = static_cast<uint64_t>(from.manual_span_bytes);
  stats.heap_idle =
      static_cast<uint64_t>(from.free_bytes + from.released_bytes);
  stats.heap_released = static_cast<uint64_t>(from.released_bytes);
  stats.metadata_sys = metadata.all.value();
  stats.spans_sys = metadata.spans.value();
  stats.mark_bits_sys = metadata.mark_bits.value();
  stats.span_sets_sys = metadata.span_sets.value();
  stats.specials_sys = metadata.specials.value();
  stats.sys = stats.heap_sys + stats.metadata_sys;
  stats.span_allocs = from.alloc_span_calls;
  stats.span_allocs_locked = from.alloc_span_locked;
  const mheap::ScavengeTotals scavenged = mheap_->scavenge_totals();
  stats.scavenged_background = scavenged.background.value();
  stats.scavenged_assist = scavenged.assist.value();
  stats.scavenged_forced = scavenged.forced.value();
  stats.next_gc = pacer_.goal();
  return stats;
}

void HeapCore::FreeOsMemory() {
  collector_.Collect();
  // Pages in caches are in use to the page allocator.
  Stopped([this] {
    world_.stopped().Assert();
    world_.ForEachProcessor(
        [this](Processor& p) { mheap_->FlushPageCache(p.pages()); });
  });
  ThreadNativeScope native;  // the system takes its time
  const Collector::NoFork no_fork(collector_);
  mheap_->Scavenge(mheap_->mapped());
  collector_.LogScavenging();
}

void HeapCore::CheckInvariants() {
  Quiesced([this] {
    world_.stopped().Assert();
    roots_.CheckInvariants(world_.CheckInvariants(mheap_->sweep_gen()));
    mheap_->CheckInvariants();
    sweeper_.CheckInvariants();
  });
}

AllocationSampler* HeapCore::SetAllocationSampler(AllocationSampler* sampler) {
  AllocationSampler* before = nullptr;
  Stopped([&] {
    world_.stopped().Assert();
    before = world_.SetSampling(
        {.sampler = sampler, .rate = options_.profile_rate_bytes});
  });
  return before;
}

mheap::MSpan& HeapCore::SpanOfObject(const void* p) {
  mheap::MSpan* span = mheap_->HeapSpanOf(Addr(p));
  TRICOLOR_CHECK(span != nullptr && !span->IsFree(span->IndexOf(Addr(p))),
                 "%p is no live object of heap %p", p,
                 static_cast<void*>(heap_));
  return *span;
}

}  // namespace tricolor::runtime
