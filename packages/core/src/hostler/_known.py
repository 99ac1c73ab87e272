"""What the core knows of names: its commands, the project's other distributions, and gunicorn's words.

Nothing is imported or loaded by the names of distributions; they are only said to the user.
"""

from __future__ import annotations

COMMANDS = {
    "config": "every setting, its value and where it comes from",
    "plugins": "the installed plugins and their state",
    "ctl": "talk to a running server",
}
"""Words that are commands when they stand first; an application of that name is written `config:application`."""

OFFICIAL = {
    ("hostler.workers", "sync"): "hostler",
    ("hostler.workers", "gthread"): "hostler-gthread",
    ("hostler.workers", "gevent"): "hostler-gevent",
    ("hostler.workers", "eventlet"): "hostler-eventlet",
    ("hostler.workers", "asgi"): "hostler-asgi",
    ("hostler.protocols", "http1"): "hostler",
    ("hostler.protocols", "http2"): "hostler-http2",
    ("hostler.protocols", "uwsgi"): "hostler-uwsgi",
    ("hostler.services", "dirty"): "hostler-dirty",
    ("hostler.loggers", "std"): "hostler",
    ("hostler.loggers", "statsd"): "hostler-statsd",
    ("hostler.reloaders", "poll"): "hostler",
    ("hostler.reloaders", "inotify"): "hostler",
    ("hostler.reloaders", "auto"): "hostler",
}
"""Reserved: only this distribution can provide the name. A server that starts as root is not to be taken over
by a package that happens to call itself `sync`."""

PROTOCOL_IDS = {"h1": "http1", "h2": "http2"}
"""What `http_protocols` calls them -> the plugin's name."""

THREADLESS = frozenset({"gevent", "eventlet", "asgi"})
"""Workers that serve many requests at once without taking `threads` for it."""

SETTINGS = {
    "asgi": "hostler-asgi",
    "websocket": "hostler-asgi",
    "gevent": "hostler-gevent",
    "eventlet": "hostler-eventlet",
    "gthread": "hostler-gthread",
    "http2": "hostler-http2",
    "uwsgi": "hostler-uwsgi",
    "dirty": "hostler-dirty",
    "on_dirty": "hostler-dirty",
    "statsd": "hostler-statsd",
    "dogstatsd": "hostler-statsd",
    "enable_backlog_metric": "hostler-statsd",
}
"""Beginning of a setting's name -> the distribution whose plugin has it."""

STARTS = frozenset({"statsd_host", "dirty_apps", "dirty_workers"})
"""They ask for something to run: without their plugin the server must not start as if all were well."""

SAME = {
    "gunicorn.workers.sync.SyncWorker": "sync",
    "gunicorn.workers.gthread.ThreadWorker": "gthread",
    "gunicorn.workers.ggevent.GeventWorker": "gevent",
    "gunicorn.workers.geventlet.EventletWorker": "eventlet",
    "gunicorn.workers.gasgi.ASGIWorker": "asgi",
    "egg:gunicorn#sync": "sync",
    "egg:gunicorn#gthread": "gthread",
    "egg:gunicorn#gevent": "gevent",
    "egg:gunicorn#eventlet": "eventlet",
    "egg:gunicorn#asgi": "asgi",
    "gunicorn.glogging.Logger": "std",
    "egg:gunicorn#simple": "std",
    "gunicorn.instrument.statsd.Statsd": "statsd",
}
"""gunicorn's long names of what has a plugin of the same meaning here."""

INSTEAD = {
    "gevent_pywsgi": ("gevent", "it is another HTTP server, with rules of its own"),
    "gevent_wsgi": ("gevent", "it is another HTTP server, with rules of its own"),
    "gunicorn.workers.ggevent.GeventPyWSGIWorker": ("gevent", "it is another HTTP server"),
    "tornado": ("asgi", "Tornado brings its own HTTP server; run it alone, or move to ASGI"),
    "gunicorn.workers.gtornado.TornadoWorker": ("asgi", "Tornado brings its own HTTP server"),
    "uvicorn.workers.UvicornWorker": ("asgi", "it is a worker of gunicorn's make"),
    "uvicorn.workers.UvicornH11Worker": ("asgi", "it is a worker of gunicorn's make"),
    "uvicorn_worker.UvicornWorker": ("asgi", "it is a worker of gunicorn's make"),
    "uvicorn_worker.UvicornH11Worker": ("asgi", "it is a worker of gunicorn's make"),
    "meinheld.gmeinheld.MeinheldWorker": ("gevent", "it is a worker of gunicorn's make"),
    "aiohttp.GunicornWebWorker": ("asgi", "aiohttp brings its own HTTP server; run it alone"),
    "aiohttp.GunicornUVLoopWebWorker": ("asgi", "aiohttp brings its own HTTP server; run it alone"),
}
"""Names that gunicorn's users may have, the nearest thing here, and why it is not the same."""


def owner(setting: str) -> str:
    """The distribution whose plugin has this setting, by the beginning of its name; `""` if none of ours."""
    for prefix, dist in SETTINGS.items():
        if setting == prefix or setting.startswith(prefix + "_"):
            return dist
    return ""
