"""What each type of frame does (RFC 9113 section 6): functions on a session, one for each type.

A fault of one stream resets it, a fault of the connection raises `ConnectionBroken`; the codes are the RFC's.
"""

from __future__ import annotations

from collections.abc import Callable

from hostler.plugin import Data, End, Head, ProtocolError, Request

from hostler_http2 import _frames as f
from hostler_http2._headers import Malformed
from hostler_http2._hpack import Block, HpackError
from hostler_http2._priority import Priority, of_fields, parse
from hostler_http2._session import DRAINED, Assembly, Session
from hostler_http2._settings import LARGEST_WINDOW
from hostler_http2._streams import Stream

_SMALL = 256
"""Frames of late data that are smaller count like frames that carry nothing."""

Handler = Callable[[Session, int, int, bytes], None]


def _protocol_error(reason: str) -> f.ConnectionBroken:
    return f.ConnectionBroken(f.PROTOCOL_ERROR, reason)


def _size_error(reason: str) -> f.ConnectionBroken:
    return f.ConnectionBroken(f.FRAME_SIZE_ERROR, reason, "h2_frame_size")


def _check_opened(session: Session, number: int, name: str) -> None:
    """A frame other than HEADERS and PRIORITY on a stream that was never opened (section 5.1)."""
    if number > session.highest or not number & 1:
        raise _protocol_error(f"{name} on an idle stream")


# -- HEADERS, CONTINUATION -----------------------------------------------------------------------------


def on_headers(session: Session, flags: int, number: int, payload: bytes) -> None:
    if not number & 1:
        raise _protocol_error("HEADERS on a stream that is not the client's")
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
        raise _protocol_error("CONTINUATION without HEADERS")
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
        raise _protocol_error("a stream number that is not higher than the last")


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
        _check_opened(session, number, "DATA")
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


# -- the small ones ------------------------------------------------------------------------------------


def on_priority(session: Session, flags: int, number: int, payload: bytes) -> None:
    session.count_control()
    if not number:
        raise _protocol_error("PRIORITY on stream 0")
    if len(payload) != 5:
        raise _size_error("a PRIORITY frame of another size than 5")


def on_reset(session: Session, flags: int, number: int, payload: bytes) -> None:
    if len(payload) != 4:
        raise _size_error("a RST_STREAM frame of another size than 4")
    _check_opened(session, number, "RST_STREAM")
    stream = session.streams.get(number)
    if stream is not None and not stream.closed:
        session.lose(stream, f"the client reset the request (code {f.word(payload)})")
    session.count_reset()


def on_settings(session: Session, flags: int, number: int, payload: bytes) -> None:
    if number:
        raise _protocol_error("SETTINGS on a stream")
    if flags & f.ACK:
        if payload:
            raise _size_error("a SETTINGS acknowledgement with a payload")
        session.count_control()
        _acknowledged(session)
        return
    if len(payload) % 6:
        raise _size_error("a SETTINGS frame whose size is no multiple of 6")
    if len(payload) // 6 > session.own.max_settings_entries:
        raise f.ConnectionBroken(f.ENHANCE_YOUR_CALM, "a SETTINGS frame of too many entries", "h2_settings")
    session.count_control()
    for identifier, value in f.entries_of(payload):
        _apply(session, identifier, value)
    session.greeted = True
    session.sender.reply(f.frame(f.SETTINGS, f.ACK, 0))


def _acknowledged(session: Session) -> None:
    if session.settled:
        return
    session.settled = True
    shrink = session.initial - session.own.initial_window_size
    session.initial = session.own.initial_window_size
    if shrink:
        for stream in session.streams.values():
            stream.credit -= shrink


def _apply(session: Session, identifier: int, value: int) -> None:
    sender = session.sender
    if identifier == f.ENABLE_PUSH:
        if value > 1:
            raise _protocol_error("ENABLE_PUSH other than 0 and 1")
    elif identifier == f.INITIAL_WINDOW_SIZE:
        if value > LARGEST_WINDOW:
            raise f.ConnectionBroken(f.FLOW_CONTROL_ERROR, "an initial window beyond 2**31-1", "h2_flow")
        difference, sender.initial = value - sender.initial, value
        if difference:
            _shift_windows(session, difference)
    elif identifier == f.MAX_FRAME_SIZE:
        if not 16384 <= value <= 16777215:
            raise _protocol_error("a MAX_FRAME_SIZE out of its range")
        sender.frame = min(value, 65536)
    elif identifier in (f.ENABLE_CONNECT_PROTOCOL, f.NO_RFC7540_PRIORITIES) and value > 1:
        raise _protocol_error("a setting other than 0 and 1")


def _shift_windows(session: Session, difference: int) -> None:
    for stream in session.streams.values():
        stream.window += difference
        if stream.window > LARGEST_WINDOW:
            raise f.ConnectionBroken(f.FLOW_CONTROL_ERROR, "a window beyond 2**31-1", "h2_flow")
    if difference > 0:
        session.sender.unblock_all()


def on_push_promise(session: Session, flags: int, number: int, payload: bytes) -> None:
    raise _protocol_error("PUSH_PROMISE of a client")


def on_ping(session: Session, flags: int, number: int, payload: bytes) -> None:
    if number:
        raise _protocol_error("PING on a stream")
    if len(payload) != 8:
        raise _size_error("a PING frame of another size than 8")
    session.count_control()
    if not flags & f.ACK:
        session.sender.reply(f.frame(f.PING, f.ACK, 0, payload))
    elif payload == DRAINED:
        session.drained()


def on_goaway(session: Session, flags: int, number: int, payload: bytes) -> None:
    if number:
        raise _protocol_error("GOAWAY on a stream")
    if len(payload) < 8:
        raise _size_error("a GOAWAY frame shorter than 8")
    session.count_control()
    session.peer_leaves = True


def on_window_update(session: Session, flags: int, number: int, payload: bytes) -> None:
    if len(payload) != 4:
        raise _size_error("a WINDOW_UPDATE frame of another size than 4")
    increment = f.word(payload) & LARGEST_WINDOW
    sender = session.sender
    if not number:
        if not increment:
            raise _protocol_error("WINDOW_UPDATE of 0 for the connection")
        session.count_update()
        if not sender.grow(increment):
            raise f.ConnectionBroken(
                f.FLOW_CONTROL_ERROR, "the connection's window beyond 2**31-1", "h2_flow"
            )
        return
    _check_opened(session, number, "WINDOW_UPDATE")
    stream = session.streams.get(number)
    if stream is None or stream.closed:
        session.count_control()
        return
    if not increment:
        session.reset(stream, f.PROTOCOL_ERROR, "WINDOW_UPDATE of 0", "h2_flow")
        return
    if stream.window + increment > LARGEST_WINDOW:
        session.reset(stream, f.FLOW_CONTROL_ERROR, "a window beyond 2**31-1", "h2_flow")
        return
    if stream.widened:
        session.count_update()
    stream.widened = True
    stream.window += increment
    if stream.window > 0:
        sender.unblock(stream)


def on_priority_update(session: Session, flags: int, number: int, payload: bytes) -> None:
    if number:
        raise _protocol_error("PRIORITY_UPDATE on a stream")
    if len(payload) < 4:
        raise _size_error("a PRIORITY_UPDATE frame shorter than 4")
    session.count_control()
    target = f.word(payload) & f.LARGEST_STREAM
    if not target & 1:
        raise _protocol_error("PRIORITY_UPDATE for a stream that is not the client's")
    priority = parse(payload[4:260])
    stream = session.streams.get(target)
    if stream is not None:
        stream.priority = priority
    elif target > session.highest:
        session.foretold.tell(target, priority)


def on_unknown(session: Session, flags: int, number: int, payload: bytes) -> None:
    """RFC 9113 section 5.5: ignored, and counted."""
    session.count_control()


HANDLERS: dict[int, Handler] = {
    f.DATA: on_data,
    f.HEADERS: on_headers,
    f.PRIORITY: on_priority,
    f.RST_STREAM: on_reset,
    f.SETTINGS: on_settings,
    f.PUSH_PROMISE: on_push_promise,
    f.PING: on_ping,
    f.GOAWAY: on_goaway,
    f.WINDOW_UPDATE: on_window_update,
    f.CONTINUATION: on_continuation,
    f.PRIORITY_UPDATE: on_priority_update,
}
