"""Run a command alone: one at a time, and all that it started gone when this is.

``python -I alone.py LOCK PARENT COMMAND...``, started by the process PARENT, needs nothing but
Python, as set-up runs below it too.
What the command starts keeps the lock, so that the next one waits even for what outlived it.
"""

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
from pathlib import Path


def environment() -> dict[str, str]:
    """Return the environment without the job slots of an outer make, which stay with that."""
    flags = re.sub(r"(^| )-j\d*|--jobserver-\w+=\S+", "", os.environ.get("MAKEFLAGS", ""))
    return os.environ | {"MAKEFLAGS": flags}


def watch(group: int) -> int:
    """Fork a process that ends a group when this process has ended, in whatever way."""
    read, write = os.pipe()  # the end to write to is in this process alone
    if os.fork() == 0:
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)
        os.close(write)
        os.setsid()
        os.read(read, 1)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        os._exit(0)
    return write


def main() -> None:
    """Take the lock and run the command; stop it if this or what started this is stopped."""
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # even if started in the background
    # The parent may be gone already when this begins: it says itself which one it is.
    lock, parent = Path(sys.argv[1]), int(sys.argv[2])
    if (place := str(Path.cwd())) != place.encode(errors="replace").decode():
        sys.exit(f"error: a book cannot be made in a folder whose path is not UTF-8: {place!a}")
    try:
        lock.parent.mkdir(exist_ok=True)
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("waiting for another make", flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            process = subprocess.Popen(
                sys.argv[3:],
                stdin=subprocess.DEVNULL,
                env=environment(),
                start_new_session=True,
                pass_fds=[file.fileno()],
            )
            watch(process.pid)
            while process.poll() is None and os.getppid() == parent:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.2)
    except OSError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the last good book is still in place")
    sys.exit(process.returncode)


if __name__ == "__main__":
    main()
