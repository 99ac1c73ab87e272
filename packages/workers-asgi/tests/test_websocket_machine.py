"""Any order of `receive` and `send` of a WebSocket's application, against a model of what ASGI allows.

What is allowed is done, what is not raises into the application, and the client sees a whole answer, whichever
it is: a refusal, a response of the application's own, or a handshake, frames and a close.
"""

from __future__ import annotations

import asyncio
import socket

from hypothesis import given, settings
from hypothesis import strategies as st

OPENING = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
BYE = b"\x88\x82\0\0\0\0\x03\xe8"
MESSAGES = {
    "accept": {"type": "websocket.accept"},
    "send": {"type": "websocket.send", "text": "hello"},
    "both": {"type": "websocket.send", "text": "hello", "bytes": b"hello"},
    "close": {"type": "websocket.close", "code": 3000},
    "start": {"type": "websocket.http.response.start", "status": 418, "headers": []},
    "more": {"type": "websocket.http.response.body", "body": b"more", "more_body": True},
    "last": {"type": "websocket.http.response.body", "body": b"last"},
    "bad": {"type": "websocket.unknown"},
}
actions = st.lists(st.sampled_from(["receive", *MESSAGES]), max_size=6)


class Model:
    """The way of a WebSocket, as the specification tells it."""

    def __init__(self) -> None:
        self.state = "connecting"
        self.hellos = 0
        self.code = None
        self.status = None
        self.body = b""

    def outcome(self, action):
        """`ok`, `raises`, or `gone` for an OSError."""
        state = self.state
        if action == "accept":
            good = state == "connecting"
        elif action in ("send", "both"):
            if state == "closed":
                return "gone"
            good = state == "open" and action == "send"
        elif action == "close":
            good = state != "denying"
        elif action == "start":
            good = state == "connecting"
        elif action in ("more", "last"):
            good = state == "denying"
        else:
            good = False
        return "ok" if good else "raises"

    def does(self, action):
        if action == "accept":
            self.state, self.status = "open", 101
        elif action == "send":
            self.hellos += 1
        elif action == "close" and self.state == "connecting":
            self.state, self.status = "closed", 403
        elif action == "close" and self.state == "open":
            self.state, self.code = "closed", 3000
        elif action == "start":
            self.state = "denying"
        elif action in ("more", "last"):
            self.status = 418
            self.body += action.encode()
            if action == "last":
                self.state = "closed"

    def returns(self):
        if self.state == "connecting":
            self.status = 403
        elif self.state == "open":
            self.code = 1000


def dechunked(octets):
    """The body of chunks, as far as it came, and whether it came to its end."""
    found = b""
    while octets:
        size, _, octets = octets.partition(b"\r\n")
        if int(size, 16) == 0:
            return found, True
        found, octets = found + octets[: int(size, 16)], octets[int(size, 16) + 2 :]
    return found, False


def check_wire(model, client):
    """Read what there is, and that there is nothing else."""
    if model.status == 101:
        assert client.hear(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        frames = client.octets(7 * model.hellos + 4)
        assert frames == b"\x81\x05hello" * model.hellos + b"\x88\x02" + model.code.to_bytes(2, "big")
        assert client.say(BYE).rest() == b""
        return
    client.socket.shutdown(socket.SHUT_WR)
    head, _, rest = client.rest().partition(b"\r\n\r\n")
    if model.status is None:
        assert (head, rest) == (b"", b"")  # a response of its own that was begun, and nothing of it sent
        return
    assert head.startswith(b"HTTP/1.1 %d " % model.status)
    if b"chunked" in head:
        assert dechunked(rest) == (model.body, model.state == "closed")
    elif model.status == 418:
        assert rest == model.body


def test_any_order_of_messages(serve_app, raw, eventually):
    script, problems, models = [], [], []

    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            return
        model = Model()
        for action in script:
            if action == "receive":
                waiting = asyncio.ensure_future(receive())
                await asyncio.sleep(0)
                if not waiting.done():
                    waiting.cancel()
                continue
            expected = model.outcome(action)
            try:
                await send(MESSAGES[action])
                got = "ok"
            except OSError:
                got = "gone"
            except (ValueError, TypeError, KeyError):
                got = "raises"
            if got != expected:
                problems.append((list(script), action, model.state, expected, got))
            if got == "ok":
                model.does(action)
        model.returns()
        models.append(model)

    context = serve_app(app)

    @settings(deadline=None, max_examples=100)
    @given(actions)
    def check(wanted):
        script[:] = wanted
        del problems[:], models[:]
        client = raw(context).say(OPENING)
        eventually(lambda: models)
        assert not problems
        check_wire(models[0], client)
        client.close()

    check()
