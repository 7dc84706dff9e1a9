"""Shadows the real msgspec on the path, so that Klipper falls back to Python's json."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
raise ImportError("hidden by the test harness")
