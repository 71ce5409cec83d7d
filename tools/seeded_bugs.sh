#!/usr/bin/env bash
# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
# Runs seeded_bugs.py, which docs/seeded-bugs.md tells of.
exec python3 tools/seeded_bugs.py "$@"
