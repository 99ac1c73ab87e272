"""What the worker raises into an application."""

from __future__ import annotations

from typing import Any


class ClientDisconnected(OSError):
    """`send()` after the client has left (ASGI HTTP 2.4). An application may let it escape: it is not logged."""


class MessageError(ValueError):
    """The application sent a message that ASGI does not allow here, or one of the wrong shape."""


def caused_by_disconnect(error: BaseException, *, departed: bool = False) -> bool:
    """Whether this is `ClientDisconnected`, a group of nothing else, or what a framework made of it.

    Of a client that has departed, so is `ConnectionAbortedError`: what a service's client raises that saw it leave.
    """
    kinds = (ClientDisconnected, ConnectionAbortedError) if departed else (ClientDisconnected,)
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if isinstance(current, kinds):
            return True
        inner = getattr(current, "exceptions", None)
        if isinstance(inner, tuple) and inner:
            return all(
                isinstance(one, BaseException) and caused_by_disconnect(one, departed=departed)
                for one in inner
            )
        current = current.__cause__ or current.__context__
    return False


def octets(value: Any) -> bytes:
    """The value, if it is one of Python's types for octets; `MessageError` otherwise."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise MessageError(f"octets must be bytes, not {type(value).__name__}")
