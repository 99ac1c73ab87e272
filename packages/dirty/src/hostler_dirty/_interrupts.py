"""Interrupting an action that runs: a signal for the main thread, an asynchronous exception for others.

Invariants: an interrupt is raised only while its own call is armed, at most once per call, and never after
`disarm` of that call has returned. A call that is shielded, or that sits in native code, is left alone; who
does not come back in time is killed by the arbiter.
"""

from __future__ import annotations

import ctypes
import signal
import threading
from types import FrameType

from hostler_dirty._app import Call, DirtyCancelled, main_thread_ident

SIGNAL = signal.SIGURG
"""Ignored by default and hardly used by Python code; Go chose it for the same job."""


class Interrupts:
    """The armed calls of a worker, one per thread."""

    def __init__(self) -> None:
        self._main: Call | None = None
        self._others: dict[int, Call] = {}
        self._lock = threading.Lock()
        self._main_thread = main_thread_ident()

    def install(self) -> None:
        """Take the signal; in the main thread, once."""
        signal.signal(SIGNAL, self._on_signal)
        signal.siginterrupt(SIGNAL, False)

    def arm(self, call: Call, thread: int) -> None:
        """From here on the call may be interrupted."""
        call.thread = thread
        if thread == self._main_thread:
            self._main = call
            if call.interrupt is not None and not call.delivered and not call.shields:
                self._main = None
                call.delivered = True
                raise call.interrupt
        else:
            with self._lock:
                early = call.interrupt if not call.delivered and not call.shields else None
                if early is None:
                    self._others[thread] = call
                else:
                    call.delivered = True
            if early is not None:
                raise early

    def disarm(self, call: Call) -> None:
        """The call is over: from here on nothing is raised for it."""
        if call.thread == self._main_thread:
            self._main = None
            return
        with self._lock:
            if self._others.pop(call.thread, None) is not None and call.interrupt is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(call.thread), None)

    def interrupt(self, call: Call, why: type[DirtyCancelled]) -> None:
        """From another thread: have `why` raised in the call."""
        call.cancelled = True
        if call.interrupt is not None:
            return
        call.interrupt = why
        cancel = call.cancel_task
        if cancel is not None:
            cancel()
        elif call.thread == self._main_thread:
            signal.pthread_kill(self._main_thread, SIGNAL)
        else:
            with self._lock:
                if self._others.get(call.thread) is call and not call.shields:
                    call.delivered = True
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(call.thread), ctypes.py_object(why)
                    )

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        call = self._main
        if call is None or call.interrupt is None or call.shields or call.delivered:
            return
        self._main = None
        call.delivered = True
        raise call.interrupt
