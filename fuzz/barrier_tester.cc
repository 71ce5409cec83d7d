// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/fuzz/barrier_tester.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>

#include "tricolor/base/atomic.h"
#include "tricolor/base/check.h"
#include "tricolor/fuzz/reachability.h"

namespace tricolor::fuzz {
namespace {

using Tracing = TypeInfo::Tracing;

constexpr uint32_t kKinds = 5;
constexpr uint64_t kFirstTwo[] = {0b11};
constexpr uint64_t kFirstFour[] = {0b1111};
// Objects with a callback are of this many words, and have this many fields.
constexpr size_t kTracedFields = 3;
// Pointers lie at the beginning of an object.
constexpr uint32_t kFields[kKinds] = {2, kTracedFields, 4, 4, 2};
constexpr uint64_t kMostBytes = 2 << 20;  // of one program's objects

constexpr const char* kOpNames[kMutatorOps] = {
    "kAllocate",  "kLoad",   "kStore", "kStoreBegin", "kPutIn",
    "kTakeOut",   "kCopy",   "kDrop",  "kLoadRoot",   "kStoreRoot",
    "kHandshake", "kAssist", "kSweep"};

std::string Spell(const MutatorStep& step) {
  return std::string("{MutatorOp::") +
         kOpNames[static_cast<uint8_t>(step.op) % kMutatorOps] + ", " +
         std::to_string(step.m) + ", " + std::to_string(step.a) + ", " +
         std::to_string(step.b) + ", " + std::to_string(step.c) + "}";
}

std::string Spell(const std::vector<MutatorStep>& steps) {
  std::string text = "{";
  for (const MutatorStep& step : steps) {
    text += (text.size() > 1 ? ",\n          " : "") + Spell(step);
  }
  return text + "}";
}

mheap::MHeapOptions HeapOptions() {
  mheap::MHeapOptions options = mcentral::TestHeapOptions();
  options.max_mapped = ByteCount(16 << 20);
  return options;
}

void* Pointer(uint64_t address) { return Addr(address).pointer(); }

}  // namespace

BarrierTester* BarrierTester::running_ = nullptr;

const TypeInfo& BarrierTester::TypeOf(uint32_t kind) {
  static const TypeInfo types[kKinds] = {
      {.size = 16,
       .align = 8,
       .tracing = Tracing::kBitmap,
       .pointer_words = 2,
       .bitmap = kFirstTwo},
      {.size = 24,
       .align = 8,
       .tracing = Tracing::kCallback,
       .trace = &BarrierTester::TraceObject},
      {.size = 1000,
       .align = 8,
       .tracing = Tracing::kBitmap,
       .pointer_words = 4,
       .bitmap = kFirstFour},
      {.size = 48, .align = 8, .tracing = Tracing::kConservative},
      // Scanned in slices.
      {.size = 140'000, .align = 8, .tracing = Tracing::kConservative},
  };
  return types[kind];
}

BarrierTester::BarrierTester()
    : program_("BarrierTester t;"),
      t_(HeapOptions()),
      sweeper_(t_.heap, t_.centrals, *this),
      pacer_(gc::PacerSettings{}),
      marker_(t_.heap, 1) {
  t_.heap.set_sweeper(&sweeper_);
  for (uint32_t i = 0; i < kMutators; ++i) {
    mutators_.push_back(std::make_unique<Mutator>(
        runtime::ProcessorParts{t_.heap, t_.centrals, pacer_, marker_}));
  }
  running_ = this;
}

BarrierTester::~BarrierTester() {
  Recover();
  if (marking_) Finish();
  CheckFields();
  for (const auto& m : mutators_) m->processor.FlushForOwner();
  sweeper_.SweepAll(t_.processor);
  sweeper_.CheckInvariants();
  t_.centrals.CheckInvariants();
  marker_.CheckInvariants();
  mutators_.clear();
  while (marker_.FreeWorkBufSpans(t_.processor)) {
  }
  running_ = nullptr;
}

// ---- What mutators do.

void BarrierTester::Do(const MutatorStep& step) {
  program_.Note("Do", FuzzCode{Spell(step)});
  DoStep(step);
}

// A thread in an assist does nothing else; and whatever it does next, a store
// that it has begun comes first.
void BarrierTester::DoStep(const MutatorStep& step) {
  Mutator& m = *mutators_[step.m % kMutators];
  if (m.assisting) return;
  EndStore(m);
  switch (step.op) {
    case MutatorOp::kAllocate:
      return Allocate(m, step.a, step.b);
    case MutatorOp::kLoad:
      return Load(m, step.a, step.b, step.c);
    case MutatorOp::kStore:
    case MutatorOp::kPutIn:
      BeginStore(m, step.a, step.b, m.stack[step.c % kSlots]);
      EndStore(m);
      if (step.op == MutatorOp::kPutIn) m.stack[step.c % kSlots] = 0;
      return;
    case MutatorOp::kStoreBegin:
      return BeginStore(m, step.a, step.b, m.stack[step.c % kSlots]);
    case MutatorOp::kTakeOut:
      BeginStore(m, step.a, step.b, 0);
      Load(m, step.a, step.b, step.c);
      return EndStore(m);
    case MutatorOp::kCopy:
      m.stack[step.b % kSlots] = m.stack[step.a % kSlots];
      return;
    case MutatorOp::kDrop:
      m.stack[step.a % kSlots] = 0;
      return;
    case MutatorOp::kLoadRoot:
      m.stack[step.b % kSlots] = roots_[step.a % kRoots];
      return;
    case MutatorOp::kStoreRoot:
      return StoreRoot(m, step.a, step.b);
    default:
      return DoMarkingStep(m, step);
  }
}

void BarrierTester::DoMarkingStep(Mutator& m, const MutatorStep& step) {
  switch (step.op) {
    case MutatorOp::kHandshake:
      return Handshake(m);
    case MutatorOp::kAssist:
      return Assist(m, uint64_t{step.a} * 256 + 1);
    default:
      return SweepSome(m);
  }
}

uint32_t BarrierTester::ObjectFrom(const Mutator& m, uint32_t slot) {
  for (uint32_t i = 0; i < kSlots; ++i) {
    const uint32_t id = m.stack[(slot + i) % kSlots];
    if (id != 0) return id;
  }
  return 0;
}

void BarrierTester::Allocate(Mutator& m, uint32_t slot, uint32_t kind) {
  kind %= kKinds;
  const TypeInfo& type = TypeOf(kind);
  if (type.size * nodes_.size() > kMostBytes) return;
  m.processor.cache().PrepareForSweep();
  void* object = m.processor.cache().Allocate(type, 1);
  if (object == nullptr) return;
  const uint32_t id = next_id_++;
  Node& node = nodes_[id];
  node.fields = static_cast<uint64_t*>(object);
  node.targets.resize(kFields[kind]);
  for (uint32_t i = 0; i < kFields[kind]; ++i) {
    TRICOLOR_CHECK(node.fields[i] == 0, "a new object is not zero");
  }
  TRICOLOR_CHECK(!marking_ || IsMarked(node), "a new object is white");
  m.stack[slot % kSlots] = id;
}

void BarrierTester::Load(Mutator& m, uint32_t slot, uint32_t field,
                         uint32_t to) {
  const uint32_t source = ObjectFrom(m, slot);
  if (source == 0) return;
  const Node& node = nodes_.at(source);
  m.stack[to % kSlots] = node.targets[field % node.targets.size()];
}

// The barrier of runtime::RecordStore, for a thread that is not this one.
void BarrierTester::BeginStore(Mutator& m, uint32_t slot, uint32_t field,
                               uint32_t target) {
  const uint32_t source = ObjectFrom(m, slot);
  if (source == 0) return;
  const Node& node = nodes_.at(source);
  m.pending.source = source;
  m.pending.field = field % static_cast<uint32_t>(node.targets.size());
  m.pending.target = target;
  if (m.context.marking) {
    m.context.Shade(Pointer(LoadWordRelaxed(&node.fields[m.pending.field])),
                    Pointer(Address(m.pending.target)));
  }
}

void BarrierTester::EndStore(Mutator& m) {
  const PendingStore store = std::exchange(m.pending, PendingStore());
  if (store.source == 0) return;
  Node& node = nodes_.at(store.source);
  reinterpret_cast<Atomic<uint64_t>&>(node.fields[store.field])
      .StoreRelease(Address(store.target));
  node.targets[store.field] = store.target;
}

void BarrierTester::StoreRoot(Mutator& m, uint32_t root, uint32_t slot) {
  uint32_t& target = roots_[root % kRoots];
  const uint32_t value = m.stack[slot % kSlots];
  if (m.context.marking) {
    m.context.Shade(Pointer(Address(target)), Pointer(Address(value)));
  }
  target = value;
}

void BarrierTester::Assist(Mutator& m, uint64_t bytes) {
  if (!marking_) return;
  m.assisting = true;
  marker_.Assist(m.processor.assistant(), bytes);
  m.assisting = false;
}

void BarrierTester::Handshake(Mutator& m) {
  if (!marking_) return;
  EndStore(m);
  if (!m.context.stack_scanned) {
    for (const uint32_t id : m.stack) m.processor.grey().Add(Address(id));
    m.context.stack_scanned = true;
  }
  m.processor.grey().Publish();
}

void BarrierTester::SweepSome(Mutator& m) {
  m.processor.cache().PrepareForSweep();
  for (int i = 0; i < 4; ++i) {
    if (!sweeper_.SweepOne(m.processor.pages()).has_value()) return;
  }
}

// ---- The cycle.

void BarrierTester::Start() {
  program_.Note("Start");
  if (marking_) return;
  for (const auto& m : mutators_) {
    EndStore(*m);
    m->processor.cache().PrepareForSweep();
  }
  sweeper_.SweepAll(t_.processor);
  if (!t_.heap.mark_bit_arenas().Rotate()) {
    TRICOLOR_CHECK(refusing_, "no memory for mark bits");
    return;
  }
  SetMarking(true);
  marker_.BeginCycle(*this,
                     {.workers = 1, .concurrent = true, .monitor = this});
  round_has_run_ = false;
  snapshot_ = Reachable();
  first_new_id_ = next_id_;
}

void BarrierTester::SetMarking(bool marking) {
  marking_ = marking;
  for (const auto& m : mutators_) {
    m->context.marking = marking;
    m->context.stack_scanned = false;
    if (marking) m->processor.cache().ParkRuns();
    m->processor.cache().set_allocate_black(marking);
  }
}

void BarrierTester::Mark(const std::vector<MutatorStep>& beside) {
  program_.Note("Mark", FuzzCode{Spell(beside)});
  if (!marking_) return;
  beside_ = beside.data();
  beside_end_ = beside_ + beside.size();
  RunRound();
  while (beside_ != beside_end_) Overtake();
}

void BarrierTester::RunRound() {
  if (round_has_run_) marker_.NextRound(1);
  marker_.RunWorker(0);
  round_has_run_ = true;
}

void BarrierTester::Finish() {
  program_.Note("Finish");
  if (!marking_) return;
  marker_.CloseAssists(true);
  for (const auto& m : mutators_) Handshake(*m);
  do {
    RunRound();
  } while (marker_.HasWork());
  marker_.work_bufs().CheckInvariants();
  marker_.EndCycle();
  CheckMarks();
  SetMarking(false);
  sweeper_.StartPhase();
}

void BarrierTester::Overtake() {
  if (beside_ != beside_end_) DoStep(*beside_++);
}

void BarrierTester::MarkRoots(size_t job, gc::MarkWorker& worker) {
  Overtake();
  worker.Visit(Pointer(Address(roots_[job])));
  Overtake();
}

bool BarrierTester::Worked(int, uint64_t) {
  Overtake();
  return true;
}

void BarrierTester::TakeDead(mheap::Special*) {
  Fatal("an object without specials had some");
}

void BarrierTester::TraceObject(const void* object, PointerVisitor& visitor) {
  const auto* fields = static_cast<const uint64_t*>(object);
  for (size_t i = 0; i < kTracedFields; ++i) {
    running_->Overtake();
    visitor.Visit(Pointer(LoadWordAcquire(&fields[i])));
  }
}

void BarrierTester::RefuseMemory(uint32_t k) {
  program_.Note("RefuseMemory", k);
  if (refusing_) return;
  t_.os.FailFrom(1 + k % 8);
  refusing_ = true;
}

void BarrierTester::Recover() {
  program_.Note("Recover");
  t_.os.StopFailing();
  refusing_ = false;
}

// ---- The model.

uint64_t BarrierTester::Address(uint32_t id) const {
  return id == 0 ? 0 : Addr(nodes_.at(id).fields).value();
}

bool BarrierTester::IsMarked(const Node& node) const {
  const Addr a(node.fields);
  const mheap::MSpan* span = t_.heap.HeapSpanOf(a);
  TRICOLOR_CHECK(span != nullptr, "object %p is in no span", a.pointer());
  return span->IsMarked(span->IndexOf(a));
}

std::set<uint32_t> BarrierTester::Reachable() const {
  std::vector<uint32_t> roots(roots_, roots_ + kRoots);
  for (const auto& m : mutators_) {
    roots.insert(roots.end(), std::begin(m->stack), std::end(m->stack));
  }
  const std::vector<uint32_t> reachable =
      ReachableFrom(roots, [this](uint32_t id, const auto& add) {
        for (const uint32_t target : nodes_.at(id).targets) add(target);
      });
  return {reachable.begin(), reachable.end()};
}

void BarrierTester::CheckMarks() {
  CheckFields();
  const std::set<uint32_t> reachable = Reachable();
  for (auto it = nodes_.begin(); it != nodes_.end();) {
    const uint32_t id = it->first;
    const bool marked = IsMarked(it->second);
    TRICOLOR_CHECK(marked || reachable.count(id) == 0,
                   "object %u is reachable and white at the end of marking",
                   id);
    TRICOLOR_CHECK(
        !marked || id >= first_new_id_ || snapshot_.count(id) != 0,
        "object %u was unreachable when marking began, and is marked", id);
    it = marked ? std::next(it) : nodes_.erase(it);
  }
}

void BarrierTester::CheckFields() const {
  for (const auto& [id, node] : nodes_) {
    for (size_t i = 0; i < node.targets.size(); ++i) {
      if (node.targets[i] != 0 && nodes_.count(node.targets[i]) == 0) continue;
      TRICOLOR_CHECK(node.fields[i] == Address(node.targets[i]),
                     "field %zu of object %u has changed", i, id);
    }
  }
}

}  // namespace tricolor::fuzz
