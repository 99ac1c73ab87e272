"""Which of the installed protocols a listener speaks, decided once from its bind and the worker's abilities.

Refuses to know sockets and connections: it reads plugin values only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hostler._bind import Bind
from hostler._values import ProtocolType
from hostler.errors import ConfigError

if TYPE_CHECKING:
    from hostler._configuration import Configuration


def spoken(bind: Bind, configuration: Configuration) -> tuple[ProtocolType, ...]:
    """The listener's protocols in the order of preference. Raises `ConfigError` when there is none."""
    worker = configuration.worker
    fitting = [one for one in configuration.protocols if bind.scheme in one.schemes]
    if bind.scheme in ("http", "https"):
        # Names that nobody has were refused with the settings; what is missing here was left out there.
        named = [one for name in bind.http_protocols for one in fitting if name in one.ids]
        fitting = named or fitting
    elif not fitting:
        raise ConfigError(f"bind {bind.text!r}: no installed protocol speaks {bind.scheme!r}")
    served = tuple(one for one in fitting if worker.multiplexes or not one.multiplexing)
    if not served:
        names = ", ".join(one.name for one in fitting)
        raise ConfigError(f"bind {bind.text!r}: the worker {worker.name} cannot serve {names}")
    return served


def prompt(bind: Bind, configuration: Configuration) -> bool:
    """Whether whoever connects to this listener sends at once, whichever of its protocols it speaks."""
    fitting = [one for one in configuration.protocols if bind.scheme in one.schemes]
    return bool(fitting) and all(one.prompt for one in fitting)


def alpn(bind: Bind, configuration: Configuration) -> tuple[str, ...]:
    """The ALPN identifiers that the listener offers, in the order of preference."""
    return tuple(name for one in spoken(bind, configuration) for name in one.alpn)
