"""install.sh under dash and BusyBox, on machines that are simulated in a temporary folder."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
