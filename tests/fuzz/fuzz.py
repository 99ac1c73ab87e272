"""Fuzzing what reads octets of strangers, guided by coverage (atheris): `nox -s fuzz -- [NAME…] [--seconds 60]`.

A target is a protocol plugin, driven as a worker drives it. For any octets nothing may raise, the events must be the
same however the octets are cut, nothing is told after the end, and a peer that leaves ends the connection. The uWSGI
decoder is asked alone as well, and so are the frames of the dirty pool and what they bring. An input that fails is
printed and kept; it becomes a named vector of the tests.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["hostler", "hostler_dirty", "hostler_http2", "hostler_uwsgi"]):
    from hostler.http import ProtocolError
    from hostler_dirty import _line, _payload, _wire
    from hostler_dirty.errors import DirtyProtocolError
    from hostler_testkit.installed import plugin_value
    from hostler_testkit.protocol import Drive, driven, opener, told, vectors_for
    from hostler_uwsgi._packet import MAX_VARIABLES, UwsgiDecoder

    for _name in ("http1", "http2", "uwsgi"):
        opener(plugin_value("hostler.protocols", _name))

ROOT = Path(__file__).resolve().parents[2]
FOUND = ROOT / ".nox" / "reports"
MEMORY = 2 << 30
"""Octets of address space; the sanitizer's own tables are in it."""
LONGEST = 4096
"""Octets of an input: longer ones find little more and take their time byte by byte."""
PATIENCE = 10
"""Seconds for one input."""


def protocol_target(name: str) -> Callable[[bytes], None]:
    """Octets to a protocol's connection, whole and in pieces."""
    value = plugin_value("hostler.protocols", name)

    def target(octets: bytes) -> None:
        whole = driven(value, [octets] if octets else [])
        for pieces in ways(octets):
            split = driven(value, pieces)
            assert told(split) == told(whole), f"in pieces of {list(map(len, pieces))[:9]} other events"
            assert split.connection.closing == whole.connection.closing, "another end in pieces"
        over(whole, octets)

    return target


def ways(octets: bytes) -> list[list[bytes]]:
    """In two pieces and in three, where the octets themselves choose the places; short inputs byte by byte."""
    size = len(octets)
    if not size:
        return []
    chosen = zlib.crc32(octets)
    first, second = sorted((chosen % size, (chosen >> 8) % size))
    found = [[octets[:first], octets[first:]], [octets[:first], octets[first:second], octets[second:]]]
    if size <= 256:
        found.append([octets[at : at + 1] for at in range(size)])
    return [[piece for piece in pieces if piece] for pieces in found]


def over(drive: Drive, octets: bytes) -> None:
    """After the peer's end there is no request left to wait for; after the connection's, no event."""
    drive.feed(b"")
    if not drive.connection.closing:
        for _ in range(8):
            drive.take(drive.connection.expire())
    if drive.connection.closing:
        before = list(drive.seen)
        drive.take(drive.connection.receive(octets))
        assert drive.seen == before, "events after the end"


def decoder_target(octets: bytes) -> None:
    """A packet is decoded to its last octet, or refused without an answer."""
    decoder = UwsgiDecoder()
    try:
        size = decoder.size(octets)
        if size is None or size > len(octets):
            return
        variables = decoder.variables(octets[:size])
    except ProtocolError as error:
        assert (error.status, error.kind) == (0, "uwsgi_bad"), "another refusal than by closing"  # noqa: PT017
        return
    assert len(variables) <= MAX_VARIABLES
    assert b"" not in variables
    # Names that stand once cost four octets beside their text; only repeated ones can make less of it.
    told_of = sum(len(name) + len(value) + 4 for name, value in variables.items())
    assert told_of <= size, "more was told than was sent"


def dirty_target(octets: bytes) -> None:
    """Frames are the same however the octets are cut, and what a frame brings is read or refused."""
    whole = frames_of([octets])
    for pieces in ways(octets):
        assert frames_of(pieces) == whole, f"in pieces of {list(map(len, pieces))[:9]} other frames"
    try:
        frames = _wire.FrameReader(LONGEST).feed(octets)
    except DirtyProtocolError:
        return
    for frame in frames:
        for read in (
            lambda frame=frame: _payload.read(frame, None),
            lambda frame=frame: _line.decode(frame.body),
        ):
            try:
                read()
            except DirtyProtocolError:
                continue


def frames_of(pieces: list[bytes]) -> list[object]:
    """What a reader makes of the pieces, up to what it refuses."""
    reader, seen = _wire.FrameReader(LONGEST), []
    for piece in pieces:
        for at in range(
            0, len(piece), 32
        ):  # no frame is shorter, so none is lost that came before a wrong one
            try:
                seen += [
                    (
                        f.kind,
                        f.flags,
                        f.priority,
                        f.call,
                        f.deadline,
                        bytes(f.body),
                        list(map(bytes, f.inline)),
                    )
                    for f in reader.feed(piece[at : at + 32])
                ]
            except DirtyProtocolError:
                return [*seen, "refused"]
    return seen


def dirty_vectors() -> dict[str, bytes]:
    """A frame of each kind, and one with buffers."""
    made = {
        str(kind): _wire.pack(kind, 1, _line.encode([1, 0, 0, "m:A", "x", [], {}, None]))
        for kind in _wire.KINDS
    }
    return {**made, "buffers": _wire.pack_buffers(_wire.CALL, 1, b"\xc0", [(_wire.INLINE, 3)], [b"abc"])}


TARGETS: dict[str, str] = {
    "dirty": "",
    "uwsgi-decoder": "uwsgi",
    "uwsgi": "uwsgi",
    "http1": "http1",
    "http2": "http2",
}
"""Target -> the protocol whose vectors it begins with; none: those of the dirty pool's frames."""


def fuzz(name: str, seconds: int, corpus: Path) -> None:
    """Fuzz one target in this process, which ends with it; what is new goes to the corpus."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    FOUND.mkdir(parents=True, exist_ok=True)
    vectors = vectors_for(TARGETS[name]) if TARGETS[name] else dirty_vectors()
    for number, octets in enumerate(vectors.values()):
        (corpus / str(number)).write_bytes(octets[:LONGEST])
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-timeout={PATIENCE}",
        f"-artifact_prefix={FOUND}/fuzz-{name}-",
        "-print_final_stats=1",
    ]
    alone = {"dirty": dirty_target, "uwsgi-decoder": decoder_target}
    target = alone.get(name) or protocol_target(name)
    atheris.Setup([sys.argv[0], *options, str(corpus)], target)
    atheris.Fuzz()


def main() -> int:
    """One process for each target; returns how many failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", nargs="*", help=f"of: {', '.join(TARGETS)}; without one: all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default 60)")
    parser.add_argument("--corpus", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := [name for name in given.target if name not in TARGETS]:
        parser.error(f"{unknown[0]!r} is unknown; known are: {', '.join(TARGETS)}")
    if given.corpus:
        fuzz(given.target[0], given.seconds, given.corpus)
        return 0
    failed = []
    for name in given.target or TARGETS:
        print(f"-- {name}, {given.seconds} s", flush=True)
        with tempfile.TemporaryDirectory(prefix="fuzz-") as corpus:
            command = [sys.executable, "-X", "faulthandler", __file__, name, f"--corpus={corpus}"]
            done = subprocess.run([*command, f"--seconds={given.seconds}"], check=False)
        failed += [name] if done.returncode else []
    print("failed: " + ", ".join(failed) if failed else "nothing found")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
