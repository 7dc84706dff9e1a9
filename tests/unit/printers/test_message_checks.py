"""The shape of a peer's messages; that of most is tested in test_session.py."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.printers.message_checks import OUTPUT_LENGTH, read_output


@pytest.mark.parametrize("line", ["", "// a line", "x" * 3 * OUTPUT_LENGTH])
@pytest.mark.parametrize("count", [1, 2, 1000])
def test_a_long_console_message_comes_in_parts_of_whole_lines(line, count):
    text = "\n".join([line] * count)
    parts = [output.text for output in read_output({"response": text})]
    assert "\n".join(parts) == text
    assert max(map(len, parts)) < OUTPUT_LENGTH + len(line) + 1
    assert len(parts) <= 1 + len(text) // OUTPUT_LENGTH


def test_a_console_message_without_text_is_empty():
    assert [output.text for output in read_output({})] == [""]
