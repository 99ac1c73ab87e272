"""Settings and hooks under the names that gunicorn gives them."""

from typing import Any

bind = "127.0.0.1:8000"
worker_class = "asgi"
workers = 2

dirty_apps = ["embedder:Embedder"]
dirty_workers = 4
dirty_timeout = 60
dirty_threads = 1
dirty_graceful_timeout = 30


def when_ready(server: Any) -> None:
    server.log.info("%d HTTP workers, %d dirty workers", server.num_workers, server.cfg.dirty_workers)


def on_dirty_starting(arbiter: Any) -> None:
    arbiter.log.info("the pool has %s", ", ".join(arbiter.cfg.dirty_apps))


def dirty_post_fork(arbiter: Any, worker: Any) -> None:
    arbiter.log.info("dirty worker %s of arbiter %s begins", worker.pid, arbiter.pid)


def dirty_worker_init(worker: Any) -> None:
    worker.log.info("dirty worker %s has loaded %s", worker.pid, ", ".join(worker.apps))


def dirty_worker_exit(arbiter: Any, worker: Any) -> None:
    arbiter.log.info("dirty worker %s is gone", worker.pid)
