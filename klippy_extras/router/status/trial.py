# Whose part of a union makes its snapshot longer than max_message: found by leaving halves out
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# A snapshot that is too long arrives undecoded, so that nobody knows which part of it is large.
# What was in a snapshot that came through is not suspected, as long as there are others.
from typing import List, Optional, Sequence

from .subscription import BARRED, HELD, PROVEN, SUSPECT, Subscription


def failed(subscriptions: Sequence[Subscription]) -> Optional[Subscription]:
    """Their snapshot was too long: hold some of them back, or return whose fault it is.

    The one that is returned takes part no longer.
    """
    suspects = [s for s in subscriptions if s.place == SUSPECT]
    proven = [s for s in subscriptions if s.place == PROVEN]
    if not suspects:
        suspects, proven = proven, []  # some values have grown
    if len(suspects) > 1:
        _set(suspects, SUSPECT)
        _hold(suspects[len(suspects) // 2 :], subscriptions)
    elif suspects and proven and not suspects[0].accused:
        # Unless one of the others has grown: first without this one
        suspects[0].accused = True
        _hold(suspects, subscriptions)
        _set(proven, SUSPECT)
    elif suspects:
        _set(suspects, BARRED)
        return suspects[0]
    return None


def passed(subscriptions: Sequence[Subscription]) -> bool:
    """Their snapshot came through. Returns whether others take part from now on.

    Those that were held back last: the other half of what failed together.
    """
    for subscription in subscriptions:
        if subscription.place == SUSPECT:
            subscription.place, subscription.accused = PROVEN, False
    latest = _latest(subscriptions)
    _set([s for s in subscriptions if s.place == HELD and s.held_at == latest], SUSPECT)
    return latest > 0


def reset(subscriptions: Sequence[Subscription]) -> None:
    """Their target is another one now: all of them take part."""
    _set(list(subscriptions), SUSPECT)


def _hold(half: Sequence[Subscription], subscriptions: Sequence[Subscription]) -> None:
    held_at = _latest(subscriptions) + 1
    for subscription in half:
        subscription.place, subscription.held_at = HELD, held_at


def _latest(subscriptions: Sequence[Subscription]) -> int:
    return max((s.held_at for s in subscriptions if s.place == HELD), default=0)


def _set(subscriptions: List[Subscription], place: str) -> None:
    for subscription in subscriptions:
        subscription.place = place
