// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/sys/fake_os_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"
#include "tricolor/base/sys/linux_memory.h"

namespace tricolor {
namespace {

const char* NameOf(OsState state) {
  static constexpr const char* kNames[] = {"None", "Reserved", "Prepared",
                                           "Ready"};
  return kNames[static_cast<int>(state)];
}

constexpr unsigned Bit(OsState state) {
  return 1u << static_cast<unsigned>(state);
}
constexpr unsigned Bit(OsCall call) {
  return 1u << static_cast<unsigned>(call);
}

constexpr unsigned kFallible = Bit(OsCall::kReserve) | Bit(OsCall::kMap) |
                               Bit(OsCall::kUsed) | Bit(OsCall::kUnused);

unsigned long long Print(ByteCount n) { return n.value(); }

// SplitMix64: one step from the state, which it advances.
uint64_t NextRandom(uint64_t& state) {
  state += 0x9e3779b97f4a7c15;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

bool Protect(AddrRange range, int protection) {
  return mprotect(range.base.pointer(), range.size().value(), protection) == 0;
}

}  // namespace

FakeOsMemory::FakeOsMemory(const FakeOsMemoryOptions& options)
    : FakeOsMemory(ProcessMemory(), options) {}

FakeOsMemory::FakeOsMemory(OsMemory& real, const FakeOsMemoryOptions& options)
    : real_(real), options_(options), failing_kinds_(kFallible) {
  TRICOLOR_CHECK(IsPowerOfTwo(options.page_size.value()) &&
                     options.page_size >= real.page_size(),
                 "fake OS page size %llu is no power of two from %llu on",
                 Print(options.page_size), Print(real.page_size()));
}

FakeOsMemory::~FakeOsMemory() {
  MutexLock lock(mutex_);
  if (pieces_.empty()) return;
  const auto& [base, piece] = *pieces_.begin();
  TRICOLOR_CHECK(!options_.check_leaks,
                 "OS memory never freed: %llu bytes, the first are %p..%p, "
                 "%s, of reservation %llu",
                 Print(BytesIn(OsState::kReserved) +
                       BytesIn(OsState::kPrepared) + BytesIn(OsState::kReady)),
                 base.pointer(), piece.limit.pointer(), NameOf(piece.state),
                 static_cast<unsigned long long>(piece.reservation));
  for (const auto& [start, left] : pieces_) real_.Free({start, left.limit});
}

Addr FakeOsMemory::Reserve(ByteCount size, ByteCount alignment) {
  TRICOLOR_CHECK(size > ByteCount(0) &&
                     IsAligned(size.value(), page_size().value()) &&
                     IsPowerOfTwo(alignment.value()),
                 "Reserve of %llu bytes aligned to %llu with pages of %llu",
                 Print(size), Print(alignment), Print(page_size()));
  MutexLock lock(mutex_);
  Count(OsCall::kReserve);
  if (ShouldFail(OsCall::kReserve)) return Addr();
  const Addr base = real_.Reserve(size, std::max(alignment, page_size()));
  if (base.is_null()) {
    Refused();
    return Addr();
  }
  const bool added =
      pieces_
          .try_emplace(base, Piece{base + size, next_reservation_++,
                                   OsState::kReserved, false})
          .second;
  TRICOLOR_CHECK(added, "the system reserved %p twice", base.pointer());
  BytesIn(OsState::kReserved) += size;
  return base;
}

bool FakeOsMemory::Map(AddrRange range) {
  CheckUnits("Map", range);
  MutexLock lock(mutex_);
  Count(OsCall::kMap);
  const auto first = CheckStates("Map", range, Bit(OsState::kReserved));
  if (ShouldFail(OsCall::kMap)) return false;
  // While touches are checked, access comes with Used.
  if (!options_.protect && !real_.Map(range)) return Refused();
  SetState(first, range, OsState::kPrepared);
  return true;
}

bool FakeOsMemory::Used(AddrRange range) {
  CheckUnits("Used", range);
  MutexLock lock(mutex_);
  Count(OsCall::kUsed);
  const auto first = CheckStates(
      "Used", range, Bit(OsState::kPrepared) | Bit(OsState::kReady));
  if (ShouldFail(OsCall::kUsed)) return false;
  const ByteCount ready = BytesIn(OsState::kReady);
  if (NotReadyBytes(first, range) >
      ready_limit_ - std::min(ready, ready_limit_))
    return Refused();
  if (options_.protect && !Protect(range, PROT_READ | PROT_WRITE)) {
    return Refused();
  }
  if (!real_.Used(range)) return Refused();
  if (!options_.unused_memory_is_zero) FillWithJunk(first, range);
  SetState(first, range, OsState::kReady);
  return true;
}

bool FakeOsMemory::Unused(AddrRange range) {
  CheckUnits("Unused", range);
  MutexLock lock(mutex_);
  Count(OsCall::kUnused);
  const auto first = CheckStates("Unused", range, Bit(OsState::kReady));
  if (ShouldFail(OsCall::kUnused)) return false;
  if (!real_.Unused(range)) return Refused();
  if (options_.protect) {
    TRICOLOR_CHECK(Protect(range, PROT_NONE), "cannot protect %p..%p",
                   range.base.pointer(), range.limit.pointer());
  }
  SetState(first, range, OsState::kPrepared);
  return true;
}

void FakeOsMemory::HugePage(AddrRange range) {
  CheckUnits("HugePage", range);
  MutexLock lock(mutex_);
  Count(OsCall::kHugePage);
  CheckStates("HugePage", range,
              Bit(OsState::kPrepared) | Bit(OsState::kReady));
}

void FakeOsMemory::NoHugePage(AddrRange range) {
  CheckUnits("NoHugePage", range);
  MutexLock lock(mutex_);
  Count(OsCall::kNoHugePage);
  CheckStates("NoHugePage", range,
              Bit(OsState::kPrepared) | Bit(OsState::kReady));
}

void FakeOsMemory::Free(AddrRange range) {
  CheckUnits("Free", range);
  MutexLock lock(mutex_);
  Count(OsCall::kFree);
  const auto first = CheckStates(
      "Free", range,
      Bit(OsState::kReserved) | Bit(OsState::kPrepared) | Bit(OsState::kReady));
  real_.Free(range);
  SetState(first, range, OsState::kNone);
}

void FakeOsMemory::CheckUnits(const char* call, AddrRange range) const {
  TRICOLOR_CHECK(
      range.base < range.limit && range.base.IsAligned(page_size().value()) &&
          range.limit.IsAligned(page_size().value()),
      "%s of %p..%p, which is empty or not of whole pages of %llu "
      "bytes",
      call, range.base.pointer(), range.limit.pointer(), Print(page_size()));
}

FakeOsMemory::Pieces::iterator FakeOsMemory::CheckStates(const char* call,
                                                         AddrRange range,
                                                         unsigned allowed) {
  auto first = pieces_.upper_bound(range.base);
  if (first != pieces_.begin()) --first;
  Addr addr = range.base;
  for (auto it = first; addr < range.limit; ++it) {
    const bool mapped =
        it != pieces_.end() && it->first <= addr && addr < it->second.limit;
    TRICOLOR_CHECK(mapped, "%s of %p..%p, which is None at %p", call,
                   range.base.pointer(), range.limit.pointer(), addr.pointer());
    const Piece& piece = it->second;
    TRICOLOR_CHECK((Bit(piece.state) & allowed) != 0,
                   "%s of %p..%p, which is %s at %p..%p", call,
                   range.base.pointer(), range.limit.pointer(),
                   NameOf(piece.state), it->first.pointer(),
                   piece.limit.pointer());
    TRICOLOR_CHECK(piece.reservation == first->second.reservation,
                   "%s of %p..%p, which crosses from reservation %llu into "
                   "%llu at %p",
                   call, range.base.pointer(), range.limit.pointer(),
                   static_cast<unsigned long long>(first->second.reservation),
                   static_cast<unsigned long long>(piece.reservation),
                   it->first.pointer());
    addr = piece.limit;
  }
  return first;
}

FakeOsMemory::Pieces::iterator FakeOsMemory::SplitAt(Pieces::iterator piece,
                                                     Addr addr) {
  if (piece->first == addr) return piece;
  Piece upper = piece->second;
  piece->second.limit = addr;
  return pieces_.emplace_hint(std::next(piece), addr, upper);
}

void FakeOsMemory::SetState(Pieces::iterator first, AddrRange range,
                            OsState state) {
  first = SplitAt(first, range.base);
  bool junk = false;
  auto it = first;
  while (it != pieces_.end() && it->first < range.limit) {
    if (it->second.limit > range.limit) SplitAt(it, range.limit);
    BytesIn(it->second.state) -= it->second.limit - it->first;
    junk = !options_.unused_memory_is_zero && state == OsState::kPrepared &&
           it->second.state == OsState::kReady;
    // The first piece stays and becomes the whole range.
    it = it == first ? std::next(it) : pieces_.erase(it);
  }
  if (state == OsState::kNone) {
    pieces_.erase(first);
    return;
  }
  BytesIn(state) += range.size();
  first->second.limit = range.limit;
  first->second.state = state;
  first->second.junk = junk;
  JoinWithNeighbors(first);
}

void FakeOsMemory::JoinWithNeighbors(Pieces::iterator piece) {
  const auto next = std::next(piece);
  if (next != pieces_.end() && piece->second.limit == next->first &&
      piece->second.Like(next->second)) {
    piece->second.limit = next->second.limit;
    pieces_.erase(next);
  }
  if (piece == pieces_.begin()) return;
  const auto previous = std::prev(piece);
  if (previous->second.limit == piece->first &&
      previous->second.Like(piece->second)) {
    previous->second.limit = piece->second.limit;
    pieces_.erase(piece);
  }
}

ByteCount FakeOsMemory::NotReadyBytes(Pieces::iterator first,
                                      AddrRange range) const {
  ByteCount bytes;
  for (auto it = first; it != pieces_.end() && it->first < range.limit; ++it) {
    if (it->second.state == OsState::kReady) continue;
    bytes += std::min(it->second.limit, range.limit) -
             std::max(it->first, range.base);
  }
  return bytes;
}

void FakeOsMemory::FillWithJunk(Pieces::iterator first, AddrRange range) {
  for (auto it = first; it != pieces_.end() && it->first < range.limit; ++it) {
    if (!it->second.junk) continue;
    const Addr base = std::max(it->first, range.base);
    const Addr limit = std::min(it->second.limit, range.limit);
    std::memset(base.pointer(), kJunk, (limit - base).value());
  }
}

void FakeOsMemory::Count(OsCall call) { ++calls_[static_cast<int>(call)]; }

bool FakeOsMemory::Refused() {
  ++failures_;
  return false;
}

bool FakeOsMemory::ShouldFail(OsCall call) {
  if ((failing_kinds_ & Bit(call)) == 0) return false;
  bool fail = false;
  if (until_single_ != kNever && --until_single_ == 0) {
    until_single_ = kNever;
    fail = true;
  }
  if (until_all_ != kNever && until_all_ > 1) {
    --until_all_;
  } else if (until_all_ != kNever) {
    fail = true;
  }
  if (random_threshold_ != 0 &&
      NextRandom(random_state_) >> 32 < random_threshold_) {
    fail = true;
  }
  if (fail) ++failures_;
  return fail;
}

void FakeOsMemory::FailAfter(uint64_t k) {
  TRICOLOR_CHECK(k > 0, "the next call has the number 1, not 0");
  MutexLock lock(mutex_);
  until_single_ = k;
}

void FakeOsMemory::FailFrom(uint64_t k) {
  TRICOLOR_CHECK(k > 0, "the next call has the number 1, not 0");
  MutexLock lock(mutex_);
  until_all_ = k;
}

void FakeOsMemory::FailRandomly(uint64_t seed, double probability) {
  TRICOLOR_CHECK(probability >= 0 && probability <= 1,
                 "probability %f is not in 0..1", probability);
  MutexLock lock(mutex_);
  random_state_ = seed;
  random_threshold_ = static_cast<uint64_t>(probability * 4294967296.0);
}

void FakeOsMemory::FailOnly(OsCall call) {
  TRICOLOR_CHECK((Bit(call) & kFallible) != 0, "OS call %d cannot fail",
                 static_cast<int>(call));
  MutexLock lock(mutex_);
  failing_kinds_ = Bit(call);
}

void FakeOsMemory::StopFailing() {
  MutexLock lock(mutex_);
  until_single_ = kNever;
  until_all_ = kNever;
  random_threshold_ = 0;
  failing_kinds_ = kFallible;
}

void FakeOsMemory::SetReadyLimit(ByteCount limit) {
  MutexLock lock(mutex_);
  ready_limit_ = limit;
}

uint64_t FakeOsMemory::calls(OsCall call) const {
  MutexLock lock(mutex_);
  return calls_[static_cast<int>(call)];
}

uint64_t FakeOsMemory::fallible_calls() const {
  return calls(OsCall::kReserve) + calls(OsCall::kMap) + calls(OsCall::kUsed) +
         calls(OsCall::kUnused);
}

uint64_t FakeOsMemory::failures() const {
  MutexLock lock(mutex_);
  return failures_;
}

OsState FakeOsMemory::StateOf(Addr addr) const {
  MutexLock lock(mutex_);
  const auto next = pieces_.upper_bound(addr);
  if (next == pieces_.begin()) return OsState::kNone;
  const Piece& piece = std::prev(next)->second;
  return addr < piece.limit ? piece.state : OsState::kNone;
}

ByteCount FakeOsMemory::bytes_in(OsState state) const {
  MutexLock lock(mutex_);
  return bytes_[static_cast<int>(state)];
}

void FakeOsMemory::set_check_leaks(bool check) {
  MutexLock lock(mutex_);
  options_.check_leaks = check;
}

void FakeOsMemory::CheckInvariants() const {
  MutexLock lock(mutex_);
  ByteCount bytes[4];
  const Pieces::value_type* previous = nullptr;
  for (const auto& entry : pieces_) {
    const auto& [base, piece] = entry;
    TRICOLOR_CHECK(base < piece.limit && piece.state != OsState::kNone,
                   "piece %p..%p is empty or None [INV-SYS-1]", base.pointer(),
                   piece.limit.pointer());
    if (previous != nullptr) {
      const bool apart =
          previous->second.limit < base ||
          (previous->second.limit == base && !previous->second.Like(piece));
      TRICOLOR_CHECK(apart,
                     "piece %p..%p overlaps or continues %p..%p "
                     "[INV-SYS-1]",
                     base.pointer(), piece.limit.pointer(),
                     previous->first.pointer(),
                     previous->second.limit.pointer());
    }
    bytes[static_cast<int>(piece.state)] += piece.limit - base;
    previous = &entry;
  }
  for (int i = 0; i < 4; ++i) {
    TRICOLOR_CHECK(bytes[i] == bytes_[i],
                   "%llu bytes are %s, the count is %llu [INV-SYS-1]",
                   Print(bytes[i]), NameOf(static_cast<OsState>(i)),
                   Print(bytes_[i]));
  }
}

}  // namespace tricolor
