"""Apps for the tests of the pool; imported by workers only."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import threading
import time
from pathlib import Path

from hostler_dirty import DirtyApp, action, current_call, get_dirty_client, stash
from hostler_dirty.app import DirtyCancelled

note_lock = threading.Lock()


def note(text: str) -> None:
    """Append a line to the file that the test reads."""
    path = os.environ.get("DIRTY_NOTES")
    if path:
        with note_lock, open(path, "a", encoding="utf-8") as file:
            file.write(text + "\n")


def gate(name: str) -> None:
    """Wait until the test opens it, a minute at most."""
    path, until = Path(f"{os.environ['DIRTY_NOTES']}.{name}"), time.monotonic() + 60
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)


class Echo(DirtyApp):
    """Everything that a well-behaved call can do."""

    def init(self):
        note(f"init {os.getpid()}")
        self.count = 0

    def close(self):
        note(f"close {os.getpid()}")

    def echo(self, value=None, **named):
        return named or value

    def kind(self, value):
        return [type(value).__name__, getattr(value, "nbytes", None)]

    def pid(self):
        return os.getpid()

    def add(self, a, b=0):
        return a + b

    def counted(self):
        self.count += 1
        return self.count

    def sleep(self, seconds, tag=None):
        time.sleep(seconds)
        if tag is not None:
            note(f"slept {tag}")
        return tag

    def hold(self, name, tag=None):
        """Run until the test opens the gate."""
        gate(name)
        if tag is not None:
            note(f"slept {tag}")
        return tag

    def hold_noted(self, name):
        """As `hold`; that it has begun is noted."""
        note(f"holds {name}")
        gate(name)
        return name

    def spin(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass
        return seconds

    def spinning(self):
        yield "first"
        yield self.spin(300)

    def hold_gil(self, seconds):
        ctypes.PyDLL(None).usleep(ctypes.c_uint(int(seconds * 1e6)))

    def stubborn(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                time.sleep(0.05)
            except BaseException:
                note("stubborn")
        return "done"

    def deaf(self, name):
        """Take an interrupt for nothing, wherever it comes."""
        try:
            note("deaf")
            gate(name)
        except BaseException:
            return "interrupted"
        return name

    def shielded(self, seconds):
        with current_call().shield():
            time.sleep(seconds)
            note("shield whole")
        time.sleep(5)

    def fail(self, message="no"):
        raise ValueError(message)

    def fail_badly(self):
        class Odd(Exception):
            def __str__(self):
                raise RuntimeError("no text")

        raise Odd

    @property
    def broken_property(self):
        return 1 / 0

    def unsendable(self):
        return {"ok": 1, "bad": [1, object()]}

    def big(self, octets):
        return b"x" * octets

    def die(self, number=signal.SIGKILL, note_text=None):
        if note_text:
            note(note_text)
        os.kill(os.getpid(), number)
        time.sleep(10)

    def leave(self, code):
        os._exit(code)

    def memory(self):
        raise MemoryError("no more")

    @action(idempotent=True)
    def die_once(self, path):
        try:
            fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return current_call().attempt
        os.close(fd)
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    def info(self):
        call = current_call()
        return {
            "deadline": call.deadline,
            "remaining": call.remaining(),
            "attempt": call.attempt,
            "slot": call.slot,
            "priority": call.priority,
            "trace": call.trace,
        }

    def environment(self, name):
        return os.environ.get(name)

    def rest(self):
        """Wait until cancelled, and tell it."""
        try:
            note("resting")
            time.sleep(60)
        except DirtyCancelled as error:
            note(f"cancelled {type(error).__name__}")
            raise

    def watch(self):
        """Heed nothing but what the call itself says of its caller."""
        call = current_call()
        with call.shield():
            note("watching")
            while not call.cancelled:
                time.sleep(0.01)
            try:
                call.check()
            except DirtyCancelled as error:
                note(f"{call.app} {call.action} {bool(call.id)} {type(error).__name__}")
                raise

    def count_to(self, n, pause=0.0):
        try:
            for i in range(n):
                if pause:
                    time.sleep(pause)
                yield i
        finally:
            note("stream closed")

    def chunks(self, n, octets):
        for _ in range(n):
            yield b"c" * octets

    def fail_after(self, n):
        yield from range(n)
        raise ValueError("after")

    async def async_add(self, a, b):
        await asyncio.sleep(0)
        return a + b

    async def async_rest(self):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            note("async cancelled")
            raise

    async def async_count(self, n):
        for i in range(n):
            await asyncio.sleep(0)
            yield i

    def total(self, numbers, factor=1):
        return sum(numbers) * factor

    def doubled(self, numbers):
        for number in numbers:
            yield number * 2

    async def async_total(self, numbers):
        result = 0
        async for number in numbers:
            result += number
        return result

    def put_stash(self, key, value):
        stash.put("shared", key, value)

    def remember(self, array):
        self.kept = array
        return int(array[0])

    def remembered(self):
        return int(self.kept[0])

    def signature(self):
        return threading.current_thread() is threading.main_thread()

    def _private(self):
        return "secret"


class Other(Echo):
    """A second app."""


class Nested(DirtyApp):
    """Calls another app."""

    def twice(self, value, timeout=None):
        client = get_dirty_client(timeout)
        return client.execute("pool_apps:Echo", "echo", value) * 2

    def wait(self, seconds):
        return get_dirty_client().execute("pool_apps:Echo", "sleep", seconds)

    def ask_info(self, trace=None):
        return get_dirty_client().options(trace=trace).execute("pool_apps:Echo", "info")


class Batched(DirtyApp):
    """A batched action."""

    @action(batch=8, max_wait=0.05)
    def square(self, number):
        note(f"batch {len(number)}")
        return [ValueError("negative") if n < 0 else n * n for n in number]

    @action(batch=4, max_wait=0.02)
    def slow(self, tag):
        note(f"run {sorted(tag)}")
        if "first" in tag:
            gate("first")
        else:
            time.sleep(0.3)
        return tag

    @action(batch=4)
    def wrong(self, number):
        return [1, 2, 3, 4, 5, 6, 7]

    def plain(self):
        return "plain"


class Limited(Echo):
    """Lives in two workers."""

    workers = 2


class Dispatching(DirtyApp):
    """Has a dispatch of its own."""

    def __call__(self, action, *args, **kwargs):
        return [action, list(args), kwargs]


class Duck:
    """No base class."""

    def init(self):
        self.ready = True

    def __call__(self, action, *args, **kwargs):
        return getattr(self, action)(*args, **kwargs)

    def quack(self):
        return "quack" if self.ready else ""

    def close(self):
        note("duck closed")


class Pickled(DirtyApp):
    """Takes any Python value."""

    codec = "pickle"

    def echo(self, value):
        return value


class Reraising(DirtyApp):
    """Its errors are seen as themselves."""

    reraise = (KeyError, ZeroDivisionError)

    def divide(self, a, b):
        return a / b

    def look(self, key):
        return {}[key]

    def other(self):
        raise ValueError("other")


class FailingInit(DirtyApp):
    """Fails as long as the file is there."""

    def init(self):
        note(f"try {os.getpid()}")
        if Path(os.environ["DIRTY_FAIL"]).exists():
            raise RuntimeError("cannot load")

    def ok(self):
        return "ok"


class SlowInit(DirtyApp):
    """Takes its time: until the test opens the gate."""

    init_timeout = 60.0

    def init(self):
        gate("init")

    def ok(self):
        return "ok"


class HangingInit(DirtyApp):
    """Never comes up."""

    init_timeout = 0.7

    def init(self):
        note("hang")
        time.sleep(600)


class CrashingInit(DirtyApp):
    """Ends its process."""

    def init(self):
        note("crash")
        os.kill(os.getpid(), signal.SIGSEGV)


class ExitingInit(DirtyApp):
    """Ends its process, and says nothing."""

    def init(self):
        note("exits")
        os._exit(0)


class Impatient(DirtyApp):
    """A short grace, so that the kill comes soon."""

    cancel_grace = 0.5
    hold_gil = Echo.hold_gil
    stubborn = Echo.stubborn
    spin = Echo.spin
    sleep = Echo.sleep

    def pid(self):
        return os.getpid()


class Reluctant(DirtyApp):
    """A grace in which others can finish."""

    cancel_grace = 3.0
    stubborn = Echo.stubborn

    def held(self, name):
        gate(name)
        return os.getpid()

    def pid(self):
        return os.getpid()


class Patient(Echo):
    """Its callers wait for a worker."""

    no_worker_wait = 20.0


class Sick(DirtyApp):
    """Says that it is not well when told so."""

    def init(self):
        self.well = True

    def health(self):
        return self.well

    def fall_ill(self):
        self.well = False

    def pid(self):
        return os.getpid()


class Versioned(DirtyApp):
    """Its answer lies in another module, which the test rewrites."""

    def init(self):
        import pool_version

        self.answer = pool_version.ANSWER

    def ask(self):
        return self.answer

    def close(self):
        note(f"close {self.answer}")


class WithEnvironment(DirtyApp):
    """Asks for tokens and environment."""

    resources = {"gpu": 1}  # noqa: RUF012
    env = {"DIRTY_TEST_ENV": "set"}  # noqa: RUF012
    stashes = ["declared"]  # noqa: RUF012

    def init(self):
        self.seen = [os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("DIRTY_TEST_ENV")]

    def see(self):
        return self.seen


class Loaded(DirtyApp):
    """Holds very many objects."""

    def init(self):
        self.model = [Piece() for _ in range(1000)]

    def walked(self):
        """How many of them the collector would look at."""
        return sum(isinstance(each, Piece) for each in gc.get_objects())


class Piece:
    """Of a model."""


class Queued(Echo):
    """A short queue."""

    max_queue = 2
