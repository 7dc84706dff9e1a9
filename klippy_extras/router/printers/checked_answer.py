# Checks the shape of a peer's answers to objects/list and objects/query
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable

from ..errors import PeerError
from .printer import Done, Failure


class CheckedAnswer:
    """Passes on a valid answer, or an error in place of an invalid one.

    peer: its name, for the error.
    """

    def __init__(self, peer: str, is_valid: Callable[[Any], bool], done: Done) -> None:
        self._peer, self._is_valid, self._done = peer, is_valid, done

    def answered(self, result: Any, error: Failure) -> None:
        if error is None and not self._is_valid(result):
            error = PeerError("%s: sent a malformed answer" % (self._peer,))
        self._done(result if error is None else None, error)


def is_object_list(result: Any) -> bool:
    """Whether this is an answer to objects/list."""
    return type(result) is dict and type(result.get("objects")) is list


def is_status(result: Any) -> bool:
    """Whether this is an answer to objects/query."""
    if type(result) is not dict or type(result.get("status")) is not dict:
        return False
    return all(type(values) is dict for values in result["status"].values())
