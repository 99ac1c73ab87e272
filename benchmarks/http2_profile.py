"""Where the time of a request over HTTP/2 goes, and what the h2 library would take in our place.

    python benchmarks/http2_profile.py [--env FOLDER] [--seconds 4] [--write]

Layers: the same octets of a client through our connection and through the h2 library, in batches of 32 requests as
`h2load -m 32` sends them, without sockets, TLS and applications; best of many short runs. Profile: which functions of a
whole ASGI worker (on asyncio's loop) its CPU time is spent in, found by a timer of CPU time while h2load asks; time
in C counts for the function that calls it. With `--write` the page goes to `benchmarks/results/http2-profile.md`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from environment import conditions, interpreter
from http2 import BROWSER, WORKLOADS, Secured, certificate, load, servers
from table import row

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "http2-profile.md"
BATCH, BATCHES = 32, 60
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PARTS = {
    "TLS": ("sslproto.py", "ssl.py", "_secure.py"),
    "HPACK (`_hpack.py`)": ("_hpack.py", "huffman_table.py"),
    "heads and policy": ("_headers.py", "_policy.py", "_forwarded.py", "_grammar.py", "_fields.py"),
    "frames, streams, flow control": (
        *("_connection.py", "_session.py", "_handlers.py", "_frames.py", "_sending.py", "_streams.py"),
        *("_control.py", "_budget.py", "_patience.py", "_priority.py", "_answers.py"),
    ),
    "driver": (
        "_drive.py",
        "_worker.py",
        "_deadlines.py",
        "_loop.py",
        "_waiters.py",
        "runners.py",
        "_accept.py",
    ),
    "ASGI": ("_exchange.py", "_scope.py", "_phases.py", "_interface.py"),
    "application": ("apps.py",),
}
"""Files by what they are for."""


# -- layers ----------------------------------------------------------------------------------------------


def batches(varied: bool) -> list[bytes]:
    """What a client sends: octets of 32 requests each, made by the hpack library's encoder."""
    from hpack import Encoder  # noqa: PLC0415 - in the measured environment only

    encoder, number, made = Encoder(), 1, []
    extra = (
        [(name, value) for name, _, value in (field.partition(": ") for field in BROWSER)] if varied else []
    )
    for _ in range(BATCHES):
        octets = b""
        for _ in range(BATCH):
            path = f"/catalogue/shoes/{number:05d}?page={number}" if varied else "/"
            head = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
            block = encoder.encode(
                [*head, ("user-agent", "h2load"), *extra] if not varied else [*head, *extra]
            )
            octets += len(block).to_bytes(3, "big") + b"\1\5" + number.to_bytes(4, "big") + block
            number += 2
        made.append(octets)
    return made


def ours(made: list[bytes]) -> None:
    """Our connection answers all batches."""
    from hostler.plugin import Limits, Opening, Policy, Request, Transport  # noqa: PLC0415
    from hostler_http2._connection import open_connection  # noqa: PLC0415

    transport = Transport(("127.0.0.1", 4711), ("127.0.0.1", 443), secure=True, protocol="h2")
    connection = open_connection(Opening(transport, Limits(), Policy()))
    connection.receive(PREFACE + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
    window = b"\0\0\4\x08\0\0\0\0\0" + (BATCH * 13).to_bytes(4, "big")
    for octets in made:
        for event in connection.receive(window + octets):
            if isinstance(event, Request):
                connection.start(event.stream, 200, fields)
                connection.data(event.stream, b"Hello, world!")
                connection.end(event.stream)
        b"".join(connection.outgoing())


def library(made: list[bytes]) -> None:
    """The h2 library answers all batches, as its documentation does it."""
    from h2.config import H2Configuration  # noqa: PLC0415
    from h2.connection import H2Connection  # noqa: PLC0415
    from h2.events import RequestReceived  # noqa: PLC0415

    connection = H2Connection(H2Configuration(client_side=False, header_encoding=None))
    connection.initiate_connection()
    connection.receive_data(PREFACE + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
    fields = [(b":status", b"200"), (b"server", b"hostler"), (b"date", b"Sat, 28 Nov 2026 20:32:50 GMT")]
    fields += [(b"content-type", b"text/plain"), (b"content-length", b"13")]
    window = b"\0\0\4\x08\0\0\0\0\0" + (BATCH * 13).to_bytes(4, "big")
    for octets in made:
        for event in connection.receive_data(window + octets):
            if isinstance(event, RequestReceived):
                connection.send_headers(event.stream_id, fields)
                connection.send_data(event.stream_id, b"Hello, world!", end_stream=True)
        connection.data_to_send()


def best(function: Callable[[list[bytes]], None], made: list[bytes], seconds: float) -> float:
    """Microseconds of CPU for one request, the least of as many runs as there is time for."""
    least, end = float("inf"), time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.process_time()
        function(made)
        least = min(least, time.process_time() - began)
    return least / (BATCH * BATCHES) * 1e6


def layers(seconds: float) -> None:
    """Print both columns; run in the measured environment."""
    for varied in (False, True):
        made = batches(varied)
        print(best(ours, made, seconds), best(library, made, seconds))


# -- profile ---------------------------------------------------------------------------------------------


def profile(python: Path, workload: str, seconds: float) -> Counter[str]:
    """Samples by file of an ASGI worker under load."""
    with certificate() as (cert, key):
        subject, _ = servers(cert, key)["hostler asgi"]
        # uvloop runs TLS and the loop where no Python code can look.
        changes = {"{app}": "sampled:app", "uvloop": "asyncio"}
        subject = replace(subject, command=tuple(changes.get(word, word) for word in subject.command))
        target = Path(cert).with_name("samples")
        os.environ["BENCH_SAMPLES"] = str(target)
        with Secured(subject, python, "") as running:
            count, end = 256 if workload == "1 MiB" else 20_000, time.monotonic() + seconds
            while time.monotonic() < end:
                load(running, WORKLOADS[workload], count)
        found: Counter[str] = Counter()
        for line in target.read_text().splitlines():
            name, _, samples = line.rpartition(" ")
            found[name] += int(samples)
    return found


def parts(found: Counter[str]) -> list[tuple[str, float]]:
    """Share of each part, largest first."""
    total = sum(found.values())
    shares: Counter[str] = Counter()
    for name, count in found.items():
        file = name.split(":")[0]
        shares[next((part for part, files in PARTS.items() if file in files), "event loop and the rest")] += (
            count
        )
    return [(part, count / total) for part, count in shares.most_common()]


def page(figures: list[tuple[float, float]], profiles: dict[str, Counter[str]], python: Path) -> str:
    """Both tables."""
    lines = ["# Where a request over HTTP/2 spends its time", ""]
    lines += [
        row(["CPU µs/request, no sockets, no TLS", "ours", "h2 and hpack", "ratio"]),
        row(["---"] + ["--:"] * 3),
    ]
    for title, (own, theirs) in zip(("hello", "varied"), figures, strict=True):
        lines.append(row([title, f"{own:.1f}", f"{theirs:.1f}", f"{theirs / own:.1f}"]))
    for title, found in profiles.items():
        lines += [
            "",
            f"## The whole ASGI worker: {title}",
            "",
            row(["part", "share of its CPU time"]),
            row(["---", "--:"]),
        ]
        lines += [row([part, f"{share:.0%}"]) for part, share in parts(found)]
        total = sum(found.values())
        lines += ["", row(["function", "own"]), row(["---", "--:"])]
        lines += [row([f"`{name}`", f"{count / total:.1%}"]) for name, count in found.most_common(15)]
    lines += ["", "## Conditions", "", *(f"- {line}" for line in conditions(python)), ""]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", type=Path, help="an environment made with run.py --prepare")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--layers", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.layers:
        layers(given.seconds)
        return
    python = interpreter(given.env)
    words = [str(python), str(HERE / "http2_profile.py"), "--layers", "--seconds", str(given.seconds)]
    printed = subprocess.run(
        ["taskset", "-c", "0", *words], check=True, capture_output=True, text=True
    ).stdout
    figures = [(float(line.split()[0]), float(line.split()[1])) for line in printed.splitlines()]
    profiles = {title: profile(python, title, given.seconds) for title in ("hello", "varied", "1 MiB")}
    written = page(figures, profiles, python)
    sys.stdout.write(written)
    if given.write:
        RESULTS.write_text(written)


if __name__ == "__main__":
    main()
