"""WSGI and ASGI applications that call a dirty pool, and the app in it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

from hostler_dirty import DirtyApp, DirtyError, DirtyUsageError, get_dirty_client, stash

PATH = "pool_site:Model"


class Model(DirtyApp):
    """What the pool hosts."""

    workers = 1

    def init(self):
        self.count = 0

    def echo(self, value):
        self.count += 1
        return value

    def pid(self):
        return os.getpid()

    def nap(self, seconds):
        time.sleep(seconds)
        return "rested"

    def hold(self, gate):
        """Run until the file is there, a minute at most."""
        until = time.monotonic() + 60
        while not os.path.exists(gate) and time.monotonic() < until:
            time.sleep(0.01)
        return "rested"

    def rest(self):
        try:
            time.sleep(60)
        finally:
            stash.incr("site", "interrupted")

    def words(self, n):
        for i in range(n):
            yield f"word {i} "


def ask(number):
    """A call and a stream, by a caller that waits."""
    client = get_dirty_client(60)
    return [client.execute(PATH, "echo", number), len(list(client.stream(PATH, "words", 2)))]


async def ask_async(number):
    """The same, by a caller that awaits."""
    client = get_dirty_client(60)
    return [
        await client.execute_async(PATH, "echo", number),
        len([word async for word in client.stream_async(PATH, "words", 2)]),
    ]


async def together(count):
    return await asyncio.gather(*map(ask_async, range(count)))


def by_threads(count):
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(ask, range(count)))


def by_gevent(count):
    import gevent

    return [job.get() for job in [gevent.spawn(ask, number) for number in range(count)]]


def by_native_threads(count):
    """Of a process that gevent has patched."""
    import gevent

    return gevent.get_hub().threadpool.map(ask, range(count))


def by_eventlet(count):
    import eventlet

    return list(eventlet.GreenPool().imap(ask, range(count)))


CALLERS = {
    "blocking": lambda count: [ask(number) for number in range(count)],
    "threads": by_threads,
    "asyncio": lambda count: asyncio.run(together(count)),
    "gevent": by_gevent,
    "native threads": by_native_threads,
    "eventlet": by_eventlet,
}


async def by_loop(kind, count):
    """Callers in an ASGI worker: its own tasks, threads beside the loop, and one that would stop the loop."""
    if kind == "asyncio":
        return await together(count)
    if kind == "threads":
        return await asyncio.gather(*(asyncio.to_thread(ask, number) for number in range(count)))
    try:
        return ask(count)
    except DirtyUsageError as error:
        return str(error)


def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    query = parse_qs(environ["QUERY_STRING"])
    client = get_dirty_client(20)
    headers = [("Content-Type", "text/plain")]
    if path == "/words":
        start_response("200 OK", headers)
        return (word.encode() for word in client.stream(PATH, "words", 50))
    try:
        if path == "/echo":
            said = client.execute(PATH, "echo", query["v"][0])
        elif path == "/big":
            said = len(client.execute(PATH, "echo", b"x" * 3_000_000))
        elif path == "/nap":
            said = client.execute(PATH, "nap", float(query["s"][0]))
        elif path == "/hold":
            said = client.execute(PATH, "hold", query["gate"][0])
        elif path == "/interrupted":
            said = stash.get("site", "interrupted", 0)
        elif path == "/callers":
            said = CALLERS[query["kind"][0]](int(query["n"][0]))
        else:
            said = client.execute(PATH, "pid")
    except DirtyError as error:
        start_response("503 Service Unavailable", headers)
        return [type(error).__name__.encode()]
    start_response("200 OK", headers)
    return [json.dumps(said).encode()]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError(scope["type"])
    client = get_dirty_client(20)
    query = parse_qs(scope["query_string"].decode())
    path = scope["path"]
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
    if path == "/words":
        await send(start)
        async for word in client.stream_async(PATH, "words", 50):
            await send({"type": "http.response.body", "body": word.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    if path == "/rest":
        task = asyncio.ensure_future(client.options(timeout=120).execute_async(PATH, "rest"))
        while (await receive())["type"] != "http.disconnect":
            continue
        task.cancel()
        return
    if path == "/echo":
        said = await client.execute_async(PATH, "echo", query["v"][0])
    elif path == "/big":
        said = len(await client.execute_async(PATH, "echo", b"x" * 3_000_000))
    elif path == "/nap":
        said = await client.execute_async(PATH, "nap", float(query["s"][0]))
    elif path == "/hold":
        said = await client.execute_async(PATH, "hold", query["gate"][0])
    elif path == "/interrupted":
        said = await asyncio.to_thread(stash.get, "site", "interrupted", 0)
    elif path == "/callers":
        said = await by_loop(query["kind"][0], int(query["n"][0]))
    else:
        said = await client.execute_async(PATH, "pid")
    await send(start)
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})
