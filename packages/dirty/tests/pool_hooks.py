"""Hooks of a configuration file."""

from __future__ import annotations

from pool_apps import note


def on_dirty_starting(arbiter):
    note("starting")


def dirty_post_fork(arbiter, worker):
    worker.env["SET_BY_HOOK"] = f"slot {worker.slot}"
    note(f"post_fork {worker.generation}")


def dirty_worker_init(worker):
    note(f"worker_init {sorted(worker.apps)}")


def dirty_worker_exit(arbiter, worker):
    note(f"exit {worker.exit_reason}")
