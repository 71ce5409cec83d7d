#!/usr/bin/env bash
# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds every fuzz target into $OUT, with its seeds, dictionary and options, as OSS-Fuzz
# and ClusterFuzzLite want it: run in the repository's root, with CC, CXX, CFLAGS,
# CXXFLAGS, LIB_FUZZING_ENGINE, SANITIZER and OUT set. Without docker: oss-fuzz/run_locally.
set -euo pipefail

: "${CC:?} ${CXX:?} ${LIB_FUZZING_ENGINE:?} ${SANITIZER:?} ${OUT:?}"
readonly bazel=./bazelw

# Word by word: no flag of OSS-Fuzz has a space in it.
flags=(--define=tricolor_fuzzing=engine --strip=never)
# Where the engine or a sanitizer comes with a compiler of its own, a new warning is no
# reason not to fuzz; and it has headers that no module map lists.
flags+=('--per_file_copt=^//.*\.cc$@-Wno-error' --features=-layering_check)
for flag in ${CFLAGS:-}; do flags+=("--conlyopt=$flag"); done
for flag in ${CXXFLAGS:-}; do flags+=("--cxxopt=$flag" "--linkopt=$flag"); done
for flag in $LIB_FUZZING_ENGINE; do flags+=("--linkopt=$flag"); done
# Bazel links C++ with the driver for C, which takes neither for granted.
if [[ $SANITIZER == undefined ]]; then
  flags+=(--linkopt=-fsanitize-link-c++-runtime)
fi
if [[ " ${CXXFLAGS:-} " == *" -stdlib=libc++ "* ]]; then
  flags+=(--features=-cxx_runtime --linkopt=-lc++ --linkopt=-lm)
fi
# Abseil's and our own tools for the build itself are not fuzzed.
flags+=(--compilation_mode="${TRICOLOR_FUZZ_COMPILATION_MODE:-fastbuild}")

mapfile -t targets < <("$bazel" query --noshow_progress 'attr(tags, "\bfuzzer\b", //...)')
[[ ${#targets[@]} -gt 0 ]] || { echo "no fuzz targets" >&2; exit 1; }
packages=("${targets[@]/%_bin/_package}")
"$bazel" build --noshow_progress "${flags[@]}" "${targets[@]}" "${packages[@]}"
bin=$("$bazel" info --noshow_progress "${flags[@]}" bazel-bin)
root=$("$bazel" info --noshow_progress "${flags[@]}" execution_root)

for target in "${targets[@]}"; do
  path=${target#//}
  path=$bin/${path/://}
  name=${target##*:}
  name=${name%_bin}
  install -m 755 "$path" "$OUT/$name"
  seeds=()
  while read -r kind file; do
    # Sources lie in the repository, what has been made in Bazel's folder.
    [[ -e $file ]] || file=$root/$file
    case $kind in
      options) install -m 644 "$file" "$OUT/$name.options" ;;
      dictionary) install -m 644 "$file" "$OUT/$name.dict" ;;
      seed) seeds+=("$file") ;;
    esac
  done <"${path%_bin}_package.manifest"
  [[ ${#seeds[@]} -gt 0 ]] || { echo "$name has no seeds" >&2; exit 1; }
  rm -f "$OUT/${name}_seed_corpus.zip"
  zip -q -j "$OUT/${name}_seed_corpus.zip" "${seeds[@]}"
done
