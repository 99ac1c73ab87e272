"""The page's worker, put together from its blocks, serves; its other blocks run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hostler.http1._opening import open_connection

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "writing-a-plugin.md").read_text()


def block(words: str) -> str:
    """The Python block with these words in it."""
    (found,) = (text for text in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if words in text)
    return str(found)


@pytest.mark.parametrize("hostler_worker", ["sync"], indirect=True)
def test_worker(server: Any, tmp_path: Path) -> None:
    """With a setting of its own, as the page tells; under a name that nothing installed here has."""
    package = tmp_path / "hostler_paged"
    package.mkdir()
    for file, words in (
        ("_settings", "class Settings"),
        ("__init__", "WorkerType("),
        ("_worker", "SharedDriver("),
    ):
        (package / f"{file}.py").write_text(
            block(words).replace("hostler_futures", "hostler_paged").replace('"futures"', '"paged"')
        )
    running = server(
        worker=f"{package.name}:worker", environment={"PYTHONPATH": str(tmp_path)}, paged_threads=2
    )
    with running.connect() as peer:
        assert peer.request(target="/").status == 200
    assert running.stop() == 0


def test_fakes() -> None:
    """The request is told; whose connection it is the page leaves open."""
    names: dict[str, Any] = {"open_connection": open_connection}
    exec(block("make_opening"), names)
    assert names["events"][0].head.method == "GET"
