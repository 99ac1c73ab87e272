"""What a server of these tests is started with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def settings_for(worker_value: Any, certificate: Any, **settings: Any) -> dict[str, Any]:
    """An application of `sites`, TLS, and HTTP/2 before HTTP/1.1."""
    tls = {"certfile": certificate.cert, "keyfile": certificate.key}
    given = {"http_protocols": "h2,h1", "pythonpath": str(HERE / "sites"), "threads": 4, **tls, **settings}
    return {"application": f"h2_{worker_value.interface}:app", **given}
