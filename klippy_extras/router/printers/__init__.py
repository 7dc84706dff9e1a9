# The interface of a printer, and what stands behind it: this Klippy or a peer's
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
