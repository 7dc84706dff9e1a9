"""A short run of tests.hostile.long_print; the long one is tests/run.sh --print."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.hostile.long_print import long_print


@pytest.mark.timeout(300)
def test_a_print_ends_as_its_macros_say_whatever_others_do_meanwhile(kind: str):
    long_print(0.6, kind=kind, peer_kind=kind, say=lambda line: None)
