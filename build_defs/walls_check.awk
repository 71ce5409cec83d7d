# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
#
# Compares a dependency graph, as `bazel query --output=graph` prints it, with the table
# of floors: awk -f walls_check.awk TABLE GRAPH. Prints the edges that the table refuses
# and then, for the reader to judge, how many edges between floors there were.

function floor_of(label, package, floor, nearest) {
  if (label !~ /^\/\//) return ""
  package = label
  sub(/^\/\//, "", package)
  sub(/:.*/, "", package)
  nearest = ""
  for (floor in floors)
    if ((package == floor || index(package, floor "/") == 1) && length(floor) > length(nearest))
      nearest = floor
  return nearest
}

FILENAME == ARGV[1] {
  floors[$1]
  for (i = 2; i <= NF; ++i) may_use[$1, $i]
  next
}

/^ *"[^"]*" -> "[^"]*"/ {
  split($0, part, "\"")
  user = part[2]
  used = part[4]
  from = floor_of(user)
  to = floor_of(used)
  if (from == "") next
  if (used ~ /^@/) {
    # With MODULE.bazel Abseil's repository has a longer name.
    if (used !~ /^@@?(com_google_absl|abseil-cpp)[^\/]*\/\//) refuse = 1
    else refuse = from == "base" && used !~ /\/\/absl\/(base|numeric)[:\/]/
  } else if (to == "") {
    refuse = used !~ /^\/\/build_defs:/
  } else {
    refuse = from != to && !((from, to) in may_use)
    edges += from != to
  }
  if (refuse) print "refused: " user " -> " used
}

END { print edges + 0 " edges between floors" }
