"""What arrives at a real UDP socket."""

from __future__ import annotations

import dataclasses
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hostler.plugin import Head
from hostler.settings import Settings, declarations
from hostler_statsd import StatsdSettings, logger
from hostler_statsd._logger import StatsdLogger, open_statsd
from hostler_statsd._sender import MOST, Sender


@pytest.fixture
def statsd() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(20)
        yield sock


def own(statsd: socket.socket, **more: Any) -> StatsdSettings:
    return StatsdSettings(host=statsd.getsockname(), **more)


@pytest.fixture
def log(statsd: socket.socket, tmp_path: Any) -> Iterator[StatsdLogger]:
    opened = open_statsd(Settings(errorlog=str(tmp_path / "error.log")), own(statsd))
    yield opened
    opened.close()


@dataclasses.dataclass
class Line:
    status: int = 200
    seconds: float = 0.25
    head: Head = dataclasses.field(
        default_factory=lambda: Head(
            method="GET", target=b"/", path=b"/", query=b"", http_version="1.1", headers=()
        )
    )
    reason: str = "OK"
    headers: tuple[tuple[str, str], ...] = ()
    sent: int = 3
    started: float = 0.0
    peer: tuple[str, int] | None = ("127.0.0.1", 1)
    environ: dict[str, Any] | None = None


def lines(statsd: socket.socket, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        found += statsd.recv(65536).decode().split("\n")
    return found


def test_requests_come_in_one_datagram(log: StatsdLogger, statsd: socket.socket) -> None:
    for status in (200, 200, 404):
        log.access(Line(status=status))
    log.flush()
    assert sorted(statsd.recv(65536).decode().split("\n")) == [
        "gunicorn.request.duration:250|ms",
        "gunicorn.request.duration:250|ms",
        "gunicorn.request.duration:250|ms",
        "gunicorn.request.status.200:2|c",
        "gunicorn.request.status.404:1|c",
        "gunicorn.requests:3|c",
    ]


def test_many_requests_keep_datagrams_small(log: StatsdLogger, statsd: socket.socket) -> None:
    for _ in range(200):
        log.access(Line())
    log.flush()
    found: list[str] = []
    while len(found) < 202:
        datagram = statsd.recv(65536)
        assert len(datagram) <= MOST
        found += datagram.decode().split("\n")
    assert "gunicorn.requests:200|c" in found


def test_figures_of_the_arbiter(log: StatsdLogger, statsd: socket.socket) -> None:
    log.measure("workers", 4)
    log.measure("backlog", 7, "histogram")  # not asked for
    log.measure("workers", 0)
    assert lines(statsd, 2) == ["gunicorn.workers:4|g", "gunicorn.workers:0|g"]


def test_figures_of_services_keep_their_names(log: StatsdLogger, statsd: socket.socket) -> None:
    log.measure("hostler.dirty.inflight.0", 3)
    assert lines(statsd, 1) == ["hostler.dirty.inflight.0:3|g"]


def test_backlog_when_asked_for(statsd: socket.socket, tmp_path: Any) -> None:
    log = open_statsd(Settings(errorlog=str(tmp_path / "e")), own(statsd, backlog=True))
    log.measure("backlog", 7, "histogram")
    assert lines(statsd, 1) == ["gunicorn.backlog:7|h"]
    log.close()


def test_log_records_are_counted_by_level(log: StatsdLogger, statsd: socket.socket) -> None:
    log.error.info("nothing")
    log.error.warning("w")
    log.error.error("e")
    log.error.critical("c")
    try:
        raise ValueError
    except ValueError:
        log.error.exception("x")
    words = [line.partition(":")[0] for line in lines(statsd, 4)]
    assert words == [f"gunicorn.log.{word}" for word in ("warning", "error", "critical", "exception")]


@pytest.mark.parametrize("name", ["hostler.error", "gunicorn.error"])
def test_an_application_sends_its_own(
    name: str, log: StatsdLogger, statsd: socket.socket, tmp_path: Any
) -> None:
    logging.getLogger(name).info("", extra={"metric": "shop.orders", "value": 2.5, "mtype": "gauge"})
    assert lines(statsd, 1) == ["shop.orders:2.5|g"]
    assert (tmp_path / "error.log").read_text() == ""


def test_prefix_and_tags(statsd: socket.socket, tmp_path: Any) -> None:
    log = open_statsd(Settings(errorlog=str(tmp_path / "e")), own(statsd, prefix="shop.", tags="env:test,a"))
    log.measure("workers", 1)
    assert lines(statsd, 1) == ["shop.gunicorn.workers:1|g|#env:test,a"]
    log.close()


def test_another_configuration_counts_once(statsd: socket.socket, tmp_path: Any) -> None:
    settings = Settings(errorlog=str(tmp_path / "e"))
    first = open_statsd(settings, own(statsd))
    second = open_statsd(settings, own(statsd))
    first.close()
    second.error.warning("w")
    second.measure("end", 1)
    assert lines(statsd, 2) == ["gunicorn.log.warning:1|c", "gunicorn.end:1|g"]
    second.close()


def test_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        address = gone.getsockname()
    sender = Sender(address)
    for _ in range(5):
        sender.send([b"a:1|c"])
    assert sender.lost <= 5
    sender.close()


def test_a_unix_socket(tmp_path: Any) -> None:
    path = str(tmp_path / "statsd")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(20)
        sender = Sender(path)
        sender.send([b"a:1|c"])
        assert sock.recv(100) == b"a:1|c"
        sender.close()


def test_a_full_socket_loses_and_goes_on(tmp_path: Any) -> None:
    path = str(tmp_path / "statsd")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sender = Sender(path)
        for _ in range(5000):
            sender.send([b"a:1|c"])
        assert sender.lost
        sender.close()


def test_ipv6() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(("::1", 0))
        sock.settimeout(20)
        sender = Sender(("::1", sock.getsockname()[1]))
        sender.send([b"a:1|c"])
        assert sock.recv(100) == b"a:1|c"
        sender.close()


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("localhost:8125", ("localhost", 8125)),
        ("[::1]:8125", ("::1", 8125)),
        (("localhost", 8125), ("localhost", 8125)),
        ("unix:///run/statsd", "/run/statsd"),
        ("unix:/run/statsd", "/run/statsd"),
        (None, None),
    ],
)
def test_addresses(given: Any, taken: Any) -> None:
    assert declarations(StatsdSettings)["host"].kind.convert(given) == taken


@pytest.mark.parametrize("given", ["localhost", "localhost:0", ":1", "unix:", 3])
def test_bad_addresses(given: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        declarations(StatsdSettings)["host"].kind.convert(given)


def test_chosen_by_its_host() -> None:
    assert not logger.wanted(StatsdSettings())
    assert logger.wanted(StatsdSettings(host=("localhost", 1)))
