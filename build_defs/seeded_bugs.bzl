# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
"""Libraries with seeded bugs, under --config=seeded_bugs. See docs/seeded-bugs.md."""

_LIST = "seeded_bugs.txt"

def _with_seeded_bugs_impl(ctx):
    outs = [ctx.actions.declare_file(src.basename) for src in ctx.files.srcs]
    args = ctx.actions.args()
    args.add(ctx.file._inserter)
    args.add(ctx.file.bugs)
    args.add(outs[0].dirname)
    args.add_all(ctx.files.srcs)
    ctx.actions.run_shell(
        command = "exec python3 \"$@\"",
        arguments = [args],
        inputs = ctx.files.srcs + [ctx.file.bugs, ctx.file._inserter],
        outputs = outs,
        use_default_shell_env = True,
        mnemonic = "InsertSeededBugs",
    )
    return [DefaultInfo(files = depset(outs))]

# Copies of a package's sources with its seeded bugs inserted. Built by `build //...` in every
# configuration, which fails when a bug does not fit the sources any more.
_with_seeded_bugs = rule(
    implementation = _with_seeded_bugs_impl,
    attrs = {
        "srcs": attr.label_list(allow_files = True),
        "bugs": attr.label(allow_single_file = True),
        "_inserter": attr.label(
            allow_single_file = True,
            default = "//tools:insert_seeded_bugs.py",
        ),
    },
)

def with_seeded_bugs(name, files):
    """The files, or what stands for them when the build is to have seeded bugs."""
    if not files or not native.glob([_LIST]):
        return files
    _with_seeded_bugs(
        name = name,
        srcs = files,
        bugs = _LIST,
        visibility = ["//visibility:private"],
    )
    return select({
        "//build_defs:seeded_bugs": [":" + name],
        "//conditions:default": files,
    })
