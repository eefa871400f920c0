"""What the generated references say of metrics and endpoints is what a running host has."""

import json
import re
from pathlib import Path

import structlog

from host.observe.log_events import EVENTS
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
    used = set(re.findall(r"cordbox_\w+", operations.ALERTS))
    assert len(used) > 4
    assert used <= exported


def test_pages_name_exported_metrics_only() -> None:
    """A query that is copied from a page finds something."""
    exported = {name for facts in operations.metrics() for name in facts.exported}
    families = {facts.name for facts in operations.metrics() if facts.kind == "histogram"}
    wrong = [
        (page.name, name)
        for page in sorted((ROOT / "docs").rglob("*.md"))
        for name in re.findall(r"\bcordbox_[a-z_]+\b", page.read_text(encoding="utf-8"))
        if name not in exported | families | {"cordbox_cordapp", "cordbox_testkit"}
    ]
    assert wrong == []


def test_endpoints_are_those_of_the_page(api) -> None:
    served = api.get("/api/v5_2/swagger.json").json()
    assert served == json.loads((REFERENCE / "openapi-v5_2.json").read_text(encoding="utf-8"))
    page = (REFERENCE / "rest.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([A-Z]+ /\S+)` \|", page, re.MULTILINE))
    operations_served = {
        f"{method.upper()} {path}"
        for path, methods in served["paths"].items()
        for method in methods
    }
    assert listed == operations_served
    for path in re.findall(r"`(/(?:isHealthy|status|metrics|overview))`", page):
        assert api.get(path).status_code == 200, path


def test_versions_have_what_the_page_says(api) -> None:
    page = (REFERENCE / "rest.md").read_text(encoding="utf-8")
    base = api.get("/api/v5_2/swagger.json").json()["paths"]
    for version in ("v5_1", "v5_3"):
        document = api.get(f"/api/{version}/swagger.json").json()
        assert document["servers"] == [{"url": f"/api/{version}"}]
        assert set(document["paths"]) <= set(base)
        for path in set(base) - set(document["paths"]):
            row = next(line for line in page.splitlines() if f" {path}` |" in line)
            assert f"not in {version}" in row, (version, path)


def test_logged_events_have_a_meaning(api, alice, polled) -> None:
    with structlog.testing.capture_logs() as logged:
        start(api, alice, "for-the-log")
        ended(polled, alice, "for-the-log")
        api.get("/api/v5_2/virtualnode/FFFFFFFFFFFF")
    found = {line["event"] for line in logged}
    assert {"flow-started", "flow-ended", "request"} <= found
    assert found <= set(EVENTS)
