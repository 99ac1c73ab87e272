"""CPU time of a request over HTTP/2 and TLS, beside gunicorn and Hypercorn on the same machine in the same run.

    python benchmarks/http2.py [--requests 20000] [--rounds 3] [--peers PYTHON]

`--peers` names an interpreter that has `gunicorn[http2]`, `gevent` and `hypercorn`; without it only our own workers
run. One worker each, `h2load -c 8 -m 32` for a 13-octet answer and `-c 4 -m 4` for one of 1 MiB. The figure is the
CPU time of the server's process group, divided by the requests that succeeded, median of the rounds, which take the
servers in turns. `h2load` sends the same request again and again: what differs between requests costs more.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

APP = """
LARGE = bytes(1 << 20)

def wsgi(environ, start_response):
    body = LARGE if environ["PATH_INFO"] == "/large" else b"hello, world\\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": message["type"] + ".complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = LARGE if scope["path"] == "/large" else b"hello, world\\n"
    head = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
"""
TLS = ["--certfile", "bench.crt", "--keyfile", "bench.key"]
WORKLOADS = {"hello": ("/", "8", "32", 1.0), "1 MiB": ("/large", "4", "4", 0.02)}


def commands(peers: str | None) -> dict[str, list[str]]:
    """Name -> command without its port."""
    ours = [sys.executable, "-m", "hostler", "--http-protocols", "h2,h1", "--keepalive-requests", "0", *TLS]
    found = {
        "hostler gthread": [*ours, "-k", "gthread", "--threads", "8", "bench_app:wsgi"],
        "hostler gevent": [*ours, "-k", "gevent", "bench_app:wsgi"],
        "hostler asgi": [*ours, "-k", "asgi", "bench_app:asgi"],
    }
    if peers:
        gunicorn = [peers, "-m", "gunicorn", "--http-protocols", "h2,h1", *TLS]
        found["gunicorn gthread"] = [*gunicorn, "-k", "gthread", "--threads", "8", "bench_app:wsgi"]
        found["gunicorn asgi"] = [*gunicorn, "-k", "asgi", "bench_app:asgi"]
        found["hypercorn asyncio"] = [peers, "-m", "hypercorn", *TLS, "bench_app:asgi"]
    return found


def cpu(group: int) -> float:
    """Seconds of CPU that the processes of a group have used."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, patience: float = 30) -> None:
    """Until somebody listens."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("a server did not start")


def measure(command: list[str], directory: Path, workload: str, requests: int) -> float | None:
    """Microseconds of CPU for one request; None when requests failed."""
    path, clients, streams, share = WORKLOADS[workload]
    count = max(int(requests * share), 100)
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(directory)}
    server = subprocess.Popen(
        [*command, "--bind", f"127.0.0.1:{port}"],
        cwd=directory, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(port)
        load = ["h2load", "-c", clients, "-m", streams, "-w", "20", "-W", "22"]
        url = f"https://127.0.0.1:{port}{path}"
        subprocess.run([*load, "-n", "100", url], capture_output=True, check=False, timeout=60)
        before = cpu(server.pid)
        done = subprocess.run(
            [*load, "-n", str(count), url], capture_output=True, text=True, check=False, timeout=300
        )
        used = cpu(server.pid) - before
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    match = re.search(r"(\d+) succeeded, (\d+) failed", done.stdout)
    if match is None or int(match[2]):
        return None
    return used / int(match[1]) * 1e6


def main() -> None:
    """Measure in turns, print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers")
    given = parser.parse_args()
    if not shutil.which("h2load"):
        raise SystemExit("h2load is needed: apt-get install nghttp2-client")
    found = commands(given.peers)
    results: dict[tuple[str, str], list[float | None]] = {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "bench_app.py").write_text(APP)
        key = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=localhost",
        ]
        files = ["-keyout", str(directory / "bench.key"), "-out", str(directory / "bench.crt")]
        subprocess.run(["openssl", "req", "-x509", *key, *files], check=True, capture_output=True)
        for _ in range(given.rounds):
            for workload in WORKLOADS:
                for server, command in found.items():
                    took = measure(command, directory, workload, given.requests)
                    results.setdefault((server, workload), []).append(took)
    print(
        f"{'':20}" + "".join(f"{workload:>12}" for workload in WORKLOADS) + "   microseconds of CPU a request"
    )
    for server in found:
        cells = []
        for workload in WORKLOADS:
            figures = [figure for figure in results[server, workload] if figure is not None]
            failed = len(figures) < given.rounds
            cells.append("failed" if failed else f"{statistics.median(figures):.1f}")
        print(f"{server:20}" + "".join(f"{cell:>12}" for cell in cells))


if __name__ == "__main__":
    main()
