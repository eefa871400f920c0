import pytest

from tests.support.data_directories import make_directory


@pytest.fixture
def folder(tmp_path):
    return make_directory(tmp_path / "data")
