# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
"""Tests whose program, with all that it is made of, is built to be scheduled."""

def _flag_impl(_ctx):
    return []

# A build setting: whether atomics, locks and waits are steps of a scheduler.
schedule_flag = rule(
    implementation = _flag_impl,
    build_setting = config.bool(flag = True),
)

_FLAG = "//build_defs:schedule"
_COPT = "//command_line_option:copt"

def _scheduled_impl(settings, _attr):
    # For the traces of failing schedules.
    return {_FLAG: True, _COPT: settings[_COPT] + ["-fno-omit-frame-pointer"]}

_scheduled = transition(
    implementation = _scheduled_impl,
    inputs = [_COPT],
    outputs = [_FLAG, _COPT],
)

def _scheduled_test_impl(ctx):
    program = ctx.attr.program[0][DefaultInfo]
    link = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(
        output = link,
        target_file = program.files_to_run.executable,
        is_executable = True,
    )
    runfiles = ctx.runfiles([link]).merge(program.default_runfiles)
    return [DefaultInfo(executable = link, runfiles = runfiles)]

# Runs a test's program that has been built with the setting.
scheduled_test = rule(
    implementation = _scheduled_test_impl,
    test = True,
    attrs = {
        "program": attr.label(mandatory = True, cfg = _scheduled),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)
