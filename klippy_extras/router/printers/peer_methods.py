# The remote methods that are registered on one peer, and the calls that are accepted from it
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Klipper calls every connection that has registered a method. So a peer that loads [router] itself
# keeps its calls to itself, and the two routers exchange events (events/exchange.py).
from typing import Collection, FrozenSet, Sequence

SUBSCRIBE_ENDPOINT = "router/event/subscribe"
# What the other router calls on our connection, once we have subscribed to its events
EXCHANGE_METHOD = "router/event/exchange"


class PeerMethods:
    """The methods for one peer.

    own: for a peer without a router; empty if this printer is not the one that takes its calls.
    relayed: for every peer.
    """

    def __init__(self, own: Sequence[str], relayed: Sequence[str]) -> None:
        self._own, self._relayed = frozenset(own), frozenset(relayed)
        self.closed()

    def closed(self) -> None:
        """The connection is lost: nothing is known of the peer."""
        self.has_router = False
        self.registered: FrozenSet[str] = frozenset()
        self.accepted: FrozenSet[str] = frozenset()

    def found(self, endpoints: Collection[str]) -> None:
        """The peer offers these endpoints."""
        self.has_router = SUBSCRIBE_ENDPOINT in endpoints
        if self.has_router:
            self.registered = self._relayed
            self.accepted = self._relayed | {EXCHANGE_METHOD}
        else:
            self.registered = self.accepted = self._own | self._relayed
