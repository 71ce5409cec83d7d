#!/usr/bin/env python3
# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
"""Which lines and branches of the floors the tests run, or the corpora alone.

    ./bazelw run //tools:coverage -- tests
    ./bazelw run //tools:coverage -- corpora
    ./bazelw run //tools:coverage -- corpora --gaps pagealloc

Builds with clang's source-based coverage, runs all tests, or only the replays of
the corpora, merges what they wrote, and prints the share of each floor. With
--gaps, also of each file of a floor, and the lines that nothing has run. Writes
the figures into the table of docs/coverage.md.

Needs llvm-profdata and llvm-cov of the compiler's version.
"""

import argparse
import collections
import glob
import os
import re
import subprocess
import sys
import tempfile

PAGE = "docs/coverage.md"
FLOORS = ("base", "pagealloc", "mheap", "mcentral", "mcache", "sweep", "gc", "runtime")
PACKAGES = " + ".join("//%s/..." % p for p in (*FLOORS, "tests", "fuzz", "examples"))
# The floors' side of the scheduler that tests bring along: nothing without it.
SEAM = "base/schedule"
TOOL_FOLDERS = ("/usr/lib/llvm-19/bin", "")
CONFIG = "--config=coverage_map"
TEST_SECONDS = 900


def run(*command, **options):
    """What the command prints; ends this program when it fails."""
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, **options)
    if result.returncode != 0:
        sys.exit("%s: exit code %d" % (" ".join(command[:3]), result.returncode))
    return result.stdout


def query(expression):
    return run("./bazelw", "query", "--noshow_progress", expression).split()


def tool(name):
    for folder in TOOL_FOLDERS:
        path = os.path.join(folder, name)
        if not folder or os.path.exists(path):
            return path
    return name


class File:
    """What has been counted of a source file."""

    def __init__(self):
        self.lines = collections.Counter()  # by number: how often it was run
        self.branches = collections.Counter()  # by what it is: how often it was taken

    def gaps(self):
        """The lines that were not run, as ranges; lines without code do not end one."""
        ranges = []
        open_range = None
        for number in sorted(self.lines):
            if self.lines[number] != 0:
                open_range = None
            elif open_range is None:
                open_range = [number, number]
                ranges.append(open_range)
            else:
                open_range[1] = number
        return ["%d" % a if a == b else "%d-%d" % (a, b) for a, b in ranges]


class Share:
    """How many there are, and how many of them have been run."""

    def __init__(self):
        self.run = 0
        self.all = 0

    def add(self, counts):
        self.run += sum(1 for count in counts.values() if count != 0)
        self.all += len(counts)

    def __str__(self):
        return "%.1f %%" % (100 * self.run / self.all) if self.all else "-"


def floor_sources():
    """The paths of all that the floors are made of, without what is for tests only: libraries
    that say so, and the seam to the scheduler that chooses the order of threads' steps."""
    libraries = "attr(testonly, 0, kind(cc_library, %s))" % " + ".join(
        "//%s/..." % floor for floor in FLOORS)
    labels = query("kind('source file', labels(srcs, %s) + labels(hdrs, %s))"
                   % (libraries, libraries))
    paths = {label[2:].replace(":", "/") for label in labels}
    return {path for path in paths if not path.startswith(SEAM)}


def program_of(label, folder):
    return os.path.join(folder, label[2:].replace(":", "/"))


def run_checks(labels, folder, scratch):
    """Runs each program, and merges what they wrote."""
    for number, label in enumerate(labels, 1):
        package, name = label[2:].split(":")
        program = program_of(label, folder)
        seeds = os.path.join(package, name + "_seeds")
        arguments = ["-runs=0"] if name.endswith("_fuzz") else []
        if os.path.exists(os.path.join(folder, seeds)):
            arguments.append("-seed_inputs=@" + seeds)
        # %p: a test may start processes, or become several.
        env = dict(os.environ, TEST_TMPDIR=scratch,
                   LLVM_PROFILE_FILE="%s/%d-%%p.profraw" % (scratch, number))
        with open(os.path.join(scratch, "log"), "w", encoding="utf-8") as log:
            code = subprocess.run([program, *arguments], cwd=program + ".runfiles/tricolor", env=env,
                                  stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  timeout=TEST_SECONDS, check=False).returncode
        print("%3d of %d  %s%s" % (number, len(labels), label, "" if code == 0 else "  FAILED"),
              flush=True)
        if code != 0:
            with open(os.path.join(scratch, "log"), encoding="utf-8", errors="replace") as log:
                sys.exit(log.read())
        merge(scratch)


def merge(scratch):
    """Into one file, as soon as there are some, for they are large."""
    raw = glob.glob(os.path.join(scratch, "*.profraw"))
    merged = os.path.join(scratch, "merged")
    # Processes that ended by a fatal report may have left part of a file.
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", "-failure-mode=all", "-o",
                    merged + ".new", *raw, *glob.glob(merged)],
                   stderr=subprocess.DEVNULL, check=True)
    os.rename(merged + ".new", merged)
    for path in raw:
        os.remove(path)


def read_counts(programs, profile, sources):
    """The files by their paths in the repository."""
    files = collections.defaultdict(File)
    objects = [argument for program in programs[1:] for argument in ("-object", program)]
    command = [tool("llvm-cov"), "export", "-format=lcov", "-instr-profile=" + profile,
               programs[0], *objects]
    current = None
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as export:
        for line in export.stdout:
            key, _, value = line.rstrip("\n").partition(":")
            if key == "SF":
                path = re.sub(r"^.*/_virtual_includes/[^/]+/tricolor/|^/proc/self/cwd/", "", value)
                current = files[path] if path in sources else None
            elif current is None:
                continue
            elif key == "DA":
                number, count = value.split(",")[:2]
                current.lines[int(number)] += int(count)
            elif key == "BRDA":
                where, _, count = value.rpartition(",")
                current.branches[where] += 0 if count == "-" else int(count)
    if export.returncode != 0:
        sys.exit("llvm-cov: exit code %d" % export.returncode)
    return files


def shares(files):
    lines, branches = Share(), Share()
    for file in files:
        lines.add(file.lines)
        branches.add(file.branches)
    return lines, branches


def report(files, sources, with_gaps):
    """Prints the table; returns the lines' and branches' shares of each floor and of all."""
    figures = {}
    print("\n%-12s %10s %10s" % ("", "lines", "branches"))
    for floor in FLOORS:
        inside = {p: f for p, f in files.items() if p.startswith(floor + "/")}
        figures[floor] = shares(inside.values())
        print("%-12s %10s %10s" % (floor, *figures[floor]))
        if floor not in with_gaps and "all" not in with_gaps:
            continue
        for path in sorted(p for p in sources if p.startswith(floor + "/")):
            if path not in inside:
                print("  %-40s no code, or nothing has it" % path)
                continue
            lines, branches = shares([inside[path]])
            print("  %-40s %8s %8s  %s" % (path, lines, branches,
                                           ", ".join(inside[path].gaps())))
    figures["all"] = shares(files.values())
    print("%-12s %10s %10s" % ("all", *figures["all"]))
    return figures


def write_page(what, figures):
    """Replaces this run's two columns of the page's table."""
    column = 2 if what == "tests" else 4
    with open(PAGE, encoding="utf-8") as page:
        lines = page.read().splitlines()
    for i, line in enumerate(lines):
        cells = line.split("|")
        name = cells[1].strip().strip("`*") if len(cells) == 7 else ""
        if name in figures:
            cells[column], cells[column + 1] = (" %s " % share for share in figures[name])
            lines[i] = "|".join(cells)
    with open(PAGE, "w", encoding="utf-8") as page:
        page.write("\n".join(lines) + "\n")


def main():
    os.chdir(os.environ["BUILD_WORKSPACE_DIRECTORY"])
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=("tests", "corpora"))
    parser.add_argument("--gaps", action="append", default=[], metavar="FLOOR",
                        help="print its files and the lines that were not run; or: all")
    args = parser.parse_args()

    # All are built, for what the corpora's programs leave out counts as not run. What is for
    # chosen schedules only does not build without them.
    tests = "kind(cc_test, %s)" % PACKAGES
    labels = query("%s except attr(tags, '[\\[ ]manual[,\\]]', %s)" % (tests, tests))
    sources = floor_sources()
    run("./bazelw", "build", "--noshow_progress", CONFIG, *labels)
    folder = run("./bazelw", "info", "--noshow_progress", CONFIG, "bazel-bin").strip()
    with tempfile.TemporaryDirectory() as scratch:
        run_checks([label for label in labels if args.what == "tests" or label.endswith("_fuzz")],
                   folder, scratch)
        files = read_counts([program_of(label, folder) for label in labels],
                            os.path.join(scratch, "merged"), sources)
    write_page(args.what, report(files, sources, args.gaps))
    return 0


if __name__ == "__main__":
    sys.exit(main())
