#!/usr/bin/env python3
# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
"""Lets the checks look for each seeded bug, and writes down which one found it.

    ./bazelw run //tools:seeded_bugs
    ./bazelw run //tools:seeded_bugs -- --only span-state-before-fields --minutes 2
    ./bazelw run //tools:seeded_bugs -- --only mheap --stage fuzzers --check //mheap:mheap_fuzz
    ./bazelw run //tools:seeded_bugs -- --list

Everything is built with all bugs in it and none chosen, when it is first needed:
as it is for the tests, and with AddressSanitizer, UndefinedBehaviorSanitizer and
libFuzzer. Each bug is chosen in turn, and checks run on one processor until one
fails: the tests of the bug's floor, those of the floors above, the same with
sanitizers, and then the fuzzers, in what is left of --minutes. A check that fails
with a bug must pass without one, or else it does not count.

Writes the table of docs/seeded-bugs.md: the rows of the bugs that it looked for.
"""

import argparse
import itertools
import os
import re
import resource
import signal
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
STAGES = ("tests", "sanitizers", "fuzzers")

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
        self.is_scheduled = name.endswith(("_schedule_test", "_interleaving_test"))  # takes long
        self.stage = "fuzzers" if self.is_fuzzer else "sanitizers" if build else "tests"
        self.program = os.path.join(folder, self.package, name)
        seeds = os.path.join(self.package, name.removesuffix("_bin") + "_seeds")
        self.seeds = [] if not os.path.exists(os.path.join(folder, seeds)) else [
            "-seed_inputs=@" + seeds]
        self.passes = None  # without a bug; not known yet
        self.seconds = 0.0  # that it takes then

    def name(self):
        return self.label.removesuffix("_bin") + {
            "tests": "", "sanitizers": " (sanitizers)", "fuzzers": " (fuzzing)"}[self.stage]

    def patience(self, bug, seconds):
        """Seconds after which it hangs; as long as its own time is not known, seems to."""
        if self.is_fuzzer:
            return seconds + 120
        if self.passes is None:
            return 240 if bug is None else 60
        return 60 + 30 * self.seconds

    def command(self, seconds, scratch):
        if self.is_fuzzer:
            # Lengths as in build_defs/tricolor.bzl.
            return [self.program, *self.seeds, "-max_total_time=%d" % max(1, seconds), "-seed=1",
                    "-len_control=0", "-max_len=4096", "-timeout=20", "-rss_limit_mb=4096",
                    "-verbosity=0",
                    "-artifact_prefix=%s/" % scratch]
        return [self.program, *self.seeds] + (["-runs=0"] if self.label.endswith("_fuzz") else [])

    def run(self, bug, seconds=0.0):
        """Returns (failed, seconds, what it said). A fuzzer runs for so long; a test, to its end."""
        with tempfile.TemporaryDirectory() as scratch, \
                open(scratch + "/log", "w+", encoding="utf-8", errors="replace") as log:
            # The variable holds for the processes that a test starts, too.
            env = dict(os.environ, **TEST_ENV, TEST_TMPDIR=scratch, TRICOLOR_SEEDED_BUG=bug or "")
            start = time.monotonic()
            with subprocess.Popen(
                    self.command(seconds, scratch), cwd=self.program + ".runfiles/tricolor",
                    env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True, preexec_fn=one_processor) as process:
                try:
                    code = process.wait(self.patience(bug, seconds))
                except subprocess.TimeoutExpired:
                    code = None
                    os.killpg(process.pid, signal.SIGKILL)  # its children, too
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


class Checks:
    """The checks of a stage and a floor, which are built when they are first asked for."""

    # The stage's configuration, and what a query finds in a package pattern.
    HOW = {
        "tests": ("", "kind('(cc|scheduled)_test rule', %s) - attr(tags, manual, %s)"),
        # Chosen schedules say nothing more under sanitizers.
        "sanitizers": ("fuzz", "kind('cc_test rule', %s) - attr(tags, manual, %s)"),
        "fuzzers": ("fuzz", "attr(tags, fuzzer, %s)"),
    }

    def __init__(self, stages, wanted):
        self.stages = stages
        self.wanted = wanted  # None: all
        self.built = {}

    def of(self, stage, floor):
        if stage not in self.stages:
            return []
        if (stage, floor) not in self.built:
            self.built[stage, floor] = self.build(stage, floor)
        return self.built[stage, floor]

    def build(self, stage, floor):
        config, pattern = self.HOW[stage]
        labels = [label for label in bazel(
            "query", "--noshow_progress", pattern.replace("%s", "//%s/..." % floor)).split()
            if not self.wanted or label.removesuffix("_bin") in self.wanted]
        if not labels:
            return []
        flags = ["--config=seeded_bugs"] + (["--config=seeded_bugs_" + config] if config else [])
        print("building %d programs of %s %s" % (len(labels), floor, " ".join(flags)), flush=True)
        bazel("build", "--noshow_progress", *flags, *labels)
        folder = bazel("info", "--noshow_progress", *flags, "bazel-bin").strip()
        return [Check(label, folder, config) for label in labels]

    def for_bug(self, bug, stage):
        """Those that may find the bug, that are likely to do so soon first. Others than these are
        not built before they are asked for."""
        for floor in (*FLOORS[FLOORS.index(bug.floor):], "tests", "fuzz"):
            if floor not in UNRELATED.get(bug.floor, ()):
                yield from sorted((c for c in self.of(stage, floor) if c.passes is not False),
                                  key=lambda c: (c.is_scheduled, c.seconds, c.label))

    def all(self):
        for stage in self.stages:
            for floor in (*FLOORS, "tests", "fuzz"):
                yield from self.of(stage, floor)


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
    learn(check)
    if said == HANGS and (check.run(None)[0] or not check.run(bug.name)[0]):
        return False
    return check.passes


def look_for(bug, checks, limit):
    """Returns (the check that catches it or None, what it said, seconds so far)."""
    used = 0.0
    for check in itertools.chain(checks.for_bug(bug, "tests"), checks.for_bug(bug, "sanitizers"),
                                 itertools.cycle(checks.for_bug(bug, "fuzzers"))):
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
    return "by the page, %d of %d; of those that free a live object, %d of %d" % (
        len(caught), len(bugs), len([b for b in caught if b.frees_live_object]), len(frees))


def main():
    os.chdir(os.environ["BUILD_WORKSPACE_DIRECTORY"])
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", action="append", help="a bug's name, or a floor; repeatable")
    parser.add_argument("--minutes", type=float, default=10, help="for each bug")
    parser.add_argument("--missing", action="store_true", help="only bugs that have no row yet")
    parser.add_argument("--stage", action="append", choices=STAGES,
                        help="only these checks, repeatable; survivors get no row, and without "
                        "tests no bug does")
    parser.add_argument("--check", action="append",
                        help="only this test or fuzzer, as //gc:scan_test; repeatable; no rows")
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

    stages = args.stage or STAGES
    checks = Checks(stages, args.check)
    if chosen == bugs:
        print("running all checks without a bug", flush=True)
        for check in checks.all():
            learn(check)
    survivors = 0
    for bug in chosen:
        check, said, seconds = look_for(bug, checks, args.minutes * 60)
        line = row(bug, check, said, seconds)
        print(line, end="", flush=True)
        survivors += check is None
        if not args.check and "tests" in stages and (
                check is not None or set(stages) == set(STAGES)):
            rows[bug.name] = line
            write_rows(bugs, rows)
    print("%d of %d caught now; %s" % (len(chosen) - survivors, len(chosen), summary(bugs, rows)))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
