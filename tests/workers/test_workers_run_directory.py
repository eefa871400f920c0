"""What worker processes share: made anew by each host, and by nobody else."""

import stat

import pytest

from host.adapters.files.data_directory import DataDirectory, HostNotRunningError
from host.domain.errors import StorageError
from host.runtime.workers.run_directory import RunDirectory
from host.settings import load_settings


@pytest.fixture
def settings(tmp_path):
    return load_settings(options={"data_dir": tmp_path / "data"}, file=None, environment={})


def test_a_directory_that_somebody_else_made_is_not_used(tmp_path, settings):
    """It may be another user's, who could read the key and take the workers' places."""
    (tmp_path / "run").mkdir(mode=0o777)
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(StorageError, match="cannot be used"):
        run.create(settings)
    with pytest.raises(HostNotRunningError):
        run.key()


def test_each_host_makes_its_own_with_another_key(settings):
    keys = []
    for _ in range(2):
        directory = DataDirectory.hold(settings.data_dir)
        run = RunDirectory(directory.runtime)
        run.create(settings)
        keys.append(run.key())
        assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
        assert run.settings() == settings
        directory.release()
    assert keys[0] != keys[1]
