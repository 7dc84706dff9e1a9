"""Which Klippers the test harness knows, where tests/setup.sh puts them and how each is started."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional

from . import checkout

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
KINDS = ("kalico", "klipper2023", "klipper")
# klipper_json is the checkout as it runs where msgspec is not installed
ALL_KINDS = (*KINDS, "klipper_json")


@dataclass(frozen=True)
class Klipper:
    """One kind of Klipper: how its Klippy is started."""

    kind: str
    start: List[str]
    """The command, without Klippy's own arguments."""
    extras: Path
    """The folder that holds the link to our extra."""
    cwd: Path

    def command(self, *arguments: str) -> List[str]:
        return [*self.start, *arguments]

    def env(self) -> Dict[str, str]:
        """The environment of its process."""
        env = dict(os.environ)
        # Else Klippy takes this repository for its own and spends a second on its git status
        env["GIT_CEILING_DIRECTORIES"] = str(CACHE)
        shims = {"klipper_json": "without_msgspec", "klipper2023": "newer_python"}
        if self.kind in shims:
            env["PYTHONPATH"] = str(Path(__file__).parent / shims[self.kind])
        return env


def available(kind: str) -> bool:
    """Whether this kind can run here: all but the checkout's kinds always can.

    Raises ValueError for an unknown kind.
    """
    if kind not in ALL_KINDS:
        raise ValueError(f"unknown kind of Klipper {kind!r}; known: {', '.join(ALL_KINDS)}")
    return not kind.startswith("klipper") or kind == "klipper2023" or bool(_checkout())


def klipper(kind: str) -> Klipper:
    """The Klipper of this kind; LookupError says what to do if it is not set up."""
    if not available(kind):
        raise LookupError(f"{kind}: set KLIPPER_PATH to a checkout of Klipper")
    if kind == "kalico":
        venv = CACHE / "venv-kalico"
        plugins = list(venv.glob("lib/python3*/site-packages/klippy/plugins"))
        found = Klipper(
            kind, [str(venv / "bin/python"), "-m", "klippy"], (plugins or [venv])[0], CACHE
        )
    else:
        python = str(CACHE / "venv-klipper/bin/python")
        if kind == "klipper2023":
            tree = CACHE / "tree-klipper2023"
            start = [python, "-m", "klippy.klippy"]
        else:
            tree = checkout.tree_of(_checkout() or "", CACHE)
            start = [python, str(tree / "klippy/klippy.py")]
        found = Klipper(kind, start, tree / "klippy/extras", tree)
    if not (found.extras / "router").is_symlink():
        part = kind.replace("_json", "")
        raise LookupError(f"{kind} is not set up: run tests/setup.sh {part}")
    return found


def _checkout() -> Optional[str]:
    return os.environ.get("KLIPPER_PATH") or None
