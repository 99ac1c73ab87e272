"""The settings `http2_…`: gunicorn's names first, then the limits that HTTP/2's known attacks call for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hostler.settings import Invalid, Kind, integer, seconds, setting, size

SECTION = "HTTP/2"
LARGEST_WINDOW = (1 << 31) - 1
"""RFC 9113 section 6.9.1."""
_OFF = ("off", "none", "false", "no", "0")
_ON = ("prior-knowledge", "both", "on", "true", "yes", "1")


def _cleartext(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _ON:
        return True
    if word in _OFF:
        return False
    if word == "upgrade":
        raise Invalid("must be off or prior-knowledge: RFC 9113 removed the upgrade from HTTP/1.1")
    raise Invalid("must be off or prior-knowledge")


cleartext = Kind("NAME", _cleartext, allowed=("off", "prior-knowledge"))


def _frame_size(value: Any) -> int:
    return int(size(16384, 16777215).convert(value))


@dataclass(frozen=True, slots=True)
class Http2Settings:
    """What one server allows its HTTP/2 clients."""

    cleartext: bool = setting(
        False,
        kind=cleartext,
        help="speak HTTP/2 without TLS to clients that begin with its preface: off or prior-knowledge",
        section=SECTION,
    )
    max_concurrent_streams: int = setting(
        100,
        kind=integer(1, 1 << 16),
        help="requests of one connection that may be open or in service at once; more are refused",
        section=SECTION,
    )
    initial_window_size: int = setting(
        65535,
        kind=size(0, LARGEST_WINDOW),
        help="octets of one request's body that may come before the application takes any",
        section=SECTION,
    )
    connection_window_size: int = setting(
        1 << 20,
        kind=size(65535, LARGEST_WINDOW),
        help="octets of all bodies of one connection that may come before applications take any",
        section=SECTION,
    )
    max_frame_size: int = setting(
        16384,
        kind=Kind("SIZE", _frame_size),
        help="the largest frame that is accepted, 16384 to 16777215 octets",
        section=SECTION,
    )
    max_header_list_size: int = setting(
        65536,
        kind=size(),
        help="octets of a request's fields, decoded, with 32 for each field; 0 leaves it to limit_request_head",
        section=SECTION,
    )
    max_header_block: int = setting(
        65536,
        kind=size(16384),
        help="octets of a request's fields as they are encoded, in all its frames together",
        section=SECTION,
    )
    max_continuations: int = setting(
        10,
        kind=integer(1),
        help="CONTINUATION frames that one block of fields may take",
        section=SECTION,
    )
    max_resets: int = setting(
        200,
        kind=integer(1),
        help="streams that may be reset in a burst, by either side; a tenth of it more each second",
        section=SECTION,
    )
    max_control_frames: int = setting(
        1000,
        kind=integer(10),
        help="frames that carry nothing (PING, SETTINGS, PRIORITY, empty ones, …) that may come in a burst;"
        " a tenth of it more each second",
        section=SECTION,
    )
    max_refusals: int = setting(
        100,
        kind=integer(1),
        help="requests over max_concurrent_streams that are refused before the connection is ended",
        section=SECTION,
    )
    max_settings_entries: int = setting(
        32,
        kind=integer(6),
        help="entries that one SETTINGS frame may have",
        section=SECTION,
    )
    settings_timeout: float = setting(
        10.0,
        kind=seconds(),
        help="seconds in which a client must acknowledge the server's SETTINGS; 0 waits for ever",
        section=SECTION,
    )
    stream_timeout: float = setting(
        30.0,
        kind=seconds(),
        help="seconds that one request waits for its client to go on (to send its body, to open its window);"
        " 0 waits for ever",
        section=SECTION,
    )
    stream_min_rate: int = setting(
        240,
        kind=integer(0),
        help="octets a second that a request must move after stream_timeout while it waits for its client",
        section=SECTION,
    )
