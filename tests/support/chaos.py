"""What a machine does to a host: a full disk, no descriptors, a suspension."""

import contextlib
import errno
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

DISK_BYTES = 96 * 1024 * 1024
_CHUNK = bytes(1024 * 1024)


@contextlib.contextmanager
def small_disk(folder):
    """A file system of its own at `folder`, small enough to be filled."""
    folder.mkdir(exist_ok=True)
    options = f"size={DISK_BYTES},mode=0700"
    words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    made = subprocess.run(words, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


@contextlib.contextmanager
def full_disk(folder):
    """Fill the file system until nothing more can be written, down to the last byte."""
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(_CHUNK)
            except OSError as exc:
                assert exc.errno == errno.ENOSPC  # noqa: PT017
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def no_descriptors(pid):
    """Leave a process no free descriptor; what it has open it keeps."""
    try:
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, before[1]))
    except (OSError, ProcessLookupError):  # it was killed meanwhile
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def suspended(pids):
    """Stop processes as a suspended machine does: nothing runs, time goes on."""
    stopped = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            stopped.append(pid)
    try:
        yield
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def hold(seconds):
    """Let real time pass under a strike: what is tested is a real machine's outage."""
    time.sleep(seconds)
