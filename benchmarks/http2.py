"""CPU time of a request over HTTP/2 and TLS, beside other servers on the same machine in the same run.

    python benchmarks/http2.py [--env FOLDER] [--rounds 5] [--seconds 0.6] [--servers NAME,NAME] [--write]

One worker each, pinned to CPU 0; `h2load -c 8 -m 32` on CPU 1. `hello` is the same request for 13 octets again and
again; `varied` has a browser's fields and a path that is never the same; `1 MiB` is an answer of that size, and `over
HTTP/1.1` the same one over TLS without HTTP/2 (`h2load --h1 -c 8`), for ours only. The figure is the CPU time of all
processes of the server divided by the requests that succeeded; how many are asked is found out in a first, unmeasured
run. With `--write` the table goes to `benchmarks/results/http2.md`. Where our time goes: `http2_profile.py`.
"""

from __future__ import annotations

import argparse
import http.client
import re
import shutil
import ssl
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from environment import conditions, interpreter, versions
from measure import LOAD_CPU, cpu_seconds
from servers import GRANIAN, GUNICORN, HOSTLER, Running, Server, ServerFailed, server
from table import row

RESULTS = Path(__file__).parent / "results" / "http2.md"
BROWSER = (
    "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language: en-US,en;q=0.5",
    "accept-encoding: gzip, deflate, br, zstd",
    "referer: https://localhost/catalogue/shoes",
    "cookie: session=4f9c0ad7e51b4c0e8f3b; theme=dark; seen=1747",
    "sec-fetch-dest: document",
    "sec-fetch-mode: navigate",
    "sec-fetch-site: same-origin",
    "priority: u=0, i",
)
PATHS = 50_000
PEERS = {
    "hostler gthread 8": ("gunicorn gthread 8",),
    "hostler gevent": ("gunicorn gevent",),
    "hostler asgi": ("gunicorn asgi", "hypercorn"),
}
AIM = 2.0
"""A peer on the same kind of worker takes at least so many times our CPU time for `hello`."""
LARGE_AIM = 0.6
"""Share of our own HTTP/1.1 over TLS that 1 MiB over HTTP/2 has to reach."""


@dataclass(frozen=True)
class Workload:
    """What h2load asks for; `own` is measured for ours only."""

    options: tuple[str, ...]
    path: str = "/"
    varied: bool = False
    own: bool = False


MULTIPLEXED = ("-c", "8", "-m", "32")
WORKLOADS = {
    "hello": Workload(MULTIPLEXED),
    "varied": Workload((*MULTIPLEXED, *(word for field in BROWSER for word in ("-H", field))), varied=True),
    "1 MiB": Workload(MULTIPLEXED, "/large"),
    "over HTTP/1.1": Workload(("--h1", "-c", "8"), "/large", own=True),
}


class Secured(Running):
    """A server that is asked over TLS."""

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body of one request over HTTP/1.1 and TLS."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = http.client.HTTPSConnection("127.0.0.1", self.asked, timeout=5, context=context)
        try:
            client.request(method, path, body, {"Connection": "close"})
            answer = client.getresponse()
            return answer.status, answer.read()
        finally:
            client.close()


def servers(cert: str, key: str) -> dict[str, tuple[Server, str]]:
    """Name -> the server and its application."""
    tls = ("--certfile", cert, "--keyfile", key)
    offered = ("--http-protocols", "h2,h1", *tls)
    # h2load opens no second connection, so ours must not end its first.
    ours = (*offered, "--keepalive-requests", "0")
    rust = ("--ssl-certificate", cert, "--ssl-keyfile", key)
    granian = GRANIAN.replace("--http 1", "--http auto")
    wsgi = [
        server("hostler gthread 8", HOSTLER, "-k", "gthread", "--threads", "8", *ours, needs="hostler-http2"),
        server("hostler gevent", HOSTLER, "-k", "gevent", *ours, needs="hostler-http2 hostler-gevent"),
        server(
            "gunicorn gthread 8", GUNICORN, "-k", "gthread", "--threads", "8", *offered, needs="gunicorn h2"
        ),
        server("gunicorn gevent", GUNICORN, "-k", "gevent", *offered, needs="gunicorn h2 gevent"),
        server(
            "granian wsgi", granian, "--interface", "wsgi", "--blocking-threads", "1", *rust, needs="granian"
        ),
    ]
    uvloop = ("--asgi-loop", "uvloop")
    hypercorn = "-m hypercorn --bind 127.0.0.1:{port} --workers {workers} -k uvloop"
    asgi = [
        server(
            "hostler asgi", HOSTLER, "-k", "asgi", *uvloop, *ours, needs="hostler-http2 hostler-asgi uvloop"
        ),
        server("gunicorn asgi", GUNICORN, "-k", "asgi", *uvloop, *offered, needs="gunicorn h2 uvloop"),
        server("hypercorn", hypercorn, *tls, "asgi:{app}", needs="hypercorn uvloop"),
        server(
            "granian asgi", granian, "--interface", "asgi", "--loop", "uvloop", *rust, needs="granian uvloop"
        ),
    ]
    found = {each.name: (each, "crowded") for each in wsgi}
    found.update({each.name: (each, "asgi_crowded") for each in asgi})
    return found


@contextmanager
def certificate() -> Iterator[tuple[str, str]]:
    """Files of a certificate and a key, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        cert, key = f"{name}/bench.crt", f"{name}/bench.key"
        words = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ]
        subprocess.run(
            [*words, "-subj", "/CN=localhost", "-keyout", key, "-out", cert], check=True, capture_output=True
        )
        yield cert, key


def load(running: Running, workload: Workload, count: int) -> float:
    """Ask so many times; returns the seconds it took. Raises `ServerFailed` when one request did not succeed."""
    command = ["taskset", "-c", LOAD_CPU, "h2load", *workload.options, "-n", str(count)]
    base = f"https://127.0.0.1:{running.port}"
    with tempfile.NamedTemporaryFile("w", suffix=".uris") as uris:
        if workload.varied:
            uris.writelines(f"{base}/catalogue/shoes/{n * 7919 % PATHS:05d}?page={n}\n" for n in range(PATHS))
            uris.flush()
            command += ["-i", uris.name]
        else:
            command.append(base + workload.path)
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        took = time.monotonic() - began
    found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", done.stdout)
    if found is None or int(found[1]) != count:
        said = found[0] if found else (done.stdout + done.stderr).strip()[-200:]
        raise ServerFailed(f"{running.server.name}: {said} of {count}")
    return took


def cost(running: Running, workload: Workload, seconds: float) -> float:
    """CPU µs of a request. Raises `ServerFailed`."""
    tried = 32 if workload.path == "/large" else 1000
    took = load(running, workload, tried)
    count = min(max(int(tried * seconds / took), tried, 256), PATHS)
    before = cpu_seconds(running.pids())
    load(running, workload, count)
    return (cpu_seconds(running.pids()) - before) / count * 1e6


Figures = dict[str, dict[str, list[float]]]


def measure(
    chosen: dict[str, tuple[Server, str]], python: Path, rounds: int, seconds: float
) -> tuple[Figures, list[str]]:
    """Every server in turns: figures by server and workload, and what failed."""
    figures: Figures = {name: {workload: [] for workload in WORKLOADS} for name in chosen}
    notes: list[str] = []
    for number in range(rounds):
        for name, (subject, app) in chosen.items():
            try:
                with Secured(subject, python, app) as running:
                    for title, workload in WORKLOADS.items():
                        if workload.own and not name.startswith("hostler"):
                            continue
                        figures[name][title].append(cost(running, workload, seconds))
            except (ServerFailed, subprocess.TimeoutExpired) as error:
                notes.append(f"round {number + 1}: {error}")
    return figures, notes


def spread(found: list[float]) -> str:
    """Median, least and most."""
    return f"{statistics.median(found):,.1f} ({min(found):,.1f}-{max(found):,.1f})" if found else ""


def times(theirs: list[float], ours: list[float]) -> float | None:
    """The median of the ratios within a round."""
    pairs = [their / our for their, our in zip(theirs, ours, strict=False) if our]
    return statistics.median(pairs) if pairs else None


def partner(name: str) -> str:
    """Ours, to which a server is compared: itself for ours."""
    for ours, peers in PEERS.items():
        if name in (ours, *peers):
            return ours
    return "hostler asgi" if "asgi" in name else "hostler gthread 8"


def table(figures: Figures) -> list[str]:
    """A row for each server: cost, and how many times ours on the same kind of worker that is."""
    names = ["server, CPU µs/request", "hello", "ratio", "aim", "varied", "ratio", "1 MiB", "ratio"]
    lines = [row(names), row(["---", *["--:"] * (len(names) - 1)])]
    for name, found in figures.items():
        ours = partner(name)
        cells = [f"**{name}**" if ours == name else name]
        for title in ("hello", "varied", "1 MiB"):
            cells.append(spread(found[title]))
            ratio = None if ours == name else times(found[title], figures.get(ours, {}).get(title, []))
            cells.append("" if ratio is None else f"{ratio:.2f}")
            if title == "hello":
                aimed = ratio is not None and name in PEERS.get(ours, ())
                cells.append("" if not aimed or ratio is None else f"≥ {AIM:.2f}, {verdict(ratio >= AIM)}")
        lines.append(row(cells))
    return lines


def verdict(reached: bool) -> str:
    """A word for an aim."""
    return "reached" if reached else "**missed**"


def large_table(figures: Figures) -> list[str]:
    """1 MiB over both protocols, ours."""
    lines = [
        row(["1 MiB over TLS, CPU µs/request", "HTTP/2", "HTTP/1.1", "share", "aim"]),
        row(["---"] + ["--:"] * 4),
    ]
    for name in PEERS:
        found = figures.get(name, {})
        share = times(found.get("over HTTP/1.1", []), found.get("1 MiB", []))
        if share is not None:
            cells = [name, spread(found["1 MiB"]), spread(found["over HTTP/1.1"]), f"{share:.0%}"]
            lines.append(row([*cells, f"≥ {LARGE_AIM:.0%}, {verdict(share >= LARGE_AIM)}"]))
    return lines


def page(
    figures: Figures,
    notes: list[str],
    chosen: dict[str, tuple[Server, str]],
    python: Path,
    given: argparse.Namespace,
) -> str:
    """The whole table with its conditions."""
    shown = subprocess.run(
        ["h2load", "--version"], capture_output=True, text=True, check=False
    ).stdout.strip()
    wanted = {need for subject, _ in chosen.values() for need in subject.needs} | {"hpack"}
    found = versions(python)[1]
    installed = ", ".join(f"{each} {found[each]}" for each in sorted(wanted) if each in found)
    lines = ["# HTTP/2 over TLS", "", *table(figures), "", *large_table(figures), ""]
    lines += [f"- {note}" for note in notes]
    lines += [
        "",
        "## Conditions",
        "",
        *(f"- {line}" for line in conditions(python)),
        f"- {shown}; {installed}.",
    ]
    lines.append(
        f"- Interleaved rounds: {given.rounds}, about {given.seconds:g} s for each workload; median (least-most); "
        "one worker, all processes of the server on CPU 0, h2load on CPU 1, 8 connections with 32 streams each."
    )
    lines.append(
        "- A ratio compares with ours on the same kind of worker; Granian, whose HTTP/2 is written in Rust, has no aim."
    )
    shown = "\n".join(
        re.sub(r"/\S*/(bench\.\w+)", r"\1", f"{name}: {subject.line(app, 1)}")
        for name, (subject, app) in chosen.items()
    )
    return "\n".join([*lines, "", "```", shown, "```", ""])


def main() -> None:
    """Measure in turns, print, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", type=Path, help="an environment made with run.py --prepare")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.6)
    parser.add_argument("--servers", default="", help="names with commas; all by default")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if not shutil.which("h2load"):
        parser.error("h2load is needed: apt-get install nghttp2-client")
    python = interpreter(given.env)
    there = versions(python)[1]
    notes = []
    with certificate() as (cert, key):
        chosen = servers(cert, key)
        if given.servers:
            chosen = {name: chosen[name] for name in given.servers.split(",")}
        for name, (subject, _) in list(chosen.items()):
            if missing := [need for need in subject.needs if need not in there]:
                notes.append(f"left out, not installed: {name} ({', '.join(missing)})")
                del chosen[name]
        figures, failed = measure(chosen, python, given.rounds, given.seconds)
    written = page(figures, notes + failed, chosen, python, given)
    print(written)
    if given.write:
        RESULTS.write_text(written)


if __name__ == "__main__":
    main()
