"""The public face for authors of workers: the drivers that move connections, and what runs a request.

`Driver` serves one request at a time, `SharedDriver` hands complete requests to whatever runs them,
`GreenDriver` does so with greenlets. A worker that has its own IO needs none of them: a `Connection`
is enough, and `Patience` says how long to wait for what.
"""

from __future__ import annotations

from hostler._application import Application
from hostler._drive import Driver
from hostler._green_drive import GreenDriver, Greens
from hostler._patience import Patience
from hostler._shared_drive import SharedDriver
from hostler._wsgi import Exchange

__all__ = ["Application", "Driver", "Exchange", "GreenDriver", "Greens", "Patience", "SharedDriver"]
