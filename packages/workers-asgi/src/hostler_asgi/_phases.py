"""The way of a response, said once for those who send and those who refuse."""

from __future__ import annotations

NEW, HELD, BODY, TRAILERS, DONE = range(5)
"""Nothing said; start taken and held back; head sent; body sent, trailers due; complete."""

PHASES = (
    "nothing was sent yet",
    "the start was sent",
    "the body was begun",
    "the body was ended and trailers are due",
    "everything was sent",
)
"""What is so, in an error's words."""
