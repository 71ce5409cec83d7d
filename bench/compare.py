#!/usr/bin/env python3
# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
"""Prints Tricolor's figures beside those of the peers that this machine has.

Every program runs the same workloads (workloads.h), in turn, several times; the
table shows each figure's median and, for a peer, its ratio to Tricolor's: above 1
means that Tricolor is ahead. Only ratios of one run are worth quoting.

    ./bazelw run -c opt //bench:compare
    ./bazelw run -c opt //bench:compare -- --full
    ./bazelw run -c opt //bench:compare -- --instructions

The last counts instructions for an object that dies at once, with everything that
belongs to it (refills, sweeping, collections, free), under valgrind: a run over
twice as many objects minus a run over so many.

Peers: Go (`go`), Boehm (`libgc-dev`), and malloc of the C library, mimalloc,
jemalloc and tcmalloc (`libmimalloc2.0`, `libjemalloc2`, `libtcmalloc-minimal4`),
which free by hand.
"""

import argparse
import glob
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

QUICK = {"alloc": "0.2", "threads": "0.5", "trees": "16", "gcbench": "16",
         "churn": "3000000",
         "graph": "1000000", "lists": "100", "delays": "64"}
FULL = {"alloc": "1", "threads": "2", "trees": "20", "gcbench": "18",
        "churn": "20000000",
        "graph": "10000000", "lists": "1000", "delays": "512"}
COLLECTIONS = ("graph", "lists", "delays")  # workloads that mean nothing to malloc

MALLOCS = {"mimalloc": "libmimalloc.so.2*", "jemalloc": "libjemalloc.so.2",
           "tcmalloc": "libtcmalloc_minimal.so.4"}
ALLOC_SIZES = (16, 24, 32, 64, 128, 256, 512)
COUNTED_BYTES = 16 << 20  # in the shorter run: several collections
LIBRARY_FOLDERS = ("/usr/lib/*-linux-gnu", "/usr/lib", "/usr/local/lib")


class Program:
    """A program that runs workloads, and what it needs around it."""

    def __init__(self, name, command, env=None, collects=True):
        self.name = name
        self.command = command
        self.env = dict(os.environ, **(env or {}))
        self.collects = collects

    def instructions(self, workload, size):
        """How many instructions the program executes."""
        # Valgrind counts each round of a `rep stosb`, which is an instruction
        # of memset's, as one: a byte.
        env = dict(self.env, GLIBC_TUNABLES=(
            "glibc.cpu.x86_rep_stosb_threshold=1073741824"))
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "callgrind.out")
            done = subprocess.run(
                ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                 *self.command, workload, str(size)], env=env,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                check=False)
            if done.returncode != 0:
                return None
            with open(out, encoding="ascii", errors="replace") as lines:
                return next((int(line.split()[1]) for line in lines
                             if line.startswith(("summary:", "totals:"))),
                            None)

    def run(self, workload, size):
        """The figures that the program prints, as {name: value}."""
        done = subprocess.run(self.command + [workload, size], env=self.env,
                              stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            print(f"{self.name}: {workload} {size} failed", file=sys.stderr)
            return {}
        lines = done.stdout.decode().splitlines()
        return {name: float(value) for name, value in map(str.split, lines)}


def build(name, command):
    """Whether the command built the peer; says so if it did not."""
    if subprocess.run(command, stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL, check=False).returncode != 0:
        print(f"{name}: not here", file=sys.stderr)
        return False
    return True


def peers(here, folder):
    """Builds the peers that this machine has the means for."""
    found = []
    go = shutil.which("go")
    program = os.path.join(folder, "go_workloads")
    if go and build("Go", [go, "build", "-o", program,
                           os.path.join(here, "peers", "workloads.go")]):
        version = subprocess.run([go, "env", "GOVERSION"], check=False,
                                 stdout=subprocess.PIPE).stdout.decode()
        found.append(Program(version.strip() or "go", [program]))
    compiler = shutil.which("clang++-19") or shutil.which("g++") or "c++"

    def build_cc(name, *libraries):
        source = os.path.join(here, "peers", f"{name}_workloads.cc")
        out = os.path.join(folder, f"{name}_workloads")
        return out if build(name, [compiler, "-std=c++20", "-O2", "-DNDEBUG",
                                   f"-I{here}", source, "-o", out,
                                   *libraries]) else None

    if program := build_cc("boehm", "-lgc"):
        found.append(Program("boehm", [program]))
    if program := build_cc("malloc"):
        found.append(Program("malloc", [program], collects=False))
        for name, pattern in MALLOCS.items():
            library = next((path for where in LIBRARY_FOLDERS for path in
                            sorted(glob.glob(os.path.join(where, pattern)))),
                           None)
            if library:
                found.append(Program(name, [program], {"LD_PRELOAD": library},
                                     collects=False))
            else:
                print(f"{name}: not here", file=sys.stderr)
    return found


def count_instructions(programs):
    """{figure: {program: [instructions an object]}}."""
    if not shutil.which("valgrind"):
        sys.exit("compare: no valgrind here")
    figures = {}
    for size in ALLOC_SIZES:
        workload, objects = f"alloc-{size}", COUNTED_BYTES // size
        print(f"{workload} ...", file=sys.stderr)
        for program in programs:
            one = program.instructions(workload, objects)
            two = program.instructions(workload, 2 * objects)
            if one is None or two is None:
                print(f"{program.name}: cannot be counted", file=sys.stderr)
                continue
            figures.setdefault(f"{workload}-instr", {})[program.name] = [
                (two - one) / objects]
    return figures


def run_workloads(programs, sizes, runs):
    """{figure: {program: [value of each run]}}."""
    figures = {}
    for workload, size in sizes.items():
        print(f"{workload} {size} ...", file=sys.stderr)
        for _ in range(runs):
            for program in programs:
                if workload in COLLECTIONS and not program.collects:
                    continue
                for name, value in program.run(workload, size).items():
                    figures.setdefault(name, {}).setdefault(
                        program.name, []).append(value)
    return figures


def print_table(figures, programs):
    """One row a figure: Tricolor's median, then each peer's and its ratio."""
    print(f"{'':16}" + "".join(f"{p.name:>20}" for p in programs))
    for figure, results in figures.items():
        row = f"{figure:16}"
        own = statistics.median(results[programs[0].name])
        for program in programs:
            values = results.get(program.name)
            if not values:
                row += f"{'-':>20}"
                continue
            median = statistics.median(values)
            cell = f"{median:.2f}"
            if program is not programs[0] and own > 0:
                cell += f" ({median / own:.2f})"
            row += f"{cell:>20}"
        print(row)
    print("In parentheses: the peer's figure divided by Tricolor's.")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("program", help="Tricolor's workloads, built")
    parser.add_argument("--full", action="store_true",
                        help="the sizes of docs/benchmarks.md (minutes)")
    parser.add_argument("--runs", type=int, default=3,
                        help="how often each program runs each workload")
    parser.add_argument("--instructions", action="store_true",
                        help="count instructions of allocation, and no more")
    parser.add_argument("--only", help="one workload: " + ", ".join(QUICK))
    args = parser.parse_args()

    sizes = FULL if args.full else QUICK
    if args.only:
        if args.only not in sizes:
            parser.error(f"no workload '{args.only}'")
        sizes = {args.only: sizes[args.only]}
    here = os.path.dirname(os.path.realpath(__file__))
    with tempfile.TemporaryDirectory() as folder:
        programs = [Program("tricolor", [args.program])] + peers(here, folder)
        if args.instructions:  # valgrind cannot run Go's programs
            programs = [p for p in programs if not p.name.startswith("go")]
            figures = count_instructions(programs)
        else:
            figures = run_workloads(programs, sizes, args.runs)
        if not all(results.get("tricolor") for results in figures.values()):
            sys.exit("compare: Tricolor's own workloads failed")
        print_table(figures, programs)


if __name__ == "__main__":
    main()
