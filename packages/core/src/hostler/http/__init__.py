"""What every protocol shares: requests as values, limits, policy, the contract of a connection.

Nothing in this room knows a socket, a thread, a clock, a logger or a setting.
"""

from hostler.http._connection import Connection, Opening, Transport
from hostler.http._errors import ProtocolError, ResponseError
from hostler.http._events import Data, End, Event, Gone, Request, Switch, Waiting
from hostler.http._head import Address, Head, Headers
from hostler.http._limits import Limits
from hostler.http._policy import Policy

__all__ = [
    "Address",
    "Connection",
    "Data",
    "End",
    "Event",
    "Gone",
    "Head",
    "Headers",
    "Limits",
    "Opening",
    "Policy",
    "ProtocolError",
    "Request",
    "ResponseError",
    "Switch",
    "Transport",
    "Waiting",
]
