#!/usr/bin/env bash
# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
#
# Checks Promela models with spin, and that spin catches each of their mutants.
#
#   check_models.sh [--large] [--only=NAME] MODEL.pml...   a table of what was found
#   check_models.sh --trace=MUTANT MODEL.pml               the steps of its counterexample
#
# A model says in its first comment what is to be run:
#   @config NAME DEFINITION...          must hold, in its whole state space
#   @large NAME DEFINITION...           the same, with --large only
#   @mutant NAME CONFIG EXPECTED  TEXT  with MUTANT_NAME defined: must fail. EXPECTED is a
#                                       name in the assertion, or "end": a hang
# --only takes a configuration or a mutant. Fails when a model has an error or was not
# explored to the end, or when a mutant was not caught, or in another way than expected.
set -uo pipefail

readonly depth=4000000  # of the longest path; spin says so when it is too little
readonly memory=3900    # MB
compiler=${CC:-cc}

die() { echo "models: $*" >&2; exit 1; }

# Most of the time goes to the compiler, except with large bounds.
optimization=-O0
large=0
only=
trace=
while [[ ${1:-} == --* ]]; do
  case $1 in
    --large) large=1 optimization=-O2 ;;
    --only=*) only=${1#*=} ;;
    --trace=*) trace=${1#*=} only=${1#*=} ;;
    *) die "unknown option $1" ;;
  esac
  shift
done
[[ $# -gt 0 ]] || die "no model given"
command -v spin >/dev/null ||
  die "spin is not installed (Debian: apt-get install spin; else https://spinroot.com)"
command -v "$compiler" >/dev/null || die "there is no C compiler $compiler"

scratch=$(mktemp -d "${TEST_TMPDIR:-${TMPDIR:-/tmp}}/models.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
failures=0

row() { printf '%-11s %-22s %-40s %10s %8s %8s\n' "$@"; }

directives() { sed -n "s/^ \*@$1 //p" "$2"; }

# Runs the verifier of a model: its name, how it is to search, definitions.
# Leaves its report in $scratch/report and the time in $seconds.
verify() {
  local model=$1 search=$2 definition definitions=()
  shift 2
  for definition in "$@"; do definitions+=("-D$definition"); done
  rm -rf "$scratch/run"
  mkdir "$scratch/run"
  cp "$model" "$scratch/run"
  (
    cd "$scratch/run" &&
      spin "${definitions[@]}" -a "${model##*/}" &&
      "$compiler" -w $optimization -DSAFETY -DMEMLIM=$memory "$search" -o pan pan.c
  ) >"$scratch/report" 2>&1 || { cat "$scratch/report" >&2; die "$model does not compile"; }
  local begin=$EPOCHREALTIME
  (cd "$scratch/run" && ./pan -m$depth) >"$scratch/report" 2>&1
  seconds=$(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $begin }")
}

states() { awk '/states, stored/ { print $1; exit }' "$scratch/report"; }

failed() {
  failures=$((failures + 1))
  grep -E '^pan:|[Ww]arning|^error' "$scratch/report" | head -n 5
}

check_config() {
  local model=$1 name=$2 result
  shift 2
  verify "$model" -DCOLLAPSE "$@"
  if ! grep -q 'errors: 0$' "$scratch/report"; then
    result="FAILED"
  elif grep -qE 'Search not completed|max search depth too small|truncated' "$scratch/report"; then
    result="NOT EXPLORED TO THE END"
  else
    result="holds"
  fi
  row "$(basename "$model" .pml)" "$name" "$result" "$(states)" \
    "$(sed -n 's/.*depth reached \([0-9]*\).*/\1/p' "$scratch/report" | head -n 1)" "$seconds"
  [[ $result == holds ]] || failed
}

# Breadth first, for the shortest counterexample.
check_mutant() {
  local model=$1 name=$2 expected=$3 found length result
  shift 3
  verify "$model" -DBFS "MUTANT_$name" "$@"
  found=$(grep -m 1 -E '^pan:1: (assertion|invalid end)' "$scratch/report")
  length=$(sed -n 's/.*(at depth \([0-9]*\)).*/\1/p' <<<"$found")
  case $found in
    *"invalid end state"*) found=end ;;
    *"assertion violated"*) found=$(grep -oE '[A-Z][A-Z_]+\)* \(at' <<<"$found" | grep -oE '[A-Z_]+') ;;
  esac
  if [[ -z $found ]]; then
    result="NOT CAUGHT"
  elif [[ $found != "$expected" ]]; then
    result="CAUGHT BY ${found:-?}, NOT $expected"
  else
    result="caught: $found"
  fi
  row "$(basename "$model" .pml)" "$name" "$result" "$(states)" "$length" "$seconds"
  [[ $result == caught:* ]] || failed
  if [[ $trace == "$name" ]]; then
    local definition definitions=()
    for definition in "MUTANT_$name" "$@"; do definitions+=("-D$definition"); done
    (cd "$scratch/run" && spin "${definitions[@]}" -t -p -g -l "${model##*/}")
  fi
}

check_model() {
  local model=$1 line name config expected kinds=(config)
  [[ $large -eq 0 ]] || kinds+=(large)
  local -A definitions=()
  local kind
  for kind in config large; do
    while read -r name line; do definitions[$name]=$line; done < <(directives $kind "$model")
  done
  for kind in "${kinds[@]}"; do
    while read -r name line; do
      [[ -z $only || $only == "$name" ]] || continue
      # shellcheck disable=SC2086  # several definitions
      check_config "$model" "$name" $line
    done < <(directives $kind "$model")
  done
  while read -r name config expected line; do
    [[ -z $only || $only == "$name" ]] || continue
    [[ -n ${definitions[$config]+set} ]] || die "$model: $name is of no configuration: $config"
    # shellcheck disable=SC2086
    check_mutant "$model" "$name" "$expected" ${definitions[$config]}
  done < <(directives mutant "$model")
}

row model "configuration, mutant" result states depth seconds
for model in "$@"; do
  [[ -e $model ]] || die "no file $model"
  [[ -n $(directives config "$model") ]] || die "$model says nothing to be run"
  check_model "$model"
done
[[ $failures -eq 0 ]] || die "$failures failed"
