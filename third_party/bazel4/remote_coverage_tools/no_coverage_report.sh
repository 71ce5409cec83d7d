#!/bin/sh
# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
exit 1
