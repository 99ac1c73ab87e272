"""Settings that do not go together: one line for each that does nothing, or harm, beside the others.

Only warnings: what cannot run at all is an error where it is found. A new rule is a row of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from hostler._values import WorkerType
from hostler.settings import Settings

SHORTEST_TIMEOUT = 2.0
"""Workers report about once a second; a `timeout` below this ends healthy ones."""


@dataclass(frozen=True, slots=True)
class Case:
    """What the rules look at."""

    settings: Settings
    given: Container[str]
    """Names of the settings that the user gave."""
    worker: WorkerType

    def without(self, name: str, wanted: str) -> bool:
        """`name` was given, but what it belongs to is off."""
        return name in self.given and not getattr(self.settings, wanted)

    def proxied(self) -> bool:
        """Some listener takes the PROXY protocol."""
        tables = self.settings.listen
        return self.settings.proxy_protocol != "off" or any("proxy_protocol" in one for one in tables)


RULES: tuple[tuple[str, Callable[[Case], bool]], ...] = (
    (
        "max_requests_jitter has no effect without max_requests",
        lambda case: bool(case.settings.max_requests_jitter) and not case.settings.max_requests,
    ),
    (
        "initgroups has no effect without user",
        lambda case: case.settings.initgroups and case.settings.user is None,
    ),
    (
        "root_path has no effect with this worker: it is for ASGI",
        lambda case: bool(case.settings.root_path) and case.worker.interface != "asgi",
    ),
    (
        "access_log_format has no effect with access_log_json",
        lambda case: case.settings.access_log_json and "access_log_format" in case.given,
    ),
    (
        "proxy_allow_ips has no effect: proxy_protocol is off",
        lambda case: "proxy_allow_ips" in case.given and not case.proxied(),
    ),
    (
        "forwarded_allow_ips has *: every client can choose its address and scheme",
        lambda case: "*" in case.settings.forwarded_allow_ips,
    ),
    (
        f"timeout is below {SHORTEST_TIMEOUT:g} s: workers report once a second, so healthy ones may be ended",
        lambda case: 0 < case.settings.timeout < SHORTEST_TIMEOUT,
    ),
    (
        "workers is 0: nothing is served until one is added (TTIN)",
        lambda case: case.settings.workers == 0,
    ),
    (
        "reload does not see the application: preload_app keeps what was loaded at the start",
        lambda case: case.settings.reload and case.settings.preload_app,
    ),
    (
        "the application's name has no effect: paste names another",
        lambda case: bool(case.settings.paste) and case.settings.wsgi_app is not None,
    ),
    (
        "raw_paste_global_conf has no effect without paste",
        lambda case: case.without("raw_paste_global_conf", "paste"),
    ),
    *(
        (f"{name} has no effect without {wanted}", lambda case, n=name, w=wanted: case.without(n, w))
        for name, wanted in (
            ("syslog_addr", "syslog"),
            ("syslog_prefix", "syslog"),
            ("syslog_facility", "syslog"),
            ("disable_redirect_access_to_syslog", "syslog"),
            ("enable_stdio_inheritance", "daemon"),
        )
    ),
)


def together(settings: Settings, given: Container[str], worker: WorkerType) -> list[str]:
    """The lines for the log."""
    case = Case(settings, given, worker)
    return [text for text, applies in RULES if applies(case)]
