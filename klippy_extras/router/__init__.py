# The extra that Klippy loads for the sections [router] and [router NAME]
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from .router import load_config, load_config_prefix

__all__ = ["load_config", "load_config_prefix"]
