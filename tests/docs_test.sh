#!/usr/bin/env bash
# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
#
# What the documents promise: each relative link leads to a file, and each invariant
# that code or documents cite is stated on a floor's page, in a line that begins with its
# name. Argument: a file in the repository's root.
set -uo pipefail
cd "$(dirname "$(readlink -f "$1")")" || exit 1
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

mapfile -t documents < <(find . -name '*.md' -not -path './bazel-*')
mapfile -t sources < <(
  find . \( -name '*.md' -o -name '*.h' -o -name '*.cc' \) -not -path './bazel-*')

links=0
for document in "${documents[@]}"; do
  while read -r link; do
    links=$((links + 1))
    [[ -e ${document%/*}/${link%%#*} ]] || fail "$document links to $link"
  done < <(grep -o '](\([^)]*\))' "$document" | sed 's/^](//; s/)$//' |
    grep -v -e '^https\?:' -e '^#')
done

# An invariant is stated in a line of a document that begins with its name, as a list
# item, a table row or a paragraph.
stated=$(grep -hoE '^[-|* ]*\**`?INV-[A-Z]+-[A-Z0-9-]+' "${documents[@]}" |
  grep -oE 'INV-[A-Z0-9-]+' | sort -u)
while read -r cited; do
  grep -qx -- "$cited" <<<"$stated" ||
    fail "$cited is cited in $(grep -lF -- "$cited" "${sources[@]}" | head -n 3 | xargs) but not stated"
done < <(grep -hoE 'INV-[A-Z]+-[A-Z0-9-]*[A-Z0-9]' "${sources[@]}" | sort -u)

echo "$links links, $(wc -l <<<"$stated") invariants"
[[ $links -gt 0 && -n $stated && $failures -eq 0 ]]
