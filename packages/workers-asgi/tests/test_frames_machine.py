"""Two ends of a WebSocket that say anything at any time, over a wire that delivers as it likes.

The server's end is ours; the client's is the library `websockets` in that role, which accepts nothing that RFC 6455
does not allow. What each said must be heard by the other, in order, until a close.
"""

from __future__ import annotations

from hostler_asgi._frames import Closed, Frames, negotiate
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Opcode
from websockets.protocol import CLOSED, OPEN
from websockets.uri import parse_uri

texts = st.text(max_size=40)
blocks = st.binary(max_size=300)
codes = st.sampled_from([1000, 1001, 3000, 4999])


class Ends(RuleBasedStateMachine):
    """What is on its way in each direction, what was said, and what was heard."""

    @initialize(compressed=st.booleans())
    def open(self, compressed: bool) -> None:
        self.client = ClientProtocol(parse_uri("ws://a/"), state=OPEN)
        extensions = []
        if compressed:
            factory = ClientPerMessageDeflateFactory()
            field, extensions = negotiate([b"permessage-deflate; client_max_window_bits"])
            assert "client_max_window_bits=12" in field
            parameters = [("server_max_window_bits", "12"), ("client_max_window_bits", "12")]
            self.client.extensions = [factory.process_response_params(parameters, [])]
        self.server = Frames(1 << 16, 100, extensions)
        self.to_server, self.to_client = b"", b""
        self.said: list[str | bytes] = []
        self.heard: list[str | bytes] = []
        self.answers: list[str | bytes] = []
        self.answered: list[str | bytes] = []
        self.pongs: list[bytes] = []
        self.pings: list[bytes] = []
        self.fragments: list[bytes] | None = None
        self.text = False
        self.closes: list[Closed] = []
        self.codes: list[int] = []

    # -- the client ------------------------------------------------------------------------------------

    def client_open(self) -> bool:
        return self.client.state is OPEN

    def client_writes(self) -> None:
        self.to_server += b"".join(self.client.data_to_send())

    @precondition(lambda self: self.client_open() and self.fragments is None)
    @rule(text=texts)
    def says_text(self, text: str) -> None:
        self.client.send_text(text.encode())
        self.said.append(text)
        self.client_writes()

    @precondition(lambda self: self.client_open() and self.fragments is None)
    @rule(block=blocks)
    def says_octets(self, block: bytes) -> None:
        self.client.send_binary(block)
        self.said.append(block)
        self.client_writes()

    @precondition(lambda self: self.client_open() and self.fragments is None)
    @rule(part=texts, text=st.booleans())
    def begins(self, part: str, text: bool) -> None:
        self.fragments, self.text = [part.encode()], text
        (self.client.send_text if text else self.client.send_binary)(part.encode(), fin=False)
        self.client_writes()

    @precondition(lambda self: self.client_open() and self.fragments is not None)
    @rule(part=texts, last=st.booleans())
    def goes_on(self, part: str, last: bool) -> None:
        assert self.fragments is not None
        self.fragments.append(part.encode())
        self.client.send_continuation(part.encode(), fin=last)
        if last:
            whole = b"".join(self.fragments)
            self.said.append(whole.decode() if self.text else whole)
            self.fragments = None
        self.client_writes()

    @precondition(lambda self: self.client_open())
    @rule(payload=st.binary(max_size=20))
    def pings_the_server(self, payload: bytes) -> None:
        self.client.send_ping(payload)
        self.pings.append(payload)
        self.client_writes()

    @precondition(lambda self: self.client_open())
    @rule(code=codes)
    def closes_as_client(self, code: int) -> None:
        self.client.send_close(code, "client")
        self.codes.append(code)
        self.client_writes()

    # -- the server ------------------------------------------------------------------------------------

    @precondition(lambda self: self.server.open)
    @rule(text=texts)
    def answers_text(self, text: str) -> None:
        self.to_client += self.server.message(text, None)
        self.answers.append(text)

    @precondition(lambda self: self.server.open)
    @rule(block=blocks)
    def answers_octets(self, block: bytes) -> None:
        self.to_client += self.server.message(None, block)
        self.answers.append(block)

    @precondition(lambda self: self.server.open)
    @rule(payload=st.binary(min_size=1, max_size=20))
    def pings_the_client(self, payload: bytes) -> None:
        self.server.ping(payload)
        self.to_client += self.server.outgoing()

    @precondition(lambda self: self.server.open)
    @rule(code=codes)
    def closes_as_server(self, code: int) -> None:
        self.server.close(code, "server")
        self.codes.append(code)
        self.to_client += self.server.outgoing()

    # -- the wire --------------------------------------------------------------------------------------

    @precondition(lambda self: bool(self.to_server))
    @rule(share=st.floats(0, 1))
    def carries_to_the_server(self, share: float) -> None:
        cut = max(1, round(len(self.to_server) * share))
        data, self.to_server = self.to_server[:cut], self.to_server[cut:]
        for item in self.server.receive(data):
            (self.closes if isinstance(item, Closed) else self.heard).append(item)  # type: ignore[attr-defined]
        self.to_client += self.server.outgoing()

    @precondition(lambda self: bool(self.to_client))
    @rule(share=st.floats(0, 1))
    def carries_to_the_client(self, share: float) -> None:
        cut = max(1, round(len(self.to_client) * share))
        data, self.to_client = self.to_client[:cut], self.to_client[cut:]
        self.client.receive_data(data)
        for frame in self.client.events_received():
            if frame.opcode is Opcode.TEXT:
                self.answered.append(bytes(frame.data).decode())
            elif frame.opcode is Opcode.BINARY:
                self.answered.append(bytes(frame.data))
            elif frame.opcode is Opcode.PONG:
                self.pongs.append(bytes(frame.data))
        self.client_writes()

    @rule()
    def is_still(self) -> None:
        """After both closes there is nothing else to do."""

    # -- what holds at any time ------------------------------------------------------------------------

    @invariant()
    def what_was_heard_was_said(self) -> None:
        if hasattr(self, "said"):
            assert self.heard == self.said[: len(self.heard)]
            assert self.answered == self.answers[: len(self.answered)]
            assert self.pongs == self.pings[: len(self.pongs)]
            assert len(self.closes) <= 1
            assert self.client.parser_exc is None, self.client.parser_exc

    def teardown(self) -> None:
        """Let the wire deliver all: everything said before a close was heard, and both agree on the close."""
        if not hasattr(self, "said"):
            return
        while self.to_server or self.to_client:
            for carry, waits in (
                (self.carries_to_the_server, self.to_server),
                (self.carries_to_the_client, self.to_client),
            ):
                if waits:
                    carry(1.0)
        assert self.answered == self.answers
        if not self.codes:
            assert (self.heard, self.pongs) == (self.said, self.pings)
            assert self.server.open
            return
        assert not self.server.open
        assert self.closes
        assert self.closes[0].code in self.codes
        assert self.server.finished
        assert self.client.close_rcvd is not None
        assert self.client.close_rcvd.code in self.codes
        self.client.receive_eof()
        assert self.client.state is CLOSED
        self.what_was_heard_was_said()


def test_anything_at_any_time() -> None:
    """Sixty lives of a connection."""
    slow = [HealthCheck.too_slow]  # a busy machine is no failure
    run_state_machine_as_test(
        Ends,
        settings=settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=slow),
    )
