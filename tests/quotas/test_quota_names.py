"""A quota has one name: in the code, in settings, in the sandbox and, in camel case, in documents."""

import dataclasses
import json
import re
from pathlib import Path

from host.domain.accounts import Account
from host.domain.json import camel_case
from host.domain.quotas import ACCOUNT_QUOTAS, QUOTA_NAMES, Quota
from host.guests.limits import LIMITS, limits_of_quota
from host.settings.sections import QUOTA
from host.tools.cordapps.project import LIMIT_NAMES
from sandbox.limits import Limits

ROOT = Path(__file__).parents[2]


def properties(path: str) -> set[str]:
    schema = json.loads((ROOT / path).read_text(encoding="utf-8"))
    return set(schema["properties"]["limits"]["properties"])


def test_what_bounds_a_run_has_the_name_of_its_quota() -> None:
    bounds = {field.name for field in dataclasses.fields(Limits)}
    assert bounds <= set(QUOTA_NAMES)
    odd = {name: 5000 + number for number, name in enumerate(sorted(bounds))}
    odd["memory_bytes_max"] += 64 * 1024
    assert dataclasses.asdict(limits_of_quota(Quota(**odd))) == odd


def test_the_defaults_of_a_run_are_those_of_the_quota() -> None:
    assert limits_of_quota(Quota()) == Limits()


def test_the_settings_are_the_quotas() -> None:
    assert QUOTA.kind is Quota


def test_an_account_of_bytes_names_its_quota() -> None:
    assert set(ACCOUNT_QUOTAS.values()) <= set(QUOTA_NAMES)
    assert ACCOUNT_QUOTAS.keys() == set(Account) - {Account.LOG}, "the log has a rate"


def test_a_descriptor_asks_for_bounds_of_a_run() -> None:
    asked = properties("cpi/schemas/descriptor.schema.json")
    assert asked == set(LIMIT_NAMES)
    assert asked <= set(LIMITS)


def test_the_guide_tells_of_every_quota_and_no_other() -> None:
    text = (ROOT / "docs" / "how-to" / "limit-and-watch-nodes.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|") and "`quota_" in line]
    named = {setting.removeprefix("quota_") for setting in re.findall(r"`(quota_\w+)`", str(rows))}
    assert named == set(QUOTA_NAMES)
    assert all(f"`{camel_case(name)}`" in text for name in named)


def test_a_new_quota_is_written_by_hand_in_at_most_four_places() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("### Adding a quota\n")[2].partition("\n### ")[0]
    places = re.findall(r"^\d\. ((?:.|\n   )+)", section, re.MULTILINE)
    assert 0 < len(places) <= 4
    for path in re.findall(r"`((?:host|sandbox|docs)/[\w./-]+)`", "".join(places)):
        assert (ROOT / path).exists(), path
