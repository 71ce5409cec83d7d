#!/usr/bin/env bash
# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
# Runs compare.py on the workloads program that Bazel built.
exec python3 bench/compare.py bench/tricolor_workloads "$@"
