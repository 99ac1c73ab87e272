"""The settings of the ASGI worker, with gunicorn's names, and uvicorn's where gunicorn has none."""

from __future__ import annotations

from dataclasses import dataclass

from hostler.settings import boolean, choice, integer, seconds, setting, size


@dataclass(frozen=True)
class AsgiSettings:
    """Settings `asgi_*` and `websocket_*`."""

    loop: str = setting(
        "auto",
        kind=choice("auto", "asyncio", "uvloop"),
        help="The event loop: uvloop when it is installed (auto), or one of the two by name.",
    )
    lifespan: str = setting(
        "auto",
        kind=choice("auto", "on", "off"),
        help="The lifespan protocol: used when the application supports it (auto), demanded (on), or not used (off).",
    )
    lifespan_timeout: float = setting(
        30.0,
        kind=seconds(),
        help="Seconds that the application's lifespan shutdown may take at a graceful stop.",
    )
    disconnect_grace_period: float = setting(
        3.0,
        kind=seconds(),
        help="Seconds that an application may go on with a request whose client has left, before it is cancelled.",
    )
    websocket_max_message_size: int = setting(
        16 << 20,
        kind=size(1),
        help="Octets of one WebSocket message, after decompression; a longer one closes with 1009.",
        aliases=("websocket_max_message_size", "ws_max_size"),
    )
    websocket_max_fragments: int = setting(
        1024,
        kind=integer(1),
        help="Frames of one WebSocket message; more close with 1008.",
        aliases=("websocket_max_fragments",),
    )
    websocket_max_queue: int = setting(
        32,
        kind=integer(1),
        help="WebSocket messages kept for an application that does not receive; then reading stops.",
        aliases=("websocket_max_queue", "ws_max_queue"),
    )
    websocket_ping_interval: float = setting(
        20.0,
        kind=seconds(),
        help="Seconds between two WebSocket pings; 0 sends none.",
        aliases=("websocket_ping_interval", "ws_ping_interval"),
    )
    websocket_ping_timeout: float = setting(
        20.0,
        kind=seconds(),
        help="Seconds in which a WebSocket ping must be answered; 0 waits for ever.",
        aliases=("websocket_ping_timeout", "ws_ping_timeout"),
    )
    websocket_close_timeout: float = setting(
        10.0,
        kind=seconds(),
        help="Seconds in which the peer must answer a WebSocket close.",
        aliases=("websocket_close_timeout",),
    )
    websocket_per_message_deflate: bool = setting(
        False,
        kind=boolean,
        help="Offer compression (permessage-deflate) to WebSocket clients.",
        aliases=("websocket_per_message_deflate", "ws_per_message_deflate"),
    )
