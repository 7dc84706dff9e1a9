# The [router] extra: loaded by Klippy for [router] and [router NAME] sections
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from .router import load_config, load_config_prefix

__all__ = ["load_config", "load_config_prefix"]
