"""What the generated references say of metrics and endpoints is what a running host has."""

import json
import re
from pathlib import Path

import structlog

from host.observe.log_events import EVENTS
from host.rest.app import openapi_document
from host.rest.versions import VERSIONS
from tests.rest.test_rest_flows import ended, start
from tests.support.metrics_page import compared_with_page, operations

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"


def test_metrics_are_those_of_the_page(api, alice, polled):
    start(api, alice, "for-the-metrics")
    ended(polled, alice, "for-the-metrics")
    seen, wrong = compared_with_page(api.get("/metrics").text)
    assert wrong == []
    assert len(seen) > 20
    page = (REFERENCE / "metrics.md").read_text(encoding="utf-8")
    assert all(f"`{sample}`" in page for facts in operations.metrics() for sample in facts.exported)


def test_alerts_use_exported_names() -> None:
    exported = {name for facts in operations.metrics() for name in facts.exported}
    used = set(re.findall(r"cordbox_\w+", operations.ALERTS.read_text("utf-8")))
    assert len(used) > 4
    assert used <= exported


PACKAGES = {"cordbox_cordapp", "cordbox_testkit"}
KAFKA_HEADERS = {"cordbox_id"}
SCHEMAS = {
    "cordbox_flow", "cordbox_cluster", "cordbox_files", "cordbox_keys",
    "cordbox_vault_", "cordbox_uniqueness_", "cordbox_owner", "cordbox_host",
}  # fmt: skip
"""Schemas and roles in PostgreSQL, the former of nodes by their beginning."""


def test_pages_name_exported_metrics_only() -> None:
    """A query that is copied from a page finds something."""
    exported = {name for facts in operations.metrics() for name in facts.exported}
    families = {facts.name for facts in operations.metrics() if facts.kind == "histogram"}
    wrong = [
        (page.name, name)
        for page in sorted((ROOT / "docs").rglob("*.md"))
        for name in re.findall(r"\bcordbox_[a-z_]+\b", page.read_text(encoding="utf-8"))
        if name not in exported | families | PACKAGES | SCHEMAS | KAFKA_HEADERS
    ]
    assert wrong == []


def test_endpoints_are_those_of_the_page(api) -> None:
    served = api.get("/api/v5_2/swagger.json").json()
    assert served == json.loads((REFERENCE / "openapi-v5_2.json").read_text(encoding="utf-8"))
    page = (REFERENCE / "rest.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([A-Z]+ /\S+)` \|", page, re.MULTILINE))
    operations_served = {
        f"{method.upper()} {path}"
        for version in VERSIONS
        for path, methods in openapi_document(version)["paths"].items()
        for method in methods
    }
    assert listed == operations_served
    for path in re.findall(r"`(/(?:isHealthy|status|metrics|overview))`", page):
        assert api.get(path).status_code == 200, path


def test_versions_have_what_the_page_says(api) -> None:
    page = (REFERENCE / "rest.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([A-Z]+ /\S+)` \|(.*)", page, re.MULTILINE))
    for version in VERSIONS:
        document = api.get(f"/api/{version}/swagger.json").json()
        assert document["servers"] == [{"url": f"/api/{version}"}]
        for name, row in rows.items():
            method, _, path = name.partition(" ")
            is_there = method.lower() in document["paths"].get(path, ())
            assert is_there is (f"not in {version}" not in row), (version, name)


def test_logged_events_have_a_meaning(api, alice, polled) -> None:
    with structlog.testing.capture_logs() as logged:
        start(api, alice, "for-the-log")
        ended(polled, alice, "for-the-log")
        api.get("/api/v5_2/virtualnode/FFFFFFFFFFFF")
    found = {line["event"] for line in logged}
    assert {"flow-started", "flow-ended", "request"} <= found
    assert found <= set(EVENTS)
