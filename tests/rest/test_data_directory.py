import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from host.data_directory import (
    DataDirectory,
    DataDirectoryLockedError,
    DataDirectoryUnusableError,
)

HOLD = """
import sys
from pathlib import Path
from host.data_directory import DataDirectory
DataDirectory.hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_the_directory_is_made_for_its_owner_only(tmp_path):
    held = DataDirectory.hold(tmp_path / "deep" / "data")
    assert stat.S_IMODE(held.path.stat().st_mode) == 0o700
    assert sorted(p.name for p in held.path.iterdir()) == ["cordbox-id", "joined", "lock"]
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


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_directory_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataDirectoryUnusableError):
        DataDirectory.hold(tmp_path)


@pytest.mark.skipif(not Path("/proc/sys").is_dir(), reason="needs procfs")
def test_a_directory_on_a_file_system_that_takes_no_files_is_refused():
    with pytest.raises(DataDirectoryUnusableError):
        DataDirectory.hold(Path("/proc/sys/cordbox"))
