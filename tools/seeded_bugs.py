#!/usr/bin/env python3
# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
"""Lets the checks look for each seeded bug, and writes down which one found it.

    ./bazelw run //tools:seeded_bugs
    ./bazelw run //tools:seeded_bugs -- --only span-state-before-fields --minutes 2
    ./bazelw run //tools:seeded_bugs -- --list

Everything is built twice, with all bugs in it and none chosen: as it is for the
tests, and with AddressSanitizer, UndefinedBehaviorSanitizer and libFuzzer. Then
each bug is chosen in turn, and checks run on one processor until one fails: the
tests of the bug's floor, those of the floors above, the same with sanitizers,
and then the fuzzers, in what is left of --minutes. A check that fails with a bug
must pass without one, or else it does not count.

Writes the table of docs/seeded-bugs.md: the rows of the bugs that it looked for.
"""

import argparse
import itertools
import os
import re
import resource
import subprocess
import sys
import tempfile
import time

import insert_seeded_bugs

PAGE = "docs/seeded-bugs.md"
HEAD = ("| bug | floor | frees a live object | caught by | after |\n"
        "|---|---|---|---|---|\n")
SURVIVED = "**nothing**"
HANGS = "hangs"

# In the order in which they stand on each other.
FLOORS = ("base", "pagealloc", "mheap", "mcentral", "mcache", "sweep", "gc", "runtime")
# What a floor's bugs cannot reach.
UNRELATED = {"mcentral": ("gc",), "mcache": ("gc",), "sweep": ("mcache", "gc")}
FUZZER_SLICE = 60  # seconds of one fuzzer before the next has its turn

TEST_ENV = {
    "GTEST_FAIL_FAST": "1",
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:abort_on_error=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


def bazel(*args):
    """What Bazel prints; ends this program when it fails."""
    result = subprocess.run(["./bazelw", *args], stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        sys.exit("./bazelw %s: exit code %d" % (" ".join(args[:3]), result.returncode))
    return result.stdout


class Check:
    """A test's program, or a fuzzer's."""

    def __init__(self, label, folder, build):
        self.package, name = label[2:].split(":")
        self.label = label
        self.build = build  # "": as it is; "fuzz": with sanitizers
        self.floor = self.package.split("/")[0]
        self.is_fuzzer = name.endswith("_fuzz_bin")
        self.program = os.path.join(folder, self.package, name)
        seeds = os.path.join(self.package, name.removesuffix("_bin") + "_seeds")
        self.seeds = [] if not os.path.exists(os.path.join(folder, seeds)) else [
            "-seed_inputs=@" + seeds]
        self.passes = None  # without a bug; not known yet
        self.seconds = 0.0  # that it takes then

    def name(self):
        return self.label.removesuffix("_bin") + (" (sanitizers)" if self.build else "")

    def patience(self, seconds):
        """Seconds after which it hangs."""
        if self.is_fuzzer:
            return seconds + 120
        return 240 if self.passes is None else 60 + 30 * self.seconds

    def command(self, seconds, scratch):
        if self.is_fuzzer:
            return [self.program, *self.seeds, "-max_total_time=%d" % max(1, seconds), "-seed=1",
                    "-timeout=20", "-rss_limit_mb=4096", "-verbosity=0",
                    "-artifact_prefix=%s/" % scratch]
        return [self.program, *self.seeds] + (["-runs=0"] if self.label.endswith("_fuzz") else [])

    def run(self, bug, seconds=0.0):
        """Returns (failed, seconds, what it said). A fuzzer runs for so long; a test, to its end."""
        with tempfile.TemporaryDirectory() as scratch, \
                open(scratch + "/log", "w+", encoding="utf-8", errors="replace") as log:
            # The variable holds for the processes that a test starts, too.
            env = dict(os.environ, **TEST_ENV, TEST_TMPDIR=scratch, TRICOLOR_SEEDED_BUG=bug or "")
            start = time.monotonic()
            try:
                code = subprocess.run(
                    self.command(seconds, scratch), cwd=self.program + ".runfiles/tricolor",
                    env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    timeout=self.patience(seconds), preexec_fn=one_processor,
                    check=False).returncode
            except subprocess.TimeoutExpired:
                code = None
            elapsed = time.monotonic() - start
            log.seek(0)
            return code != 0, elapsed, HANGS if code is None else reason(log.read())


def one_processor():
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def reason(log):
    """The test that failed, from what GoogleTest or libFuzzer has written."""
    tests = re.findall(r"^\[  FAILED  \] ([\w/.]+)", log, re.M)
    if not tests:
        tests = re.findall(r"^\[ RUN      \] ([\w/.]+)", log, re.M)[-1:]
    return tests[0] if tests else ""


def build(quick):
    """Builds all checks, and returns them; if it is to be quick, none with sanitizers."""
    packages = " + ".join("//%s/..." % p for p in (*FLOORS, "tests", "fuzz"))
    tests = bazel("query", "--noshow_progress", "kind(cc_test, %s)" % packages).split()
    fuzzers = bazel("query", "--noshow_progress",
                    "attr(tags, fuzzer, %s)" % packages).split()
    checks = []
    for config, labels in (("", tests), ("fuzz", tests + fuzzers))[:1 if quick else 2]:
        flags = ["--config=seeded_bugs"] + (["--config=seeded_bugs_" + config] if config else [])
        print("building %d programs %s" % (len(labels), " ".join(flags)), flush=True)
        bazel("build", "--noshow_progress", *flags, *labels)
        folder = bazel("info", "--noshow_progress", *flags, "bazel-bin").strip()
        checks += [Check(label, folder, config) for label in labels]
    return checks


def sorted_for(bug, checks):
    """The checks that may find the bug, those that are likely to do so soon first."""
    def rank(check):
        distance = FLOORS.index(check.floor) if check.floor in FLOORS else len(FLOORS)
        return (check.is_fuzzer, check.build, distance, check.seconds, check.label)

    lowest = FLOORS.index(bug.floor)
    return sorted((c for c in checks
                   if (c.floor not in FLOORS or FLOORS.index(c.floor) >= lowest)
                   and c.floor not in UNRELATED.get(bug.floor, ())), key=rank)


def learn(check):
    """Runs a check without a bug, once."""
    if check.passes is None:
        failed, seconds, said = check.run(None, seconds=5)
        check.passes = not failed
        check.seconds = seconds
        if failed:
            print("%s fails without a bug: %s" % (check.name(), said), flush=True)


def is_caught_by(check, bug, said):
    """Whether a failure is the bug's. It must hang twice, and not in between: others may have kept
    the machine busy."""
    if said == HANGS and (check.run(None)[0] or not check.run(bug.name)[0]):
        return False
    learn(check)
    return check.passes


def look_for(bug, checks, limit):
    """Returns (the check that catches it or None, what it said, seconds so far)."""
    order = [c for c in sorted_for(bug, checks) if c.passes is not False]
    tests = [c for c in order if not c.is_fuzzer]
    fuzzers = [c for c in order if c.is_fuzzer]
    used = 0.0
    for check in itertools.chain(tests, itertools.cycle(fuzzers)):
        if used >= limit:
            break
        failed, seconds, said = check.run(bug.name, min(FUZZER_SLICE, limit - used))
        used += seconds
        if failed and is_caught_by(check, bug, said):
            return check, said, used
    return None, "", used


def read_rows():
    """The rows of the page's table, by the bug's name."""
    rows = {}
    with open(PAGE, encoding="utf-8") as page:
        for line in page:
            match = re.match(r"\| `([a-z0-9-]+)` \|", line)
            if match:
                rows[match[1]] = line
    return rows


def write_rows(bugs, rows):
    """Puts the rows into the page, in the order of the lists."""
    with open(PAGE, encoding="utf-8") as page:
        text = page.read()
    begin = text.index(HEAD) + len(HEAD)
    end = begin + re.match(r"(\|.*\n)*", text[begin:]).end()
    table = "".join(rows[bug.name] for bug in bugs if bug.name in rows)
    with open(PAGE, "w", encoding="utf-8") as page:
        page.write(text[:begin] + table + text[end:])


def row(bug, check, said, seconds):
    caught = SURVIVED if check is None else check.name() + (": " + said if said else "")
    return "| `%s` | %s | %s | %s | %s |\n" % (
        bug.name, bug.floor, "yes" if bug.frees_live_object else "", caught,
        "%.0f s" % max(1, seconds))


def summary(bugs, rows):
    caught = [b for b in bugs if b.name in rows and SURVIVED not in rows[b.name]]
    frees = [b for b in bugs if b.frees_live_object]
    return "%d of %d bugs caught; of those that free a live object, %d of %d" % (
        len(caught), len(bugs), len([b for b in caught if b.frees_live_object]), len(frees))


def main():
    os.chdir(os.environ["BUILD_WORKSPACE_DIRECTORY"])
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", action="append", help="a bug's name, or a floor; repeatable")
    parser.add_argument("--minutes", type=float, default=10, help="for each bug")
    parser.add_argument("--missing", action="store_true", help="only bugs that have no row yet")
    parser.add_argument("--quick", action="store_true",
                        help="without sanitizers and fuzzers; survivors get no row")
    parser.add_argument("--list", action="store_true", help="print the bugs, and do nothing")
    args = parser.parse_args()

    bugs = [bug for floor in FLOORS if os.path.exists(floor + "/seeded_bugs.txt")
            for bug in insert_seeded_bugs.parse(floor + "/seeded_bugs.txt", floor)]
    rows = read_rows()
    chosen = [b for b in bugs
              if (not args.only or b.name in args.only or b.floor in args.only)
              and not (args.missing and b.name in rows)]
    if args.list:
        for bug in chosen:
            print("%-10s %s: %s" % (bug.floor, bug.name, bug.description))
        return 0

    checks = build(args.quick)
    if chosen == bugs:
        print("running %d checks without a bug" % len(checks), flush=True)
        for check in checks:
            learn(check)
    for bug in chosen:
        check, said, seconds = look_for(bug, checks, args.minutes * 60)
        line = row(bug, check, said, seconds)
        print(line, end="", flush=True)
        if check is not None or not args.quick:
            rows[bug.name] = line
            write_rows(bugs, rows)
    print(summary(bugs, rows))
    return 0 if all(SURVIVED not in rows.get(bug.name, SURVIVED) for bug in chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
