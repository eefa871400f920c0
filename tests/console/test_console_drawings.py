"""Drawings and words of the console, as values: charts, the map of a network, the ledger's graph."""

import re
from pathlib import Path

import pytest

from host.console import charts, words
from host.console.ledger_graph import SIDE_MAX, graph_of
from host.console.network_map import CLUSTERS_MAX, DOTS_MAX, map_of
from host.console.package_changes import lines
from host.console.pages.overview import place_of


def test_sparks_and_charts_stay_within_their_box():
    assert charts.spark([0, 0]).line == "M0.0 22.0L100.0 22.0"
    chart = charts.chart([0, 10, 30], [0, 0, 15])
    assert chart.top == 30
    assert chart.line == "M0.0 150.0L300.0 100.0L600.0 0.0"
    assert chart.bars == [(594.8, 75.0, 5.2, 75.0)]
    assert charts.chart([], []).line == "M0 0"


@pytest.mark.parametrize(
    ("largest", "top"), [(1, 3), (3, 3), (4, 6), (7, 15), (31, 60), (300, 300)]
)
def test_the_top_of_a_chart_has_whole_thirds(largest, top):
    assert charts.nice_top(largest) == top


@pytest.mark.parametrize(("used", "most", "share"), [(1, 2, 50), (3, 2, 100), (1, None, 0)])
def test_shares(used, most, share):
    assert charts.share(used, most) == share


def peer(number, host, error=None):
    route = "HERE" if host is None else "LINK"
    endpoints = [] if host is None else [{"url": f"https://{host}:8080", "failures": 0}]
    return {"x500Name": f"O={number}", "route": route, "endpoints": endpoints, "lastError": error}


def test_a_map_has_a_box_for_each_cluster_and_no_two_overlap():
    peers = [peer(n, None) for n in range(40)]
    peers += [peer(n, f"gw-{n % 7}", "refused" if n % 7 == 3 else None) for n in range(200)]
    found = map_of(peers)
    assert [c.name for c in found.clusters] == [
        "this cluster",
        *(f"gw-{n}:8080" for n in range(7)),
    ]
    assert [c.name for c in found.clusters if c.is_down] == ["gw-3:8080"]
    assert "gw-3:8080 cannot be reached" in found.label
    for one in found.clusters:
        assert one.x + one.width <= found.width
        assert one.y + one.height <= found.height
        assert all(one.x < d.x < one.x + one.width for d in one.dots)
        assert all(one.y < d.y < one.y + one.height for d in one.dots)
        for other in found.clusters:
            apart_x = one.x + one.width <= other.x or other.x + other.width <= one.x
            apart_y = one.y + one.height <= other.y or other.y + other.height <= one.y
            assert one is other or apart_x or apart_y
    assert map_of(list(reversed(peers))).clusters[1].x == found.clusters[1].x


def test_a_map_of_many_members_has_few_dots_and_boxes():
    found = map_of([peer(n, f"gw-{n % 40:02}") for n in range(10_000)])
    assert len(found.clusters) == CLUSTERS_MAX
    assert found.more == 40 - CLUSTERS_MAX + 1
    assert sum(len(c.dots) for c in found.clusters) <= DOTS_MAX
    assert found.each == 25


def test_a_graph_has_what_is_before_on_the_left_and_after_on_the_right():
    near = {
        "before": [{"id": "SHA-256D:" + "A" * 64, "status": "V"}],
        "after": [{"id": "SHA-256D:" + "C" * 64, "status": None}],
    }
    found = graph_of({"id": "SHA-256D:" + "B" * 64, "status": "U", "around": near})
    assert [(b.title, b.status) for b in found.boxes] == [
        ("AAAA…AA", "verified"),
        ("BBBB…BB", "unverified"),
        ("CCCC…CC", "not here"),
    ]
    assert [b.x for b in found.boxes] == sorted(b.x for b in found.boxes)
    assert len(found.edges) == 2
    many = {"before": near["before"] * 100, "after": []}
    crowd = graph_of({"id": "x", "status": "V", "around": many})
    assert len(crowd.boxes) == SIDE_MAX + 1
    assert crowd.boxes[SIDE_MAX - 1].title == f"and {101 - SIDE_MAX} more"
    assert len(graph_of({"id": "x", "status": "V", "around": None}).boxes) == 1


def test_times_names_and_digests_in_words():
    at = "2026-11-29T11:42:16.123Z"
    now = words.millis("2026-11-29T11:45:28.123Z")
    assert (words.clock_time(at), words.day(at)) == ("11:42:16", "29 November 2026")
    assert words.ago(at, now) == "3 min 12 s"
    assert words.until(at, now) == "0 ms"
    assert words.lasted(at, None, now) == "3 min 12 s"
    assert words.ago(None, now) == words.NOTHING
    name = "CN=x, O=Alice, L=London, C=GB"
    assert (words.name_head(name), words.name_rest(name)) == ("O=Alice", "CN=x, L=London, C=GB")
    assert words.name_head("L=London") == "L=London"
    assert words.digest("SHA-256D:F2F1257FA1B21E") == "F2F1…1E"
    assert words.state("ODD").word == "odd"


@pytest.mark.parametrize(
    ("kind", "name", "value", "what", "shown"),
    [
        ("limit", "memoryBytesMax", str(2**20), "Limit: ", "1.0 MiB"),
        ("limit", "wallMsMax", "1500", "Limit: ", "1,500 ms"),
        ("limit", "fuelMax", "2000000", "Limit: ", "2,000,000"),
        ("limit", "unknown", None, "Limit unknown", words.NOTHING),
        ("interface", "ledger", "closed", "Interface ledger", "closed"),
        ("code", "demo", "SHA-256:F2F1" + "0" * 58 + "1E", "Code", "F2F1…1E"),
        ("moon", "x", "y", "moon x", "y"),
    ],
)
def test_a_change_is_said_with_its_unit(kind, name, value, what, shown):
    change = {"kind": kind, "name": name, "before": None, "after": value, "widens": True}
    (line,) = lines([change])
    assert (line.before, line.after, line.is_risk) == (words.NOTHING, shown, True)
    assert line.what.startswith(what)


@pytest.mark.parametrize(
    ("subject", "page"),
    [
        ("node", "/console/nodes/0123456789AB"),
        ("dead-letters", "/console/dead-letters"),
        ("queue", "/console/flows?status=OPEN"),
        ("worker", "/console#workers"),
        ("certificate", "/console/networks"),
        ("host", "/console#disk"),
    ],
)
def test_every_finding_leads_to_a_page(subject, page):
    assert place_of({"subject": subject, "named": "0123456789AB"})[0] == page


_ROOT = Path(__file__).parents[2]
_PICTURE_BYTES_MAX = 200_000


def test_the_pictures_of_the_documentation_are_there_and_small():
    """`make console-pictures` takes them."""
    pages = _ROOT / "README.md", _ROOT / "docs" / "how-to" / "console.md"
    shown = {
        name for page in pages for name in re.findall(r"pictures/([\w-]+\.png)", page.read_text())
    }
    found = {path.name: path.read_bytes() for path in (_ROOT / "docs/pictures").glob("console-*")}
    assert shown == found.keys()
    for name, data in found.items():
        assert data.startswith(b"\x89PNG"), name
        assert len(data) <= _PICTURE_BYTES_MAX, name
