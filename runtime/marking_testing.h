// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A collection that stands still in the middle of marking, at a known place, so
// that a test can do there what must not lose an object:
//
//   Root -> Holder -> Gate -> ...
//
// When the marker comes to the Gate it waits. All fields of the Holder have
// been read by then (it is black), none of the Gate's has; the stacks have been
// scanned; of the roots, one block of Root slots has been read, the newest. A
// move of a pointer from the Gate to the Holder is then what loses an object
// without the barrier.

#ifndef TRICOLOR_RUNTIME_MARKING_TESTING_H_
#define TRICOLOR_RUNTIME_MARKING_TESTING_H_

#include <sched.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>

#include "absl/base/attributes.h"
#include "tricolor/base/atomic.h"
#include "tricolor/mheap/type_info.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/runtime_testing.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {

// A field for each way to store a pointer.
struct Fields {
  static constexpr size_t kLength = 3;

  void Trace(PointerVisitor& visitor) const {
    visitor.Visit(ptr.get());
    visitor.Visit(atomic.load(std::memory_order_acquire));
    visitor.Visit(LoadWordAcquire(&raw));
    for (const Ptr<Node>& p : array) visitor.Visit(p.get());
  }

  Ptr<Node> ptr;
  AtomicPtr<Node> atomic;
  Node* raw = nullptr;
  Ptr<Node> array[kLength];
};

// Where the armed marking waits. There is one at a time.
class GateKeeper {
 public:
  static void Arm() { state() = State::kArmed; }
  // Of a marker's thread.
  static void Pass() {
    State armed = State::kArmed;
    if (!state().compare_exchange_strong(armed, State::kPaused)) return;
    while (state() == State::kPaused) sched_yield();
  }
  static bool paused() { return state() == State::kPaused; }
  static void Open() { state() = State::kOpen; }

 private:
  enum class State : uint8_t { kOpen, kArmed, kPaused };
  static std::atomic<State>& state() {
    static std::atomic<State> state{State::kOpen};
    return state;
  }
};

struct Gate {
  void Trace(PointerVisitor& visitor) const {
    GateKeeper::Pass();
    fields.Trace(visitor);
  }
  Fields fields;
};

struct Holder {
  void Trace(PointerVisitor& visitor) const {
    fields.Trace(visitor);
    visitor.Visit(gate.get());
  }
  Fields fields;
  Ptr<Gate> gate;
};

// One marker, a second one that checks it, and no cycle but those of the test.
inline HeapOptions PausableOptions(bool conservative_stacks) {
  HeapOptions options = QuietOptions();
  options.conservative_stacks = conservative_stacks;
  options.gc_threads = 1;
  options.cleanup_thread = false;
  options.debug = "gccheckmark=1";
  return options;
}

// In its life a collection of the heap is paused at the Gate, which a Root's
// Holder has.
class PausedMarking {
 public:
  // By a thread that is attached to the heap, or not at all.
  explicit PausedMarking(Heap& heap, Mutator* mutator = nullptr)
      : mutator_(mutator) {
    GateKeeper::Arm();
    collector_ = std::thread([&heap] { heap.Collect(); });
    while (!GateKeeper::paused()) {
      if (mutator != nullptr) mutator->Safepoint();
      sched_yield();
    }
  }
  // The collection goes on, to its end.
  ~PausedMarking() {
    GateKeeper::Open();
    if (mutator_ == nullptr) {
      collector_.join();
    } else {
      Mutator::NativeScope native(*mutator_);
      collector_.join();
    }
  }
  PausedMarking(const PausedMarking&) = delete;
  PausedMarking& operator=(const PausedMarking&) = delete;

 private:
  Mutator* const mutator_;
  std::thread collector_;
};

// Objects that the test's own stack knows nothing of: made on a thread that is
// gone, and their addresses kept complemented.
class HiddenNode {
 public:
  void Set(Node* node) { word_ = ~reinterpret_cast<uintptr_t>(node); }
  ABSL_ATTRIBUTE_NOINLINE Node* Get() const {
    return reinterpret_cast<Node*>(~word_);
  }

 private:
  uintptr_t word_ = 0;
};

// A heap whose collections can be paused.
class PausedHeap {
 public:
  explicit PausedHeap(bool conservative_stacks)
      : heap_(PausableOptions(conservative_stacks)) {
    OnOtherThread([this] {
      Mutator mutator(heap_);
      holder_ = mutator.New<Holder>();
      holder_->gate = mutator.New<Gate>();
    });
  }

  Heap& heap() { return heap_; }
  Fields& behind() { return holder_->fields; }       // the marker, when paused
  Fields& ahead() { return holder_->gate->fields; }  // of it

 private:
  Heap heap_;
  Root<Holder> holder_;
};

// Stops the collector in its first handshake: when it has scanned the stack of
// a thread in native code, before those of mutators that came earlier, and
// those that are suspended.
class PausedHandshake final : public StackScanHook {
 public:
  explicit PausedHandshake(Heap& heap)
      : heap_(heap), native_([this] { StayNative(); }) {
    while (!attached_) std::this_thread::yield();
    heap.core().world().set_scan_hook(this);
  }
  ~PausedHandshake() {
    heap_.core().world().set_scan_hook(&heap_.core().root_set());
    done_ = true;
    native_.join();
  }

  void StackScanned() override {
    heap_.core().root_set().StackScanned();
    if (std::this_thread::get_id() != collector_.get_id()) return;
    paused_ = true;
    while (!open_) std::this_thread::yield();
  }

  void Collect() {
    collector_ = std::thread([this] {
      while (!started_) std::this_thread::yield();
      heap_.Collect();
    });
    started_ = true;
  }
  bool paused() const { return paused_; }
  void Finish(Mutator& mutator) {
    open_ = true;
    Mutator::NativeScope native(mutator);
    collector_.join();
  }

 private:
  void StayNative() {
    Mutator mutator(heap_);
    Mutator::NativeScope native(mutator);
    attached_ = true;
    while (!done_) std::this_thread::yield();
  }

  Heap& heap_;
  std::thread collector_;
  std::atomic<bool> attached_{false};
  std::atomic<bool> started_{false};
  std::atomic<bool> paused_{false};
  std::atomic<bool> open_{false};
  std::atomic<bool> done_{false};
  std::thread native_;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_MARKING_TESTING_H_
