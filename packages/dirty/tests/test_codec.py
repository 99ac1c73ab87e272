"""Values to octets and back."""

from __future__ import annotations

import datetime

import numpy
import pytest
from hostler_dirty import _arena, _codec, _payload, errors
from hostler_dirty._arena import Arena, Window
from hostler_dirty._wire import CALL, FrameReader
from hostler_dirty.errors import DirtyPayloadTooLargeError, DirtyProtocolError, DirtySerializationError
from hypothesis import given, settings
from hypothesis import strategies as st

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text() | st.integers(0, 99), inner, max_size=5)
    ),
    max_leaves=20,
)


@settings(deadline=None, max_examples=150)
@given(plain)
def test_plain_values_round_trip(value):
    body, buffers = _codec.encode_lifted((value,))
    assert _codec.decode(body, buffers) == [value]


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
def test_garbage_never_escapes(data):
    try:
        _codec.decode(data, [b"x"])
    except DirtyProtocolError:
        return


@pytest.fixture
def memory():
    arena_fd = _arena.create()
    import os

    arena, window = Arena(arena_fd), Window(os.dup(arena_fd))
    yield arena, window
    window.close()
    arena.close()


@pytest.mark.parametrize("size", [0, 10, 65_535, 65_536, 1 << 20, 20 << 20])
def test_payloads_through_the_shared_memory(memory, size):
    arena, window = memory
    value = [b"a" * size, bytearray(b"b" * size), {"k": numpy.arange(size // 8)}, list(range(20_000))]
    data = _payload.compose(CALL, 5, (value,), arena, 1 << 28)
    assert len(data) < 300_000
    (frame,) = FrameReader(1 << 28).feed(data)
    ((first, second, third, numbers),) = _payload.read(frame, window)
    assert first == value[0]
    assert second == value[1]
    assert type(second) is bytes
    assert (third["k"] == value[2]["k"]).all()
    assert numbers == value[3]
    assert window.release()
    arena.trim()


def test_a_view_that_lives_is_noticed(memory):
    arena, window = memory
    array = numpy.arange(1 << 16)
    (frame,) = FrameReader(1 << 28).feed(_payload.compose(CALL, 1, (array,), arena, 1 << 28))
    value = _payload.read(frame, window, copy=False)
    assert not value[0].flags.writeable
    assert not window.release()
    del value
    assert window.release()


def test_without_shared_memory_everything_goes_inline():
    data = _payload.compose(CALL, 1, (b"x" * 200_000, numpy.arange(10)), None, 1 << 20)
    (frame,) = FrameReader(1 << 20).feed(data)
    value = _payload.read(frame, None)
    assert value[0] == b"x" * 200_000
    assert (value[1] == numpy.arange(10)).all()


def test_a_buffer_outside_the_memory_is_refused(memory):
    arena, window = memory
    data = bytearray(_payload.compose(CALL, 1, (b"x" * 100_000,), arena, 1 << 20))
    data[-10] = 0x7F  # its offset
    (frame,) = FrameReader(1 << 20).feed(bytes(data))
    with pytest.raises(DirtyProtocolError):
        _payload.read(frame, window)


def test_limits_and_paths():
    with pytest.raises(DirtyPayloadTooLargeError) as told:
        _payload.compose(CALL, 1, (b"x" * 100_000,), None, 50_000)
    assert (told.value.size > 100_000) == (told.value.limit == 50_000)
    for value, path in (
        ({"a": {1, object()}}, "a"),
        ([1, 2**80], "[1]"),
        (["\ud800"], "[0]"),
        (object(), ""),
    ):
        with pytest.raises(DirtySerializationError) as told:
            _codec.encode(value)
        assert path in told.value.path


def test_what_msgpack_makes_of_python_values():
    when = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.timezone.utc)
    body, buffers = _codec.encode([(1, 2), {3}, when, numpy.int64(4), memoryview(b"mv")])
    assert _codec.decode(body, buffers) == [[1, 2], [3], when, 4, b"mv"]


def test_errors_travel():
    for error in (
        errors.DirtyTimeoutError("t", 3.0, "queue"),
        errors.DirtyWorkerError("w", 3, details={"signal": "SIGKILL"}),
        errors.DirtyAppError("a", "m:A", "act", "trace", "ValueError"),
        errors.DirtyAppNotFoundError("m:A", "x"),
        errors.DirtyNoWorkersAvailableError("m:A", state="failed", retry_after=2.0, cause="c"),
        errors.DirtyQueueFullError("q", 1.5),
        errors.StashTableNotFoundError("t"),
        errors.StashKeyNotFoundError("t", "k"),
        errors.DirtyPayloadTooLargeError("p", 2, 1),
    ):
        values = _codec.decode(_codec.encode(errors.describe(error))[0])
        again = errors.restore(values)
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert {k: v for k, v in vars(again).items() if k != "details"} == {
            k: v for k, v in vars(error).items() if k != "details"
        }
