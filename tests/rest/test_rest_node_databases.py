"""The SQL of databases of virtual nodes over REST, of a host that keeps them in files."""

import pytest

from host.domain.ids import short_hash_of

NODE = "/api/v5_2/virtualnode"


def test_databases_that_are_files_need_no_sql(api, cpi):
    checksum = short_hash_of(cpi.file_checksum)
    for path in ("create/db/crypto", "create/db/uniqueness", f"create/db/vault/{checksum}"):
        answer = api.get(f"{NODE}/{path}")
        assert answer.status_code == 200
        assert all(line.startswith("--") for line in answer.text.splitlines())
        assert "no SQL to run" in answer.text
    assert "CPI demo 1.0.0" in answer.text


def test_an_upgrade_changes_no_tables(api, cpi, alice):
    checksum = short_hash_of(cpi.file_checksum)
    answer = api.get(f"{NODE}/{alice}/db/vault/{checksum}")
    assert answer.status_code == 200
    assert f"PUT /virtualnode/{alice}/cpi/{checksum} migrates the entities" in answer.text


@pytest.mark.parametrize(
    "path", ["create/db/vault/0123456789AB", "0123456789AB/db/vault/0123456789AB"]
)
def test_what_is_not_stored_is_not_found(api, path):
    assert api.get(f"{NODE}/{path}").json()["details"]["code"] == "not-found"


def test_other_databases_are_refused(api, alice):
    connection = {"database": {"jdbc": {"url": "jdbc:postgresql://elsewhere/db"}}}
    answer = api.put(f"{NODE}/{alice}/db", json={"vaultDmlConnection": connection})
    assert (answer.status_code, answer.json()["details"]["code"]) == (400, "vault-database-unknown")
    missing = api.put(f"{NODE}/0123456789AB/db", json={"vaultDmlConnection": connection})
    assert missing.status_code == 404
