"""The face for gateway protocols: requests as variables of a web server (CGI, RFC 3875), answers as plain HTTP.

A plugin for uWSGI, SCGI or the like brings a decoder of its packets; everything after the packet (bodies,
limits, answers, deadlines, the order of things) is the core's, the same as for HTTP/1. Knows no packet.
"""

from hostler.gateway._source import GatewayOpener, PacketDecoder
from hostler.gateway._variables import head_of

__all__ = ["GatewayOpener", "PacketDecoder", "head_of"]
