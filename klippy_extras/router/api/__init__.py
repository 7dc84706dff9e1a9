# The methods, the three ways to call them (commands, endpoints, remote methods), waits and SYNC=1
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
