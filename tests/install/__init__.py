"""install.sh, run under dash and under BusyBox, against trees in a temporary HOME."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
