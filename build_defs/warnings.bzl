# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
"""The one list of warnings that Tricolor's own code is compiled with."""

_COMMON = [
    "-Wall",
    "-Wextra",
    "-Wcast-qual",
    "-Wimplicit-fallthrough",
    "-Woverloaded-virtual",
    "-Wpointer-arith",
    "-Wshadow",
    "-Wundef",
    "-Wunused-local-typedefs",
    "-Wvla",
    "-Wwrite-strings",
    # TRICOLOR_TRACE takes offsets in classes that are not of standard layout.
    "-Wno-invalid-offsetof",
    # Designated initializers leave the rest of an options struct at its defaults.
    "-Wno-missing-field-initializers",
]

_CLANG = [
    # The dependencies' headers are not ours to mend.
    "--system-header-prefix=absl/",
    "--system-header-prefix=benchmark/",
    "--system-header-prefix=gmock/",
    "--system-header-prefix=gtest/",
    "-Wc99-extensions",
    "-Wcomma",
    # gcc 12 has these two as well, and objects to `unsigned += condition ? 1 : 0`.
    "-Wconversion",
    "-Wdeprecated-pragma",
    "-Wextra-semi",
    "-Wfloat-overflow-conversion",
    "-Wformat=2",
    "-Wgnu-redeclared-enum",
    "-Winfinite-recursion",
    "-Winvalid-constexpr",
    "-Wloop-analysis",
    "-Wnewline-eof",
    # (gcc would also say so of Abseil's headers.)
    "-Wnon-virtual-dtor",
    "-Wnullability-completeness",
    "-Wrange-loop-analysis",
    "-Wself-assign",
    "-Wshadow-all",
    "-Wsign-conversion",
    "-Wstring-conversion",
    "-Wtautological-overlap-compare",
    "-Wthread-safety",
    "-Wthread-safety-beta",
    "-Wtype-limits",
    "-Wunguarded-availability",
    "-Wuninitialized",
    "-Wunreachable-code",
    "-Wunused-member-function",
    # c99-extensions would refuse designated initializers, which are C++20.
    "-Wno-c99-designator",
    "-Wno-shadow-field-in-constructor",
]

_GCC = [
    "-Wno-unknown-pragmas",
    # Said of GoogleTest's assertions after an `if` without braces.
    "-Wno-dangling-else",
    # Wrong in gcc 12 as soon as std::string or atomics are inlined (gcc PR 105329, 105562).
    "-Wno-array-bounds",
    "-Wno-maybe-uninitialized",
    "-Wno-restrict",
    "-Wno-stringop-overflow",
    "-Wno-stringop-overread",
]

TRICOLOR_COPTS = ["-std=c++20"] + _COMMON + select({
    "//build_defs:clang": _CLANG,
    "//conditions:default": _GCC,
})

C_COPTS = ["-std=c11", "-pedantic-errors", "-Wall", "-Wextra", "-Wshadow", "-Wundef", "-Werror"]
