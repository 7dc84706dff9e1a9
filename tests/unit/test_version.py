"""The version of the router is in version.py, in the include files, and nowhere else."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import configparser
import re
from pathlib import Path

import pytest

from klippy_extras.router.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
# A G-code include cannot read version.py
INCLUDES = sorted((ROOT / "includes").glob("*.cfg"))
CODE = [ROOT / "install.sh", ROOT / "pyproject.toml", *INCLUDES] + [
    path
    for folder in ("klippy_extras", "examples", ".github", ".ci")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in ("", ".py", ".sh", ".cfg", ".txt", ".yml") and path.is_file()
]


def test_the_version_has_three_numbers():
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


@pytest.mark.parametrize("path", INCLUDES, ids=lambda path: path.name)
def test_each_include_file_has_the_version(path):
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path)
    assert parser["gcode_macro _ROUTER"]["variable_version"] == f'"{VERSION}"'


def test_no_other_file_has_the_version():
    files = [path for path in CODE if re.search(rf"\b{re.escape(VERSION)}\b", path.read_text())]
    assert sorted(files) == sorted([*INCLUDES, ROOT / "klippy_extras" / "router" / "version.py"]), (
        "take it from version.py instead"
    )


def test_pyproject_has_no_version():
    assert not re.search(r"^\s*(dynamic|version)\s*=", (ROOT / "pyproject.toml").read_text(), re.M)


def test_the_newest_release_in_the_readme_is_this_version():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^### v(\d\S*)$", text, re.M)[0] == VERSION
