"""A worker in the test's own process, turn by turn: the test is its arbiter and its caller, and chooses the order."""

from __future__ import annotations

import select
import threading

from hostler_dirty import _arena, _line, _wire
from hostler_dirty._arena import Page
from hostler_dirty._calling import DEFAULT, Channel, plan
from hostler_dirty._hosting import Hosted
from hostler_dirty._line import Control
from hostler_dirty._runtime import Runtime
from hostler_dirty._runtime_words import page_octets
from hostler_dirty._wire import FrameReader

BOOT = {
    "slot": 0, "graceful_timeout": 30.0,
    "threads": 1, "max_payload": 1 << 24, "stall": 30.0, "health_interval": 0.0, "slow_call": 0.0,
}  # fmt: skip


class Worker:
    """The worker, and the other ends of its control connection and its channels."""

    def __init__(self, app, threads=1):
        self._socket, theirs = _line.pair()
        self._socket.settimeout(20)
        self._theirs = theirs
        self._reader = FrameReader(1 << 20)
        hosted = Hosted(app.__name__, app)
        page = Page(_arena.create(), create=True, octets=page_octets(threads))
        self.runtime = Runtime(Control(theirs), page, {app.__name__: hosted}, {**BOOT, "threads": threads})
        hosted.open(self.runtime.loop)
        self.app = app.__name__
        self.channels = []

    def introduce(self):
        """A channel, known to the worker; its caller's end."""
        ours, theirs = _line.pair()
        number = len(self.channels) + 1
        self.introduce_as(number, theirs)
        channel = Channel(number, 1, ours)
        channel.sock.settimeout(20)
        self.channels.append(channel)
        self.turn()
        return channel

    def introduce_as(self, number, theirs):
        """Let the worker have its end of a channel."""
        with theirs:
            _line.send_with(self._socket, _wire.pack(_wire.INTRO, number), (theirs.fileno(),))
        self.runtime._on_control()

    def recall(self, channel, lease):
        self._socket.sendall(_wire.pack(_wire.RECALL, lease, deadline=channel.id))
        self.runtime._on_control()

    def call(self, channel, lease, action, *args, keep=False):
        """Send a call; it is not read before a turn."""
        asked = plan(self.app, action, args, {}, DEFAULT, {}, 0)
        channel.lease = lease
        channel.sock.sendall(channel.call(asked, keep=keep))
        return asked

    def turn(self):
        """What an executing thread does at a time, if there is something to do."""
        runtime = self.runtime
        if runtime.lingering.channels or select.select([runtime.executing.fileno()], [], [], 0)[0]:
            runtime._turn(0, threading.get_ident())

    def answer(self, channel):
        """The frames that the caller has been sent."""
        return channel.reader.feed(channel.sock.recv(65536))

    def told(self):
        """What the worker has told the arbiter of leases and channels: kinds and numbers."""
        self._socket.setblocking(False)
        try:
            frames = self._reader.feed(self._socket.recv(65536))
        except BlockingIOError:
            return []
        finally:
            self._socket.settimeout(20)
        return [(frame.kind, frame.call) for frame in frames if frame.kind in (_wire.DONE, _wire.GONE)]

    def close(self):
        for channel in self.channels:
            channel.close()
        for channel in list(self.runtime.channels.values()):
            self.runtime.drop(channel)
        self._socket.close()
        self._theirs.close()
