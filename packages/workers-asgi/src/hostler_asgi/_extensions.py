"""Messages of ASGI's extensions in an HTTP response: hints, trailers, files (and gunicorn's informational)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hostler.plugin import Headers

from hostler_asgi._errors import MessageError, octets
from hostler_asgi._files import send_descriptor, send_path
from hostler_asgi._phases import BODY, HELD, NEW, TRAILERS

if TYPE_CHECKING:
    from hostler_asgi._exchange import Exchange


async def send_extension(exchange: Exchange, kind: str, message: Any) -> None:
    """Do what the message asks, or raise: it is unknown, or comes at the wrong time."""
    if kind == "http.response.early_hint":
        _inform(exchange, 103, [(b"link", octets(link)) for link in message.get("links", ())])
    elif kind == "http.response.informational":
        status = message["status"]
        if not isinstance(status, int) or not 100 <= status <= 199 or status == 101:
            raise MessageError(f"{status!r} is not the status of an informational response")
        _inform(exchange, status, _pairs(message))
    elif kind == "http.response.trailers":
        _send_trailers(exchange, message)
    elif kind == "http.response.pathsend":
        if exchange.phase != HELD or exchange.by_bytes or exchange.by_path:
            raise exchange.misplaced(kind)
        exchange.by_path = True
        await send_path(exchange, message["path"])
    elif kind == "http.response.zerocopysend":
        if exchange.phase not in (HELD, BODY) or exchange.by_path:
            raise exchange.misplaced(kind)
        exchange.by_bytes = True
        await send_descriptor(exchange, message)
    else:
        raise MessageError(f"{kind!r} is no message that can be sent in an HTTP response")


def _inform(exchange: Exchange, status: int, headers: Headers) -> None:
    """An interim response, while the final head is unsent (ASGI has had it on both sides of the start)."""
    if exchange.phase not in (NEW, HELD):
        raise exchange.misplaced("an interim response")
    if exchange.gone:
        raise exchange.disconnected()
    exchange.connection.inform(exchange.stream, status, headers)
    exchange.drive.put(0)


def _send_trailers(exchange: Exchange, message: Any) -> None:
    if exchange.phase != TRAILERS:
        raise exchange.misplaced("http.response.trailers")
    if exchange.gone:
        raise exchange.disconnected()
    exchange.trailers += _pairs(message)
    if not message.get("more_trailers", False):
        exchange.complete(exchange.trailers if exchange.head.trailers_welcome else ())


def _pairs(message: Any) -> list[tuple[bytes, bytes]]:
    return [(octets(name), octets(value)) for name, value in message.get("headers", ())]
