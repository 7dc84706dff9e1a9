# Finds the subscription that makes a snapshot longer than max_message, by leaving out halves
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# A snapshot that is too long is not decoded, so it is not known which part of it is large. The
# subscriptions of a snapshot that was short enough are tested last.
from typing import Optional, Sequence

from .subscription import Place, Subscription


def was_too_long(subscriptions: Sequence[Subscription]) -> Optional[Subscription]:
    """Their snapshot was too long: leave some of them out, or return the one that is too large.

    That one is not part of the next snapshot.
    """
    untested = [s for s in subscriptions if s.place is Place.UNTESTED]
    fitting = [s for s in subscriptions if s.place is Place.FITS]
    if not untested:
        untested, fitting = fitting, []  # some values have grown
    if len(untested) > 1:
        _set(untested, Place.UNTESTED)
        _leave_out(untested[len(untested) // 2 :], subscriptions)
    elif untested and fitting and not untested[0].was_left_out:
        # Perhaps one of the others has grown: first try without this one
        untested[0].was_left_out = True
        _leave_out(untested, subscriptions)
        _set(fitting, Place.UNTESTED)
    elif untested:
        _set(untested, Place.TOO_LARGE)
        return untested[0]
    return None


def was_short_enough(subscriptions: Sequence[Subscription]) -> bool:
    """Their snapshot was short enough. Returns whether another snapshot is needed.

    That one includes the subscriptions that were left out last: the other half of those whose
    snapshot was too long.
    """
    for subscription in subscriptions:
        if subscription.place is Place.UNTESTED:
            subscription.place, subscription.was_left_out = Place.FITS, False
    latest = _latest_group(subscriptions)
    left_out = [s for s in subscriptions if s.place is Place.LEFT_OUT and s.group == latest]
    _set(left_out, Place.UNTESTED)
    return latest > 0


def reset(subscriptions: Sequence[Subscription]) -> None:
    """The target has disconnected: the next snapshot includes all of them."""
    _set(subscriptions, Place.UNTESTED)


def _leave_out(group: Sequence[Subscription], subscriptions: Sequence[Subscription]) -> None:
    number = _latest_group(subscriptions) + 1
    for subscription in group:
        subscription.place, subscription.group = Place.LEFT_OUT, number


def _latest_group(subscriptions: Sequence[Subscription]) -> int:
    return max((s.group for s in subscriptions if s.place is Place.LEFT_OUT), default=0)


def _set(subscriptions: Sequence[Subscription], place: Place) -> None:
    for subscription in subscriptions:
        subscription.place = place
