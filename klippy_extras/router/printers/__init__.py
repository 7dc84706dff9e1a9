# Printers: one interface for this printer and for peers, and both implementations
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
