"""Giving up root for good: groups first, then the group, then the user, and a proof that there is no way back.

Runs in each child before it imports anything of the user's. Refuses to know settings: it is given numbers.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass

from hostler.errors import BootError, ConfigError


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a child runs as; None: as whoever started the server."""

    user: int | None = None
    group: int | None = None
    initgroups: bool = False
    """All the groups that the system's tables give the user, instead of `group` alone."""

    def resolved(self) -> tuple[int, int, list[int]]:
        """uid, gid and the exact list of supplementary groups."""
        uid = os.geteuid() if self.user is None else self.user
        gid = self.group
        entry = _entry(uid) if self.user is not None else None
        if gid is None:
            # Never the starter's: a worker of another user must not keep root's group.
            gid = os.getegid() if self.user is None else (entry.pw_gid if entry else uid)
        if self.initgroups and entry is not None:
            return uid, gid, sorted(os.getgrouplist(entry.pw_name, gid))
        return uid, gid, [gid]

    @property
    def changes(self) -> bool:
        """Something is to be given up."""
        return self.user is not None or self.group is not None


def check(identity: Identity) -> None:
    """In the arbiter, before any fork. Raises `ConfigError` for what only root can do."""
    if not identity.changes or os.geteuid() == 0:
        return
    uid, gid, _ = identity.resolved()
    if uid != os.geteuid():
        raise ConfigError(f"user: only root can run workers as user {uid}; start as root or leave it out")
    if identity.group is not None and gid not in (os.getegid(), *os.getgroups()):
        raise ConfigError(f"group: only root can run workers as group {gid}; start as root or leave it out")


def drop(identity: Identity) -> None:
    """Become whom the identity says, in this process and for good. Raises `BootError` when that fails."""
    if not identity.changes:
        return
    uid, gid, groups = identity.resolved()
    root = os.geteuid() == 0
    try:
        if root:
            os.setgroups(groups)
        if gid != os.getegid() or root:
            os.setgid(gid)
        if uid != os.geteuid() or root:
            os.setuid(uid)
    except OSError as error:
        raise BootError(f"cannot become user {uid}, group {gid}: {error.strerror}") from None
    _verify(uid, gid, groups if root else None)


def _verify(uid: int, gid: int, groups: list[int] | None) -> None:
    if hasattr(os, "getresuid"):
        users, owned = set(os.getresuid()), set(os.getresgid())
    else:
        users, owned = {os.getuid(), os.geteuid()}, {os.getgid(), os.getegid()}
    if users != {uid} or owned != {gid}:
        raise BootError(f"the drop to user {uid}, group {gid} left users {users} and groups {owned}")
    if groups is not None and set(os.getgroups()) != set(groups):
        raise BootError(f"the drop to user {uid} left supplementary groups {os.getgroups()}")
    if uid == 0:
        return
    try:
        os.setuid(0)
    except OSError:
        return
    raise BootError(f"the drop to user {uid} can be undone; refusing to serve")


def _entry(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None
