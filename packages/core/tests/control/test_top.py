"""The live view, driven without a terminal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hostler._control_client import ControlError
from hostler._control_top import Top, run
from textual.widgets import DataTable, Static


def cells(app: Top) -> list[list[Any]]:
    found = app.query_one("#workers", DataTable)
    return [found.get_row_at(row) for row in range(found.row_count)]


def summary(app: Top) -> str:
    return str(app.query_one("#summary", Static).render())


async def until(pilot: Any, true: Any) -> None:
    for _ in range(600):
        if true():
            return
        await pilot.pause(0.05)
    raise AssertionError


@pytest.mark.usefixtures("loop")
def test_workers_and_keys(path: str, arbiter: Any) -> None:
    async def look() -> None:
        app = Top(path)
        async with app.run_test(size=(120, 30)) as pilot:
            await until(pilot, lambda: cells(app))
            assert cells(app)[0][:4] == ["7", "-", "ready", "1m05s"]
            assert "http://127.0.0.1:8000" in summary(app)
            await pilot.press("plus")
            await until(pilot, lambda: arbiter.wanted == 3)
            await pilot.press("minus")
            await until(pilot, lambda: arbiter.wanted == 2)
            arbiter.reloaded = True
            await pilot.press("r")
            await until(pilot, lambda: arbiter.calls == ["reload"])
            await pilot.press("q")

    asyncio.run(look())


def test_a_server_that_goes_away_is_said(loop: Any, path: str) -> None:
    async def look() -> None:
        app = Top(path)
        async with app.run_test(size=(120, 30)) as pilot:
            await until(pilot, lambda: cells(app))
            loop.stop()
            await until(pilot, lambda: "is the server running" in summary(app))

    asyncio.run(look())


def test_no_server_no_view(tmp_path: Any) -> None:
    with pytest.raises(ControlError, match="is the server running"):
        run(str(tmp_path / "none"))
