"""What the frames do that steer a connection and carry no request: SETTINGS, PING, windows, priorities, ends.

Functions on a session, one for each type (RFC 9113 section 6). Each counts: a peer may send few that change nothing.
"""

from __future__ import annotations

from hostler_http2 import _frames as f
from hostler_http2._priority import parse
from hostler_http2._session import DRAINED, Session
from hostler_http2._settings import LARGEST_WINDOW


def protocol_error(reason: str) -> f.ConnectionBroken:
    """The connection breaks with PROTOCOL_ERROR."""
    return f.ConnectionBroken(f.PROTOCOL_ERROR, reason)


def size_error(reason: str) -> f.ConnectionBroken:
    """The connection breaks with FRAME_SIZE_ERROR."""
    return f.ConnectionBroken(f.FRAME_SIZE_ERROR, reason, "h2_frame_size")


def check_opened(session: Session, number: int, name: str) -> None:
    """A frame other than HEADERS and PRIORITY on a stream that was never opened (section 5.1)."""
    if number > session.highest or not number & 1:
        raise protocol_error(f"{name} on an idle stream")


def on_priority(session: Session, flags: int, number: int, payload: bytes) -> None:
    session.count_control()
    if not number:
        raise protocol_error("PRIORITY on stream 0")
    if len(payload) != 5:
        raise size_error("a PRIORITY frame of another size than 5")


def on_reset(session: Session, flags: int, number: int, payload: bytes) -> None:
    if len(payload) != 4:
        raise size_error("a RST_STREAM frame of another size than 4")
    check_opened(session, number, "RST_STREAM")
    stream = session.streams.get(number)
    if stream is not None and not stream.closed:
        session.lose(stream, f"the client reset the request (code {f.word(payload)})")
    session.count_reset()


def on_settings(session: Session, flags: int, number: int, payload: bytes) -> None:
    if number:
        raise protocol_error("SETTINGS on a stream")
    if flags & f.ACK:
        if payload:
            raise size_error("a SETTINGS acknowledgement with a payload")
        session.count_control()
        _acknowledged(session)
        return
    if len(payload) % 6:
        raise size_error("a SETTINGS frame whose size is no multiple of 6")
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
            raise protocol_error("ENABLE_PUSH other than 0 and 1")
    elif identifier == f.INITIAL_WINDOW_SIZE:
        if value > LARGEST_WINDOW:
            raise f.ConnectionBroken(f.FLOW_CONTROL_ERROR, "an initial window beyond 2**31-1", "h2_flow")
        difference, sender.initial = value - sender.initial, value
        if difference:
            _shift_windows(session, difference)
    elif identifier == f.MAX_FRAME_SIZE:
        if not 16384 <= value <= 16777215:
            raise protocol_error("a MAX_FRAME_SIZE out of its range")
        sender.frame = min(value, 65536)
    elif identifier in (f.ENABLE_CONNECT_PROTOCOL, f.NO_RFC7540_PRIORITIES) and value > 1:
        raise protocol_error("a setting other than 0 and 1")


def _shift_windows(session: Session, difference: int) -> None:
    for stream in session.streams.values():
        stream.window += difference
        if stream.window > LARGEST_WINDOW:
            raise f.ConnectionBroken(f.FLOW_CONTROL_ERROR, "a window beyond 2**31-1", "h2_flow")
    if difference > 0:
        session.sender.unblock_all()


def on_push_promise(session: Session, flags: int, number: int, payload: bytes) -> None:
    raise protocol_error("PUSH_PROMISE of a client")


def on_ping(session: Session, flags: int, number: int, payload: bytes) -> None:
    if number:
        raise protocol_error("PING on a stream")
    if len(payload) != 8:
        raise size_error("a PING frame of another size than 8")
    session.count_control()
    if not flags & f.ACK:
        session.sender.reply(f.frame(f.PING, f.ACK, 0, payload))
    elif payload == DRAINED:
        session.drained()


def on_goaway(session: Session, flags: int, number: int, payload: bytes) -> None:
    if number:
        raise protocol_error("GOAWAY on a stream")
    if len(payload) < 8:
        raise size_error("a GOAWAY frame shorter than 8")
    session.count_control()
    session.peer_leaves = True


def on_window_update(session: Session, flags: int, number: int, payload: bytes) -> None:
    if len(payload) != 4:
        raise size_error("a WINDOW_UPDATE frame of another size than 4")
    increment = f.word(payload) & LARGEST_WINDOW
    sender = session.sender
    if not number:
        if not increment:
            raise protocol_error("WINDOW_UPDATE of 0 for the connection")
        session.count_update()
        if not sender.grow(increment):
            raise f.ConnectionBroken(
                f.FLOW_CONTROL_ERROR, "the connection's window beyond 2**31-1", "h2_flow"
            )
        return
    check_opened(session, number, "WINDOW_UPDATE")
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
        raise protocol_error("PRIORITY_UPDATE on a stream")
    if len(payload) < 4:
        raise size_error("a PRIORITY_UPDATE frame shorter than 4")
    session.count_control()
    target = f.word(payload) & f.LARGEST_STREAM
    if not target & 1:
        raise protocol_error("PRIORITY_UPDATE for a stream that is not the client's")
    priority = parse(payload[4:260])
    stream = session.streams.get(target)
    if stream is not None:
        stream.priority = priority
    elif target > session.highest:
        session.foretold.tell(target, priority)


def on_unknown(session: Session, flags: int, number: int, payload: bytes) -> None:
    """RFC 9113 section 5.5: ignored, and counted."""
    session.count_control()
