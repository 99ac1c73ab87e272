"""Hooks that raise."""

from __future__ import annotations


def on_starting(arbiter):
    raise RuntimeError("the hook's own")


def post_fork(arbiter, worker):
    raise RuntimeError("the hook's own")


def worker_init(worker):
    raise RuntimeError("the hook's own")


def worker_exit(arbiter, worker):
    raise RuntimeError("the hook's own")
