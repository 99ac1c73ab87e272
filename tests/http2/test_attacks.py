"""The known attacks on HTTP/2 against real servers, while a healthy client goes on being served.

Numbers H2-01 to H2-23: the table in `packages/http2/tests/README.md`. What each attack leaves in a connection is
tested there, frame by frame; here it meets a whole server: the right code, one line in the log, nobody else harmed.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attacker as a
import pytest
from attacker import Attacker, frame, literal, request
from h2_peer import Peer
from h2_site import settings_for
from hostler_testkit.client import until
from hostler_testkit.plugin import Starter

WORKERS = ("gthread", "gevent", "asgi")
WIDE = 2**31 - 1 - 65535
WIDER = (1 << 20) - 65535


class Healthy(threading.Thread):
    """A client that asks again and again, over one connection after the other, until it is told to stop."""

    def __init__(self, address: tuple[str, int], context: Any) -> None:
        super().__init__()
        self.address, self.context = address, context
        self.served = 0
        self.failed: BaseException | None = None
        self.stopped = threading.Event()

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                with Peer(self.address, self.context) as peer:
                    for _ in range(20):
                        assert peer.answer(peer.request("/")) == (200, b"HTTP/2.0 https 0")
                        self.served += 1
                        if self.stopped.wait(0.01):
                            return
        except BaseException as error:
            self.failed = error


class Scene:
    """A server under attack, and the healthy client beside."""

    def __init__(self, server: Any, context: Any) -> None:
        self.server, self.context = server, context
        self.mark = len(server.log())
        self.healthy = Healthy(server.address, context)

    def __enter__(self) -> Scene:
        self.healthy.start()
        until(lambda: self.healthy.served or self.healthy.failed, "a healthy client")
        return self

    def __exit__(self, *error: object) -> None:
        served = self.healthy.served
        if error[0] is None:
            until(lambda: self.healthy.served > served or self.healthy.failed, "service beside the attack")
        self.healthy.stopped.set()
        self.healthy.join()
        assert self.healthy.failed is None, self.healthy.failed

    def attack(self, greeting: bytes = b"") -> Attacker:
        return Attacker(self.server.address, self.context, greeting)

    def logged(self, kind: str, again: Callable[[], None] | None = None) -> None:
        """A line of this kind came; `again` repeats the attack, for at most ten a second of one kind are written."""

        def written() -> bool:
            if f"refused kind={kind} " in self.server.log()[self.mark :]:
                return True
            if again is not None:
                again()
            return False

        until(written, f"kind={kind} in the log")


def started(directory: Path, worker: str, value: Any, certificate: Any, **settings: Any) -> Iterator[Any]:
    starter = Starter(directory, worker, "")
    yield starter(**settings_for(value, certificate, keepalive_requests=0, **settings))
    starter.end()


@pytest.fixture(scope="session")
def hurried_server(
    hostler_directory: Path, hostler_worker: str, worker_value: Any, certificate: Any
) -> Iterator[Any]:
    """Deadlines of a second, and no limit that ends an attack before they do."""
    short = {
        "http2_stream_timeout": 1,
        "http2_settings_timeout": 1,
        "write_timeout": 1,
        "header_timeout": 1,
        "body_timeout": 1,
    }
    yield from started(hostler_directory, hostler_worker, worker_value, certificate, **short)


@pytest.fixture(scope="session")
def lenient_server(
    hostler_directory: Path, hostler_worker: str, worker_value: Any, certificate: Any
) -> Iterator[Any]:
    """Thousands of resets are allowed, and a window that a large upload does not wait for at every step."""
    wide = {"http2_max_resets": 3000, "http2_initial_window_size": 1 << 20}
    yield from started(hostler_directory, hostler_worker, worker_value, certificate, **wide)


@pytest.fixture
def scene(running: Any, certificate: Any) -> Iterator[Scene]:
    """With the default limits."""
    with Scene(running, certificate.client(("h2",))) as scene:
        yield scene


@pytest.fixture
def hurried(hurried_server: Any, certificate: Any) -> Iterator[Scene]:
    with Scene(hurried_server, certificate.client(("h2",))) as scene:
        yield scene


@pytest.fixture
def lenient(lenient_server: Any, certificate: Any) -> Iterator[Scene]:
    with Scene(lenient_server, certificate.client(("h2",))) as scene:
        yield scene


def memory(server: Any) -> int:
    """KiB that the worker has in memory."""
    status = Path(f"/proc/{server.children()[0]}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


ODD = range(1, 1 << 20, 2)
"""Numbers of a client's streams."""
CHURN = [a.settings(s4=1000), a.settings(s4=1001)]

FLOODS: dict[str, tuple[Any, int, str]] = {
    "H2-01 resets": (lambda n: request(ODD[n]) + a.reset(ODD[n]), 400, "h2_reset_flood"),
    "H2-02 resets of ours": (lambda n: request(ODD[n]) + a.window(ODD[n], 2**31 - 1), 400, "h2_reset_flood"),
    "H2-02 late data": (lambda n: request(ODD[n]) + frame(a.DATA, 0, ODD[n], b"late"), 400, "h2_reset_flood"),
    "H2-08 pings": (lambda _: frame(a.PING, 0, 0, b"12345678"), 1500, "h2_control_flood"),
    "H2-08 settings": (lambda _: a.settings(), 1500, "h2_control_flood"),
    "H2-10 windows": (lambda n: CHURN[n % 2], 1500, "h2_control_flood"),
    "H2-15 empty data": (
        lambda n: request(1, end=False) if not n else frame(a.DATA, 0, 1),
        1500,
        "h2_control_flood",
    ),
    "H2-17 priorities": (lambda n: frame(a.PRIORITY, 0, ODD[n], bytes(5)), 1500, "h2_control_flood"),
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods(scene: Scene, name: str) -> None:
    """Counted, ended with ENHANCE_YOUR_CALM, one line in the log."""
    make, count, kind = FLOODS[name]
    with scene.attack() as attack:
        attack.flood(make(number) for number in range(count))
        attack.until_closed()
        assert attack.goaways()[-1] == a.CALM
    scene.logged(kind)
    assert scene.server.log()[scene.mark :].count(f"refused kind={kind} ") == 1


BREAKS: dict[str, tuple[bytes, int, str]] = {
    "H2-03 continuations": (
        frame(a.HEADERS, 0, 1, a.head()) + frame(a.CONTINUATION, 0, 1) * 11,
        a.CALM,
        "h2_continuation",
    ),
    "H2-06 integers": (frame(a.HEADERS, 5, 1, b"\xff" * 16000), a.COMPRESSION_ERROR, "h2_hpack"),
    "H2-09 entries": (a.settings(**{f"s{100 + n}": 1 for n in range(33)}), a.CALM, "h2_settings"),
    "H2-11 frame size": (a.settings(s5=0), a.PROTOCOL_ERROR, "bad_request"),
    "H2-13 window": (a.window(0, 2**31 - 1), a.FLOW_CONTROL_ERROR, "h2_flow"),
    "H2-21 idle stream": (frame(a.DATA, 0, 1, b"x"), a.PROTOCOL_ERROR, "bad_request"),
    "H2-21 stream 0": (frame(a.DATA, 0, 0, b"x"), a.PROTOCOL_ERROR, "bad_request"),
    "H2-21 push": (
        request(1, end=False, method=b"POST") + frame(a.PUSH_PROMISE, 4, 1, b"\0\0\0\2" + a.head()),
        a.PROTOCOL_ERROR,
        "bad_request",
    ),
    "H2-21 large frame": (frame(a.DATA, 0, 1, bytes(16385)), a.FRAME_SIZE_ERROR, "h2_frame_size"),
    "H2-21 interleaved": (
        frame(a.HEADERS, 0, 1, a.head()) + frame(a.PING, 0, 0, b"12345678"),
        a.PROTOCOL_ERROR,
        "bad_request",
    ),
    "H2-21 index": (frame(a.HEADERS, 5, 1, b"\xfe"), a.COMPRESSION_ERROR, "h2_hpack"),
    "H2-21 table size": (frame(a.HEADERS, 5, 1, b"\x3f\xe2\x1f"), a.COMPRESSION_ERROR, "h2_hpack"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_breaks(scene: Scene, name: str) -> None:
    """What breaks a connection ends it with the RFC's code."""
    data, code, kind = BREAKS[name]

    def attack() -> None:
        with scene.attack() as attack:
            assert attack.round(b"")
            attack.send(data)
            attack.until_closed()
            assert attack.goaways() == [code]

    attack()
    scene.logged(kind, attack)


CRUMB = b"\x60\x01a"
"""A cookie of one octet, put into the table; `\xbe` refers to it."""
REFUSED: dict[str, tuple[bytes, bytes | int, str]] = {
    "H2-04 references": (b"\x40\x01x\x7f\x81\x1e" + b"a" * 4000 + b"\xbe" * 8000, b"431", "h2_headers"),
    "H2-05 crumbs": (CRUMB + b"\xbe" * 200, b"431", "h2_headers"),
    "H2-05 small fields": (b"\x40\x01x\x01a" + b"\xbe" * 200, b"431", "h2_headers"),
    "H2-07 line": (literal(b"x", b"a\r\nb: c"), a.PROTOCOL_ERROR, "bad_request"),
    "H2-07 case": (literal(b"X-Up", b"a"), a.PROTOCOL_ERROR, "bad_request"),
    "H2-07 connection": (literal(b"connection", b"close"), a.PROTOCOL_ERROR, "bad_request"),
    "H2-07 te": (literal(b"te", b"gzip"), a.PROTOCOL_ERROR, "bad_request"),
    "H2-16 no name": (literal(b"", b"a"), a.PROTOCOL_ERROR, "bad_request"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_requests(scene: Scene, name: str) -> None:
    """What is wrong with one request ends its stream; the connection carries the next."""
    block, answer, kind = REFUSED[name]

    def attack() -> None:
        with scene.attack() as attack:
            attack.send(request(1, block))
            attack.wait(1)
            if isinstance(answer, bytes):
                assert answer in attack.statuses()[1]
            else:
                assert attack.resets() == {1: answer}
            served(attack, 3)

    attack()
    scene.logged(kind, attack)


def served(attack: Attacker, stream: int) -> None:
    """An ordinary request on the same connection is answered."""
    attack.send(request(stream))
    attack.wait(stream)
    assert (
        b"\x88" in attack.statuses()[stream][:2]
    )  # behind the update of the table's size, if it is the first


def test_stream_window(scene: Scene) -> None:
    """H2-13: an overflow of one stream's window resets that stream."""
    with scene.attack(a.settings(s4=0)) as attack:
        attack.send(request(1))
        while 1 not in attack.statuses():
            assert attack.receive()
        attack.send(a.window(1, 2**31 - 1) + a.window(1, 1))
        attack.wait(1)
        assert attack.resets() == {1: a.FLOW_CONTROL_ERROR}
        attack.send(a.settings(s4=65535))
        served(attack, 3)
    scene.logged("h2_flow")


def test_length(scene: Scene) -> None:
    """H2-22: a body that is not what Content-Length says ends its stream; the others live on."""
    fields = literal(b"content-length", b"5")

    def attack() -> None:
        with scene.attack() as attack:
            attack.send(request(1, fields, end=False, path=b"/length", method=b"POST"))
            attack.send(frame(a.DATA, a.END_STREAM, 1, b"four"))
            attack.send(request(3, fields, end=False, path=b"/length", method=b"POST"))
            attack.send(frame(a.DATA, 0, 3, b"sixsix"))
            attack.wait(1)
            attack.wait(3)
            assert attack.resets() == {1: a.PROTOCOL_ERROR, 3: a.PROTOCOL_ERROR}
            served(attack, 5)

    attack()
    scene.logged("bad_request", attack)


def test_too_many_streams(scene: Scene) -> None:
    """H2-23: the excess is refused and the connection kept, a hundred times; then it is ended.

    The window is shut, so answers wait and the streams stay open (H2-05's way of holding what was sent).
    """
    with scene.attack(a.settings(s4=0)) as attack:
        attack.flood(request(ODD[n]) for n in range(100))
        while len(attack.statuses()) < 100:
            assert attack.receive()
        attack.flood(request(ODD[n]) for n in range(100, 150))
        assert attack.resets() == {ODD[n]: a.REFUSED_STREAM for n in range(100, 150)}
        assert attack.open
        assert not attack.goaways()
        attack.flood(request(ODD[n]) for n in range(150, 260))
        attack.until_closed()
        assert attack.goaways() == [a.CALM]
    scene.logged("h2_streams")


def test_window_churn_with_streams(scene: Scene) -> None:
    """H2-10: 700 changes of the window with 100 answers waiting: less than a flood, and nobody feels it."""
    with scene.attack(a.settings(s4=0)) as attack:
        attack.flood(request(ODD[n]) for n in range(100))
        attack.flood(a.settings(s4=n % 2) for n in range(700))
        assert attack.open
        attack.flood([a.settings(s4=65535)])
        for stream in ODD[:100]:
            attack.wait(stream)


def test_dribble(hurried: Scene) -> None:
    """H2-12: a reader that opens its window octet by octet is given up, however lively it looks."""
    with hurried.attack(a.settings(s4=1)) as attack:
        attack.send(request(1, path=b"/large?10"))
        attack.socket.settimeout(0.05)
        while 1 not in attack.resets():
            try:
                assert attack.receive()
            except TimeoutError:
                attack.send(a.window(1, 1))
        assert attack.resets() == {1: a.CANCEL}
    hurried.logged("write_slow")


def test_shut_window(hurried: Scene) -> None:
    """H2-05, H2-12: an answer that waits for a window that never opens."""
    with hurried.attack(a.settings(s4=0)) as attack:
        attack.send(request(1))
        attack.wait(1)
        assert attack.resets() == {1: a.CANCEL}
    hurried.logged("write_slow")


def test_reader_that_stops(hurried: Scene) -> None:
    """H2-14, H2-19: windows as wide as can be and a reader that reads nothing, told GOAWAY meanwhile.

    No more than its share waits for it, and it is closed within the deadline.
    """
    before = memory(hurried.server)
    with hurried.attack(a.settings(s4=2**31 - 1)) as attack:
        attack.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        pings = frame(a.PING, 0, 0, b"12345678") * 800
        attack.send(
            a.window(0, WIDE) + b"".join(request(ODD[n], path=b"/large?100") for n in range(50)) + pings
        )
        hurried.logged("write_slow")
        assert memory(hurried.server) - before < 40_000
        until(lambda: closed(attack), "the end of the connection")


def closed(attack: Attacker) -> bool:
    """The server has closed its end, which a client that reads nothing cannot see: the kernel's table tells."""
    ends = [f":{attack.socket.getpeername()[1]:04X}", f":{attack.socket.getsockname()[1]:04X}"]
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return not any([row[1][-5:], row[2][-5:]] == ends and row[3] == "01" for row in rows)


def test_head_that_stalls(hurried: Scene) -> None:
    """H2-03: a header block is done within its deadline."""
    with hurried.attack() as attack:
        attack.send(frame(a.HEADERS, 0, 1, a.head()))
        attack.until_closed()
        assert attack.goaways() == [a.CALM]
    hurried.logged("header_timeout")


def test_memory_of_a_connection(scene: Scene) -> None:
    """H2-18: 24 MiB of fields over one connection, and none of it stays."""
    with scene.attack() as attack:
        for number in range(20):
            attack.send(request(ODD[number], literal(b"x", b"%d" % number + b"y" * 8000) * 2))
            attack.wait(ODD[number])
        before = memory(scene.server)
        for number in range(20, 1520):
            attack.send(request(ODD[number], literal(b"x", b"%d" % number + b"y" * 8000) * 2))
            attack.wait(ODD[number])
            attack.frames.clear()
        assert memory(scene.server) - before < 12_000


def test_reset_uploads_give_their_credit_back(lenient: Scene) -> None:
    """H2-20: 1,000 uploads that are reset half-way, then one of 10 MB over the same connection."""
    with lenient.attack() as attack:
        for first in range(0, 1000, 8):
            uploads = (ODD[n] for n in range(first, first + 8))
            assert attack.round(
                b"".join(begun(n) + frame(a.DATA, 0, n, bytes(1000)) + a.reset(n) for n in uploads)
            )
        stream, sent, left = ODD[1000], 1_000_000, 10_000_000
        attack.send(begun(stream))
        while left:
            room = min(
                left, 16384, attack.credit(0) - sent, attack.credit(stream) + WIDER - 10_000_000 + left
            )
            if room <= 0:
                assert attack.receive()
                continue
            left, sent = left - room, sent + room
            attack.send(frame(a.DATA, 0 if left else a.END_STREAM, stream, bytes(room)))
        attack.wait(stream)
        body = b"".join(
            payload for kind, _, number, payload in attack.frames if (kind, number) == (a.DATA, stream)
        )
        assert body == b"HTTP/2.0 https 10000000"


def begun(stream: int) -> bytes:
    """An upload without its body."""
    return request(stream, end=False, path=b"/length", method=b"POST")
