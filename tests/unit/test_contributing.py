"""CONTRIBUTING.md and what is beside it name only files, classes and functions that exist."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import ast
import re
from pathlib import Path
from typing import Dict, List, Set

import pytest

from tests.documents import ALL, Document
from tests.lab.klippers import ROOT

EXTRA = ROOT / "klippy_extras" / "router"
CONTRIBUTING = Document(".github/CONTRIBUTING.md")
OURS = [document for document in ALL if document.path.parent == CONTRIBUTING.path.parent]

# In backticks: "printers/link.py: Link.read", a class or a method, a file or a folder
HOP = re.compile(r"([\w./]+\.py): ([\w.]+)")
CLASS = re.compile(r"_?[A-Z]\w*[a-z]\w*(\.\w+)?")
FILE = re.compile(r"\.?\w[\w./-]*(\.(py|md|sh|cfg|toml|txt|yaml|yml)|/)")


def names_of(path: Path) -> Set[str]:
    """The functions and classes of a module, and its methods as Class.method."""
    names: Set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (inner for inner in node.body if isinstance(inner, ast.FunctionDef))
            names.update(f"{node.name}.{method.name}" for method in methods)
    return names


NAMES: Dict[Path, Set[str]] = {path: names_of(path) for path in sorted(EXTRA.rglob("*.py"))}


def in_backticks(document: Document) -> List[str]:
    return re.findall(r"`([^`\n]+)`", document.prose)


@pytest.mark.parametrize("document", OURS, ids=str)
def test_files_exist(document):
    files = [name for name in in_backticks(document) if FILE.fullmatch(name)]
    assert [name for name in files if not ((ROOT / name).exists() or (EXTRA / name).exists())] == []


@pytest.mark.parametrize("document", OURS, ids=str)
def test_chapters_exist(document):
    """README.md, "Security": a heading there."""
    for name, title in re.findall(r"(\w+\.md),\s+\"([^\"]+)\"", document.prose):
        titles = [heading.lstrip("# ") for heading in Document(name).headings]
        assert title in titles, f"{name} has no chapter {title}"


def test_classes_and_methods_exist():
    known = set().union(*NAMES.values())
    classes = [name for name in in_backticks(CONTRIBUTING) if CLASS.fullmatch(name)]
    assert classes
    assert [name for name in classes if name not in known] == []


def test_every_hop_exists():
    hops = [match.groups() for match in map(HOP.fullmatch, in_backticks(CONTRIBUTING)) if match]
    assert [
        f"{file}: {name}" for file, name in hops if name not in NAMES.get(EXTRA / file, ())
    ] == []
