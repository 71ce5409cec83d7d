# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
"""What Tricolor needs from elsewhere, for workspaces without MODULE.bazel."""

load("@bazel_tools//tools/build_defs/repo:http.bzl", "http_archive")

def _archive(name, **kwargs):
    if not native.existing_rule(name):
        http_archive(name = name, **kwargs)

def tricolor_dependencies():
    """Declares each dependency that the calling WORKSPACE has not declared itself."""
    _archive(
        name = "com_google_absl",
        sha256 = "91ac87d30cc6d79f9ab974c51874a704de9c2647c40f6932597329a282217ba8",
        strip_prefix = "abseil-cpp-20220623.1",
        urls = ["https://github.com/abseil/abseil-cpp/archive/refs/tags/20220623.1.tar.gz"],
    )
    _archive(
        name = "com_google_googletest",
        sha256 = "81964fe578e9bd7c94dfdb09c8e4d6e6759e19967e397dbea48d1c10e45d0df2",
        strip_prefix = "googletest-release-1.12.1",
        urls = ["https://github.com/google/googletest/archive/refs/tags/release-1.12.1.tar.gz"],
    )
    _archive(
        name = "com_github_google_benchmark",
        sha256 = "6430e4092653380d9dc4ccb45a1e2dc9259d581f4866dc0759713126056bc1d7",
        strip_prefix = "benchmark-1.7.1",
        urls = ["https://github.com/google/benchmark/archive/refs/tags/v1.7.1.tar.gz"],
    )
