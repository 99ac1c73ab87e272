"""HPACK (RFC 7541): header blocks into fields, counted while they are decoded, and fields into header blocks.

The decoder keeps the blocks that it has decoded since its table last changed: clients repeat themselves. The
encoder never touches the peer's table, so that a block means the same on every connection and can be kept.
Tables and Huffman code are the hpack package's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from hpack.exceptions import HPACKDecodingError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

Field = tuple[bytes, bytes]

_STATIC: Final[tuple[Field, ...]] = tuple((bytes(n), bytes(v)) for n, v in HeaderTable.STATIC_TABLE)
_STATIC_LENGTH: Final = len(_STATIC)
_OVERHEAD: Final = 32
"""What a field counts beside its octets (RFC 7541 section 4.1)."""
TABLE_SIZE: Final = 4096
"""RFC 9113 section 6.5.2; we announce no other."""
_LONGEST_INTEGER: Final = 4
"""Continuation octets of an integer: 2**28 is larger than any limit (CVE-2026-59980 had none)."""


class HpackError(Exception):
    """The block cannot be decoded, and with it nothing that follows on this connection."""


class Block:
    """A decoded header block. `trouble`: why its fields are not all there. `memo` is the caller's."""

    __slots__ = ("fields", "memo", "reason", "trouble")

    def __init__(self, fields: tuple[Field, ...], trouble: str = "", reason: str = "") -> None:
        self.fields = fields
        self.trouble = trouble
        self.reason = reason
        self.memo: dict[Any, Any] = {}


class Limit:
    """What one header block may hold; 0 means no limit."""

    __slots__ = ("field", "fields", "total")

    def __init__(self, total: int, fields: int, field: int) -> None:
        self.total = total
        self.fields = fields
        self.field = field


class Decoder:
    """The receiving end of one connection's compression."""

    __slots__ = ("_entries", "_known", "_limit", "_maximum", "_size", "_words")

    KEPT = 32
    KEPT_SIZE = 1024
    KEPT_FIELDS = 4096
    """Octets of decoded fields that one kept block may have: 128 KiB for a connection at most."""

    def __init__(self, limit: Limit, words: Words) -> None:
        self._limit = limit
        self._words = words
        self._entries: deque[Field] = deque()
        self._size = 0
        self._maximum = TABLE_SIZE
        self._known: dict[bytes, Block] = {}

    def decode(self, block: bytes) -> Block:
        """The fields of one complete block. Raises `HpackError`."""
        known = self._known.get(block)
        if known is not None:
            return known
        tally = _Tally(self._limit)
        changed = self._decode(block, tally)
        decoded = Block(tuple(tally.fields), tally.trouble, tally.reason)
        if changed:
            self._known.clear()
        elif len(block) <= self.KEPT_SIZE and tally.size <= self.KEPT_FIELDS and not tally.trouble:
            if len(self._known) >= self.KEPT:
                self._known.clear()
            self._known[block] = decoded
        return decoded

    def _decode(self, block: bytes, tally: _Tally) -> bool:
        position, size = 0, len(block)
        changed = begun = False
        try:
            while position < size:
                first = block[position]
                if first & 0x80:
                    index = first & 0x7F
                    position += 1
                    if index == 0x7F:
                        index, position = _integer(block, position, index)
                    tally.add(self._entry(index))
                    begun = True
                elif first & 0x60 == 0x20:
                    if begun:
                        raise HpackError("a table size update behind a field")
                    maximum, position = _prefixed(block, position, 0x1F)
                    self._resize(maximum)
                    changed = True
                else:
                    indexed = bool(first & 0x40)
                    field, position = self._literal(block, position, 0x3F if indexed else 0x0F)
                    if indexed:
                        self._insert(field)
                        changed = True
                    tally.add(field)
                    begun = True
        except IndexError:
            raise HpackError("a header block that ends inside a field") from None
        return changed

    def _entry(self, index: int) -> Field:
        if 0 < index <= _STATIC_LENGTH:
            return _STATIC[index - 1]
        index -= _STATIC_LENGTH + 1
        if not 0 <= index < len(self._entries):
            raise HpackError("an index that is in no table")
        return self._entries[index]

    def _literal(self, block: bytes, position: int, mask: int) -> tuple[Field, int]:
        index, position = _prefixed(block, position, mask)
        if index:
            name = self._entry(index)[0]
        else:
            name, position = self._string(block, position)
        value, position = self._string(block, position)
        return (name, value), position

    def _string(self, block: bytes, position: int) -> tuple[bytes, int]:
        huffman = block[position] & 0x80
        length, position = _prefixed(block, position, 0x7F)
        end = position + length
        if end > len(block):
            raise HpackError("a header block that ends inside a text")
        raw = block[position:end]
        return (self._words.decode(raw) if huffman else raw), end

    def _insert(self, field: Field) -> None:
        size = len(field[0]) + len(field[1]) + _OVERHEAD
        self._evict(self._maximum - size)
        if size <= self._maximum:
            self._entries.appendleft(field)
            self._size += size

    def _resize(self, maximum: int) -> None:
        if maximum > TABLE_SIZE:
            raise HpackError("a table larger than was allowed")
        self._maximum = maximum
        self._evict(maximum)

    def _evict(self, room: int) -> None:
        while self._entries and self._size > room:
            name, value = self._entries.pop()
            self._size -= len(name) + len(value) + _OVERHEAD


class _Tally:
    """The fields of one block as they are counted; over a limit it counts on and keeps nothing more."""

    __slots__ = ("_limit", "count", "fields", "reason", "size", "trouble")

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self.fields: list[Field] = []
        self.count = 0
        self.size = 0
        self.trouble = ""
        self.reason = ""

    def add(self, field: Field) -> None:
        if self.trouble:
            return
        limit = self._limit
        length = len(field[0]) + len(field[1])
        self.size += length + _OVERHEAD
        if field[0][:1] != b":":
            self.count += 1
            if limit.field and length > limit.field:
                self._stop("field_too_large", f"a field of more than {limit.field} octets")
            elif limit.fields and self.count > limit.fields:
                self._stop("h2_headers", f"more than {limit.fields} fields")
        if limit.total and self.size > limit.total:
            self._stop("h2_headers", f"fields of more than {limit.total} octets")
        self.fields.append(field)

    def _stop(self, trouble: str, reason: str) -> None:
        self.trouble = self.trouble or trouble
        self.reason = self.reason or reason


class Words:
    """Huffman-coded texts, and what they mean: one memory for all connections of a listener."""

    __slots__ = ("_known",)

    KEPT = 2048
    KEPT_SIZE = 128

    def __init__(self) -> None:
        self._known: dict[bytes, bytes] = {}

    def decode(self, raw: bytes) -> bytes:
        """Raises `HpackError` for what is no Huffman code."""
        text = self._known.get(raw)
        if text is None:
            try:
                text = decode_huffman(raw)
            except HPACKDecodingError as error:
                raise HpackError(str(error)) from None
            if len(raw) <= self.KEPT_SIZE:
                if len(self._known) >= self.KEPT:
                    self._known.clear()
                self._known[raw] = text
        return text


def _integer(block: bytes, position: int, number: int) -> tuple[int, int]:
    """An integer's continuation (RFC 7541 section 5.1)."""
    shift = 0
    for _ in range(_LONGEST_INTEGER):
        octet = block[position]
        position += 1
        number += (octet & 0x7F) << shift
        if octet < 0x80:
            return number, position
        shift += 7
    raise HpackError("an integer of too many octets")


def _prefixed(block: bytes, position: int, mask: int) -> tuple[int, int]:
    number = block[position] & mask
    if number == mask:
        return _integer(block, position + 1, number)
    return number, position + 1


# -- encoding ------------------------------------------------------------------------------------------

_NAMES: Final = {name: index for index, (name, _) in reversed(list(enumerate(_STATIC, 1)))}
_FIELDS: Final = {field: index for index, field in enumerate(_STATIC, 1) if field[1]}
NO_TABLE: Final = b"\x20"
"""A table size update to 0, once per connection: we never use the peer's table, whatever size it allows."""


def _length(number: int, mask: int, pattern: int) -> bytes:
    if number < mask:
        return bytes((pattern | number,))
    octets = bytearray((pattern | mask,))
    number -= mask
    while number >= 0x80:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def encode(fields: Iterable[Field]) -> bytes:
    """Fields, names in lower case, as a header block that leaves the table alone (RFC 7541 section 6.2.2)."""
    parts: list[bytes] = []
    for field in fields:
        index = _FIELDS.get(field)
        if index is not None:
            parts.append(bytes((0x80 | index,)))
            continue
        name, value = field
        index = _NAMES.get(name)
        if index is None:
            parts += (b"\x00", _length(len(name), 0x7F, 0), name)
        else:
            parts.append(_length(index, 0x0F, 0))
        parts += (_length(len(value), 0x7F, 0), value)
    return b"".join(parts)
