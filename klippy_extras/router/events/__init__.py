# Events, lifecycle macros, error reports, the heartbeat, and what happens when a peer is lost
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
