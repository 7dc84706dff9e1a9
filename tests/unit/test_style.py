"""The shape of the code: short functions and modules, with their purpose in the first line."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import ast
import re
from pathlib import Path
from typing import Dict, Iterator, Tuple, Union

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXTRA = ROOT / "klippy_extras" / "router"
MODULES = sorted(EXTRA.rglob("*.py"))
OTHERS = [
    path
    for folder in ("tests", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.stat().st_size
]
# All text written by hand; the daemon of the benchmarks stays as it was measured
TEXTS = [
    path
    for folder in ("klippy_extras", "includes", "examples", "tests", ".github")
    for path in sorted((ROOT / folder).rglob("*.*"))
    if path.suffix in (".py", ".md", ".cfg", ".sh", ".txt", ".yml")
    and path.name not in ("reference_daemon.py", Path(__file__).name)
] + [ROOT / name for name in ("README.md", "install.sh", "pyproject.toml")]
# Words to avoid, and what to write instead
WORDS = {"laborator": "test harness", "anew": "again", "one a line": "one per line"}

MAX_MODULE = 400  # lines; 150 are usual, 350 a lot
MAX_FUNCTION = 40  # lines
MAX_NESTING = 1  # functions around a function

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


def functions(tree: ast.AST, depth: int = 0) -> Iterator[Tuple[Function, int]]:
    """Every function below `tree`, with the number of functions around it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node, depth
            yield from functions(node, depth + 1)
        else:
            yield from functions(node, depth)


def lines_of(function: Function) -> int:
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


@pytest.fixture(scope="module")
def trees() -> Dict[str, ast.Module]:
    return {
        str(path.relative_to(EXTRA)): ast.parse(path.read_text(encoding="utf-8"))
        for path in MODULES
    }


def test_functions_are_short(trees):
    assert [
        f"{module}:{function.lineno} {function.name}: {lines_of(function)} lines"
        for module, tree in trees.items()
        for function, _depth in functions(tree)
        if lines_of(function) > MAX_FUNCTION
    ] == []


def test_functions_are_not_nested_deeply(trees):
    assert [
        f"{module}:{function.lineno} {function.name}"
        for module, tree in trees.items()
        for function, depth in functions(tree)
        if depth > MAX_NESTING
    ] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(EXTRA)))
def test_a_module_is_short_and_says_what_it_is_for(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_MODULE
    purpose, blank, copyright_line = lines[:3]
    assert re.fullmatch(r"# \S.{10,}[^.]", purpose), purpose
    assert blank == "#"
    assert copyright_line.startswith("# Copyright (C) ")
    assert "GNU GPLv3 license" in "\n".join(lines[3:6])


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_other_files_say_what_they_are_for(path):
    """In the docstring, or in a comment for extras that Klippy loads."""
    text = path.read_text(encoding="utf-8")
    first = text.split("\n", 1)[0]
    assert re.match(r"# A Klippy extra: \S.{10,}", first) or re.match(
        r"\S.{10,}", ast.get_docstring(ast.parse(text)) or ""
    )


@pytest.mark.parametrize(("word", "instead"), WORDS.items())
def test_words(word, instead):
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in TEXTS
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(rf"\b{word}", line, re.IGNORECASE)
    ]
    assert found == [], f"write {instead}"
