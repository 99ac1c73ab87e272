"""The suites: what any worker must do, asked of a live server.

Each module may say for which `INTERFACE` it is. Tests ask for the fixtures `site` (a shared server, left as
it was) and `server` (one of their own), assert no timing, and wait for states.
"""
