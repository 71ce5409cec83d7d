# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
"""The rules that every BUILD file of Tricolor uses.

Each adds C++20 and the warnings, and lets headers be included by their path below
the repository's root, as in "tricolor/mheap/mspan.h". On a floor (see floors.bzl) they
refuse dependencies that the floor may not have, and take visibility from the table.
"""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")
load("//build_defs:floors.bzl", "check_deps", "floor_visibility")
load("//build_defs:scheduled.bzl", "scheduled_test")
load("//build_defs:seeded_bugs.bzl", "with_seeded_bugs")
load("//build_defs:warnings.bzl", "C_COPTS", "TRICOLOR_COPTS")

# What a test or benchmark includes, and the main that runs it.
_GTEST = ["@com_google_googletest//:gtest", "@com_google_googletest//:gtest_main"]
_BENCHMARK = [
    "@com_github_google_benchmark//:benchmark",
    "@com_github_google_benchmark//:benchmark_main",
]

# clang refuses an include of what is no direct dependency. gcc does not know this.
_FEATURES = ["layering_check"]

def tricolor_library(
        name,
        srcs = [],
        hdrs = [],
        deps = [],
        copts = [],
        testonly = False,
        visibility = None,
        **kwargs):
    """A library. Its visibility is the table's unless it is given."""
    check_deps(name, deps, test = testonly)
    if not testonly:
        srcs = with_seeded_bugs(name + "_srcs_with_bugs", srcs)
        hdrs = with_seeded_bugs(name + "_hdrs_with_bugs", hdrs)
    cc_library(
        name = name,
        srcs = srcs,
        hdrs = hdrs,
        copts = TRICOLOR_COPTS + copts,
        features = _FEATURES,
        include_prefix = "tricolor/" + native.package_name(),
        linkstatic = True,
        testonly = testonly,
        visibility = visibility or floor_visibility(name, testonly),
        deps = deps,
        **kwargs
    )

def tricolor_c_test_library(name, deps = [], visibility = None, **kwargs):
    """A test's library in C, to prove that a header can be used from C."""
    check_deps(name, deps, test = True)
    cc_library(
        name = name,
        testonly = True,
        copts = C_COPTS,
        features = _FEATURES,
        include_prefix = "tricolor/" + native.package_name(),
        linkstatic = True,
        visibility = visibility or ["//visibility:private"],
        deps = deps,
        **kwargs
    )

def tricolor_binary(name, deps = [], copts = [], **kwargs):
    check_deps(name, deps)
    cc_binary(
        name = name,
        copts = TRICOLOR_COPTS + copts,
        features = _FEATURES,
        deps = deps,
        **kwargs
    )

def tricolor_test(name, deps = [], copts = [], size = "small", **kwargs):
    """A test with GoogleTest's main."""
    check_deps(name, deps, test = True)
    cc_test(
        name = name,
        size = size,
        copts = TRICOLOR_COPTS + copts,
        features = _FEATURES,
        linkstatic = True,
        deps = deps + _GTEST,
        **kwargs
    )

def tricolor_scheduled_test(name, deps = [], size = "medium", tags = [], **kwargs):
    """A test of real code under chosen schedules: see docs/scheduling.md.

    Its program is NAME_bin, which --config=schedule builds in the same way.
    """
    tricolor_test(
        name = name + "_bin",
        size = size,
        tags = tags + ["manual"],
        deps = deps + ["//base:schedule"],
        **kwargs
    )
    scheduled_test(
        name = name,
        size = size,
        program = ":%s_bin" % name,
        tags = tags + ["scheduled"],
    )

def tricolor_benchmark(name, deps = [], copts = [], smoke_args = [], **kwargs):
    """A benchmark, and a test NAME_smoke_test which runs each of its cases for a moment.

    smoke_args can leave out cases that are too large for a test: ["--benchmark_filter=..."].
    """
    check_deps(name, deps, test = True)
    cc_binary(
        name = name,
        testonly = True,
        copts = TRICOLOR_COPTS + copts,
        features = _FEATURES,
        deps = deps + _BENCHMARK,
        **kwargs
    )
    native.sh_test(
        name = name + "_smoke_test",
        size = "medium",
        srcs = ["//build_defs:run_binary.sh"],
        args = ["$(rootpath :%s)" % name, "--benchmark_min_time=0.0001"] + smoke_args,
        data = [":" + name],
        tags = ["smoke"],
    )

# What each fuzz target starts with: programs long enough to do something, from the first
# run on, for their corpora are small.
_FUZZ_OPTIONS = {
    "len_control": "0",
    "max_len": "4096",
    "timeout": "25",
}

def tricolor_fuzz_test(
        name,
        srcs,
        deps = [],
        corpus = [],
        dictionary = None,
        options = {},
        copts = [],
        size = "small",
        **kwargs):
    """A fuzz target: a source that defines LLVMFuzzerTestOneInput.

    The test NAME replays the corpus. The program NAME_bin, under --config=fuzz, is the
    libFuzzer binary, which knows the corpus, the dictionary and the options (flags of
    libFuzzer, such as {"max_len": "100"}):
    bazel run --config=fuzz //fuzz:NAME_bin -- -max_total_time=60
    NAME_package lists what belongs to the target, for OSS-Fuzz: see oss-fuzz/build.sh.
    """
    options = dict(_FUZZ_OPTIONS, **options)
    check_deps(name, deps, test = True)
    cc_library(
        name = name + "_lib",
        testonly = True,
        srcs = srcs,
        copts = TRICOLOR_COPTS + copts,
        features = _FEATURES,
        linkstatic = True,
        tags = ["manual"],
        visibility = ["//visibility:private"],
        deps = deps,
        alwayslink = True,
    )
    _seed_list(
        name = name + "_seeds",
        testonly = True,
        seeds = corpus,
        visibility = ["//visibility:private"],
    )
    driver_deps = [":%s_lib" % name] + select({
        "//build_defs:fuzzing": [],
        "//build_defs:fuzzing_engine": [],
        "//conditions:default": ["//build_defs:fuzz_replay_main"],
    })
    driver_linkopts = select({
        "//build_defs:fuzzing": ["-fsanitize=fuzzer"],
        "//conditions:default": [],
    })
    data = corpus + [":%s_seeds" % name]
    seed_args = ["-seed_inputs=@$(rootpath :%s_seeds)" % name] if corpus else []
    cc_test(
        name = name,
        size = size,
        args = ["-runs=0"] + seed_args,
        data = data,
        linkopts = driver_linkopts,
        linkstatic = True,
        deps = driver_deps,
        **kwargs
    )
    cc_binary(
        name = name + "_bin",
        testonly = True,
        args = seed_args +
               (["-dict=$(rootpath %s)" % dictionary] if dictionary else []) +
               ["-%s=%s" % option for option in options.items()],
        data = data + ([dictionary] if dictionary else []),
        linkopts = driver_linkopts,
        tags = ["fuzzer", "manual"],
        deps = driver_deps,
    )
    _fuzz_package(
        name = name + "_package",
        testonly = True,
        seeds = corpus,
        dictionary = dictionary,
        options = options,
        tags = ["manual"],
        visibility = ["//visibility:private"],
    )

def _seed_list_impl(ctx):
    out = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(out, ",".join([seed.short_path for seed in ctx.files.seeds]))
    return [DefaultInfo(files = depset([out]), runfiles = ctx.runfiles([out]))]

# The list of a corpus' files, as libFuzzer's -seed_inputs wants it.
_seed_list = rule(
    implementation = _seed_list_impl,
    attrs = {"seeds": attr.label_list(allow_files = True)},
)

def _fuzz_package_impl(ctx):
    options = ctx.actions.declare_file(ctx.label.name + ".options")
    ctx.actions.write(options, "[libfuzzer]\n" + "".join([
        "%s = %s\n" % option
        for option in sorted(ctx.attr.options.items())
    ]))
    dictionary = ctx.files.dictionary
    lines = ["options " + options.path]
    lines += ["dictionary " + file.path for file in dictionary]
    lines += ["seed " + file.path for file in ctx.files.seeds]
    manifest = ctx.actions.declare_file(ctx.label.name + ".manifest")
    ctx.actions.write(manifest, "\n".join(lines) + "\n")
    return [DefaultInfo(files = depset([manifest, options] + dictionary))]

# A list of the files that belong to a fuzz target, each line a kind and a path.
_fuzz_package = rule(
    implementation = _fuzz_package_impl,
    attrs = {
        "dictionary": attr.label(allow_files = True),
        "options": attr.string_dict(),
        "seeds": attr.label_list(allow_files = True),
    },
)
