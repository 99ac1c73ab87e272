"""Any order of `receive` and `send`: what ASGI allows is done, what it does not raises, and the wire stays whole.

The application does what hypothesis says; beside it a model of a few lines says what must happen. The client
reads the answer with h11, which accepts nothing that is not HTTP.
"""

from __future__ import annotations

import asyncio

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

actions = st.lists(
    st.sampled_from(
        ["receive", "start", "start+trailers", "hint", "more", "last", "empty", "trailers", "path", "bad"]
    ),
    max_size=7,
)


class Model:
    """The response's way, as the specification tells it."""

    def __init__(self) -> None:
        self.phase = "new"
        self.trailers = False

    def allows(self, action: str) -> bool:
        if action == "receive":
            return True
        if action in ("start", "start+trailers"):
            return self.phase == "new"
        if action == "hint":
            return self.phase in ("new", "started")
        if action == "path":
            return self.phase == "started"
        if action in ("more", "last", "empty"):
            return self.phase in ("started", "body")
        return action == "trailers" and self.phase == "trailers"

    def does(self, action: str) -> None:
        if action.startswith("start"):
            self.phase, self.trailers = "started", action == "start+trailers"
        elif action in ("more", "empty"):
            self.phase = "body"
        elif action in ("last", "path"):
            self.phase = "trailers" if self.trailers else "done"
        elif action == "trailers":
            self.phase = "done"


def message(action, path):
    return {
        "start": {"type": "http.response.start", "status": 200},
        "start+trailers": {"type": "http.response.start", "status": 200, "trailers": True},
        "hint": {"type": "http.response.early_hint", "links": [b"</x>"]},
        "more": {"type": "http.response.body", "body": b"more", "more_body": True},
        "empty": {"type": "http.response.body", "body": b"", "more_body": True},
        "last": {"type": "http.response.body", "body": b"last"},
        "trailers": {"type": "http.response.trailers", "headers": [(b"x-t", b"1")]},
        "path": {"type": "http.response.pathsend", "path": path},
        "bad": {"type": "http.response.unknown"},
    }[action]


def response(client, method):
    """The statuses, the body, and whether it was complete."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    parser.send(h11.EndOfMessage())
    statuses, body = [], b""
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            try:
                data = client.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            try:
                parser.receive_data(data)
            except h11.RemoteProtocolError:
                return statuses, body, False
            if not data:
                try:
                    if parser.next_event() is h11.NEED_DATA:
                        return statuses, body, False
                except h11.RemoteProtocolError:
                    return statuses, body, False
                return statuses, body, bool(statuses)
        elif isinstance(event, (h11.InformationalResponse, h11.Response)):
            statuses.append(event.status_code)
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        else:
            return statuses, body, True


def test_any_order_of_messages(serve_app, raw, eventually, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"file")
    script, problems, phases = [], [], []

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        model = Model()
        for action in script:
            if action == "receive":
                waiting = asyncio.ensure_future(receive())
                await asyncio.sleep(0)
                if not waiting.done():
                    waiting.cancel()
                continue
            allowed = model.allows(action)
            try:
                await send(message(action, str(file)))
            except (ValueError, KeyError, TypeError) as error:
                if allowed:
                    problems.append((list(script), action, error))
            else:
                if not allowed:
                    problems.append((list(script), action, "did not raise"))
                model.does(action)
        phases.append(model.phase)

    context = serve_app(app)

    @settings(deadline=None, max_examples=100)
    @given(actions, st.sampled_from(["GET", "HEAD", "POST"]))
    def check(wanted, method):
        script[:] = wanted
        del problems[:]
        del phases[:]
        client = raw(context)
        length = b"Content-Length: 3\r\n" if method == "POST" else b""
        body = b"abc" if method == "POST" else b""
        client.say(
            method.encode() + b" / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + length + b"\r\n" + body
        )
        statuses, got, complete = response(client, method)
        client.close()
        eventually(lambda: phases)
        assert not problems
        assert statuses[:-1] == [103] * wanted[: first_head(wanted)].count("hint")
        assert statuses[-1] == (500 if phases[0] in ("new", "started") else 200)
        if phases[0] == "done":
            assert complete
        if phases[0] in ("body", "trailers") and method != "HEAD":
            assert not complete
        assert method != "HEAD" or got == b""

    check()


def first_head(wanted):
    """Where the head leaves: at the first event of a body that follows a start."""
    started = False
    for number, action in enumerate(wanted):
        if action.startswith("start"):
            started = True
        elif started and action in ("more", "last", "empty", "path"):
            return number
    return len(wanted)
