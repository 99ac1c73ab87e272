"""A real gRPC client: unary calls, both kinds of streams, and a status other than OK, under ASGI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

WORKERS = ("asgi",)
TIMEOUT = 30


@pytest.fixture
def channel(site: Any, certificate: Any) -> Iterator[grpc.Channel]:
    """A channel to a server that echoes messages."""
    running = site(application="h2_grpc:app")
    credentials = grpc.ssl_channel_credentials(Path(certificate.cert).read_bytes())
    options = [("grpc.ssl_target_name_override", "localhost"), ("grpc.enable_http_proxy", 0)]
    with grpc.secure_channel(f"127.0.0.1:{running.address[1]}", credentials, options) as channel:
        yield channel


def test_unary(channel: grpc.Channel) -> None:
    """Small and large messages; the same connection carries them all."""
    call = channel.unary_unary("/echo.Echo/Say")
    for message in (b"", b"hello", bytes(1_000_000)):
        assert call(message, timeout=TIMEOUT) == message


def test_streams(channel: grpc.Channel) -> None:
    """Messages go to and fro while both sides are open."""
    call = channel.stream_stream("/echo.Echo/Chat")
    messages = [b"message %d" % number for number in range(50)]
    assert list(call(iter(messages), timeout=TIMEOUT)) == messages


def test_a_status_in_the_trailers(channel: grpc.Channel) -> None:
    """What the application says of the call's end reaches the client."""
    call = channel.unary_unary("/echo.Echo/Fail")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"x", timeout=TIMEOUT)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "no such thing"
