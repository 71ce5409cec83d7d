// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the page heap and the central lists need of a sweeper. The floor
// `sweep` implements it and `runtime` wires it, so that the lower floors do not
// depend on the upper one. Thread-safe. Every method may free spans (and so
// take the heap lock); none may allocate from the collected heap, block on
// another thread for long, or trigger a collection.

#ifndef TRICOLOR_MHEAP_SPAN_SWEEPER_H_
#define TRICOLOR_MHEAP_SPAN_SWEEPER_H_

#include "tricolor/base/units.h"

namespace tricolor::mheap {

class MSpan;
class ProcessorCache;

class SpanSweeper {
 public:
  // Enters the sweep phase as one of its active sweepers and returns true;
  // false when all spans have been swept or taken, and then nothing needs to be
  // done. TryAcquireForSweep is only allowed between Begin and End. Go:
  // sweepLocker, activeSweep.
  virtual bool Begin(ProcessorCache& processor) = 0;
  virtual void End(ProcessorCache& processor) = 0;

  // Sweeps a span that the caller has acquired (its generation is sg-1) and
  // keeps: it is put on no set and not given back to the heap, and is published
  // as swept (sg). For stale cached spans neither Begin nor TryAcquire is
  // needed. Returns the number of slots that became free.
  virtual uint32_t SweepAndKeep(ProcessorCache& processor, MSpan& span) = 0;

  // Returns once `span` (in use, and kept so by the caller) has been swept in
  // this cycle: sweeps it, or waits for who does. A span cached before the
  // sweep began is waited for only if its cache is the caller's own duty, so
  // flush the calling processor's cache first. Go: mspan.ensureSwept.
  virtual void EnsureSwept(ProcessorCache& processor, MSpan& span) = 0;

  // Sweeps spans until `wanted` pages or more have been given back to the page
  // heap, or nothing is left to sweep; returns how many. Go: mheap.reclaim.
  virtual PageCount Reclaim(ProcessorCache& processor, PageCount wanted) = 0;

  // Before `bytes` of span are taken from the central lists: pays proportional
  // sweep debt. Go: deductSweepCredit.
  virtual void PayForSpan(ProcessorCache& processor, ByteCount bytes) = 0;

 protected:
  ~SpanSweeper() = default;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_SPAN_SWEEPER_H_
