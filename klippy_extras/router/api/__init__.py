# The methods, their front doors, and what they need to wait and to act in step
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
