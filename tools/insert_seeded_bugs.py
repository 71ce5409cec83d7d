#!/usr/bin/env python3
# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
"""Inserts a floor's seeded bugs into copies of its sources.

    insert_seeded_bugs.py FLOOR/seeded_bugs.txt OUT_DIR SOURCE...

Each bug of the list is a patch that adds a defect to one place or several:

    == name-of-the-bug (frees a live object)
    What is wrong, in a sentence or two.
    @@ file.cc
     a line of context
    -the line as it is
    +the line with a defect, which is there only if BUG is true

The lines of a hunk that do not begin with + must stand in the file just once,
next to each other; there are no line numbers. BUG becomes a test of whether
this is the bug that the environment variable TRICOLOR_SEEDED_BUG names, so one
build has all bugs in it and shows none of them unless it is asked to.
"""

import os
import re
import sys

# Put before a source that has bugs. Before the variable is initialized, and in
# constant expressions, there is no bug.
SWITCH = """\
#ifndef TRICOLOR_SEEDED_BUG_SWITCH_
#define TRICOLOR_SEEDED_BUG_SWITCH_
#include <cstdint>
#include <cstdlib>
#include <type_traits>
namespace tricolor::seeded_bug {
constexpr uint64_t Hash(const char* name) {
  uint64_t hash = 14695981039346656037u;
  for (; name != nullptr && *name != 0; ++name) {
    hash = (hash ^ static_cast<uint64_t>(*name)) * 1099511628211u;
  }
  return hash;
}
inline const uint64_t chosen = Hash(std::getenv("TRICOLOR_SEEDED_BUG"));
template <uint64_t kBug>
constexpr bool IsChosen() {
  return !std::is_constant_evaluated() && chosen == kBug;
}
}  // namespace tricolor::seeded_bug
#endif
"""


class BadList(Exception):
    """A list that does not say what to do, or does not fit the sources."""


class Hunk:
    def __init__(self, file):
        self.file = file
        self.lines = []

    def _text(self, without):
        return "".join(l[1:] + "\n" for l in self.lines if l[0] != without)

    def apply(self, text, bug):
        old = self._text("+")
        found = ("\n" + text).count("\n" + old)
        if found != 1:
            raise BadList("%s: %s has these lines %d times, expected once:\n%s"
                          % (bug, self.file, found, old))
        test = "::tricolor::seeded_bug::IsChosen<::tricolor::seeded_bug::Hash(\"%s\")>()" % bug
        new = re.sub(r"\bBUG\b", lambda match: test, self._text("-"))
        return ("\n" + text).replace("\n" + old, "\n" + new)[1:]


class Bug:
    def __init__(self, floor, name, frees_live_object):
        self.floor = floor
        self.name = name
        self.frees_live_object = frees_live_object
        self.description = ""
        self.hunks = []


def parse(path, floor):
    """The bugs of a list."""
    bugs = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\n")
            title = re.fullmatch(r"== ([a-z0-9-]+)( \(frees a live object\))?", line)
            if title:
                bugs.append(Bug(floor, title[1], title[2] is not None))
            elif not line or line.startswith("#"):
                continue
            elif line.startswith("@@ ") and bugs:
                bugs[-1].hunks.append(Hunk(line[3:]))
            elif bugs and bugs[-1].hunks and line[0] in " -+":
                bugs[-1].hunks[-1].lines.append(line)
            elif bugs and not bugs[-1].hunks:
                bugs[-1].description = (bugs[-1].description + " " + line).strip()
            else:
                raise BadList("%s:%d: what is this? %s" % (path, number, line))
    for bug in bugs:
        if not bug.description or not any(
                "BUG" in line for hunk in bug.hunks for line in hunk.lines if line[0] == "+"):
            raise BadList("%s: %s has no description or no BUG" % (path, bug.name))
    return bugs


def insert(bugs, name, text):
    """The text of the file of this name, with the bugs that are for it."""
    hunks = [(hunk, bug.name) for bug in bugs for hunk in bug.hunks if hunk.file == name]
    for hunk, bug in hunks:
        text = hunk.apply(text, bug)
    return SWITCH + text if hunks else text


def main(list_path, out_dir, *sources):
    bugs = parse(list_path, floor="")
    for source in sources:
        name = os.path.basename(source)
        with open(source, encoding="utf-8") as file:
            text = insert(bugs, name, file.read())
        with open(os.path.join(out_dir, name), "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except BadList as error:
        sys.exit(str(error))
