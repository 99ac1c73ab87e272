"""Lines to a real syslog socket."""

from __future__ import annotations

import logging
import socket
from typing import Any

import pytest
from hostler._log_syslog import FACILITIES, SyslogHandler, parse_address
from hostler.errors import ConfigError


def listening(tmp_path: Any, kind: str) -> tuple[socket.socket, str]:
    if kind == "udp":
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        address = f"udp://127.0.0.1:{sock.getsockname()[1]}"
    elif kind == "tcp":
        sock = socket.create_server(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{sock.getsockname()[1]}"
    else:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == "dgram" else socket.SOCK_STREAM)
        sock.bind(str(tmp_path / "syslog"))
        if kind == "stream":
            sock.listen()
        address = f"unix://{tmp_path}/syslog#{kind}"
    sock.settimeout(20)
    return sock, address


@pytest.mark.parametrize("kind", ["udp", "tcp", "dgram", "stream"])
def test_both_logs(opened: Any, tmp_path: Any, kind: str, line: Any) -> None:
    sock, address = listening(tmp_path, kind)
    log = opened(syslog=True, syslog_addr=address, syslog_facility="local3", syslog_prefix="shop")
    assert log.access_wanted
    log.error.error("a\nb")
    log.access(line())
    log.flush()
    number = FACILITIES.index("local3") * 8
    received = b""
    if kind in ("tcp", "stream"):
        for _ in range(2):
            connection, _ = sock.accept()
            with connection:
                connection.settimeout(20)
                while not received.endswith(b"\n"):
                    received += connection.recv(65536)
                received += b"|"
    else:
        received = sock.recv(65536) + b"|" + sock.recv(65536)
    lines = [each.strip() for each in received.decode().strip("|").split("|")]
    assert lines[0].startswith(f"<{number + 3}>shop.error: [")
    assert lines[0].endswith("[ERROR] a\\n  b")
    assert lines[1].startswith(f"<{number + 6}>shop.access: 192.0.2.1 - - [")
    # The files that were asked for are written as well.
    assert "[ERROR] a" in (tmp_path / "error.log").read_text()
    sock.close()


def test_access_can_stay_away_from_syslog(opened: Any, tmp_path: Any) -> None:
    sock, address = listening(tmp_path, "udp")
    log = opened(syslog=True, syslog_addr=address, disable_redirect_access_to_syslog=True)
    assert not log.access_wanted
    sock.close()


def test_another_configuration_logs_once(opened: Any, tmp_path: Any) -> None:
    sock, address = listening(tmp_path, "udp")
    for _ in range(3):
        log = opened(syslog=True, syslog_addr=address)
    log.error.info("once")
    log.error.info("end")
    assert sock.recv(65536).endswith(b"once")
    assert sock.recv(65536).endswith(b"end")
    sock.close()


def test_nobody_listens(tmp_path: Any) -> None:
    for address in ("tcp://127.0.0.1:1", f"unix://{tmp_path}/none", f"unix://{tmp_path}/none#stream"):
        handler = SyslogHandler(address, "user", "x")
        for _ in range(3):
            handler.send(logging.INFO, "text")
        assert handler.dropped == 3
        handler.close()


def test_a_full_socket_drops(tmp_path: Any) -> None:
    sock, address = listening(tmp_path, "dgram")
    handler = SyslogHandler(address, "user", "x")
    for _ in range(3000):
        handler.send(logging.INFO, "text")
    assert handler.dropped
    handler.close()
    sock.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("udp://localhost:514", ("udp", ("localhost", 514))),
        ("udp://localhost", ("udp", ("localhost", 514))),
        ("tcp://[::1]:601", ("tcp", ("::1", 601))),
        ("unix:///dev/log", ("unix-dgram", "/dev/log")),
        ("unix:///dev/log#stream", ("unix-stream", "/dev/log")),
    ],
)
def test_addresses(text: str, expected: Any) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["localhost", "http://a", "unix://", "unix:///a#b"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(ConfigError, match="syslog_addr"):
        parse_address(text)


def test_bad_facility() -> None:
    with pytest.raises(ConfigError, match="syslog_facility"):
        SyslogHandler("udp://localhost", "nonsense", "x")
