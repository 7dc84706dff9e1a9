"""The documents of the project as their tests read them: chapters, code blocks and links."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import re
from typing import Dict, List, NamedTuple

from tests.lab.klippers import ROOT


class Block(NamedTuple):
    """A code block: its language, the printer that it is for ("" for none), its lines."""

    language: str
    printer: str
    text: str


class Document:
    """A Markdown file; headings are whole lines, such as "## Limits"."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = ROOT / name
        self.text = self.path.read_text(encoding="utf-8")
        self.lines = self.text.splitlines()
        self.prose = re.sub(r"^ *```.*?^ *```$", "", self.text, flags=re.MULTILINE | re.DOTALL)
        self._headings = self._find_headings()

    def __repr__(self) -> str:
        return self.name

    @property
    def headings(self) -> List[str]:
        return list(self._headings)

    def chapter(self, heading: str) -> str:
        """The text under a heading, up to the next one of the same level or above."""
        return self._text_under(heading, len(heading.split()[0]))

    def section(self, heading: str) -> str:
        """The text under a heading, up to the next one of any level."""
        return self._text_under(heading, 6)

    def anchors(self) -> List[str]:
        """What a link to a heading has behind its '#', as GitHub makes it."""
        titles = [heading.partition(" ")[2].lower() for heading in self._headings]
        return [re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles]

    def links(self) -> List[str]:
        return re.findall(r"\]\(([^)]+)\)", self.prose)

    def _find_headings(self) -> Dict[str, int]:
        """{heading: the number of its line}, without the comments in code blocks."""
        found: Dict[str, int] = {}
        in_block = False
        for number, line in enumerate(self.lines):
            if line.lstrip().startswith("```"):
                in_block = not in_block
            elif not in_block and re.match(r"#+ ", line):
                assert line not in found, f"{self.name} has {line!r} twice"
                found[line] = number
        return found

    def _text_under(self, heading: str, level: int) -> str:
        assert heading in self._headings, f"{self.name} has no {heading!r}"
        first = self._headings[heading] + 1
        ends = (
            number
            for other, number in self._headings.items()
            if number >= first and len(other.split()[0]) <= level
        )
        return "\n".join(self.lines[first : next(ends, None)]) + "\n"


def blocks_of(text: str) -> List[Block]:
    """The code blocks of a text, in order; "ini main" is a block of a printer's config."""
    found = []
    for mark, body in re.findall(r"^ *```([^\n]*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
        language, _space, printer = mark.partition(" ")
        found.append(Block(language, printer, body))
    return found


README = Document("README.md")
REFERENCE = Document("klippy_extras/README.md")
EXAMPLES = Document("examples/README.md")
TESTS = Document("tests/README.md")
DOCUMENTS = (README, REFERENCE, EXAMPLES, TESTS)
ALL = DOCUMENTS + tuple(
    Document(path.relative_to(ROOT).as_posix()) for path in sorted((ROOT / ".github").rglob("*.md"))
)
