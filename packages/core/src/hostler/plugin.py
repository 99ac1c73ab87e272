"""The public face for plugin authors: everything a worker, protocol, service, logger or reloader needs.

A plugin package imports this module (with `hostler.settings` and `hostler.errors`) and nothing else of
ours. What stands here is kept for a whole major of `API`.
"""

from __future__ import annotations

from hostler._contexts import (
    AccessLine,
    Bound,
    Hooks,
    Listener,
    Logger,
    RequestView,
    ServiceContext,
    ServiceSetup,
    WorkerContext,
    WorkerStatus,
)
from hostler._extensions import find_extension
from hostler._log import open_std_logger
from hostler._values import API, LoggerType, Plugin, ProtocolType, ReloaderType, ServiceType, WorkerType
from hostler.http import (
    Address,
    Connection,
    Data,
    DateLine,
    End,
    Event,
    FieldPolicy,
    Fields,
    Gone,
    Head,
    Headers,
    Limits,
    Opening,
    Policy,
    ProtocolError,
    Request,
    ResponseError,
    ResponsePolicy,
    Switch,
    Transport,
    TrustList,
    Waiting,
)
from hostler.http import _grammar as grammar
from hostler.http._response import REASONS, has_no_body

__all__ = [
    "API",
    "REASONS",
    "AccessLine",
    "Address",
    "Bound",
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
    "Hooks",
    "Limits",
    "Listener",
    "Logger",
    "LoggerType",
    "Opening",
    "Plugin",
    "Policy",
    "ProtocolError",
    "ProtocolType",
    "ReloaderType",
    "Request",
    "RequestView",
    "ResponseError",
    "ResponsePolicy",
    "ServiceContext",
    "ServiceSetup",
    "ServiceType",
    "Switch",
    "Transport",
    "TrustList",
    "Waiting",
    "WorkerContext",
    "WorkerStatus",
    "WorkerType",
    "find_extension",
    "grammar",
    "has_no_body",
    "open_std_logger",
]
