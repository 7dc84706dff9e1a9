"""The documents: their links, the names in them, and the code blocks that no printer runs."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import ast
import re
from typing import Iterator, List

import pytest

from tests import conftest
from tests.documents import ALL, DOCUMENTS, README, REFERENCE, TESTS, blocks_of
from tests.lab import config, waiting
from tests.lab.klippers import ROOT
from tests.lab.lab import Lab
from tests.lab.printer import LabPrinter
from tests.lab.sshd import RESTRICTIONS, exec_start
from tests.system import macros

PACKAGE = ROOT / "klippy_extras" / "router"
BY_NAME = {document.name: document for document in ALL}
LINES = re.MULTILINE

# {how a code block begins: the test that covers it}; those of printers are in test_documents.py
UNMARKED = {
    "main printer's Klippy": "a drawing",
    "./examples/run.sh print_stats": "test_scripts_in_code_blocks_exist",
    "./tests/run.sh": "test_scripts_in_code_blocks_exist",
    "./tests/run.sh --fast": "test_scripts_in_code_blocks_exist",
    "./tests/run.sh tests/system/test_waits.py -k timeout": "test_scripts_in_code_blocks_exist",
    "MAINSAIL_PATH=~/mainsail ./tests/run.sh --browser": "test_scripts_in_code_blocks_exist",
    "./tests/bench.sh": "test_scripts_in_code_blocks_exist",
    "./tests/bench.sh sync": "test_scripts_in_code_blocks_exist",
    "./tests/run.sh --chaos": "test_scripts_in_code_blocks_exist",
    "git clone <address of this repository> ~/klipper-router": "shell",
    "[update_manager klipper-router]": "test_the_section_for_moonraker",
    "[router]": "test_every_option_is_in_the_reference",
    "[router NAME]": "test_every_option_is_in_the_reference",
    "curl -s http://localhost:7125/printer/router/event/trigger \\": "test_the_request_over_http",
    "Section 'router' is not a valid config section": "test_messages.py",
    'ssh-keygen -t ed25519 -N "" -f ~/.ssh/klipper_router': "shell",
    RESTRICTIONS: "test_remote_host.py",
    "sudo cp examples/remote_host/klipper-router-tunnel@.service /etc/systemd/system/": (
        "test_scripts_in_code_blocks_exist"
    ),
    "[router led]": "test_the_guide_names_the_socket_of_the_unit",
}

# Quoted words that are not the router's own, or that it puts together ("object" or "field")
OF_OTHERS = {
    "has no object",
    "has no field",
    "No such file or directory",
    "The value",
    "is not valid for LED",
    "Unknown command",
    "Untracked files",
    "hard recovered",
    "already installed",
    # of ssh
    "Address already in use",
    "open failed",
}


def unmarked_blocks() -> List[str]:
    return [
        block.text
        for document in DOCUMENTS
        for block in blocks_of(document.text)
        if not block.language
    ]


def test_every_other_code_block_is_covered_by_a_test():
    firsts = {re.split(r" {5,}", text.strip())[0].split("\n")[0] for text in unmarked_blocks()}
    assert firsts == set(UNMARKED)
    languages = {block.language for document in ALL for block in blocks_of(document.text)}
    assert languages == {"", "ini", "gcode", "console", "python"}


@pytest.mark.parametrize("document", ALL, ids=str)
def test_scripts_in_code_blocks_exist(document):
    shown = "".join(block.text for block in blocks_of(document.text) if not block.language)
    for name in re.findall(r"(?:^|\s)\.?/?((?:tests|examples)/[\w./@-]+)", shown, LINES):
        assert (ROOT / name).exists(), name


def texts_in_code() -> List[str]:
    """Every text in the code of the extra."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]
    constants = (n.value for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Constant))
    return [value for value in constants if isinstance(value, str)]


def quoted_messages(prose: str) -> Iterator[str]:
    """What is in double quotes, or in backticks and begins as the router's lines do."""
    code = [" ".join(text.split()) for text in re.findall(r"`([^`]+)`", prose)]
    yield from (text for text in code if re.match(r"(// )?(Router|led|main)[: ]", text))
    words = re.sub(r"`[^`]*`", "", prose)
    quotes = re.findall(r'(?<![=\w(])"([A-Za-z][^"|]* [^"|]*)"(?!\w)', words)
    yield from (" ".join(text.split()) for text in quotes)


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_quoted_messages_are_in_the_code(document):
    texts = texts_in_code()
    for message in quoted_messages(document.prose):
        # Between names, numbers and punctuation
        for part in re.split(r"\b(?:led|main|max_message)\b|'[^']*'|[\d.]+|[:(),?]", message):
            words = part.strip()
            if " " in words and words not in OF_OTHERS:
                assert [text for text in texts if words in text], message


def test_the_section_for_moonraker():
    section = next(text for text in unmarked_blocks() if text.startswith("[update_manager"))
    fixed = [line for line in section.splitlines() if not line.startswith(("path:", "origin:"))]
    script = (ROOT / "install.sh").read_text()
    assert not [line for line in fixed if line not in script]


def test_the_guide_names_the_socket_of_the_unit():
    (section,) = (text for text in unmarked_blocks() if text.startswith("[router led]"))
    environment = dict.fromkeys(("SSH_TO", "SSH_KEY", "SSH_OPTIONS"), "x")
    command = exec_start("led", "/run", dict(environment, REMOTE_SOCK="/remote"))
    assert command[-2] == section.split("sock: ")[1].strip() + ":/remote"


@pytest.mark.parametrize("document", ALL, ids=str)
def test_links_lead_somewhere(document):
    for link in document.links():
        if "://" in link:
            continue
        path, _hash, anchor = link.partition("#")
        target = (document.path.parent / path).resolve() if path else document.path
        assert target.exists(), link
        if anchor:
            name = target.relative_to(ROOT).as_posix()
            assert anchor in BY_NAME[name].anchors(), link
    for name in re.findall(
        r"`((?:examples|tests|includes|klippy_extras)/[\w./]*)`", document.prose
    ):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("document", ALL, ids=str)
def test_no_two_headings_have_the_same_anchor(document):
    anchors = document.anchors()
    assert len(anchors) == len(set(anchors))


def test_the_readme_links_to_every_other_document():
    linked = {link.partition("#")[0] for link in README.links()}
    assert {document.name for document in DOCUMENTS} - {README.name} <= linked
    assert ".github/CONTRIBUTING.md" in linked


def test_the_harness_has_what_its_document_names():
    known = {
        name for part in (Lab, LabPrinter, config, conftest, macros, waiting) for name in dir(part)
    }
    chapter = TESTS.chapter("## The test harness")
    named = set(re.findall(r"`(?:\w+\.)?(\w+)\(\)`", chapter))
    fixtures = set(re.findall(r"fixture `(\w+)`|`(shared_lab|pair)`", chapter))
    assert named | {first or second for first, second in fixtures} <= known


def test_the_readme_is_short():
    assert len(README.lines) <= 450


def test_contents_list_every_chapter():
    for document in (README, REFERENCE):
        contents = document.text.partition("\n## ")[0]
        for heading, anchor in zip(document.headings, document.anchors()):
            if heading.startswith("## "):
                assert f"(#{anchor})" in contents, heading


def test_contributing_names_every_package():
    text = BY_NAME[".github/CONTRIBUTING.md"].text
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages and not [name for name in packages if not re.search(rf"`{name}[`/]", text)]
