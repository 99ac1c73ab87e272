"""CPU time of a worker behind nginx: the uWSGI protocol, beside gunicorn's, uWSGI's own worker and HTTP.

    python benchmarks/uwsgi.py --env DIR [--rounds 5] [--seconds 1] [--write]

Every server stands behind the same nginx, which is started anew with it: with `uwsgi_pass` and Debian's usual
parameters, or with `proxy_pass` over HTTP/1.1. The server's processes are pinned to CPU 0, nginx and wrk share CPU 1.
nginx's own time is not counted. `--write` keeps the tables in `benchmarks/results/uwsgi.md`.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import environment
from measure import LEAST_SECONDS, LOAD_CPU, Sample, sample
from run import RESULTS, leave
from scenarios import POST, Scenario, same_fields, varied_fields
from servers import GUNICORN, Running, Server, ServerFailed, free_port, server
from table import table

HOSTLER = "-m hostler --bind uwsgi://127.0.0.1:{port} --workers {workers} {app}"
HTTP = "-m hostler --bind 127.0.0.1:{port} --workers {workers} {app}"
UWSGI = (
    "import os, sys; binary = os.path.join(os.path.dirname(sys.executable), 'uwsgi'); "
    "os.execv(binary, [binary, '--virtualenv', sys.prefix, *sys.argv[1:]])"
)
UWSGI_OPTIONS = (
    *("--socket", "127.0.0.1:{port}", "--master", "--processes", "{workers}", "--module", "{app}"),
    *("--need-app", "--die-on-term", "--disable-logging", "--listen", "100"),
)
PEER = f"{GUNICORN} --protocol uwsgi"

_ALL = (
    server("hostler sync", f"{HOSTLER} -k sync", needs="hostler-uwsgi"),
    server("hostler gthread 4", f"{HOSTLER} -k gthread --threads 4", needs="hostler-uwsgi hostler-gthread"),
    server("hostler gevent", f"{HOSTLER} -k gevent", needs="hostler-uwsgi hostler-gevent"),
    server(
        "hostler asgi", f"{HOSTLER} -k asgi --asgi-loop uvloop", needs="hostler-uwsgi hostler-asgi uvloop"
    ),
    server("gunicorn sync", f"{PEER} -k sync", needs="gunicorn"),
    server("gunicorn gthread 4", f"{PEER} -k gthread --threads 4", needs="gunicorn"),
    server("gunicorn asgi", f"{PEER} -k asgi --asgi-loop uvloop", needs="gunicorn uvloop"),
    Server("uWSGI", ("-c", UWSGI, *UWSGI_OPTIONS), ("uwsgi",)),
    server("hostler sync, proxy_pass, kept", f"{HTTP} -k sync", needs="hostler"),
    server("hostler sync, proxy_pass", f"{HTTP} -k sync", needs="hostler"),
    server("gunicorn sync, proxy_pass", f"{GUNICORN} -k sync", needs="gunicorn"),
)
SERVERS = {each.name: each for each in _ALL}

WSGI_AIMS = {"gunicorn sync": 2.0, "uWSGI": 0.7}
BESIDE = ("hostler sync", "gunicorn sync", "uWSGI")
SCENARIOS = (
    Scenario(
        "hello",
        "13 octets",
        "hello",
        (
            *("hostler sync", "hostler gthread 4", "hostler gevent"),
            *("gunicorn sync", "gunicorn gthread 4", "uWSGI"),
            *("hostler sync, proxy_pass, kept", "hostler sync, proxy_pass", "gunicorn sync, proxy_pass"),
        ),
        WSGI_AIMS,
    ),
    Scenario("headers", "13 octets, a browser's 20 fields", "hello", BESIDE, WSGI_AIMS, lua=same_fields()),
    Scenario(
        "headers-varied",
        "the same; path, cookie and request id differ in every request",
        "hello",
        BESIDE,
        WSGI_AIMS,
        lua=varied_fields(),
    ),
    Scenario(
        "post", "1 KiB, answered with the body", "post", BESIDE, WSGI_AIMS, lua=POST, sent=1024, size=1024
    ),
    Scenario(
        "asgi-hello",
        "13 octets, ASGI",
        "asgi_hello",
        ("hostler asgi", "gunicorn asgi"),
        {"gunicorn asgi": 2.0},
    ),
)

CONFIGURATION = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log error; worker_processes 1;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; client_max_body_size 0;
  client_body_temp_path {folder}/body; uwsgi_temp_path {folder}/uwsgi; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; scgi_temp_path {folder}/scgi;
  upstream back {{ server 127.0.0.1:{back}; {kept} }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{ {passing} }}
  }}
}}
"""
UWSGI_PASS = """uwsgi_pass back;
      uwsgi_param QUERY_STRING $query_string;  uwsgi_param REQUEST_METHOD $request_method;
      uwsgi_param CONTENT_TYPE $content_type;  uwsgi_param CONTENT_LENGTH $content_length;
      uwsgi_param REQUEST_URI $request_uri;    uwsgi_param PATH_INFO $document_uri;
      uwsgi_param DOCUMENT_ROOT $document_root; uwsgi_param SERVER_PROTOCOL $server_protocol;
      uwsgi_param REQUEST_SCHEME $scheme;      uwsgi_param HTTPS $https if_not_empty;
      uwsgi_param REMOTE_ADDR $remote_addr;    uwsgi_param REMOTE_PORT $remote_port;
      uwsgi_param SERVER_PORT $server_port;    uwsgi_param SERVER_NAME $server_name;"""
PROXY_PASS = """proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host;             proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"""
NGINX_SECONDS = 10.0


class Front:
    """nginx before one server, on the CPU of the load."""

    def __init__(self, running: Running) -> None:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="bench-nginx-")
        name = running.server.name
        text = CONFIGURATION.format(
            folder=self._folder.name,
            port=self.port,
            back=running.port,
            passing=PROXY_PASS if "proxy_pass" in name else UWSGI_PASS,
            kept="keepalive 64; keepalive_requests 1000000000;" if "kept" in name else "",
        )
        configuration = Path(self._folder.name) / "nginx.conf"
        configuration.write_text(text)
        command = ["taskset", "-c", LOAD_CPU, nginx() or "nginx", "-p", self._folder.name]
        self._process = subprocess.Popen(
            [*command, "-c", str(configuration), "-e", f"{self._folder.name}/nginx.log"],
            stdin=subprocess.DEVNULL,
        )

    def __enter__(self) -> Front:
        deadline = time.monotonic() + NGINX_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        log = Path(self._folder.name) / "nginx.log"
        said = log.read_text().strip()[-300:] if log.exists() else ""
        self.__exit__()
        raise ServerFailed(f"nginx did not start: {said}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(NGINX_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


def nginx() -> str | None:
    """The program, which Debian keeps where only root's PATH looks."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def nginx_version() -> str:
    """As it says itself."""
    done = subprocess.run([nginx() or "nginx", "-v"], check=False, capture_output=True, text=True)
    return done.stderr.strip().rpartition("/")[2]


def once(scenario: Scenario, name: str, python: Path, seconds: float) -> Sample:
    """One measurement: a fresh server behind a fresh nginx. Raises `ServerFailed`."""
    running = Running(SERVERS[name], python, scenario.app)
    with Front(running) as front:
        running.asked = front.port
        with running:
            return sample(scenario, running, seconds)


def measure(
    python: Path, names: dict[str, list[str]], rounds: int, seconds: float
) -> tuple[dict[str, dict[str, list[Sample]]], dict[str, str]]:
    """Samples of each scenario's servers, and why a server was left out from then on."""
    samples: dict[str, dict[str, list[Sample]]] = {
        scenario: {name: [] for name in found} for scenario, found in names.items()
    }
    failed: dict[str, str] = {}
    for number in range(rounds):
        for scenario in SCENARIOS:
            for name in names[scenario.name]:
                if name in failed:
                    continue
                print(f"round {number + 1} of {rounds}: {scenario.name}, {name}", file=sys.stderr)
                try:
                    samples[scenario.name][name].append(once(scenario, name, python, seconds))
                except (ServerFailed, OSError, subprocess.SubprocessError) as error:
                    failed[name] = f"{name} is left out: {error}"
    for found in samples.values():
        for name in failed:
            found.pop(name, None)
    return samples, failed


def page(samples: dict[str, dict[str, list[Sample]]], notes: Sequence[str], conditions: Sequence[str]) -> str:
    """All tables, with what they were measured under."""
    parts = ["# The uWSGI protocol behind nginx", ""]
    for scenario in SCENARIOS:
        parts += [f"## {scenario.name}: {scenario.title}", "", *table(scenario, samples[scenario.name]), ""]
    parts += [*(f"- {note}" for note in notes), *([""] if notes else [])]
    parts += ["## Conditions", "", *(f"- {line}" for line in conditions), "", "```"]
    shown = {name: scenario.app for scenario in SCENARIOS for name in scenario.servers}
    parts += [
        f"{name}: {SERVERS[name].line(app, 1)}"
        for name, app in shown.items()
        if any(name in found for found in samples.values())
    ]
    return "\n".join([*parts, "```"]) + "\n"


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--env", type=Path, help="environment to run servers from; default: the running one")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each server (default 5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a measurement (default 1)")
    parser.add_argument("--server", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--write", action="store_true", help="keep the tables in benchmarks/results/uwsgi.md")
    options = parser.parse_args(argv)
    if options.rounds < 1 or options.seconds < LEAST_SECONDS:
        parser.error(f"--rounds is at least 1, --seconds at least {LEAST_SECONDS}")
    if unknown := [name for name in options.server if name not in SERVERS]:
        parser.error(f"{unknown[0]!r} is unknown; known are: {', '.join(SERVERS)}")
    return options


def main(argv: Sequence[str]) -> int:
    """Returns 0, or 1 when a server could not be measured."""
    options = arguments(argv)
    missing = [*environment.missing_tools(), *([] if nginx() else ["nginx"])]
    if missing:
        print(f"not on PATH: {', '.join(missing)}; install them (Debian: wrk, util-linux, nginx-light)")
        return 1
    try:
        python = environment.interpreter(options.env)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, leave)
    _, installed = environment.versions(python)
    lacking = {
        name: [each for each in server.needs if each not in installed] for name, server in SERVERS.items()
    }
    notes = [
        f"{name} is left out: {', '.join(each)} not installed." for name, each in lacking.items() if each
    ]
    wanted = [name for name in options.server or SERVERS if not lacking[name]]
    names = {each.name: [name for name in each.servers if name in wanted] for each in SCENARIOS}
    samples, failed = measure(python, names, options.rounds, options.seconds)
    versions = sorted({each for name in wanted for each in SERVERS[name].needs})
    conditions = [
        *environment.conditions(python),
        f"nginx {nginx_version()}; {', '.join(f'{each} {installed[each]}' for each in versions)}.",
        f"Interleaved rounds: {options.rounds}, {options.seconds:g} s each; median (least-most); one worker, all "
        "processes of the server on CPU 0, nginx and wrk on CPU 1, 64 connections over TCP.",
        "CPU time is user and system time of all processes of the server, without nginx's. nginx opens a connection "
        "for each request, over `proxy_pass, kept` none.",
        "The rates are what nginx and wrk together reach on one CPU: they compare nothing.",
    ]
    text = page(samples, [*notes, *failed.values()], conditions)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "uwsgi.md").write_text(text)
    print(text)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
