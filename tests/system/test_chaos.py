"""A short run of tests.hostile.chaos with a fixed seed; the long one is tests/run.sh --chaos."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.hostile.chaos import chaos


@pytest.mark.timeout(300)
def test_failures_do_not_affect_the_print_and_all_that_was_sent_is_accounted_for(kind: str):
    chaos(rounds=8, seed=308, kind=kind, peer_kind="kalico", say=lambda line: None)
