// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A list of operations on work buffers and their model. An operation is one
// byte, its kind and whose it is, and its numbers; the list ends with the
// input.

#include <cstddef>
#include <cstdint>

#include "tricolor/base/fuzzing.h"
#include "tricolor/gc/work_bufs_tester.h"

namespace tricolor::gc {
namespace {

void Step(WorkBufsTester& t, ByteSource& in) {
  const uint32_t byte = in.Byte();
  const uint32_t who = byte / 16;
  switch (byte % 16) {
    case 0:
    case 1:
      return t.Push(who, in.Byte());
    case 2:
    case 3:
      return t.Pop(who, in.Byte());
    case 4:
      return t.Share(who);
    case 5:
      return t.ShareAll(who);
    case 6:
    case 7:
      return t.TakeShared(who);
    case 8:
      return who % 2 == 0 ? t.Attach() : t.Detach();
    case 9:
    case 10: {
      const uint32_t first = in.Below(1000);
      const uint32_t words = in.Below(512);
      return t.AddWords(who, first, words, in.Byte());
    }
    case 11:
      return t.PublishWords(who);
    case 12: {
      const uint32_t first = in.Below(1000);
      return t.MarkObjects(first, in.Below(512));
    }
    case 13:
      return t.GoIdle(who, in.Byte());
    case 14:
      return t.NextCycle(who);
    default:
      return who % 2 == 0 ? t.RefuseMemory(who / 2) : t.Recover();
  }
}

}  // namespace
}  // namespace tricolor::gc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tricolor::gc::WorkBufsTester t;
  tricolor::ByteSource in(data, size);
  while (!in.empty()) tricolor::gc::Step(t, in);
  return 0;
}
