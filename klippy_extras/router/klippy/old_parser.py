# Detects whether a printer has Klipper's G-code parser from before December 2024
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Collection, Dict, List, Optional

# Objects whose status shows how old a Klipper is; see parser_is_old()
PARSER_PROBE: Dict[str, Optional[List[str]]] = {"idle_timeout": ["idle_timeout"]}


def parser_is_old(
    info: Dict[str, Any], commands: Collection[str], status: Dict[str, Dict[str, Any]]
) -> bool:
    """Whether a peer may fail to parse # * ; in a parameter, as Klipper before December 2024.

    info: its answer to 'info'; status: of PARSER_PROBE. Sources: Klipper got the new parser in
    d45b9c92d, and later the field idle_timeout (d5c031bc1, August 2025); Kalico got it in
    df4b0cc0d, shortly before RESET_VELOCITY_LIMIT (07adab648). In between, the old one is assumed.
    """
    if status.get("idle_timeout", {}).get("idle_timeout") is not None:
        return False
    return info.get("app") != "Kalico" or "RESET_VELOCITY_LIMIT" not in commands
