"""The values that settings take."""

from __future__ import annotations

from typing import Any

import pytest
from hostler.settings import Invalid, declarations
from hostler_http2 import Http2Settings, protocol

KINDS = {name: declaration.kind for name, declaration in declarations(Http2Settings).items()}


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("off", False),
        ("none", False),
        (False, False),
        ("prior-knowledge", True),
        ("Both", True),
        (True, True),
    ],
)
def test_cleartext(given: Any, value: bool) -> None:
    """gunicorn's words, but for the upgrade that the protocol has lost."""
    assert KINDS["cleartext"].convert(given) is value


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("cleartext", "upgrade"),
        ("cleartext", "perhaps"),
        ("max_frame_size", 16383),
        ("max_frame_size", 1 << 24),
        ("initial_window_size", 1 << 31),
        ("connection_window_size", 65534),
        ("max_concurrent_streams", 0),
        ("max_settings_entries", 5),
    ],
)
def test_values_out_of_range(name: str, given: Any) -> None:
    with pytest.raises(Invalid):
        KINDS[name].convert(given)


def test_the_plugin() -> None:
    """What the core reads of it."""
    assert getattr(Http2Settings(), protocol.cleartext) is False
    assert protocol.ids == protocol.alpn == ("h2",)
    assert protocol.multiplexing
