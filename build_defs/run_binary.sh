#!/bin/sh
# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
# Runs the program that the arguments name; makes a test of a plain program.
exec "$@"
