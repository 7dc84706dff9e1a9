"""The base of what is closed at the end of a with statement."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Optional, Type, TypeVar

Self = TypeVar("Self", bound="Closing")


class Closing(ABC):
    """A context manager that returns itself and calls its close() at the end."""

    @abstractmethod
    def close(self) -> None:
        """Free what it holds; harmless when that was done."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        value: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()
