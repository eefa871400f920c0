"""Secrets of sections: sealed as Corda seals them, stored sealed, never shown, opened on use."""

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Meta

from host.adapters.os.system import SystemEntropy
from host.adapters.sqlite.database import Database
from host.cli import main
from host.domain.clock import SimClock
from host.domain.errors import InvalidInputError
from host.settings import SettingsInvalidError, load_settings
from host.settings.changes import ConfigInvalidError, ConfigService
from host.settings.live import LiveConfig
from host.settings.pins import Pin
from host.settings.schema import schema_of
from host.settings.secret import (
    SHOWN,
    ConfigSecret,
    ConfigSecretMisplacedError,
    ConfigSecretMissingError,
    ConfigSecretPlainError,
    SecretTypeError,
)
from host.settings.secret_box import (
    ConfigSecretsUnavailableError,
    ConfigSecretUnreadableError,
    SecretBox,
    SecretInvalidError,
)
from host.settings.section import CordaKey, SchemaVersion, Section
from host.settings.store import SCHEMA, SectionStore

OF_JAVA = "AAECAwQFBgcICQoLayeZ6vCjgLbE8OqZUEXBHzpP1KhLG7E="
"""`hunter2` under passphrase `pass` and salt `salt`, by Java's PBKDF2WithHmacSHA256 and AES/GCM."""
BOX = SecretBox("pass", "salt")
PLAIN = "hunter2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    password: Annotated[
        ConfigSecret | None, CordaKey("server.password"), Meta(description="A password.")
    ] = None
    user: Annotated[str, CordaKey("server.user"), Meta(max_length=9, description="A user.")] = "u"


SECTION = Section("quotes.server", Values)
SECTIONS = {SECTION.name: SECTION}


def sealed(text: str = PLAIN, box: SecretBox = BOX) -> dict[str, Any]:
    secret = box.sealed(text, SystemEntropy())
    return {"configSecret": {"encryptedSecret": secret.config_secret.encrypted_secret}}


class Host:
    def __init__(self, database: Database, box: SecretBox | None = BOX, pins: Any = None) -> None:
        store = SectionStore(database)
        self.live = LiveConfig(SECTIONS, pins or {}, store.newest().values(), secrets=box)
        self.config = ConfigService(store, self.live, SimClock())
        self.stored = store.newest

    def put(self, version: int, server: Any) -> None:
        self.config.put(
            SECTION.name,
            version=version,
            config={"server": server},
            schema_version=SchemaVersion(),
            by="alice",
        )

    @property
    def password(self) -> str:
        secret = self.live.section(SECTION).get().password
        assert secret is not None
        return self.live.opened(secret)


@pytest.fixture
def database(tmp_path: Path) -> Any:
    with Database.open(tmp_path / "cluster.sqlite", [SCHEMA]) as database:
        yield database


@pytest.fixture
def host(database: Database) -> Host:
    return Host(database)


@pytest.mark.conformance
def test_what_java_seals_as_corda_does_is_opened() -> None:
    assert BOX.opened(OF_JAVA) == PLAIN


@given(st.text(min_size=1, max_size=200))
def test_what_is_sealed_is_opened_and_each_time_other_bytes(text: str) -> None:
    one, two = sealed(text), sealed(text)
    assert one != two
    assert BOX.opened(one["configSecret"]["encryptedSecret"]) == text


def test_changed_bits_other_keys_and_what_is_no_secret_are_refused_alike() -> None:
    text = sealed()["configSecret"]["encryptedSecret"]
    whole = bytearray(b64decode(text))
    changed = []
    for at in (0, 12, len(whole) - 1):
        whole[at] ^= 1
        changed.append(b64encode(whole).decode())
        whole[at] ^= 1
    others = [
        sealed(box=SecretBox(*each))["configSecret"]["encryptedSecret"]
        for each in (("Pass", "salt"), ("pass", "Salt"))
    ]
    for each in (*changed, *others, text[:-4], "", "?", "AAAA", "A" * 9000):
        with pytest.raises(ConfigSecretUnreadableError) as refused:
            BOX.opened(each)
        assert PLAIN not in refused.value.message


@pytest.mark.parametrize("pair", [("", "salt"), (" ", "salt"), ("pass", ""), ("pass", "\t")])
def test_blank_passphrases_and_salts_and_secrets_out_of_size_are_refused(pair: Any) -> None:
    with pytest.raises(SecretInvalidError):
        SecretBox(*pair)
    for text in ("", "x" * 4097):
        with pytest.raises(SecretInvalidError):
            BOX.sealed(text, SystemEntropy())


def test_a_secret_is_stored_sealed_shown_to_nobody_and_opened_on_use(host: Host) -> None:
    given = sealed()
    host.put(0, {"password": given, "user": "me"})
    assert host.stored()[SECTION.name].config["server"] == {"password": given, "user": "me"}
    view = host.config.get(SECTION.name)
    text = given["configSecret"]["encryptedSecret"]
    for seen in (view.source_config, view.config_with_defaults):
        assert seen["server"] == {"password": SHOWN, "user": "me"}
    assert text not in repr(view)
    assert text not in repr(host.live.section(SECTION).get())
    assert [each.value for each in view.keys] == [SHOWN, "me"]
    assert host.password == PLAIN


def test_what_was_shown_can_be_sent_back_and_keeps_the_secret(host: Host) -> None:
    host.put(0, {"password": sealed()})
    host.put(1, {"password": SHOWN, "user": "other"})
    assert host.password == PLAIN
    assert host.live.section(SECTION).get().user == "other"
    host.put(2, {"user": "other"})
    assert host.live.section(SECTION).get().password is None
    with pytest.raises(ConfigSecretMissingError, match=r"server\.password"):
        host.put(3, {"password": SHOWN})


@pytest.mark.parametrize(
    ("server", "error"),
    [
        ({"password": PLAIN}, ConfigSecretPlainError),
        ({"password": {"configSecret": PLAIN}}, ConfigSecretPlainError),
        ({"password": {"configSecret": {"encryptedSecret": 1}}}, ConfigSecretPlainError),
        ({"password": {"configSecret": {"encryptedSecret": ""}}}, ConfigSecretPlainError),
        (
            {"password": {"configSecret": {"encryptedSecret": PLAIN, "more": 1}}},
            ConfigSecretPlainError,
        ),
        ({"password": {"encryptedSecret": PLAIN}}, ConfigSecretPlainError),
        ({"password": [PLAIN]}, ConfigSecretPlainError),
        (
            {"password": {"configSecret": {"encryptedSecret": "aHVudGVyMg=="}}},
            ConfigSecretUnreadableError,
        ),
        ({"password": {"configSecret": {"vaultPath": "a", "vaultKey": "b"}}}, SecretTypeError),
        ({"user": sealed()}, ConfigSecretMisplacedError),
        ({"user": {"configSecret": {}}}, ConfigSecretMissingError),
        (sealed(), ConfigSecretMisplacedError),
        ({"pasword": sealed()}, ConfigSecretMisplacedError),
        ({"password": {"x": {"configSecret": {}}}}, ConfigSecretMissingError),
    ],
)
def test_secrets_in_other_forms_and_places_are_refused_and_nothing_is_stored(
    host: Host, server: Any, error: type[Any]
) -> None:
    with pytest.raises(error) as refused:
        host.put(0, server)
    assert PLAIN not in refused.value.message
    assert host.stored() == {}


WORDS = st.sampled_from(
    ["server", "password", "user", "configSecret", "encryptedSecret", "vaultPath", PLAIN]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(config=st.dictionaries(WORDS, JSON, max_size=3))
def test_whatever_is_put_is_refused_as_the_clients_fault_or_never_shown(
    host: Host, config: Any
) -> None:
    version = host.config.get(SECTION.name).version
    try:
        host.config.put(
            SECTION.name,
            version=version,
            config=config,
            schema_version=SchemaVersion(),
            by="alice",
        )
    except InvalidInputError:
        assert host.config.get(SECTION.name).version == version
    else:
        shown = json.dumps(host.config.get(SECTION.name).source_config)
        assert "encryptedSecret" not in shown


def test_a_config_of_great_depth_is_refused(host: Host) -> None:
    deep: Any = {}
    for _ in range(20_000):
        deep = {"a": deep}
    with pytest.raises(ConfigInvalidError):
        host.put(0, deep)


def test_a_secret_of_another_passphrase_is_kept_out_and_one_that_is_stored_hurts_nobody(
    database: Database, host: Host
) -> None:
    host.put(0, {"password": sealed(), "user": "me"})
    other = Host(database, SecretBox("other", "salt"))
    assert other.live.section(SECTION).get().user == "me"
    with pytest.raises(ConfigSecretUnreadableError):
        assert other.password
    without = Host(database, None)
    with pytest.raises(ConfigSecretsUnavailableError, match="secrets_passphrase_file"):
        assert without.password
    with pytest.raises(ConfigSecretsUnavailableError):
        without.put(1, {"password": sealed()})


def test_a_pinned_secret_is_sealed_too(database: Database) -> None:
    pins = {SECTION.name: {"server.password": Pin(sealed(), "cordbox.toml")}}
    host = Host(database, pins=pins)
    assert host.password == PLAIN
    assert host.config.get(SECTION.name).config_with_defaults["server"]["password"] == SHOWN
    with pytest.raises(SettingsInvalidError) as refused:
        SECTION.checked("server.password", PLAIN, strict=False)
    assert "secret-config create" in refused.value.message
    assert PLAIN not in refused.value.message


def test_the_schema_says_that_a_secret_is_sealed() -> None:
    server = schema_of(SECTION)["properties"]["server"]["properties"]
    assert server["password"]["properties"]["configSecret"]["properties"].keys() == {
        "encryptedSecret"
    }
    assert server["password"]["default"] is None


def test_passphrase_and_salt_of_a_host_go_together(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalidError, match="given together"):
        load_settings(
            options={"data_dir": tmp_path, "secrets_salt_file": tmp_path / "salt"},
            file=None,
            environment={},
        )


def command(capsys: Any, *words: str) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["secret-config", *words])
    printed = capsys.readouterr()
    return left.value.code, printed.out, printed.err


def test_the_command_seals_and_opens_as_cordas_does(tmp_path: Path, capsys: Any) -> None:
    code, out, _ = command(capsys, "create", PLAIN, "-p", "pass", "-s", "salt")
    text = json.loads(out)["configSecret"]["encryptedSecret"]
    assert (code, out) == (0, f'{{"configSecret":{{"encryptedSecret":"{text}"}}}}\n')
    (tmp_path / "pass").write_text("pass\n")
    (tmp_path / "salt").write_text("salt\n")
    files = ("--passphrase-file", str(tmp_path / "pass"), "--salt-file", str(tmp_path / "salt"))
    assert command(capsys, "decrypt", text, *files, "--type", "corda")[:2] == (0, f"{PLAIN}\n")
    code, out, err = command(capsys, "decrypt", text, "-p", "other", "-s", "salt")
    assert (code, out) == (1, "")
    assert "error[config-secret-unreadable]" in err


def test_the_command_reads_a_secret_from_standard_input(monkeypatch: Any, capsys: Any) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PLAIN}\n"))
    _, out, _ = command(capsys, "create", "-", "-p", "pass", "-s", "salt")
    assert BOX.opened(json.loads(out)["configSecret"]["encryptedSecret"]) == PLAIN


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("create", "x", "-t", "VAULT", "-v", "path"), 1, "secret-type-unsupported"),
        (("create", "x", "-v", "path", "-p", "a", "-s", "b"), 1, "secret-type-unsupported"),
        (("decrypt", "x", "-t", "VAULT"), 1, "secret-type-unsupported"),
        (("create", "x", "-p", "a"), 2, "--salt"),
        (("create", "x", "-s", "a"), 2, "--passphrase"),
        (("create", "x", "-p", " ", "-s", "b"), 1, "secret-invalid"),
        (("create", "", "-p", "a", "-s", "b"), 1, "secret-invalid"),
    ],
)
def test_the_command_refuses(capsys: Any, words: Any, code: int, told: str) -> None:
    left, out, err = command(capsys, *words)
    assert (left, out) == (code, "")
    assert told in err
