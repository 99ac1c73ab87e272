"""Workers as another user: every identity exact, no way back, nothing of root's kept."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path
from typing import Any

import pytest
from hostler._privileges import Identity, check, drop
from hostler.errors import ConfigError

ROOT = os.geteuid() == 0
IMPORTS = "import runpy, ssl, hostler._sync_serve, hostler.http1._connection"
"""For a configuration file: an interpreter in root's home cannot be read by the worker's user any more."""
NOBODY = pwd.getpwnam("nobody")


def in_child(work: Any) -> int:
    """The exit code of a forked child that does this."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def state(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.partition(":")[0]: line.partition(":")[2].split() for line in lines}


def test_nothing_to_change() -> None:
    """Without user and group nothing is done."""
    assert not Identity().changes
    drop(Identity())


def test_group_is_never_the_starters() -> None:
    """A user without a group gets its own primary one; one that is unknown the group of its number."""
    uid, gid, groups = Identity(user=NOBODY.pw_uid).resolved()
    assert (uid, gid, groups) == (NOBODY.pw_uid, NOBODY.pw_gid, [NOBODY.pw_gid])
    assert Identity(user=54321).resolved() == (54321, 54321, [54321])
    assert Identity(user=NOBODY.pw_uid, group=7, initgroups=True).resolved()[2].count(7) == 1


if ROOT:

    def test_drop_is_for_good() -> None:
        """Real, effective and saved ids, supplementary groups, and no way back."""

        def work() -> int:
            os.setgroups([0, 1, 2])
            drop(Identity(user=54321, group=54322))
            good = (
                os.getresuid() == (54321,) * 3
                and os.getresgid() == (54322,) * 3
                and os.getgroups() == [54322]
            )
            try:
                os.setuid(0)
            except PermissionError:
                return 0 if good else 1
            return 2

        assert in_child(work) == 0

    def test_group_alone() -> None:
        """root stays, with that group only."""

        def work() -> int:
            drop(Identity(group=54322))
            return 0 if os.getresuid() == (0, 0, 0) and os.getgroups() == [54322] else 1

        assert in_child(work) == 0

    def test_workers_of_a_server(server: Any) -> None:
        """/proc says so of every worker, and the files of the server belong to whom they should."""
        server.write(
            "app.py",
            "import os\n"
            "TEXT = repr((os.getresuid(), os.getresgid(), os.getgroups(), os.umask(0o77))).encode()\n"
            "def application(environ, start_response):\n"
            "    start_response('200 OK', [('Content-Length', str(len(TEXT)))])\n"
            "    return [TEXT]\n",
        )
        log = server.directory / "error.log"
        server.configure(IMPORTS, workers=2, user="nobody", umask=0o22, errorlog=str(log)).launch()
        pids = server.settled(2)
        uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
        assert server.get() == repr(((uid,) * 3, (gid,) * 3, [gid], 0o22))
        socket = (server.directory / "web").stat()
        assert socket.st_uid == uid
        if sys.platform == "linux":
            for pid in pids:
                found = state(pid)
                assert found["Uid"] == [str(uid)] * 4
                assert found["Gid"] == [str(gid)] * 4
                assert found["Groups"] == [str(gid)]
                assert int(found["CapEff"][0], 16) == int(found["CapPrm"][0], 16) == 0
            assert state(server.pid)["Uid"] == ["0"] * 4
        assert server.stop() == 0

    def test_orphans_of_another_user_end(server: Any, is_alive: Any, wait_until: Any) -> None:
        """The change of user does not cost the worker its notice of the arbiter's death."""
        server.configure(IMPORTS, user="nobody").start()
        (pid,) = server.settled(1)
        server.send(9)
        server.wait()
        wait_until(lambda: not is_alive(pid), "the end of the worker")

else:

    def test_only_root_can_change_user(server: Any) -> None:
        """Told before anything is opened."""
        with pytest.raises(ConfigError, match="only root"):
            check(Identity(user=0))
        server.configure(user="root").launch()
        assert server.wait() == 1
        assert "only root can run workers as user 0" in server.log()


def test_own_identity_needs_no_root() -> None:
    """Naming whoever one is changes nothing."""
    check(Identity(user=os.geteuid(), group=os.getegid()))
