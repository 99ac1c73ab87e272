"""What the frames do that carry requests, and the table of all types: functions on a session (RFC 9113 section 6).

A fault of one stream resets it, a fault of the connection raises `ConnectionBroken`; the codes are the RFC's.
"""

from __future__ import annotations

from collections.abc import Callable

from hostler.plugin import Data, End, Head, ProtocolError, Request

from hostler_http2 import _control as control
from hostler_http2 import _frames as f
from hostler_http2._control import check_opened, protocol_error
from hostler_http2._headers import Malformed
from hostler_http2._hpack import Block, HpackError
from hostler_http2._priority import Priority, of_fields
from hostler_http2._session import Assembly, Session
from hostler_http2._streams import Stream

_SMALL = 256
"""Frames of late data that are smaller count like frames that carry nothing."""

Handler = Callable[[Session, int, int, bytes], None]


# -- HEADERS, CONTINUATION -----------------------------------------------------------------------------


def on_headers(session: Session, flags: int, number: int, payload: bytes) -> None:
    if not number & 1:
        raise protocol_error("HEADERS on a stream that is not the client's")
    block = f.without_priority(flags, f.unpadded(flags, payload))
    if not block and not flags & f.END_STREAM:
        session.count_control()
    if flags & f.END_HEADERS:
        on_block(session, flags, number, block)
    else:
        session.assembly = Assembly(number, flags, block)


def on_continuation(session: Session, flags: int, number: int, payload: bytes) -> None:
    assembly = session.assembly
    if assembly is None:
        raise protocol_error("CONTINUATION without HEADERS")
    assembly.count += 1
    own = session.own
    if assembly.count > own.max_continuations or len(assembly.block) + len(payload) > own.max_header_block:
        raise f.ConnectionBroken(f.ENHANCE_YOUR_CALM, "a header block without end", "h2_continuation")
    assembly.block += payload
    if flags & f.END_HEADERS:
        session.assembly = None
        on_block(session, assembly.flags, number, bytes(assembly.block))


def on_block(session: Session, flags: int, number: int, encoded: bytes) -> None:
    """A complete header block: a request, or the trailers of one."""
    if len(encoded) > session.own.max_header_block:
        raise f.ConnectionBroken(f.ENHANCE_YOUR_CALM, "a header block too long", "h2_continuation")
    try:
        block = session.decoder.decode(encoded)
    except HpackError as error:
        raise f.ConnectionBroken(f.COMPRESSION_ERROR, str(error), "h2_hpack") from None
    ended = bool(flags & f.END_STREAM)
    stream = session.streams.get(number)
    if number > session.highest:
        session.highest = number
        _open(session, number, block, ended)
    elif stream is not None and not stream.closed:
        _trailers(session, stream, block, ended)
    elif session.recent.get(number):
        return  # it crossed our reset on the way
    elif number in session.recent:
        raise f.ConnectionBroken(f.STREAM_CLOSED, "HEADERS on a closed stream")
    else:
        raise protocol_error("a stream number that is not higher than the last")


def _open(session: Session, number: int, block: Block, ended: bool) -> None:
    if session.final:
        session.remember(number, True)
        return
    if len(session.streams) >= session.own.max_concurrent_streams:
        session.refuse(number, f.REFUSED_STREAM)
        session.tell(number, "more requests at once than the server allows", "h2_streams")
        if not session.refusals.take():
            raise f.ConnectionBroken(f.ENHANCE_YOUR_CALM, "too many refused streams", "h2_streams")
        return
    session.last = number
    made = block.memo.get(ended) or _make(session, number, block, ended)
    if made is None:
        return
    head, priority = made
    stream = Stream(number, head, ended, session.sender.initial, session.initial)
    stream.priority = session.foretold.take(number) or priority
    session.streams[number] = stream
    session.events.append(Request(number, head, ended))
    session.requests += 1
    if session.draining:
        session.announce()
    elif session.requests == session.max_requests:
        session.drain()


def _make(session: Session, number: int, block: Block, ended: bool) -> tuple[Head, Priority] | None:
    """The head and its priority, kept with the block; None when the request was refused."""
    try:
        if block.trouble:
            raise ProtocolError(431, block.trouble, block.reason)
        head = session.maker.head(block.fields, ended)
    except Malformed as error:
        session.refuse(number, f.PROTOCOL_ERROR)
        session.tell(number, str(error), "bad_request")
        session.count_reset()
        return None
    except ProtocolError as error:
        headless = (b":method", b"HEAD") in block.fields
        session.answer_error(number, error.status, session.sender.initial, headless, ended=ended)
        session.remember(number, not ended)
        session.tell(number, error.reason, error.kind)
        if not ended:
            session.count_reset()
        return None
    made = block.memo[ended] = head, of_fields(block.fields)
    return made


def _trailers(session: Session, stream: Stream, block: Block, ended: bool) -> None:
    if stream.remote_ended:
        session.reset(stream, f.STREAM_CLOSED, "HEADERS behind the end of a request", "bad_request")
        return
    if not ended or stream.tunnel:
        session.reset(stream, f.PROTOCOL_ERROR, "a second HEADERS that ends nothing", "bad_request")
        return
    try:
        if block.trouble:
            raise ProtocolError(431, block.trouble, block.reason)
        trailers = session.maker.trailers(block.fields)
    except Malformed as error:
        session.reset(stream, f.PROTOCOL_ERROR, str(error), "bad_trailer")
        return
    except ProtocolError as error:
        _fail(session, stream, error.status, error.reason, error.kind)
        return
    _end(session, stream, trailers)


def _fail(session: Session, stream: Stream, status: int, reason: str, kind: str) -> None:
    """The request cannot go on: answer it if nothing was answered, else reset it."""
    if stream.started:
        session.reset(stream, f.CANCEL, reason, kind)
    else:
        session.respond(stream, status, reason, kind)


def _end(session: Session, stream: Stream, trailers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    if stream.expected is not None and stream.received != stream.expected:
        session.reset(stream, f.PROTOCOL_ERROR, "a body shorter than its Content-Length", "bad_request")
        return
    stream.remote_ended = True
    if not stream.done:
        session.events.append(End(stream.number, trailers))
    if stream.sent_end:
        session.close(stream)


# -- DATA ----------------------------------------------------------------------------------------------


def on_data(session: Session, flags: int, number: int, payload: bytes) -> None:
    size = len(payload)
    if size > session.credit:
        raise f.ConnectionBroken(f.FLOW_CONTROL_ERROR, "more octets than the connection's window", "h2_flow")
    session.credit -= size
    stream = session.streams.get(number)
    if stream is None or stream.closed:
        check_opened(session, number, "DATA")
        session.give(size)
        _late_data(session, number, size)
        return
    if stream.remote_ended:
        session.give(size)
        session.reset(stream, f.STREAM_CLOSED, "DATA behind the end of a request", "bad_request")
        return
    if size > stream.credit:
        session.give(size)
        session.reset(stream, f.FLOW_CONTROL_ERROR, "more octets than the stream's window", "h2_flow")
        return
    stream.credit -= size
    body = f.unpadded(flags, payload)
    ended = bool(flags & f.END_STREAM)
    if len(body) != size:
        session.give(size - len(body))
        session.give_stream(stream, size - len(body))
    if body:
        if not _take(session, stream, body):
            return
    elif not ended:
        session.count_control()
    if ended:
        _end(session, stream)


def _take(session: Session, stream: Stream, body: bytes) -> bool:
    """Octets of a body, counted; False when the stream ended because of them."""
    size = len(body)
    stream.received += size
    stream.moved += size
    limit = 0 if stream.tunnel else session.limits.body
    if stream.expected is not None and stream.received > stream.expected:
        session.give(size)
        session.reset(stream, f.PROTOCOL_ERROR, "a body longer than its Content-Length", "bad_request")
        return False
    if limit and stream.received > limit:
        session.give(size)
        _fail(session, stream, 413, f"a body of more than {limit} octets", "body_too_large")
        return False
    if stream.done:
        session.give(size)
        return True
    stream.untaken += size
    session.events.append(Data(stream.number, body))
    return True


def _late_data(session: Session, number: int, size: int) -> None:
    if not session.recent.get(number):
        session.refuse(number, f.STREAM_CLOSED)
        session.count_reset()
    elif size < _SMALL:
        session.count_control()


HANDLERS: dict[int, Handler] = {
    f.DATA: on_data,
    f.HEADERS: on_headers,
    f.PRIORITY: control.on_priority,
    f.RST_STREAM: control.on_reset,
    f.SETTINGS: control.on_settings,
    f.PUSH_PROMISE: control.on_push_promise,
    f.PING: control.on_ping,
    f.GOAWAY: control.on_goaway,
    f.WINDOW_UPDATE: control.on_window_update,
    f.CONTINUATION: on_continuation,
    f.PRIORITY_UPDATE: control.on_priority_update,
}
