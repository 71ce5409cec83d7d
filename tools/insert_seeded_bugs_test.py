# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
"""Tests of insert_seeded_bugs.py."""

import os
import tempfile
import unittest

import insert_seeded_bugs as inserter

LIST = """\
# A comment.

== first-bug
What is wrong,
in two lines.
@@ a.cc
 int f() {
-  return 1;
+  return BUG ? 2 : 1;

== second-bug (frees a live object)
Wrong in two places.
@@ a.cc
-int g() { return 3; }
+int g() { return BUG; }
@@ b.cc
-// BUG
+// no BUG
"""

SOURCE = "int f() {\n  return 1;\n}\nint g() { return 3; }\nint h() {\n  return 1;\n}\n"


class InsertSeededBugsTest(unittest.TestCase):
    def parse(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "seeded_bugs.txt")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return inserter.parse(path, "floor")

    def test_reads_a_list(self):
        first, second = self.parse(LIST)
        self.assertEqual(first.name, "first-bug")
        self.assertEqual(first.description, "What is wrong, in two lines.")
        self.assertFalse(first.frees_live_object)
        self.assertTrue(second.frees_live_object)
        self.assertEqual([hunk.file for hunk in second.hunks], ["a.cc", "b.cc"])

    def test_inserts_where_the_lines_stand(self):
        text = inserter.insert(self.parse(LIST), "a.cc", SOURCE)
        self.assertTrue(text.startswith(inserter.SWITCH))
        lines = text[len(inserter.SWITCH):].split("\n")
        self.assertIn('Hash("first-bug")>() ? 2 : 1;', lines[1])
        self.assertIn('Hash("second-bug")', lines[3])
        self.assertEqual(lines[5], "  return 1;")

    def test_leaves_other_files_alone(self):
        self.assertEqual(inserter.insert(self.parse(LIST), "c.cc", SOURCE), SOURCE)

    def test_refuses_lines_that_are_not_there(self):
        with self.assertRaisesRegex(inserter.BadList, "first-bug.*0 times"):
            inserter.insert(self.parse(LIST), "a.cc", SOURCE.replace("1", "5"))

    def test_refuses_lines_that_stand_there_twice(self):
        bugs = self.parse("== a-bug\nWhat.\n@@ a.cc\n-  return 1;\n+  return BUG;\n")
        with self.assertRaisesRegex(inserter.BadList, "2 times"):
            inserter.insert(bugs, "a.cc", SOURCE)

    def test_refuses_a_bug_that_does_nothing(self):
        with self.assertRaisesRegex(inserter.BadList, "no BUG"):
            self.parse("== a-bug\nWhat.\n@@ a.cc\n-  return 1;\n+  return 2;\n")

    def test_refuses_what_it_does_not_understand(self):
        with self.assertRaisesRegex(inserter.BadList, ":4: what is this"):
            self.parse("== a-bug\nWhat.\n@@ a.cc\n?? b.cc\n")


if __name__ == "__main__":
    unittest.main()
