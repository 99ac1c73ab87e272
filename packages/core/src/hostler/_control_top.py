"""`hostler ctl top`: workers and events of a server, once a second, in the terminal (with textual).

Everything it shows comes from `status`; it asks in a thread, so that a slow server does not freeze the view.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from rich.markup import escape
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import DataTable, Footer, Header, RichLog, Static

from hostler._control_client import ControlError, _cell, ask

COLUMNS = (
    "pid",
    "slot",
    "state",
    "uptime",
    "requests",
    "rate",
    "active",
    "connections",
    "cpu",
    "rss",
    "beat",
)
INTERVAL = 1.0


class Top(App[int]):
    """One table, one line of summary, the arbiter's last events."""

    TITLE = "hostler"
    CSS = "DataTable { height: 1fr; } RichLog { height: 8; border-top: solid $accent; } Static { height: 2; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        ("q", "quit", "quit"),
        ("r", "reload_server", "reload"),
        ("plus", "workers('add')", "add"),
        ("minus", "workers('remove')", "remove"),
    ]

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._before: dict[int, tuple[float, float, float]] = {}
        self._events = 0.0

    def compose(self) -> ComposeResult:
        yield Header(show_clock=True)
        yield Static("…", id="summary")
        yield DataTable(id="workers", cursor_type="row", zebra_stripes=True)
        yield RichLog(id="events", wrap=True, markup=True)
        yield Footer()

    async def on_mount(self) -> None:
        self.query_one("#workers", DataTable).add_columns(*(name.upper() for name in COLUMNS))
        self.set_interval(INTERVAL, self.refresh_status)
        await self.refresh_status()

    async def refresh_status(self) -> None:
        try:
            status = await asyncio.to_thread(ask, self._path, "status", seconds=5.0)
        except ControlError as error:
            self.query_one("#summary", Static).update(f"[red]{escape(str(error))}[/red]")
            return
        self._show(status)

    def _show(self, status: Mapping[str, Any]) -> None:
        self.sub_title = f"{status.get('name') or ''} pid {status.get('pid')}"
        listeners = ", ".join(status.get("listeners", ()))
        reload = f"\nreload: {status['reload']}" if status.get("reload") else ""
        text = (
            f"{status.get('state')} for {_cell('uptime', status.get('uptime'))} on {listeners}; "
            f"{status.get('ready')}/{status.get('wanted')} workers{reload}"
        )
        self.query_one("#summary", Static).update(escape(text))
        table = self.query_one("#workers", DataTable)
        table.clear()
        now = time.monotonic()
        for worker in status.get("workers", ()):
            row = self._with_rates(worker, now)
            table.add_row(*(_cell(name, row.get(name)) for name in COLUMNS))
        log = self.query_one("#events", RichLog)
        for event in status.get("events", ()):
            if event["time"] > self._events:
                self._events = event["time"]
                clock = time.strftime("%H:%M:%S", time.localtime(event["time"]))
                log.write(f"[dim]{clock}[/dim] {escape(str(event['text']))}")

    def _with_rates(self, worker: Mapping[str, Any], now: float) -> dict[str, Any]:
        """Requests per second, and CPU as a share of one core, since the last look."""
        row = dict(worker)
        pid, requests, cpu = (
            int(worker["pid"]),
            float(worker.get("requests") or 0),
            float(worker.get("cpu") or 0),
        )
        then, requests_then, cpu_then = self._before.get(pid, (now, requests, cpu))
        span = now - then
        row["rate"] = (requests - requests_then) / span if span else 0.0
        row["cpu"] = f"{(cpu - cpu_then) / span * 100:.0f}%" if span else "-"
        self._before[pid] = now, requests, cpu
        return row

    async def action_reload_server(self) -> None:
        await self._command("reload")

    async def action_workers(self, command: str) -> None:
        await self._command(command)

    async def _command(self, command: str) -> None:
        try:
            await asyncio.to_thread(ask, self._path, command)
        except ControlError as error:
            self.notify(str(error), severity="error")
        else:
            self.notify(f"{command}: done")


def run(path: str) -> int:
    """Show the view until it is left."""
    ask(path, "status", seconds=5.0)  # a server that cannot be asked is told of in one line, without a view
    return Top(path).run() or 0
