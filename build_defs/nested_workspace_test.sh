#!/usr/bin/env bash
# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds and runs a program of a workspace that lies inside this one, with a Bazel of its
# own that leaves nothing behind. Arguments: a file of this repository's root, the
# workspace's folder, and what follows `bazel run`.
set -euo pipefail
root=$(dirname "$(readlink -f "$1")")
workspace=$root/$2
shift 2

scratch=${TEST_TMPDIR:?}
export HOME=$scratch
startup=(
  "--output_base=$scratch/output_base"
  "--output_user_root=$scratch/output_user_root"
  --max_idle_secs=10
)
# The workspace has to make do with what a user's machine has: no test environment.
unset TEST_TMPDIR

cd "$workspace"
trap '"$root/bazelw" "${startup[@]}" shutdown' EXIT
"$root/bazelw" "${startup[@]}" run --symlink_prefix=/ "$@"
