# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
"""Our toolchains, for MODULE.bazel."""

load(":configure.bzl", "tricolor_cc_repository")

tricolor_toolchains_extension = module_extension(
    implementation = lambda _ctx: tricolor_cc_repository(name = "tricolor_cc"),
)
