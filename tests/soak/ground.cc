// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/tests/soak/ground.h"

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace tricolor::soak {
namespace {

// What words on the cleanup thread's stack may keep.
constexpr uint64_t kMostLeft = 2000;
constexpr int kMostWaits = 20'000;

}  // namespace

Ground::Ground(const HeapOptions& options, uint64_t largest, Findings& findings)
    : findings_(findings), largest_(largest), heap_(options) {
  std::thread([this] {
    Mutator mutator(heap_);
    board_ = mutator.New<Board>();
  }).join();
}

Weak<Entry> Ground::Find(Mutator& mutator, uint64_t key) {
  const Mutator::NativeScope native(mutator);
  const std::lock_guard<std::mutex> lock(cache_mutex_);
  const auto at = cache_.find(key);
  return at == cache_.end() ? Weak<Entry>() : at->second;
}

void Ground::Remember(Mutator& mutator, uint64_t key,
                      const Weak<Entry>& entry) {
  const Mutator::NativeScope native(mutator);
  const std::lock_guard<std::mutex> lock(cache_mutex_);
  cache_[key] = entry;
}

void Ground::Forget(uint64_t key) {
  const Mutator::NativeScope native(*Mutator::Current(heap_));
  const std::lock_guard<std::mutex> lock(cache_mutex_);
  const auto at = cache_.find(key);
  if (at != cache_.end() && at->second.expired()) cache_.erase(at);
}

void Ground::CheckBoard() {
  for (const auto& place : board_->graphs) {
    const Graph* graph = place;
    findings_.Check(graph == nullptr || graph->whole(),
                    "a graph on the board is not whole");
  }
  for (const auto& place : board_->items) {
    const Item* item = place;
    findings_.Check(item == nullptr || item->whole(),
                    "an item on the board is not whole");
  }
  for (const auto& place : board_->recent) {
    const Entry* entry = place;
    findings_.Check(entry == nullptr || entry->whole(),
                    "an entry of the cache is not whole");
  }
}

void Ground::Drop() {
  CheckBoard();
  board_ = nullptr;
  heap_.Collect();
  // What finalizers and cleanups held.
  for (int i = 0; i < 3; ++i) {
    heap_.RunCleanups();
    heap_.Collect();
  }
  heap_.CheckInvariants();
  const uint64_t left = heap_.ReadMemStats().heap_objects;
  if (left > kMostLeft) {
    findings_.Fail(std::to_string(left) + " objects that nobody reaches");
  }
  // The cleanup thread may have some in its hands.
  for (int i = 0; i < kMostWaits && counts_.calls_pending() > left; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const uint64_t pending = counts_.calls_pending();
  if (pending > left) {
    findings_.Fail(std::to_string(pending) + " cleanups have not run");
  }
  findings_.Check(counts_.calls_dropped == counts_.calls_stopped,
                  "a cleanup was dropped that nobody had stopped");
}

}  // namespace tricolor::soak
