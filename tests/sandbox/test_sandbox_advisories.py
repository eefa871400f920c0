"""Advisories are matched against versions by the rule that their file states."""

import re

import pytest
from structlog.testing import capture_logs

from host.runtime.wiring import engines
from sandbox.advisories import all_advisories, known_advisories
from sandbox.engine import engine_version


@pytest.mark.parametrize(
    ("version", "hit"),
    [
        ("35.0.0", True),
        ("36.0.6", True),
        ("36.0.7", False),
        ("36.0.15", False),
        ("37.0.0", True),
        ("43.0.0", True),
        ("43.0.1", False),
        ("50.0.1", False),
    ],
)
def test_a_fix_covers_its_own_major_version_and_all_later_ones(version, hit):
    assert ("RUSTSEC-2026-0096" in {a.id for a in known_advisories(version)}) is hit


def test_an_advisory_begins_where_it_was_introduced():
    name = "GHSA-hfr4-7c6c-48w2"
    found = [
        v for v in ("42.0.0", "43.0.0", "43.0.1") if name in {a.id for a in known_advisories(v)}
    ]
    assert found == ["43.0.0"]


def test_the_installed_engine_has_no_known_advisory():
    assert known_advisories(engine_version()) == ()


def test_every_advisory_names_its_source():
    advisories = all_advisories()
    assert len({a.id for a in advisories}) == len(advisories)
    assert all(a.source.startswith("https://") and a.fixed for a in advisories)
    assert all(
        re.fullmatch(r"(RUSTSEC-\d{4}-\d{4}|GHSA(-[0-9a-z]{4}){3})", a.id) for a in advisories
    )


@pytest.mark.parametrize("version", ["", "50", "x.y.z", "dev"])
def test_a_version_without_numbers_is_refused(version):
    with pytest.raises(ValueError, match="expected three numbers"):
        known_advisories(version)


@pytest.mark.parametrize(("version", "warned"), [("43.0.0", True), ("50.0.1", False)])
def test_a_host_names_its_engine_and_warns_of_advisories(version, warned, monkeypatch):
    monkeypatch.setattr(engines, "engine_version", lambda: version)
    with capture_logs() as entries:
        engines.log_engine()
    named = [e["version"] for e in entries if e["event"] == "engine" and e["engine"] == "wasmtime"]
    assert named == [version]
    warnings = [e["advisory"] for e in entries if e["log_level"] == "warning"]
    assert ("RUSTSEC-2026-0096" in warnings) is warned
