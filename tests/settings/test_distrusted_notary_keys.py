"""The setting `distrusted_notary_keys`: what it refuses, and when it is in force."""

import pytest

from host.domain.ids import EpochMs, ShortHash
from host.domain.instants import instant_ms
from host.runtime.wiring.sections import distrusted_notaries
from host.settings.errors import SettingsInvalidError
from host.settings.live import LiveConfig, StoredSection
from host.settings.section import SchemaVersion
from host.settings.sections import LEDGER, SECTIONS

KEY, AT = "0A1B2C3D4E5F", "2026-11-21T05:00:00Z"
NAME = "distrusted_notary_keys"


@pytest.mark.parametrize(
    "entry",
    [
        KEY,
        f"{KEY}@",
        f"{KEY}@2026-11-21",
        f"{KEY}@2026-11-21T05:00:00",
        f"{KEY}@2026-11-21T05:00:00+01:00",
        f"{KEY.lower()}@{AT}",
        f"{KEY[1:]}@{AT}",
        f"{KEY}@{AT}\n",
        7,
        None,
    ],
)
def test_an_entry_is_a_key_id_and_an_instant_in_utc(entry: object) -> None:
    with pytest.raises(SettingsInvalidError, match=NAME) as refused:
        LEDGER.checked(NAME, [entry], strict=True)
    assert "a list of texts, each of which matches ^[0-9A-F]{12}@" in str(refused.value)


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ((f"{KEY}@2026-02-30T05:00:00Z",), f"2026-02-30T05:00:00Z of key {KEY} is no instant"),
        ((f"{KEY}@2026-02-20T25:00:00Z",), "no instant"),
        ((f"{KEY}@{AT}", f"{KEY}@2027-11-21T05:00:00Z"), f"key {KEY} is there twice"),
    ],
)
def test_entries_that_say_nothing_right_are_refused(entries: tuple[str, ...], told: str) -> None:
    with pytest.raises(SettingsInvalidError, match=told):
        LEDGER.values({NAME: entries})


def test_there_are_a_hundred_at_most() -> None:
    entries = [f"{number:012X}@{AT}" for number in range(101)]
    assert LEDGER.checked(NAME, entries[:100], strict=True) == tuple(entries[:100])
    with pytest.raises(SettingsInvalidError):
        LEDGER.checked(NAME, entries, strict=True)


def test_a_changed_setting_is_in_force_without_a_restart() -> None:
    config = LiveConfig(SECTIONS, {})
    distrusted = distrusted_notaries(config)
    assert distrusted.get() == {}
    stored = StoredSection(
        name=LEDGER.name,
        version=config.versions()[LEDGER.name] + 1,
        schema_version=SchemaVersion(),
        config={NAME: [f"{KEY}@{AT}"]},
        changed_at=0,
        changed_by="alice",
    )
    config.take([stored])
    cut_off = instant_ms("2026-11-21T05:00:00.000000Z")
    assert distrusted.get() == {ShortHash(KEY): EpochMs(cut_off)}
