"""Files as response bodies: `http.response.pathsend` and `http.response.zerocopysend`.

By `sendfile` where the connection lets the driver write beside it (plain HTTP/1 with a known length), by
reading blocks everywhere else (TLS, HTTP/2, chunked).
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from hostler_asgi._errors import MessageError
from hostler_asgi._phases import HELD
from hostler_asgi._waiters import done

if TYPE_CHECKING:
    from hostler_asgi._drive import Drive
    from hostler_asgi._exchange import Exchange

BLOCK = 131072
"""Octets read at once where sendfile cannot be used."""


async def send_path(exchange: Exchange, path: Any) -> None:
    """The whole response body is the file at this absolute path."""
    if not isinstance(path, str) or not os.path.isabs(path):
        raise MessageError("http.response.pathsend needs an absolute path as str")
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise MessageError(f"http.response.pathsend needs a regular file, which {path} is not")
        await _send(exchange, descriptor, 0, about.st_size, more=False)
    finally:
        os.close(descriptor)


async def send_descriptor(exchange: Exchange, message: Any) -> None:
    """Octets of a file that the application opened, and closes itself."""
    file = message["file"]
    descriptor = file if isinstance(file, int) else file.fileno()
    more = message.get("more_body", False)
    offset, count = message.get("offset"), message.get("count")
    position = os.lseek(descriptor, 0, os.SEEK_CUR) if offset is None else offset
    left = max(0, os.fstat(descriptor).st_size - position)
    size = left if count is None else min(count, left)
    await _send(exchange, descriptor, position, size, more=more)
    if offset is None:
        os.lseek(descriptor, position + size, os.SEEK_SET)


async def _send(exchange: Exchange, descriptor: int, offset: int, count: int, *, more: bool) -> None:
    if exchange.gone:
        raise exchange.disconnected()
    if exchange.phase == HELD:
        exchange.open(None if more else count)
    if count and exchange.carries_body:
        drive = exchange.drive
        if drive.worker.sendfile and exchange.connection.beside(exchange.stream, count):
            await _sendfile(exchange, descriptor, offset, count)
            exchange.sent += count
        else:
            await _send_blocks(exchange, descriptor, offset, count)
    if not more:
        exchange.close_body()


async def _sendfile(exchange: Exchange, descriptor: int, offset: int, count: int) -> None:
    """Write the octets after what the connection has to say; its transport must be empty for that."""
    drive = exchange.drive
    transport = drive.transport
    drive.file = True
    transport.set_write_buffer_limits(0)
    try:
        drive.flush()
        while transport.get_write_buffer_size() and not exchange.gone:
            await drive.writable()
        while count and not exchange.gone:
            try:
                sent = os.sendfile(transport.get_extra_info("socket").fileno(), descriptor, offset, count)
            except BlockingIOError:
                await _until_writable(drive)
                continue
            except ConnectionError:
                transport.abort()
                raise exchange.disconnected() from None
            if not sent:
                transport.abort()
                raise OSError("the file ended before the octets that were announced")
            offset += sent
            count -= sent
            drive.octets_out += sent
    finally:
        drive.file = False
        transport.set_write_buffer_limits()
    if exchange.gone:
        raise exchange.disconnected()


async def _until_writable(drive: Drive) -> None:
    """Wait for the socket; on a second descriptor, because loops guard the one that has a transport."""
    loop = drive.worker.loop
    twin = os.dup(drive.transport.get_extra_info("socket").fileno())
    ready = loop.create_future()
    loop.add_writer(twin, done, ready)
    drive.writers.append(ready)
    try:
        await ready
    finally:
        loop.remove_writer(twin)
        os.close(twin)


async def _send_blocks(exchange: Exchange, descriptor: int, offset: int, count: int) -> None:
    drive, connection, stream = exchange.drive, exchange.connection, exchange.stream
    while count:
        block = os.pread(descriptor, min(BLOCK, count), offset)
        if not block:
            raise OSError("the file ended before the octets that were announced")
        connection.data(stream, block)
        exchange.sent += len(block)
        offset += len(block)
        count -= len(block)
        drive.put(len(block))
        if count and drive.full(exchange):
            await exchange.drained()
