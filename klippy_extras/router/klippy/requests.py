# Calls of Klippy's endpoints from within its process, without a socket
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Dict, Type

from .guard import guarded


class _NoConnection:
    """The connection of a caller that has none; as it is closed, Klippy drops it."""

    def is_closed(self) -> bool:
        return True

    def send(self, message: Dict[str, Any]) -> None:
        """Do nothing: nobody would receive it."""


class InProcessRequest:
    """Takes the place of a request from a socket, to call Klippy's endpoints.

    Source: klippy/webhooks.py, class WebRequest.
    """

    _REQUIRED = object()

    def __init__(
        self, error: Type[Exception], method: str, params: Dict[str, Any], connection: Any = None
    ) -> None:
        self.error = error
        self.result: Any = {}
        self.params = params
        self._method, self._connection = method, connection

    def get_client_connection(self) -> Any:
        return self._connection or _NoConnection()

    def get_method(self) -> str:
        return self._method

    def get(self, item: str, default: Any = _REQUIRED, types: Any = None) -> Any:
        value = self.params.get(item, default)
        if value is self._REQUIRED:
            raise self.error("Missing Argument [%s]" % (item,))
        if types is not None and item in self.params and type(value) not in types:
            raise self.error("Invalid Argument Type [%s]" % (item,))
        return value

    def get_str(self, item: str, default: Any = _REQUIRED) -> Any:
        return self.get(item, default, types=(str,))

    def get_int(self, item: str, default: Any = _REQUIRED) -> Any:
        return self.get(item, default, types=(int,))

    def get_float(self, item: str, default: Any = _REQUIRED) -> Any:
        return float(self.get(item, default, types=(int, float)))

    def get_dict(self, item: str, default: Any = _REQUIRED) -> Any:
        return self.get(item, default, types=(dict,))

    def send(self, data: Any) -> None:
        self.result = data


class RemoteMethodReceiver:
    """Takes the place of the client connection that registered a remote method."""

    def __init__(self, receive: Callable[[Dict[str, Any]], None]) -> None:
        self._receive = receive

    def is_closed(self) -> bool:
        return False

    def send(self, message: Dict[str, Any]) -> None:
        guarded(self._receive, message)
