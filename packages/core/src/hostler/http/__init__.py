"""What every protocol shares: requests as values, limits, policy, the contract of a connection.

Nothing in this room knows a socket, a thread, a logger or a setting, nor a clock but for printing the date.
"""

from hostler.http._connection import Connection, Opening, Transport
from hostler.http._date import DateLine
from hostler.http._errors import ProtocolError, ResponseError
from hostler.http._events import Data, End, Event, Gone, Request, Switch, Waiting
from hostler.http._fields import FieldPolicy, Fields
from hostler.http._head import Address, Head, Headers
from hostler.http._limits import Limits
from hostler.http._policy import Policy
from hostler.http._proxy import ProxyReader, proxy_expected
from hostler.http._response import ResponsePolicy
from hostler.http._trust import TrustList

__all__ = [
    "Address",
    "Connection",
    "Data",
    "DateLine",
    "End",
    "Event",
    "FieldPolicy",
    "Fields",
    "Gone",
    "Head",
    "Headers",
    "Limits",
    "Opening",
    "Policy",
    "ProtocolError",
    "ProxyReader",
    "Request",
    "ResponseError",
    "ResponsePolicy",
    "Switch",
    "Transport",
    "TrustList",
    "Waiting",
    "proxy_expected",
]
