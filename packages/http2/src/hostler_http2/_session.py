"""What one connection is made of: its streams, budgets, windows and the events that wait to be told.

The frame handlers and the contract's actions both work on it; it keeps the rules that both must obey: each slot is
given back once, each octet of credit is returned once, every stream that ends is told once.
"""

from __future__ import annotations

from collections.abc import Callable

from hostler.plugin import Event, Gone, Limits

from hostler_http2 import _frames as f
from hostler_http2._answers import Answers
from hostler_http2._budget import Bucket
from hostler_http2._headers import HeadMaker
from hostler_http2._hpack import NO_TABLE, Decoder
from hostler_http2._priority import Foretold
from hostler_http2._sending import Sender
from hostler_http2._settings import Http2Settings
from hostler_http2._streams import Stream

RECENT = 256
"""Ended streams that are remembered, so that frames which crossed their end on the way are told from errors."""


UPDATE_COST = 512
"""Octets that must have been sent for each WINDOW_UPDATE: a real reader opens its windows by thousands."""


class Assembly:
    """A header block whose CONTINUATION frames are still to come."""

    __slots__ = ("block", "count", "flags", "number")

    def __init__(self, number: int, flags: int, block: bytes) -> None:
        self.number = number
        self.flags = flags
        self.block = bytearray(block)
        self.count = 0


class Session:
    """The state of one connection."""

    __slots__ = (
        "announced",
        "answers",
        "assembly",
        "clock",
        "closing",
        "controls",
        "credit",
        "decoder",
        "draining",
        "events",
        "final",
        "foretold",
        "frames",
        "greeted",
        "highest",
        "initial",
        "last",
        "limits",
        "maker",
        "max_requests",
        "opened",
        "owed",
        "own",
        "peer_leaves",
        "recent",
        "refusals",
        "requests",
        "resets",
        "sender",
        "settled",
        "streams",
        "table_told",
        "updates",
    )

    def __init__(
        self,
        own: Http2Settings,
        limits: Limits,
        answers: Answers,
        maker: HeadMaker,
        decoder: Decoder,
        clock: Callable[[], float],
    ) -> None:
        self.own = own
        self.limits = limits
        self.answers = answers
        self.maker = maker
        self.decoder = decoder
        self.clock = clock
        self.opened = clock()
        self.sender = Sender()
        self.frames = f.FrameBuffer(own.max_frame_size)
        self.events: list[Event] = []
        self.streams: dict[int, Stream] = {}
        self.recent: dict[int, bool] = {}
        """Streams that ended lately -> whether we reset them, so that the peer may not know yet."""
        self.assembly: Assembly | None = None
        self.foretold = Foretold()
        self.greeted = False
        """The peer's first SETTINGS have come."""
        self.settled = False
        """The peer has acknowledged ours."""
        self.initial = max(own.initial_window_size, 65535)
        """What a new stream may receive: until the peer knows ours, RFC 9113's default holds."""
        self.credit = own.connection_window_size
        self.owed = 0
        self.last = 0
        """The highest stream that was taken on."""
        self.highest = 0
        """The highest that the peer has opened."""
        self.closing = False
        self.draining = False
        self.announced = False
        """The first of two GOAWAY frames is out."""
        self.final = False
        """The last GOAWAY is out: no further stream is taken on."""
        self.peer_leaves = False
        self.table_told = False
        self.requests = 0
        self.max_requests = 0
        self.updates = 0
        self.resets = Bucket(own.max_resets, own.max_resets / 10, clock)
        self.controls = Bucket(own.max_control_frames, own.max_control_frames / 10, clock)
        self.refusals = Bucket(own.max_refusals, own.max_refusals / 100, clock)

    # -- budgets ---------------------------------------------------------------------------------------

    def count_control(self) -> None:
        """A frame that carries nothing. Raises `ConnectionBroken` when there were too many."""
        if not self.controls.take():
            raise f.ConnectionBroken(f.ENHANCE_YOUR_CALM, "a flood of control frames", "h2_control_flood")
        if self.controls.low:
            self.announce()

    def count_reset(self) -> None:
        """A stream reset by the peer, or by us for its fault. Raises `ConnectionBroken`."""
        if not self.resets.take():
            raise f.ConnectionBroken(f.ENHANCE_YOUR_CALM, "a flood of reset streams", "h2_reset_flood")

    def count_update(self) -> None:
        """A window was opened: each time must have let something through, else it carried nothing."""
        self.updates += 1
        if self.updates * UPDATE_COST > self.sender.sent:
            self.count_control()

    # -- credit ----------------------------------------------------------------------------------------

    def give(self, count: int) -> None:
        """Octets of bodies are out of the way: the peer may send as many more on the connection."""
        self.owed += count
        if self.owed * 2 >= self.own.connection_window_size:
            self.sender.push(f.window_update(0, self.owed))
            self.credit += self.owed
            self.owed = 0

    def give_stream(self, stream: Stream, count: int) -> None:
        """The same for one stream, as long as more can come."""
        if stream.remote_ended or stream.closed:
            return
        stream.owed += count
        if stream.owed * 2 >= min(self.initial, self.own.initial_window_size):
            self.sender.push(f.window_update(stream.number, stream.owed))
            stream.credit += stream.owed
            stream.owed = 0

    # -- ends of streams -------------------------------------------------------------------------------

    def reset(self, stream: Stream, code: int, reason: str, kind: str = "", *, provoked: bool = True) -> None:
        """Reset a stream and tell the driver. `provoked`: the peer's fault, which counts against it."""
        self.sender.push(f.reset(stream.number, code))
        self.lose(stream, reason, kind, ours=True)
        if provoked:
            self.count_reset()

    def lose(self, stream: Stream, reason: str, kind: str = "", *, ours: bool = False) -> None:
        """A stream gets no further. A fault (`kind`) is told for the log even when the application is done."""
        if kind or not stream.done:
            self.events.append(Gone(stream.number, reason, kind))
        self.close(stream, ours=ours)

    def tell(self, number: int, reason: str, kind: str) -> None:
        """A request that never came into service: for the log."""
        self.events.append(Gone(number, reason, kind))

    def refuse(self, number: int, code: int) -> None:
        """Reset a stream that never came into service."""
        self.sender.push(f.reset(number, code))
        self.remember(number, True)

    def respond(self, stream: Stream, status: int, reason: str, kind: str) -> None:
        """Answer for the application, which has not begun to; then the stream gets no further."""
        self.sender.forget(stream)
        stream.drop()
        self.answer_error(
            stream.number, status, stream.window, stream.head.method == "HEAD", ended=stream.remote_ended
        )
        self.lose(stream, reason, kind, ours=not stream.remote_ended)

    def answer_error(self, number: int, status: int, window: int, headless: bool, *, ended: bool) -> None:
        """An error answer in full, as far as it may be sent at once; its body is left out where it may not."""
        sender = self.sender
        block, text = self.answers.refusal(status)
        bodied = not headless and len(text) <= min(window, sender.window)
        sender.headers(number, self.first(block), end=not bodied)
        if bodied:
            sender.window -= len(text)
            sender.push(f.frame(f.DATA, f.END_STREAM, number, text))
        if not ended:
            # RFC 9113 section 8.1: the peer need not go on sending.
            sender.push(f.reset(number, f.NO_ERROR))

    def close(self, stream: Stream, *, ours: bool = False) -> None:
        """Both sides are done with the stream; its slot stays taken until the application is, too."""
        if stream.closed:
            return
        stream.closed = True
        self.sender.forget(stream)
        stream.drop()
        if stream.untaken:
            self.give(stream.untaken)
            stream.untaken = 0
        self.remember(stream.number, ours)
        self.release(stream)

    def release(self, stream: Stream) -> None:
        """Give the slot back once nobody needs it."""
        if stream.closed and stream.done:
            self.streams.pop(stream.number, None)

    def remember(self, number: int, ours: bool) -> None:
        """Keep in mind that this stream has ended."""
        recent = self.recent
        recent[number] = ours
        if len(recent) > RECENT:
            del recent[next(iter(recent))]

    def finish(self, stream: Stream) -> None:
        """Our side of the stream is complete."""
        if stream.remote_ended:
            self.close(stream)
        elif stream.finished and not stream.closed:
            # RFC 9113 section 8.1: nobody will read the rest of the request.
            self.sender.push(f.reset(stream.number, f.NO_ERROR))
            self.close(stream, ours=True)

    # -- ends of the connection ------------------------------------------------------------------------

    def first(self, block: bytes) -> bytes:
        """The first header block of a connection tells that the peer's table stays empty."""
        if self.table_told:
            return block
        self.table_told = True
        return NO_TABLE + block

    def drain(self) -> None:
        """Come to an end. While requests are in service the peer is not told before it opens another stream.

        GOAWAY goes out with the last answer then: clients built on the h2 library read nothing behind a GOAWAY.
        """
        if self.draining or self.closing:
            return
        self.draining = True
        if not self.streams:
            self.announce()

    def announce(self) -> None:
        """Ask the peer to open no more streams; what it has sent until it knows is still served."""
        self.draining = True
        if not self.announced:
            self.announced = True
            self.sender.push(f.goaway(f.LARGEST_STREAM, f.NO_ERROR))
            self.sender.push(f.frame(f.PING, 0, 0, DRAINED))

    def drained(self) -> None:
        """The peer knows: name the last stream that is served."""
        if self.announced and not self.final:
            self.final = True
            self.sender.push(f.goaway(self.last, f.NO_ERROR))

    def leave(self, code: int = f.NO_ERROR) -> None:
        """Close once what is queued is written."""
        if not self.closing:
            self.closing = True
            self.sender.push(f.goaway(self.last, code))

    def broken(self, error: f.ConnectionBroken) -> None:
        """Tell the peer why, and close."""
        for stream in self.streams.values():
            self.sender.forget(stream)
            stream.closed = True
            stream.drop()
        self.leave(error.code)
        self.events.append(Gone(None, error.reason, error.kind))


DRAINED = b"draining"
"""The payload of the PING that follows the first GOAWAY: its answer says that one round trip is over."""
