#!/usr/bin/env bash
# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
#
# Runs the example programs as a user would: the right answers on a known input,
# and one clear line when something is wrong.
set -uo pipefail
readonly depgraph=$1 binary_trees=$2 data=examples/testdata
failures=0

fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

# refuses WORDS COMMAND...: the command fails with one line that has the words.
refuses() {
  local words=$1 output status
  shift
  output=$("$@" 2>&1 >/dev/null)
  status=$?
  [[ $status -ne 0 ]] || fail "$* succeeded"
  [[ $output == *"$words"* && $(wc -l <<<"$output") -eq 1 ]] ||
    fail "$* said: $output"
}

# The answers without progress and figures of the run.
answers=$("$depgraph" --input=$data/packages.txt --check --rounds=5 --threads=2 \
  --without=loader,exim | sed -e '/^round /d' -e '/^Collector/,$d' -e '$d') ||
  fail "depgraph ended with an error"
diff <(echo "$answers") $data/packages_answers.txt || fail "depgraph's answers"

# A few hundred packages with cycles, in many rounds and threads.
many=${TEST_TMPDIR:-/tmp}/many.txt
for i in $(seq 400); do
  printf 'Package: p%d\nProvides: v%d\nDepends: p%d, p%d | v%d, v%d | p%d\n\n' \
    "$i" $((i % 40)) $((i * 7 % 400 + 1)) $((i * 11 % 400 + 1)) \
    $((i % 17)) $((i % 23)) $((i * 3 % 400 + 1))
done >"$many"
"$depgraph" --input="$many" --check --rounds=40 --threads=3 >/dev/null ||
  fail "depgraph on a larger graph"

refuses "/no/such/file" "$depgraph" --input=/no/such/file
refuses "cannot read" "$depgraph" --input=/
refuses "line 1" "$depgraph" --input=$data/binary_trees_10.txt
refuses "no installed package" "$depgraph" --input=/dev/null
refuses "there is no package 'mta'" \
  "$depgraph" --input=$data/packages.txt --without=mta

for threads in 1 3; do
  diff <("$binary_trees" --threads=$threads 10) $data/binary_trees_10.txt ||
    fail "binary_trees with $threads threads"
done
refuses "depth" "$binary_trees" x
refuses "depth" "$binary_trees" --threads=0 10

[[ $failures -eq 0 ]]
