"""The rules for header fields that hold for every protocol: which are kept, dropped, refused or believed.

Gets names in lower case and values trimmed and free of control characters; knows nothing of lines or frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn
from urllib.parse import quote_from_bytes

from hostler.http._connection import Transport
from hostler.http._errors import ProtocolError
from hostler.http._forwarded import of_forwarded, of_x_forwarded_for
from hostler.http._grammar import plain_name, token, tokens_of
from hostler.http._head import Address
from hostler.http._policy import Policy
from hostler.http._trust import TrustList

KEEP: Final = 0
DROP: Final = 1
REFUSE: Final = 2
NOTE: Final = 3
"""Keep it, and remember its value by name: framing, policy or the protocol will ask."""
TAKE: Final = 4
"""Remember its value, and do not show it as a field."""

_NOTED: Final = frozenset(
    (
        b"host",
        b"content-length",
        b"content-type",
        b"transfer-encoding",
        b"connection",
        b"expect",
        b"upgrade",
        b"te",
    )
)
_SINGLE: Final = frozenset((b"host", b"content-length", b"content-type"))
"""Two of them are two opinions about one message (RFC 9110 sections 5.3, 7.2, 8.6)."""
_FORWARDED: Final = frozenset((b"forwarded", b"x-real-ip", b"x-client-ip"))
_NEVER: Final = frozenset((b"proxy", b"content_length", b"content_type", b"transfer_encoding"))
"""`Proxy` would become HTTP_PROXY; the others would shadow what framing decided (CGI names, RFC 3875)."""
_NOT_IN_TRAILERS: Final = frozenset(
    (
        b"content-length",
        b"transfer-encoding",
        b"host",
        b"trailer",
        b"content-encoding",
        b"content-type",
        b"content-range",
        b"te",
        b"connection",
        b"keep-alive",
        b"upgrade",
        b"expect",
        b"authorization",
        b"proxy-authorization",
        b"proxy-connection",
        b"cookie",
        b"set-cookie",
        b"cache-control",
        b"max-forwards",
        b"range",
        b"proxy",
    )
)
"""RFC 9110 section 6.5.1: framing, routing, authentication, request modifiers."""
_NAMES_KEPT = 1024
_PATH_SAFE: Final = "/!$&'()*+,;=:@-._~"


class Fields:
    """What became of a message's fields.

    `noted` holds the values of those that framing and connection rules ask for, lines joined by commas.
    `scheme` and `client` are what a trusted peer said, empty or None otherwise.
    """

    __slots__ = ("client", "framings", "headers", "noted", "path_info", "scheme", "script_name")

    def __init__(self, headers: tuple[tuple[bytes, bytes], ...], noted: dict[bytes, bytes]) -> None:
        self.headers = headers
        self.noted = noted
        self.framings: dict[str, Any] = {}
        """A place for what a protocol made of `noted`, when it keeps these fields for identical ones."""
        self.scheme = ""
        self.client: Address | None = None
        self.script_name = b""
        self.path_info: bytes | None = None
        """A path that a trusted peer named in CGI's way: decoded, without the script name."""

    def path(self, given: bytes) -> bytes:
        """The percent-encoded path of the request: the target's, or the one that a trusted peer named."""
        if self.path_info is None:
            return given
        return quote_from_bytes(self.script_name + self.path_info, safe=_PATH_SAFE).encode("ascii") or b"/"


def _refuse(reason: str) -> NoReturn:
    raise ProtocolError(400, "bad_request", reason)


class FieldPolicy:
    """The rules of one listener for the fields of trusted, or of untrusted, peers. Made once, then shared."""

    __slots__ = ("_policy", "_rules", "_schemes", "_trust", "_words", "trusted")

    def __init__(self, policy: Policy, trusted: bool, trust: TrustList) -> None:
        self._policy = policy
        self._trust = trust
        self._rules: dict[bytes, int] = {}
        self._schemes = {name.lower(): value.lower() for name, value in policy.secure_scheme_headers.items()}
        self._words = frozenset(
            (b"x-forwarded-for", b"forwarded", b"script_name", b"path_info", *self._schemes)
        )
        """Where a trusted peer says something of its client."""
        self.trusted = trusted

    @classmethod
    def of(cls, policy: Policy, transport: Transport) -> FieldPolicy:
        """The policy for one connection; protocols that open many keep the two that there can be."""
        trust = TrustList(policy.forwarded_allow)
        return cls(policy, trust.trusts(transport), trust)

    def apply(self, fields: Iterable[tuple[bytes, bytes]]) -> Fields:
        """Apply the policy to a request's fields. Raises `ProtocolError` (400) for what cannot be repaired."""
        rules = self._rules
        headers: list[tuple[bytes, bytes]] = []
        noted: dict[bytes, bytes] = {}
        for field in fields:
            name = field[0]
            rule = rules.get(name)
            if rule is None:
                rule = self.rule(name)
            if rule == KEEP:
                headers.append(field)
            elif rule >= NOTE:
                if name in noted:
                    if name in _SINGLE or rule == TAKE:
                        _refuse(f"more than one {name.decode('latin-1')} field")
                    noted[name] += b"," + field[1]
                else:
                    noted[name] = field[1]
                if rule == NOTE:
                    headers.append(field)
            elif rule == REFUSE:
                _refuse("a field name with characters other than letters, digits and '-'")
        return self.conclude(tuple(headers), noted)

    def conclude(self, headers: tuple[tuple[bytes, bytes], ...], noted: dict[bytes, bytes]) -> Fields:
        """The fields that are left, and the values noted of them, with what a trusted peer says. Raises as `apply`."""
        fields = Fields(headers, noted)
        if self.trusted and not self._words.isdisjoint(noted):
            self._believe(fields)
        return fields

    def apply_trailers(self, fields: Iterable[tuple[bytes, bytes]]) -> Sequence[tuple[bytes, bytes]]:
        """Apply the policy to trailer fields: none of them may change what the header said."""
        kept = []
        for field in fields:
            name = field[0]
            rule = self.rule(name)
            if rule == REFUSE:
                raise ProtocolError(400, "bad_trailer", "a trailer name with odd characters")
            if rule != DROP and rule != TAKE and name not in _NOT_IN_TRAILERS and not self._forwards(name):
                kept.append(field)
        return tuple(kept)

    def rule(self, name: bytes) -> int:
        """What becomes of fields of this name: KEEP, DROP, REFUSE, NOTE or TAKE."""
        rule = self._rules.get(name)
        if rule is None:
            rule = self._rule(name)
            if len(self._rules) >= _NAMES_KEPT:
                self._rules.clear()
            self._rules[name] = rule
        return rule

    def _rule(self, name: bytes) -> int:
        if name in _NEVER:
            return DROP
        if self.trusted and name in self._policy.forwarder_headers:
            return TAKE if name in (b"script_name", b"path_info") else KEEP
        if plain_name(name) is None:
            if self._policy.header_map == "dangerous" and token(name) is not None:
                return KEEP
            return REFUSE if self._policy.header_map == "refuse" else DROP
        if self._forwards(name):
            if self.trusted:
                return NOTE
            return DROP if self._policy.strip_forwarded else KEEP
        return NOTE if name in _NOTED else KEEP

    def _forwards(self, name: bytes) -> bool:
        return name.startswith(b"x-forwarded-") or name in _FORWARDED or name in self._schemes

    def _believe(self, fields: Fields) -> None:
        noted = fields.noted
        said = {
            value == secure
            for name, secure in self._schemes.items()
            if name in noted
            for value in tokens_of(noted[name])
        }
        if b"x-forwarded-for" in noted:
            if self._policy.forwarded_for:
                fields.client = of_x_forwarded_for(noted[b"x-forwarded-for"], self._trust)
        elif b"forwarded" in noted:
            client, schemes = of_forwarded(noted[b"forwarded"], self._trust)
            if self._policy.forwarded_for:
                fields.client = client
            # A proxy that speaks the X- fields leaves Forwarded to its clients: then it is no proxy's word.
            if not said:
                said = {scheme == b"https" for scheme in schemes}
        if len(said) > 1:
            _refuse("fields that name the scheme disagree")
        if said:
            fields.scheme = "https" if said.pop() else "http"
        fields.script_name = noted.get(b"script_name", b"").rstrip(b"/")
        fields.path_info = noted.get(b"path_info")
