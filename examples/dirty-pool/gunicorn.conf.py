"""Settings, in the form of gunicorn's configuration files."""

from typing import Any

bind = "127.0.0.1:8000"
worker_class = "asgi"
workers = 2
dirty_apps = ["models:Embedder", "models:Tasks", "models:Chat"]
dirty_workers = 4
dirty_timeout = 30


def dirty_post_fork(arbiter: Any, worker: Any) -> None:
    worker.env["OMP_NUM_THREADS"] = "1"


def dirty_worker_init(worker: Any) -> None:
    worker.log.info("worker %s has %s", worker.slot, ", ".join(worker.app_paths))
