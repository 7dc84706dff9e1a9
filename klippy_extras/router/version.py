# The version of Klipper Router, and of the include files on a peer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, List, Mapping, Optional

from .sanitize import plain_text, printable

# The files of includes/ have a copy, as they cannot read it
VERSION = "1.0.0"

_INCLUDE_MACRO = "gcode_macro _ROUTER"
# The object and field of the include files' version
INCLUDE_PROBE: Dict[str, Optional[List[str]]] = {_INCLUDE_MACRO: ["version"]}


def include_version(status: Mapping[str, Mapping[str, Any]]) -> Optional[str]:
    """The version of a peer's include files, from the status of INCLUDE_PROBE; None if none."""
    version = status.get(_INCLUDE_MACRO, {}).get("version")
    return None if version is None else plain_text(printable(version))
