#!/bin/sh
# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
#
# The real dependency graph keeps to the table of floors, and a graph or a rule that does
# not is found out. Arguments: walls_check.awk, the table, the graph, the verdicts.
set -eu
check=$1 table=$2 graph=$3 verdicts=$4
failed=0

fail() {
  echo "FAILED: $*"
  failed=1
}

compare() {
  awk -f "$check" "$table" "$1"
}

# The graph that there is.
found=$(compare "$graph")
echo "$found"
case $found in *refused:*) fail "the graph has edges that build_defs/floors.bzl refuses" ;; esac
case $found in 0\ *) fail "no edges between floors: is this the graph?" ;; esac

# The graph with an edge that must not be.
doctored=${TEST_TMPDIR:-/tmp}/doctored
while read -r user used; do
  { cat "$graph"; echo "  \"$user\" -> \"$used\""; } >"$doctored"
  compare "$doctored" | grep -qF "refused: $user -> $used" || fail "missed $user -> $used"
done <<END
//gc:gc //sweep:sweep
//mheap:mheap //mcentral:mcentral
//mcentral:mcentral //pagealloc:pagealloc
//pagealloc:pagealloc //tests:helper
//base:base //base/sys:sys
//base:base @com_google_absl//absl/strings:strings
//sweep:sweep @com_google_googletest//:gtest
END

# What the macros say when a BUILD file asks for a dependency.
expect() {
  grep -F "$1: " "$verdicts" | grep -qF "$2" || fail "of '$1' expected '$2', not:
$(grep -F "$1" "$verdicts")"
}
expect "gc //mheap" allowed
expect "gc //sweep" "floor 'gc' may not depend on '//sweep': "
expect "mcentral //pagealloc" "floor 'mcentral' may not depend on '//pagealloc': "
expect "mcentral //pagealloc test" allowed
expect "pagealloc //mheap test" "may not depend on"
expect "base //base/sys" "may not depend on"
expect "base/sys //base" allowed
expect "mheap //base/sys:sys" allowed
expect "base @com_google_absl//absl/base:core_headers" allowed
expect "base @com_google_absl//absl/strings" "of Abseil it uses only"
expect "mheap @com_google_googletest//:gtest" "only Abseil"
expect "mheap @com_google_googletest//:gtest test" allowed
expect "mheap //tests:helper" "may not depend on"
expect "runtime //gc" allowed
expect "fuzz //gc" allowed

exit "$failed"
