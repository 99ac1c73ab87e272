"""What the HTTP/2 connections of one listener share: words, answers, makers of heads, the server's greeting."""

from __future__ import annotations

import time
from collections.abc import Callable

from hostler.plugin import DateLine, FieldPolicy, Opening, TrustList

from hostler_http2 import _frames as f
from hostler_http2._answers import Answers
from hostler_http2._headers import HeadMaker
from hostler_http2._hpack import Limit, Words
from hostler_http2._settings import Http2Settings


class Shared:
    """What all HTTP/2 connections of one listener in one worker have in common."""

    def __init__(self, opening: Opening) -> None:
        own: Http2Settings = opening.settings or Http2Settings()
        limits, policy = opening.limits, opening.policy
        self.own = own
        self.clock: Callable[[], float] = opening.shared.get("clock", time.monotonic)
        self.answers = Answers(policy.server_header, DateLine())
        self.words = Words()
        self.limit = Limit(own.max_header_list_size or limits.head, limits.fields, limits.field)
        self._trust = TrustList(policy.forwarded_allow)
        self._makers: dict[tuple[bool, bool], HeadMaker] = {}
        self.greeting = self._greeting(own, opening)

    def maker(self, opening: Opening) -> HeadMaker:
        """The maker of heads for connections like this one."""
        kind = (self._trust.trusts(opening.transport), opening.transport.secure)
        maker = self._makers.get(kind)
        if maker is None:
            fields = FieldPolicy(opening.policy, kind[0], self._trust)
            maker = self._makers[kind] = HeadMaker(
                opening.limits, opening.policy, fields, secure=kind[1], tunnels=opening.tunnels
            )
        return maker

    def _greeting(self, own: Http2Settings, opening: Opening) -> bytes:
        entries = {
            f.MAX_CONCURRENT_STREAMS: own.max_concurrent_streams,
            f.INITIAL_WINDOW_SIZE: own.initial_window_size,
            f.MAX_FRAME_SIZE: own.max_frame_size,
            f.NO_RFC7540_PRIORITIES: 1,
        }
        if self.limit.total:
            entries[f.MAX_HEADER_LIST_SIZE] = self.limit.total
        if opening.tunnels:
            entries[f.ENABLE_CONNECT_PROTOCOL] = 1
        greeting = f.settings(entries)
        if own.connection_window_size > 65535:
            greeting += f.window_update(0, own.connection_window_size - 65535)
        return greeting
