"""What a connection tells, made into exchanges: requests begun, bodies collected, requests lost.

Called under the channel's lock; calls no application.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hostler._input import Body
from hostler._wsgi import Exchange
from hostler.http import Data, End, Event, Gone, Request

if TYPE_CHECKING:
    from hostler._channel import Channel


def take(channel: Channel, events: Sequence[Event]) -> list[Exchange]:
    """Events into exchanges; answers those whose requests are complete. Called under the lock."""
    ready: list[Exchange] = []
    for event in events:
        if isinstance(event, Request):
            exchange = channel.driver.exchange(channel, event)
            channel.requests += 1
            channel.exchanges[event.stream] = exchange
            if event.ended:
                ready.append(exchange)
            else:
                exchange.body = Body()
                if event.head.expects_continue:
                    ready.append(exchange)
        elif isinstance(event, Data):
            _feed(channel, event.stream, event.block)
        elif isinstance(event, End):
            _complete(channel, event.stream, ready)
        elif isinstance(event, Gone):
            _lose(channel, event)
        else:
            channel.connection = event.connection
            ready.extend(take(channel, event.events))
    return ready


def _feed(channel: Channel, stream: int, block: bytes) -> None:
    exchange = channel.exchanges.get(stream)
    if exchange is None or exchange.body is None:
        return
    try:
        exchange.body.feed(block)
    except OSError as error:
        channel.driver.log.error.error("a request's body cannot be kept: %s", error)
        exchange.body.gone = str(error)
        channel.unread = True
        channel.driver.later(channel.fail)
        return
    channel.connection.taken(stream, len(block))


def _complete(channel: Channel, stream: int, ready: list[Exchange]) -> None:
    exchange = channel.exchanges.get(stream)
    if exchange is None or exchange.body is None:
        return
    exchange.body.complete = True
    if exchange.head.expects_continue:
        channel.wake()
    else:
        ready.append(exchange)


def _lose(channel: Channel, event: Gone) -> None:
    """A request, or with no stream the connection, gets no further."""
    channel.unread = True
    if event.kind:
        channel.driver.log.refused(event.kind, channel.transport.peer, event.reason)
    streams = list(channel.exchanges) if event.stream is None else [event.stream]
    for stream in streams:
        exchange = channel.exchanges.get(stream)
        if exchange is None:
            continue
        exchange.lost = True
        if exchange.body is not None and not exchange.body.complete:
            exchange.body.gone = event.reason
            if not exchange.head.expects_continue:
                del channel.exchanges[stream]  # its application was never called
                channel.driver.answered(exchange)
                exchange.body.close()
                if channel.connection.multiplexed:
                    channel.connection.abort(stream)  # a reset stream's place is taken until this is said
    channel.wake()
