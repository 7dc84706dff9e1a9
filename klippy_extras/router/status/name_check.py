# Warns once of subscribed objects and fields that a printer does not have
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Callable, Dict, List, Set

from ..printers.printer import Printer
from .feed import Feed
from .missing_names import Missing, Search, Soon
from .subscription import Subscription

# A line on the console of a printer
Warn = Callable[[Printer, str], None]


class NameCheck:
    """Checks the objects and fields of subscriptions, mirrors and sensors.

    A missing one is not an error, as the target may have it later. Printer.missing lists them.
    """

    def __init__(self, soon: Soon, warn: Warn) -> None:
        self._soon, self._warn = soon, warn
        self._searching: Set[Printer] = set()

    def check(self, feed: Feed) -> None:
        """Find what the target does not have, for the subscriptions that were not checked yet.

        The target is not queried if all values are known.
        """
        if not feed.target.ready or feed.target in self._searching:
            return
        doubtful = feed.take_doubtful()
        if doubtful:
            self._searching.add(feed.target)
            Search(
                feed.target, doubtful, self._soon, lambda missing: self._found(feed, missing)
            ).start()

    def _found(self, feed: Feed, missing: List[Missing]) -> None:
        self._searching.discard(feed.target)
        by_name: Dict[str, List[Missing]] = {}
        for one in missing:
            by_name.setdefault(one.name, []).append(one)
        for subscription in feed.subscriptions:
            if not subscription.checked:
                continue  # newer than the search, or the target has disconnected since
            for one in [m for name in subscription.objects for m in by_name.get(name, ())]:
                if one.is_in(subscription.objects) and one not in subscription.missing:
                    subscription.missing.append(one)
                    self._warn_of(subscription, one.sentence)
        feed.note_missing()
        self.check(feed)

    def _warn_of(self, subscription: Subscription, sentence: str) -> None:
        text = "%s: %s" % (subscription.receiver.title, sentence)
        owner = subscription.receiver.owner
        if owner is None:
            subscription.target.hints.say(text)
        elif owner.hints.is_new(text):
            self._warn(owner, text)
            if not owner.is_local:
                owner.log("was warned: %s" % (text,))
