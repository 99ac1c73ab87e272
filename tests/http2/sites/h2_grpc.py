"""Echoes gRPC messages as they come, and ends each call with a status in the trailers."""

from __future__ import annotations

from typing import Any

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/grpc")],
    "trailers": True,
}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Any method but `Fail` succeeds."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": message["type"] + ".complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    fails = scope["path"].endswith("/Fail")
    await send(START)
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        if not fails:
            body = message.get("body", b"")
            await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body"})
    status = [(b"grpc-status", b"5"), (b"grpc-message", b"no such thing")]
    await send({"type": "http.response.trailers", "headers": status if fails else [(b"grpc-status", b"0")]})
