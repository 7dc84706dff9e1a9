"""Copies the Klippy of a checkout into the cache, so that the checkout itself is never touched."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

# Never copied: what others built or linked into the checkout, our own extra among it.
NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc", "c_helper.so", "router")


def tree_of(checkout: str, cache: Path) -> Path:
    """Where the copy of this checkout, as it is now, belongs; it need not exist yet.

    The key is made of the contents of every source file: it changes with the commit and with
    uncommitted work as well, and two checkouts of the same code share a copy.
    """
    root = Path(checkout).expanduser().resolve()
    if not (root / "klippy" / "klippy.py").is_file():
        raise ValueError(f"no klippy/klippy.py under {root}")
    seen = hashlib.sha256()
    for path in sorted((root / "klippy").rglob("*")):
        if path.suffix in (".py", ".c", ".h", ".cfg") and path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            seen.update(f"{path.relative_to(root)} {digest}\n".encode())
    return cache / f"tree-klipper-{seen.hexdigest()[:12]}"


def copy(checkout: str, cache: Path) -> Path:
    """Make the copy unless it exists, and return its folder (it contains klippy/)."""
    tree = tree_of(checkout, cache)
    if tree.exists():
        return tree
    part = tree.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    root = Path(checkout).expanduser()
    shutil.copytree(
        root / "klippy", part / "klippy", ignore=NOT_COPIED, ignore_dangling_symlinks=True
    )
    # Klippy asks git for its version; the copy has no .git, but Klippy also reads this file
    (part / "klippy" / ".version").write_text(_version(root) + "\n")
    part.rename(tree)
    return tree


def _version(root: Path) -> str:
    git = ["git", "-C", str(root), "-c", f"safe.directory={root}"]
    try:
        return subprocess.run(
            [*git, "describe", "--always", "--tags", "--long"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
            text=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "?"


if __name__ == "__main__":
    try:
        print(copy(sys.argv[1], Path(sys.argv[2])))
    except ValueError as problem:
        sys.exit(str(problem))
