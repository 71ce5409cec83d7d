// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A ShadowHeap's operations beyond objects, pointers and collections.

#include <sched.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "tricolor/base/check.h"
#include "tricolor/fuzz/object_kinds.h"
#include "tricolor/fuzz/shadow_heap.h"
#include "tricolor/fuzz/shadow_heap_refusal.h"

namespace tricolor::fuzz {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

// The bits of a heap's options. The lowest two: which switches.
constexpr uint32_t kStopsTheWorld = 1;
constexpr const char* kDebug[] = {
    "gccheckmark=1,clobberfree=1,zeal=7",
    "gccheckmark=1,clobberfree=1,zeal=7,gcstoptheworld=1",
    "checkcleanups=1,zeal=5",
    "gccheckmark=1,gctrace=1,gcpacertrace=1,scavtrace=1",
};

constexpr uint32_t kNotConcurrent = 4;
constexpr uint32_t kTwoWorkers = 8;
constexpr uint32_t kNeverBrief = 16;
constexpr uint32_t kSampleAll = 32;
constexpr uint32_t kRefusingOs = 64;
constexpr uint32_t kSweepBeside = 128;
constexpr uint32_t kLimited = 256;
constexpr uint32_t kCollectSoon = 512;

HeapOptions OptionsFrom(uint32_t bits) {
  HeapOptions options;
  options.conservative_stacks = false;
  options.cleanup_thread = false;
  options.reservation_bytes = size_t{256} << 20;
  options.debug = kDebug[bits % 4];
  options.concurrent = (bits & kNotConcurrent) == 0;
  options.gc_threads = (bits & kTwoWorkers) == 0 ? 1 : 2;
  if ((bits & kNeverBrief) != 0) options.brief_bytes = 0;
  if ((bits & kSampleAll) != 0) options.profile_rate_bytes = 1;
  options.background_sweep = (bits & kSweepBeside) != 0;
  if ((bits & kLimited) != 0) {
    options.memory_limit = 12 << 20;
    options.max_heap_bytes = 32 << 20;
  }
  if ((bits & kCollectSoon) != 0) {
    options.min_heap_bytes = 128 << 10;
    options.huge_pages_from_bytes = 0;
  }
  return options;
}

}  // namespace

// ---- The heap.

bool ShadowHeap::Start(uint32_t options) {
  HeapOptions heap_options = OptionsFrom(options);
  // An OS that can refuse; also one whose memory comes back as it was.
  if ((options & kRefusingOs) != 0) {
    FakeOsMemoryOptions os_options;
    os_options.protect = false;
    os_options.unused_memory_is_zero = (options & kNotConcurrent) == 0;
    os_ = std::make_unique<FakeOsMemory>(os_options);
    heap_options.os = os_.get();
  }
  gc_percent_ = heap_options.gc_percent;
  memory_limit_ = heap_options.memory_limit;
  samples_all_ = heap_options.profile_rate_bytes == 1;
  marks_beside_ = heap_options.concurrent && options % 4 != kStopsTheWorld;
  const Refusal refusal(*this);
  absl::StatusOr<std::unique_ptr<Heap>> heap = Heap::Create(heap_options);
  if (!heap.ok()) return false;
  heap_ = *std::move(heap);
  try {
    mutator_ = std::make_unique<Mutator>(*heap_);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

void ShadowHeap::DropEverything() {
  EndMarking();
  if (range_known_) SwitchRange();
  if (sampling_) SwitchSampler();
  for (uint32_t root = 0; root < kRoots; ++root) DropRoot(root);
  fiber_.reset();
  mutator_.reset();
  heap_.reset();  // with the cleanups and finalizers that have not run
  os_.reset();
  nodes_.clear();
  cleanups_.clear();
  bytes_ = 0;
}

void ShadowHeap::Restart(uint32_t options) {
  const uint32_t refused_call = std::exchange(refused_call_, 0);
  DropEverything();
  refused_call_ = refused_call;
  if (Start(options)) return;
  TRICOLOR_CHECK(os_ != nullptr && os_->failures() > 0,
                 "a heap could not be made");
  mutator_.reset();
  heap_.reset();
  os_.reset();
  const bool started = Start(options);
  TRICOLOR_CHECK(started, "a heap could not be made at the second attempt");
}

void ShadowHeap::RefuseNext(uint32_t call) {
  refused_call_ = os_ == nullptr ? 0 : 1 + call % 8;
}

void ShadowHeap::BeginMarking() {
  EndMarking();
  if (!marks_beside_) return;
  // No other collection may come to the gate, perhaps with the world stopped:
  // none begins, and this one waits for the end of one that runs.
  heap_->SetGcPercent(-1);
  heap_->SetMemoryLimit(kNoLimit);
  heap_->Collect();
  gate_ = mutator_->New<runtime::Gate>();
  if (gate_ == nullptr) return RestoreGoals();
  collector_done_ = false;
  runtime::GateKeeper::Arm();
  collector_ = std::thread([this] {
    heap_->Collect();
    collector_done_ = true;
  });
  while (!runtime::GateKeeper::paused() && !collector_done_) {
    mutator_->Safepoint();
    sched_yield();
  }
}

void ShadowHeap::EndMarking() {
  if (!collector_.joinable()) return;
  runtime::GateKeeper::Open();
  {
    const Mutator::NativeScope native(*mutator_);
    collector_.join();
  }
  gate_ = nullptr;
  RestoreGoals();
  CheckReachable();
}

void ShadowHeap::RestoreGoals() {
  heap_->SetGcPercent(gc_percent_);
  heap_->SetMemoryLimit(memory_limit_);
}

void ShadowHeap::SetMemoryLimit(uint32_t limit) {
  EndMarking();
  constexpr int64_t kLimits[] = {kNoLimit, 1 << 20, 8 << 20, 24 << 20, -1};
  const int64_t before = heap_->SetMemoryLimit(kLimits[limit % 5]);
  TRICOLOR_CHECK(before == memory_limit_, "the limit was %lld, not %lld",
                 static_cast<long long>(before),
                 static_cast<long long>(memory_limit_));
  if (kLimits[limit % 5] >= 0) memory_limit_ = kLimits[limit % 5];
}

// ---- Allocation.

void ShadowHeap::AllocateTyped(uint32_t kind, uint32_t count, uint32_t root) {
  kind %= static_cast<uint32_t>(ObjectKinds().size());
  count = count % kMaxCount + 1;
  const ObjectKind& k = ObjectKinds()[kind];
  if (k.make == nullptr || bytes_ + k.type.size * count > kMaxBytes) return;
  char* const address = NewObject(kind, count, next_id_++, /*typed=*/true);
  if (address != nullptr) AddHeldNode(kind, count, address, root);
}

void ShadowHeap::AllocateFan(uint32_t root, uint32_t width) {
  constexpr uint32_t kPair = 0;
  constexpr uint32_t kNode = 2;
  constexpr size_t kMostNodes = 1000;  // or all collections take too long
  const uint32_t count = 1 + width % 256;
  if (nodes_.size() > kMostNodes) return;
  char* const array = NewObject(kNode, count, next_id_++, /*typed=*/false);
  if (array == nullptr) return;
  const uint32_t id = next_id_ - 1;
  AddHeldNode(kNode, count, array, root);
  if (root_nodes_[root % kRoots] != id) return;
  Node& node = nodes_.at(id);
  for (uint32_t slot = 0; slot < node.edges.size(); ++slot) {
    // Typed, for zeal minds most of the others.
    char* const leaf = NewObject(kPair, 1, next_id_++, /*typed=*/true);
    if (leaf == nullptr) return;
    AddNode(kPair, 1, leaf);
    *reinterpret_cast<Ptr<char>*>(SlotAddress(node, slot)) = leaf;
    node.edges[slot].target = next_id_ - 1;
  }
}

void ShadowHeap::AllocateTooMuch(uint32_t kind, uint32_t size) {
  kind %= static_cast<uint32_t>(ObjectKinds().size());
  EndMarking();
  const Refusal refusal(*this);
  const void* const object = mutator_->Allocate(
      ObjectKinds()[kind].type, uint64_t{1} << (26 + size % 38));
  TRICOLOR_CHECK(object == nullptr, "the heap gave more than it may have");
}

void ShadowHeap::SwitchSampler() {
  EndMarking();
  AllocationSampler* const self = this;
  AllocationSampler* const before =
      heap_->SetAllocationSampler(sampling_ ? nullptr : self);
  TRICOLOR_CHECK(before == (sampling_ ? self : nullptr),
                 "another sampler was set");
  sampling_ = !sampling_;
}

void ShadowHeap::OnSample(const AllocationSample& sample) {
  TRICOLOR_CHECK(sampling_, "a sampler is called that is not set");
  const size_t size = sample.type == nullptr ? 16 : sample.type->size;
  TRICOLOR_CHECK(Heap::Of(sample.object) == heap_.get() &&
                     sample.bytes >= size &&
                     sample.EstimatedBytes() >= static_cast<double>(size),
                 "a sample of %zu bytes at %p, of a type of %zu", sample.bytes,
                 sample.object, size);
  sampled_ = sample.object;
}

// ---- Roots, and the range.

void ShadowHeap::MakeManyRoots(uint32_t root, uint32_t n) {
  char* const address = roots_[root % kRoots];
  const Refusal refusal(*this);
  std::vector<Root<char>> roots(4 * n + 1);
  try {
    for (Root<char>& copy : roots) copy = address;
  } catch (const std::bad_alloc&) {
    TRICOLOR_CHECK(os_ != nullptr && os_->failures() > 0, "no more roots");
    return;
  }
  for (const Root<char>& copy : roots) {
    TRICOLOR_CHECK(copy.get() == address, "a root holds another object");
  }
  std::swap(roots.front(), roots_[root % kRoots]);
}

void ShadowHeap::SwitchRange() {
  EndMarking();
  if (range_known_) {
    heap_->RemoveRootRange(range_);
    std::fill_n(range_, kRangeWords, nullptr);
    std::fill_n(range_nodes_, kRangeWords, 0);
  } else {
    heap_->AddRootRange(range_, sizeof range_);
  }
  range_known_ = !range_known_;
}

void ShadowHeap::PutInRange(uint32_t word, uint32_t root) {
  if (!range_known_) return;
  range_[word % kRangeWords] = roots_[root % kRoots].get();
  range_nodes_[word % kRangeWords] = root_nodes_[root % kRoots];
}

void ShadowHeap::TakeFromRange(uint32_t word, uint32_t root) {
  SetRoot(root, range_[word % kRangeWords], range_nodes_[word % kRangeWords]);
}

// ---- Not in managed code, and not on the thread's own stack.

bool ShadowHeap::Act(uint32_t action, uint32_t root) {
  switch (action % 12) {
    case 0:
    case 1:
      return CollectUnchecked(/*free_memory=*/action % 12 == 1);
    case 2:
      CopyRoot(root, root / kRoots);
      return false;
    case 3:
      DropRoot(root);
      return false;
    case 4:
      MakeWeak(root);
      return false;
    case 5:
      AddCleanup(root);
      return false;
    case 6:
      CheckStats();
      return false;
    case 7:
      StopCleanup(root);
      return false;
    case 8:
      SetMemoryLimit(root);
      return false;
    case 9:
      AddThrowingCleanup(root);
      return false;
    case 10:
      MakeManyRoots(root, root);
      return false;
    default:
      CheckInvariants();
      return false;
  }
}

// The others wait for the end of a collection that marks.
bool ShadowHeap::GoesBesideMarking(uint32_t action) {
  switch (action % 12) {
    case 2:
    case 3:
    case 6:
    case 7:
    case 10:
      return true;
    default:
      return false;
  }
}

void ShadowHeap::DoApart(uint32_t way, uint32_t action, uint32_t root) {
  if (!GoesBesideMarking(action)) EndMarking();
  bool collected = false;
  if (way % 3 == 0) {
    const Mutator::NativeScope native(*mutator_);
    collected = Act(action, root);
  } else if (way % 3 == 1) {
    const Mutator::NativeScope native(*mutator_);
    const Mutator::NativeScope nested(*mutator_);
    collected = Act(action, root);
  } else {
    mutator_.reset();
    collected = Act(action, root);
    mutator_ = std::make_unique<Mutator>(*heap_);
  }
  if (collected) CheckAfterCollection();
}

void ShadowHeap::DoOnFiber(bool end, uint32_t action, uint32_t root) {
  if (fiber_ == nullptr) {
    fiber_ =
        std::make_unique<runtime::Fiber>(*heap_, [this](runtime::Fiber& self) {
          for (;;) {
            fiber_collected_ = Act(fiber_action_, fiber_root_);
            if (fiber_ends_) return;
            self.Yield();
          }
        });
  }
  if (!GoesBesideMarking(action)) EndMarking();
  fiber_ends_ = end;
  fiber_action_ = action;
  fiber_root_ = root;
  fiber_->Resume(*mutator_);
  TRICOLOR_CHECK(fiber_->ended() == end, "the fiber is at another place");
  if (end) fiber_.reset();
  if (fiber_collected_) CheckAfterCollection();
}

// ---- Checks.

void ShadowHeap::CheckInvariants() {
  EndMarking();
  heap_->CheckInvariants();
}

void ShadowHeap::CheckStats() {
  const MemStats stats = heap_->ReadMemStats();
  const bool objects = stats.heap_objects == stats.mallocs - stats.frees &&
                       stats.alloc == stats.heap_alloc &&
                       stats.alloc <= stats.heap_in_use &&
                       stats.alloc <= stats.total_alloc;
  const bool memory = stats.heap_sys == stats.heap_in_use +
                                            stats.work_buf_in_use +
                                            stats.heap_idle &&
                      stats.heap_released <= stats.heap_idle &&
                      stats.sys == stats.heap_sys + stats.metadata_sys;
  const bool collections =
      stats.num_forced_gc <= stats.num_gc &&
      stats.pause_max_ns <= stats.pause_total_ns &&
      stats.pauses.total() >= stats.num_gc &&
      stats.pauses.Quantile(0.5) <= stats.pauses.Quantile(1);
  TRICOLOR_CHECK(objects && memory && collections && stats.mutators <= 1,
                 "the statistics do not fit together: %d %d %d", objects,
                 memory, collections);
}

}  // namespace tricolor::fuzz
