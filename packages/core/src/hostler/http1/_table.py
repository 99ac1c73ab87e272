"""The states of an HTTP/1 connection: what is read of the peer, and what is written by us.

Two machines that meet at `NEXT`: when both sides of an exchange are `DONE` and the connection is kept, both
go back to `IDLE`. `STOP` leads from everywhere to `DEAF` and `MUTE`, where nothing happens any more.

What is read (`PEER`)::

            BYTES            LADEN            END
    IDLE ----------> HEAD ----------> BODY ----------> DONE --SWITCH--> TUNNEL
     | ^              |                                ^ ^ |
     | |              +------------- BARE -------------+ | |
     | +--- NEXT ------------------ BARE ----------------+ |
     |     (LADEN: to BODY)                                |
     +<---------------------- NEXT ------------------------+

What is written (`OWN`)::

          REQUEST          START             END
    IDLE ---------> OWED ---------> SENDING ------> DONE --NEXT--> IDLE
                     |
                     +--SWITCH--> TUNNEL
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# States.
IDLE: Final = "IDLE"
HEAD: Final = "HEAD"
BODY: Final = "BODY"
DONE: Final = "DONE"
TUNNEL: Final = "TUNNEL"
DEAF: Final = "DEAF"
OWED: Final = "OWED"
SENDING: Final = "SENDING"
MUTE: Final = "MUTE"


class On:
    """What happens."""

    BYTES: Final = "BYTES"
    BARE: Final = "BARE"
    LADEN: Final = "LADEN"
    REQUEST: Final = "REQUEST"
    START: Final = "START"
    END: Final = "END"
    SWITCH: Final = "SWITCH"
    NEXT: Final = "NEXT"
    STOP: Final = "STOP"


PEER: Final[Mapping[str, Mapping[str, str]]] = {
    IDLE: {On.BYTES: HEAD, On.BARE: DONE, On.LADEN: BODY, On.STOP: DEAF},
    HEAD: {On.BARE: DONE, On.LADEN: BODY, On.STOP: DEAF},
    BODY: {On.END: DONE, On.STOP: DEAF},
    DONE: {On.NEXT: IDLE, On.SWITCH: TUNNEL, On.STOP: DEAF},
    TUNNEL: {On.STOP: DEAF},
    DEAF: {On.STOP: DEAF},
}
"""State of the reading side -> what happens -> its next state."""

OWN: Final[Mapping[str, Mapping[str, str]]] = {
    IDLE: {On.REQUEST: OWED, On.STOP: MUTE},
    OWED: {On.START: SENDING, On.SWITCH: TUNNEL, On.STOP: MUTE},
    SENDING: {On.END: DONE, On.STOP: MUTE},
    DONE: {On.NEXT: IDLE, On.STOP: MUTE},
    TUNNEL: {On.STOP: MUTE},
    MUTE: {On.STOP: MUTE},
}
"""State of the writing side -> what happens -> its next state."""
