"""A page of a hundred pictures that says what the server saw before it was sent."""

from __future__ import annotations

PICTURES = 100
PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><circle cx=".5" cy=".5" r=".5"/></svg>'
STYLE = b"body { font-family: sans-serif }"
SOCKET = """
<script>
const tell = (text) => fetch("/told?" + encodeURIComponent(text));
const socket = new WebSocket(`wss://${location.host}/ws`);
socket.onopen = () => socket.send("hello");
socket.onmessage = (event) => { tell(event.data); socket.close(); };
socket.onerror = () => tell("no WebSocket");
</script><img src="/held.svg" alt="">
"""
"""The page is loaded when `/held.svg` is, and that waits for `/told`."""
THOUGHT = 0.3
"""Seconds before the hint: Chromium drops one that comes before it has begun to wait for the answer."""
PATIENCE = 5.0
"""Seconds in which a hint must be taken; the browser is given more than one try."""


def page(protocol: str, hinted: bool, script: str = "") -> bytes:
    """The page; `hinted`: its style sheet was asked for before the page was there."""
    pictures = "".join(f'<img src="/picture/{number}.svg" alt="">' for number in range(PICTURES))
    return (
        "<!doctype html><title>page</title><link rel=stylesheet href=/style.css>"
        f"<p>{protocol}, {'the hint was taken' if hinted else 'no hint was taken'}</p>{pictures}{script}"
    ).encode()
