"""`cordbox database`: making, migrating and looking at the tables that hosts share."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from host.cli import root
from tests.support.postgres import OWNER, PostgresServer

Run = Callable[..., Result]


@pytest.fixture
def cordbox(
    tmp_path: Path, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs a command with settings that name an empty database."""
    database = postgres_server.new_database(is_durable=True).address.database
    for name, text in (("password", postgres_server.password), ("phrase", "p")):
        (tmp_path / name).write_text(f"{text}\n")
        (tmp_path / name).chmod(0o600)
    file = tmp_path / "settings.toml"
    file.write_text(
        f'database_url = "postgresql://{OWNER}@127.0.0.1:{postgres_server.port}/{database}"\n'
        f'database_password_file = "{tmp_path / "password"}"\n'
        f'master_passphrase_file = "{tmp_path / "phrase"}"\n'
    )
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Result:
        return CliRunner().invoke(root, ["database", *words, "--settings", str(file)])

    run.database = database  # type: ignore[attr-defined]
    return run


def test_tables_are_missing_until_they_are_made_and_older_until_they_are_migrated(
    cordbox: Run, postgres_server: PostgresServer
) -> None:
    empty = cordbox("check")
    assert (empty.exit_code, empty.output.count("missing, this release has version")) == (
        1,
        len(empty.output.splitlines()),
    )
    assert cordbox("migrate").exit_code == 0
    made = cordbox("check")
    assert made.exit_code == 0, made.output
    assert "cordbox_flow  flows: version 1" in made.output
    assert cordbox("migrate").exit_code == 0
    postgres_server.execute(
        "UPDATE cordbox_flow.schema_version SET version = 99",
        database=cordbox.database,  # type: ignore[attr-defined]
    )
    newer = cordbox("check", "--output", "json")
    assert newer.exit_code == 1
    flows = {"place": "cordbox_flow", "name": "flows", "stored": 99, "known": 1}
    assert flows in json.loads(newer.output)
    refused = cordbox("migrate")
    assert refused.exit_code != 0
    assert "this release knows versions up to 1" in str(refused.exception)


def test_settings_without_a_database_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for word in ("check", "migrate"):
        refused = CliRunner().invoke(root, ["database", word])
        assert refused.exit_code == 2
        assert "database_url is not set" in refused.output
