"""What a client sent, made fit for a line of a log: one line stays one line, and nothing speaks to a terminal."""

from __future__ import annotations

import re

LENGTH = 1024
"""Characters of one field that a log line keeps."""

_ODD = re.compile('[\x00-\x1f\x7f-\x9f"\\\\\u2028\u2029\ud800-\udfff]')
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _code(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02X}" if number < 0x100 else f"\\u{number:04X}"


def escape(text: str) -> str:
    """Controls, DEL, C1, quotes and backslashes as \\xNN (as nginx writes them), cut at `LENGTH`."""
    if len(text) > LENGTH:
        text = text[:LENGTH] + "..."
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return _ODD.sub(_code, text)


def escape_message(text: str) -> str:
    """A whole message of the error log: its further lines are indented, so that none passes for a new entry."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(_code, text).replace("\n", "\n  ")


class Escaped(dict[str, str]):
    """Text -> escaped text, remembered: the same few strings come again and again. Bounded."""

    __slots__ = ()

    def __missing__(self, text: str) -> str:
        if len(self) >= 1024:
            self.clear()
        done = escape(text)
        if len(done) <= LENGTH:
            self[text] = done
        return done
