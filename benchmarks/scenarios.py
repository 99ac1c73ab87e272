"""What is measured: for each scenario the application, the requests, the servers, and what is aimed at.

It knows nothing of processes. The first server of a scenario is the one of ours that the others are compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import apps

CONNECTIONS = 64
WSGI_PEERS = ("gunicorn gthread 4", "granian wsgi", "bjoern", "bare loop")
ASGI_PEERS = ("uvicorn", "gunicorn asgi", "granian asgi")

# The fields that a browser sends for a page, Host left out: with it there are 20.
FIELDS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Cache-Control": "max-age=0",
    "Cookie": "sessionid=2h8v0x1q7c5m9k3j6d4s; csrftoken=Zt4Wq9Lx2Rb7Nc1Vy8Ke; theme=dark; seen=20260114",
    "DNT": "1",
    "If-None-Match": 'W/"5f3c-18c2a9e7d40"',
    "Priority": "u=0, i",
    "Referer": "https://www.example.com/catalogue/books?page=3&order=title",
    "Sec-CH-UA": '"Chromium";v="126", "Not/A)Brand";v="8"',
    "Sec-CH-UA-Mobile": "?0",
    "Sec-CH-UA-Platform": '"Linux"',
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-User": "?1",
    "Upgrade-Insecure-Requests": "1",
    "X-Request-Id": "7d1f6c0a-93be-4a51-8d7e-2f60c4b1a9e3",
}


def lua_text(text: str) -> str:
    """A string as Lua writes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\r\n", "\\r\\n") + '"'


def same_fields() -> str:
    """A script that sends the fields with every request."""
    return "".join(f"wrk.headers[{lua_text(name)}] = {lua_text(value)}\n" for name, value in FIELDS.items())


def varied_fields() -> str:
    """A script whose path, cookie and request id differ in each request; the rest stays."""
    kept = {name: value for name, value in FIELDS.items() if name not in ("Cookie", "X-Request-Id")}
    rest = "".join(f"{name}: {value}\r\n" for name, value in kept.items())
    session, _, cookies = FIELDS["Cookie"].partition(";")
    identity = FIELDS["X-Request-Id"][:-12]
    parts = [
        lua_text("GET /catalogue/books/"),
        "n",
        lua_text(f"/details HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {session[:-7]}"),
        "n",
        lua_text(f";{cookies}\r\nX-Request-Id: {identity}"),
        'string.format("%012x", n)',
        lua_text(f"\r\n{rest}\r\n"),
    ]
    return f"local n = 1000000\nfunction request()\n  n = n + 1\n  return {' .. '.join(parts)}\nend\n"


POST = 'wrk.method = "POST"\nwrk.body = string.rep("j", 1024)\n'
POST += 'wrk.headers["Content-Type"] = "application/octet-stream"\n'
CLOSE = 'wrk.headers["Connection"] = "close"\n'


@dataclass(frozen=True)
class Scenario:
    """`servers`: ours first. `aims`: server -> how many times our CPU time it must at least take.
    `rate`: requests/s that ours must at least reach. `sent` and `size`: octets of a request's body and of a right
    answer's."""

    name: str
    title: str
    app: str
    servers: tuple[str, ...]
    aims: Mapping[str, float] = field(default_factory=dict)
    lua: str = ""
    sent: int = 0
    size: int = len(apps.HELLO)
    rate: float = 0.0
    workers: int = 1

    @property
    def memory(self) -> bool:
        """Whether memory is the figure, and not time."""
        return self.workers > 1


LARGE, STREAM = len(apps.LARGE), len(apps.CHUNK) * apps.CHUNKS
_HELLO_AIMS = {"gunicorn gthread 4": 6.0, "granian wsgi": 0.9, "bjoern": 1.0, "bare loop": 0.75}
_BEST = {"gunicorn gthread 4": 1.0, "granian wsgi": 1.0, "bjoern": 1.0, "bare loop": 1.0}
_SYNC = ("hostler sync", *WSGI_PEERS)
_ASGI = ("hostler asgi", *ASGI_PEERS)

_ALL = (
    Scenario("hello", "13 octets over kept connections", "hello", _SYNC, _HELLO_AIMS),
    Scenario(
        "headers",
        "13 octets; 20 request headers, the same in every request",
        "hello",
        _SYNC,
        {"bare loop": 0.7},
        lua=same_fields(),
    ),
    Scenario(
        "headers-varied",
        "13 octets; 20 request headers; the path and two values differ in every request",
        "hello",
        _SYNC,
        {"bare loop": 0.7},
        lua=varied_fields(),
    ),
    Scenario("post", "1 KiB POST, answered with the body", "post", _SYNC, lua=POST, sent=1024, size=1024),
    Scenario(
        "close", "13 octets, a connection for each request", "hello", (*_SYNC, "gunicorn sync"), lua=CLOSE
    ),
    Scenario("download", "1 MiB in one piece", "download", _SYNC, _BEST, size=LARGE),
    Scenario("stream", "a generator of 100 x 1 KiB", "stream", _SYNC, size=STREAM),
    Scenario(
        "access-log",
        "13 octets, with and without an access log to /dev/null; the log may cost 15 %",
        "hello",
        ("hostler sync, access log", "hostler sync"),
        {"hostler sync": 1 / 1.15},
    ),
    Scenario(
        "gthread",
        "13 octets, four threads",
        "hello",
        ("hostler gthread 4", "gunicorn gthread 4", "granian wsgi 4", "hostler, each handed over"),
        {"gunicorn gthread 4": 4.0, "granian wsgi 4": 0.6},
    ),
    Scenario(
        "sleep",
        "the application waits 10 ms, 32 threads: 3,200 requests/s are possible",
        "sleep",
        ("hostler gthread 32", "gunicorn gthread 32"),
        {"gunicorn gthread 32": 2.0},
        rate=0.95 * 3200,
    ),
    Scenario(
        "gevent",
        "13 octets, gevent",
        "hello",
        ("hostler gevent", "gunicorn gevent"),
        {"gunicorn gevent": 3.0},
    ),
    Scenario(
        "asgi-hello",
        "ASGI, 13 octets over kept connections",
        "asgi_hello",
        _ASGI,
        {"uvicorn": 1.3, "gunicorn asgi": 1.3, "granian asgi": 1.0},
    ),
    Scenario(
        "asgi-post",
        "ASGI, 1 KiB POST, answered with the body",
        "asgi_post",
        _ASGI,
        dict.fromkeys(ASGI_PEERS, 1.0),
        lua=POST,
        sent=1024,
        size=1024,
    ),
    Scenario(
        "asgi-stream",
        "ASGI, 100 messages of 1 KiB",
        "asgi_stream",
        _ASGI,
        dict.fromkeys(ASGI_PEERS, 1.0),
        size=STREAM,
    ),
    Scenario(
        "asgi-file",
        "ASGI, a file of 50 KiB: by pathsend where the server has it, read by the application elsewhere",
        "asgi_file",
        _ASGI,
        {"granian asgi": 1.0},
        size=apps.FILE_SIZE,
    ),
    Scenario(
        "memory",
        "PSS of a worker with the 13-octet application, 4 workers after some load",
        "hello",
        ("hostler sync", "gunicorn sync", "gunicorn gthread 4"),
        {"gunicorn sync": 1.0, "gunicorn gthread 4": 1.0},
        workers=4,
    ),
)
SCENARIOS = {each.name: each for each in _ALL}
