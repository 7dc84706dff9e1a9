"""The phases of a connection: every pair of phase and trigger leads somewhere or is refused."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import itertools

import pytest

from klippy_extras.router.errors import BadMessage
from klippy_extras.router.printers.phases import (
    TRANSITIONS,
    ImpossibleTransition,
    Phase,
    Trigger,
    next_phase,
)

THE_PEERS = (Trigger.IDENTIFIED, Trigger.KLIPPY_READY, Trigger.KLIPPY_NOT_READY)


@pytest.mark.parametrize(("phase", "trigger"), itertools.product(Phase, Trigger))
def test_every_pair_is_in_the_table_or_refused(phase, trigger):
    if trigger in TRANSITIONS[phase]:
        assert next_phase(phase, trigger) is TRANSITIONS[phase][trigger]
        return
    refusal = BadMessage if trigger in THE_PEERS else ImpossibleTransition
    with pytest.raises(refusal, match=f"^{trigger.value} while {phase.value}$"):
        next_phase(phase, trigger)


def test_every_phase_has_a_row_can_be_reached_and_can_lose_its_connection():
    assert set(TRANSITIONS) == set(Phase)
    reached = {Phase.CLOSED}
    for _ in Phase:
        reached.update(*(TRANSITIONS[phase].values() for phase in reached))
    assert reached == set(Phase)
    for phase in set(Phase) - {Phase.CLOSED}:
        assert next_phase(phase, Trigger.LOST) is Phase.CLOSED


def test_a_phase_is_left_for_ready_only_when_all_is_prepared():
    to_ready = {
        (phase, trigger)
        for phase, row in TRANSITIONS.items()
        for trigger, following in row.items()
        if following is Phase.READY and phase is not Phase.READY
    }
    assert to_ready == {(Phase.PREPARING, Trigger.PREPARED)}
