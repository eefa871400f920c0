import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from host.tools.audit.diff import diff, diff_document, diff_text
from host.tools.audit.page import page_of
from host.tools.audit.policy import RULES, Policy, judge, parse_policy
from host.tools.audit.sarif import sarif_of
from host.tools.audit.text import size, text_of

STRICT = parse_policy(b'{"policyVersion": 1, "name": "strict", "capabilities": ["ledger"]}')


@pytest.fixture(scope="module")
def hostile(audit, sample):
    return audit(sample("hostile").cpi)


@pytest.fixture(scope="module")
def hostile_page(hostile):
    return page_of(hostile, STRICT, judge(hostile, STRICT))


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_well_formed_and_needs_nothing_else(hostile_page):
    reader = Reader()
    reader.feed(hostile_page)
    assert reader.open == []
    assert not reader.tags & {"script", "link", "img", "iframe", "object"}
    assert not any(
        name in {"src", "href"} or name.startswith("on") for name, _ in reader.attributes
    )
    assert "default-src 'none'" in hostile_page
    assert "@import" not in hostile_page
    assert not re.search(r"url\((?!#)", hostile_page)


def test_page_draws_a_door_for_each_interface(hostile_page):
    (drawing,) = re.findall(r"<svg.*?</svg>", hostile_page, re.DOTALL)
    root = ET.fromstring(drawing)
    classes = [element.get("class") for element in root.iter()]
    assert classes.count("shut") == 3
    assert classes.count("leaf") == 6
    words = " ".join(element.text or "" for element in root.iter())
    assert "build verify record find query" in words
    assert "6 doors open, 3 closed" in words


def test_contract_is_drawn_without_doors(audit, component_cpk):
    found = audit(component_cpk())
    page = page_of(found, Policy(), ())
    assert "No door at all" in page
    assert 'class="leaf"' not in page
    assert "No findings" in page


def test_names_of_a_package_are_no_markup(hostile):
    (component,) = hostile.components
    nasty = replace(
        hostile,
        name="<script>alert(1)</script>",
        components=(replace(component, name='"><img src=x>\x1b[2J'),),
    )
    page = page_of(nasty, Policy(), ())
    assert "<script" not in page
    assert "<img" not in page
    assert "\x1b" not in page
    assert "\x1b" not in text_of(nasty, ())


def test_text_names_every_import_and_finding(hostile):
    text = text_of(hostile, judge(hostile, STRICT))
    assert "signing.sign  REFUSED" in text
    assert "log.write  always granted; 10,000 calls a run, 4 MiB a text, 64 KiB of log" in text
    assert "[audit-capability-not-allowed]" in text
    assert "3 findings" in text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (128 << 20, "128 MiB")]
)
def test_sizes_are_readable(number, text):
    assert size(number) == text


def test_sarif_has_the_structure_of_2_1_0(hostile):
    findings = judge(hostile, STRICT)
    log = json.loads(json.dumps(sarif_of(replace(hostile, file="a b/ü.cpi"), findings)))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"]
    assert [rule["id"] for rule in rules] == list(RULES)
    assert all(rule["shortDescription"]["text"] for rule in rules)
    assert len(run["results"]) == len(findings) == 3
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"none", "note", "warning", "error"}
        assert result["message"]["text"]
        location = result["locations"][0]
        artifact = location["physicalLocation"]["artifactLocation"]
        assert artifact == {"uri": "a%20b/%C3%BC.cpi", "index": 0}
        assert location["logicalLocations"][0]["name"].startswith("com.cordbox")
    assert re.fullmatch("[0-9a-f]{64}", run["artifacts"][0]["hashes"]["sha-256"])


def test_equal_packages_do_not_differ(hostile):
    assert diff(hostile, replace(hostile, file="elsewhere.cpi")) == ()


def test_diff_tells_what_widens(audit, component_cpk):
    old = audit(component_cpk(facts={"limits": {"fuelMax": 1000}}))
    new = audit(
        component_cpk(
            version="1.0.1",
            facts={"limits": {"fuelMax": 2000, "wallMsMax": 5}},
            declarations="(func (drop (i8x16.splat (i32.const 0))))",
        )
    )
    changes = {change.path: change for change in diff(old, new)}
    fuel = changes["components[com.example.wat].limits[fuelMax].effective"]
    assert (fuel.old, fuel.new, fuel.widens) == (1000, 2000, True)
    wall = changes["components[com.example.wat].limits[wallMsMax].effective"]
    assert (wall.old, wall.new, wall.widens) == (10_000, 5, False)
    assert changes["components[com.example.wat].body.features[simd]"].widens
    assert not changes["components[com.example.wat].version"].widens
    assert not changes["components[com.example.wat].codeDigest"].widens


def test_diff_tells_of_doors_that_open(audit, sample):
    cpi = sample("hostile").cpi
    closed, opened = audit(cpi, allowed=frozenset({"ledger"})), audit(cpi)
    changes = diff(closed, opened)
    door = next(c for c in changes if c.path.endswith("imports[sessions.send].door"))
    assert (door.old, door.new, door.widens) == ("refused", "open", True)
    assert any("leaves[Session messages" in change.path and change.widens for change in changes)
    assert not any(change.widens for change in diff(opened, closed))
    assert diff_document(closed, opened, changes)["widens"] is True
    assert "! components[com.cordbox.samples.hostile.workflows].imports[sessions.send].door" in (
        diff_text(closed, opened, changes)
    )
