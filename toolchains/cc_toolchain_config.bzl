# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
"""Describes clang or gcc on Linux to Bazel, with the sanitizers as features.

Written for the API that Bazel 4 and Bazel 7 share. What is not said here (how a
library is archived, how the linker is handed its inputs) are Bazel's own defaults.
"""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load(
    "@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl",
    "feature",
    "flag_group",
    "flag_set",
    "tool_path",
    "with_feature_set",
)

_COMPILE = [
    ACTION_NAMES.assemble,
    ACTION_NAMES.preprocess_assemble,
    ACTION_NAMES.c_compile,
    ACTION_NAMES.cpp_compile,
    ACTION_NAMES.cpp_header_parsing,
    ACTION_NAMES.cpp_module_compile,
    ACTION_NAMES.cpp_module_codegen,
    ACTION_NAMES.linkstamp_compile,
]
_LINK = [
    ACTION_NAMES.cpp_link_executable,
    ACTION_NAMES.cpp_link_dynamic_library,
    ACTION_NAMES.cpp_link_nodeps_dynamic_library,
]

def _flags(actions, flags, modes = []):
    return flag_set(
        actions = actions,
        flag_groups = [flag_group(flags = flags)] if flags else [],
        with_features = [with_feature_set(features = [mode]) for mode in modes],
    )

def _instrumentation(name, compile, link):
    """A feature that is asked for by --features=NAME and adds flags throughout."""
    return feature(
        name = name,
        flag_sets = [_flags(_COMPILE, compile), _flags(_LINK, link)],
    )

# Stacks in reports are whole only with frame pointers and without tail calls.
_WHOLE_STACKS = ["-fno-omit-frame-pointer", "-fno-optimize-sibling-calls"]

def _sanitizers(clang):
    # clang's driver for C, which Bazel links with, leaves out what C++ needs of UBSan.
    ubsan_link = ["-fsanitize=undefined"] + (["-fsanitize-link-c++-runtime"] if clang else [])
    sanitizers = [
        _instrumentation(
            "asan",
            ["-fsanitize=address"] + _WHOLE_STACKS,
            ["-fsanitize=address"],
        ),
        _instrumentation(
            "ubsan",
            ["-fsanitize=undefined", "-fno-sanitize-recover=all"] + _WHOLE_STACKS,
            ubsan_link,
        ),
        _instrumentation(
            "tsan",
            ["-fsanitize=thread"] + _WHOLE_STACKS,
            ["-fsanitize=thread"],
        ),
    ]
    if clang:
        sanitizers += [
            # Only a fuzz target is linked with libFuzzer itself: its own rule does that.
            _instrumentation(
                "fuzzer",
                ["-fsanitize=fuzzer-no-link", "-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION"],
                [],
            ),
            _instrumentation(
                "llvm_coverage",
                ["-fprofile-instr-generate", "-fcoverage-mapping"],
                ["-fprofile-instr-generate"],
            ),
        ]
    return sanitizers

def _module_map_features():
    """What lets clang refuse an include that no direct dependency provides."""
    actions = [ACTION_NAMES.c_compile, ACTION_NAMES.cpp_compile, ACTION_NAMES.cpp_header_parsing]
    return [
        feature(name = "module_maps", enabled = True),
        feature(
            name = "use_module_maps",
            flag_sets = [flag_set(
                actions = actions,
                flag_groups = [flag_group(flags = [
                    "-fmodule-name=%{module_name}",
                    "-fmodule-map-file=%{module_map_file}",
                ])],
            )],
        ),
        feature(
            name = "layering_check",
            implies = ["use_module_maps"],
            flag_sets = [flag_set(
                actions = actions,
                flag_groups = [
                    flag_group(flags = [
                        "-fmodules-strict-decluse",
                        "-Wprivate-header",
                    ]),
                    flag_group(
                        iterate_over = "dependent_module_map_files",
                        flags = ["-fmodule-map-file=%{dependent_module_map_files}"],
                    ),
                ],
            )],
        ),
    ]

def _default_features(clang, lld):
    compile = [
        "-no-canonical-prefixes",
        # Equal sources give equal objects.
        "-Wno-builtin-macro-redefined",
        "-D__DATE__=\"redacted\"",
        "-D__TIMESTAMP__=\"redacted\"",
        "-D__TIME__=\"redacted\"",
    ]
    if not clang:
        compile.append("-fno-canonical-system-headers")
    link = ["-no-canonical-prefixes", "-pthread", "-Wl,-z,relro,-z,now"]
    if lld:
        link.append("--ld-path=" + lld)
    return [
        feature(name = "dbg"),
        feature(name = "fastbuild"),
        feature(name = "opt"),
        feature(name = "supports_pic", enabled = True),
        # Objects go to the linker as they are, without an archive in between.
        feature(name = "supports_start_end_lib", enabled = bool(lld)),
        feature(
            name = "default_compile_flags",
            enabled = True,
            flag_sets = [
                _flags(_COMPILE, compile),
                _flags(_COMPILE, ["-O0", "-g"], ["dbg"]),
                # Tests run long enough to repay a little optimization.
                _flags(_COMPILE, ["-O1", "-g1"], ["fastbuild"]),
                _flags(
                    _COMPILE,
                    ["-O2", "-DNDEBUG", "-ffunction-sections", "-fdata-sections"],
                    ["opt"],
                ),
            ],
        ),
        feature(
            name = "default_link_flags",
            enabled = True,
            flag_sets = [
                _flags(_LINK, link),
                _flags(_LINK, ["-Wl,--gc-sections"], ["opt"]),
            ],
        ),
    ]

def _impl(ctx):
    clang = ctx.attr.compiler == "clang"
    features = _default_features(clang, ctx.attr.lld) + _sanitizers(clang)
    if clang:
        features += _module_map_features()
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        toolchain_identifier = "tricolor_" + ctx.attr.compiler,
        compiler = ctx.attr.compiler,
        host_system_name = "local",
        target_system_name = "local",
        target_cpu = ctx.attr.cpu,
        target_libc = "local",
        abi_version = "local",
        abi_libc_version = "local",
        cxx_builtin_include_directories = ctx.attr.builtin_include_directories,
        tool_paths = [tool_path(name = name, path = path) for name, path in ctx.attr.tools.items()],
        features = features + [
            # After the libraries, whose symbols these resolve.
            feature(
                name = "cxx_runtime",
                enabled = True,
                flag_sets = [_flags(_LINK, ["-lstdc++", "-lm"])],
            ),
        ],
    )

cc_toolchain_config = rule(
    implementation = _impl,
    attrs = {
        "builtin_include_directories": attr.string_list(mandatory = True),
        "compiler": attr.string(mandatory = True, values = ["clang", "gcc"]),
        "cpu": attr.string(mandatory = True),
        "lld": attr.string(doc = "for clang: the path of lld; without it, the system's linker"),
        "tools": attr.string_dict(mandatory = True),
    },
    provides = [CcToolchainConfigInfo],
)
