"""Header compression against the hpack library: the same fields come out of the same octets, or none."""

from __future__ import annotations

import hpack
import hypothesis.strategies as st
import pytest
from hostler_http2._hpack import NO_TABLE, Decoder, HpackError, Limit, Words, encode
from hpack.exceptions import HPACKError
from hypothesis import given, settings

names = st.one_of(
    st.sampled_from([b":path", b":status", b"cookie", b"x-a", b"accept"]), st.binary(max_size=40)
)
fields = st.lists(st.tuples(names, st.binary(max_size=300)), max_size=12)
NO_LIMIT = Limit(0, 0, 0)


@given(blocks=st.lists(st.tuples(fields, st.booleans(), st.sampled_from([None, 0, 100, 4096])), max_size=6))
@settings(deadline=None, max_examples=150)
def test_what_the_library_encodes(blocks: list[tuple[list[tuple[bytes, bytes]], bool, int | None]]) -> None:
    """Dynamic table, Huffman code, evictions and size updates; twice, since blocks are remembered."""
    encoder, decoder = hpack.Encoder(), Decoder(NO_LIMIT, Words())
    for pairs, huffman, size in blocks:
        if size is not None:
            encoder.header_table_size = size
        for _ in range(2):
            assert decoder.decode(encoder.encode(pairs, huffman=huffman)).fields == tuple(pairs)


@given(blocks=st.lists(fields, max_size=4))
@settings(deadline=None, max_examples=100)
def test_what_the_library_decodes(blocks: list[list[tuple[bytes, bytes]]]) -> None:
    """Our blocks leave its table alone, whatever size it has."""
    decoder = hpack.Decoder(1 << 20)
    decoder.max_allowed_table_size = 0
    for number, pairs in enumerate(blocks):
        block = encode(pairs)
        assert decoder.decode(block if number else NO_TABLE + block, raw=True) == pairs


@given(data=st.binary(max_size=200))
@settings(deadline=None, max_examples=200)
def test_any_octets(data: bytes) -> None:
    """Accepted by both with the same fields, or refused by both; we refuse integers with idle octets besides."""
    library = hpack.Decoder(1 << 30)
    library.max_allowed_table_size = 4096
    try:
        theirs = [(bytes(name), bytes(value)) for name, value in library.decode(data, raw=True)]
    except (HPACKError, IndexError):
        theirs = None
    try:
        ours = list(Decoder(NO_LIMIT, Words()).decode(data).fields)
    except HpackError:
        ours = None
    assert ours == theirs or (ours is None and b"\x80\x80\x80" in data)


def test_limits_do_not_lose_the_table() -> None:
    """A block over a limit is decoded to its end, so that the next one means what its sender meant."""
    encoder, decoder = hpack.Encoder(), Decoder(Limit(0, 3, 0), Words())
    block = decoder.decode(encoder.encode([(b"x-%d" % number, b"y") for number in range(9)]))
    assert block.trouble == "h2_headers"
    assert len(block.fields) == 4
    again = decoder.decode(encoder.encode([(b"x-8", b"y"), (b"x-0", b"y")]))
    assert again.fields == ((b"x-8", b"y"), (b"x-0", b"y"))


def test_a_field_larger_than_the_table_empties_it() -> None:
    """RFC 7541 section 4.4."""
    decoder = Decoder(NO_LIMIT, Words())
    decoder.decode(b"\x40\x01a\x01b")
    decoder.decode(b"\x40\x01a\x7f\xa1\x1f" + b"b" * 4128)
    with pytest.raises(HpackError):
        decoder.decode(b"\xbe")
