import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from host.adapters.files.data_directory import (
    DataDirectory,
    DataDirectoryLockedError,
    DataDirectoryUnusableError,
)

HOLD = """
import sys
from pathlib import Path
from host.adapters.files.data_directory import DataDirectory
DataDirectory.hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_the_directory_is_made_for_its_owner_only(tmp_path):
    held = DataDirectory.hold(tmp_path / "deep" / "data")
    assert stat.S_IMODE(held.path.stat().st_mode) == 0o700
    assert sorted(p.name for p in held.path.iterdir()) == [
        "cordbox-id",
        "cordbox-marks",
        "joined",
        "lock",
    ]
    held.release()


def test_another_process_is_kept_out_until_the_holder_dies(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DataDirectoryLockedError, match=str(tmp_path)):
            DataDirectory.hold(tmp_path)
        holder.kill()
        holder.wait()
    DataDirectory.hold(tmp_path).release()


def test_a_path_that_is_no_directory_is_refused(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(DataDirectoryUnusableError, match="file"):
        DataDirectory.hold(file)


HOLD_AS = """
import os, sys
from pathlib import Path
from host.adapters.files.data_directory import DataDirectory, DataDirectoryUnusableError
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
try:
    DataDirectory.hold(Path(sys.argv[1])).release()
except DataDirectoryUnusableError as refused:
    sys.exit(str(refused))
"""
NOBODY = 65534


@pytest.mark.parametrize("mode", [0o500, 0o700])
def test_an_unwritable_directory_is_refused(mode):
    """In a process that is not root's, which may write anywhere."""
    user = os.geteuid() or NOBODY
    with tempfile.TemporaryDirectory() as folder:  # what pytest makes is closed to other users
        path = Path(folder)
        path.chmod(mode)
        os.chown(path, user, -1)
        words = [sys.executable, "-c", HOLD_AS, folder, str(user)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if mode == 0o700:
            assert (done.returncode, done.stderr) == (0, "")
        else:
            assert (done.returncode, list(path.iterdir())) == (1, [])
            assert folder in done.stderr
            assert "Permission denied" in done.stderr


@pytest.mark.skipif(not Path("/proc/sys").is_dir(), reason="needs procfs")
def test_a_directory_on_a_file_system_that_takes_no_files_is_refused():
    with pytest.raises(DataDirectoryUnusableError):
        DataDirectory.hold(Path("/proc/sys/cordbox"))
