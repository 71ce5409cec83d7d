#!/usr/bin/env bash
# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
# Runs coverage.py, which docs/coverage.md tells of.
exec python3 tools/coverage.py "$@"
