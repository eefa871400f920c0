"""The rules and the dashboard for Prometheus and Grafana ask for metrics that a host exports."""

import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from host.observe.judgement import judge
from host.observe.judgement.findings import FINDINGS

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))
operations = importlib.import_module("operations_reference")
FOLDER = ROOT / "deploy" / "monitoring"
PROMETHEUS_OWN = {"up"}
FUNCTIONS = {
    "histogram_quantile",
    "rate",
    "increase",
    "deriv",
    "sum",
    "max",
    "min",
    "count",
    "topk",
    "by",
    "and",
}
PROMTOOL = shutil.which("promtool")


def rules() -> list[dict[str, Any]]:
    loaded = yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def queries() -> list[tuple[str, str]]:
    """Whose query, and the query."""
    board = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))
    panels = [
        (panel["title"], target["expr"])
        for panel in board["panels"]
        for target in panel.get("targets", ())
    ]
    return panels + [(rule["alert"], rule["expr"]) for rule in rules()]


def asked(query: str) -> tuple[set[str], set[str]]:
    """The metrics of a query, and the labels by which it selects and sums."""
    labels = {
        name
        for inside in re.findall(r"\{([^}]*)\}", query)
        for name in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inside)
    }
    labels |= {
        word
        for inside in re.findall(r"by \(([^)]*)\)", query)
        for word in re.findall(r"\w+", inside)
    }
    bare = re.sub(r"\{[^}]*\}|by \([^)]*\)|\[[^\]]*\]|\"[^\"]*\"", " ", query)
    names = set(re.findall(r"\b[a-z_][a-z_0-9]*[a-z]\b", bare)) - FUNCTIONS
    return names, labels


def test_each_query_names_metrics_and_labels_that_a_host_exports() -> None:
    exported = {name: facts for facts in operations.metrics() for name in facts.exported}
    for whose, query in queries():
        names, labels = asked(query)
        assert names, whose
        assert names <= set(exported) | PROMETHEUS_OWN, whose
        known = {label for name in names & set(exported) for label in exported[name].labels}
        assert labels <= known | {"instance", "job", "worker", "le"}, whose


def test_each_rule_tells_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["description"].endswith(".")


def test_rules_and_findings_agree() -> None:
    """A rule with the label `finding` fires where the console and `GET /attention` tell of it."""
    of_finding: dict[str, list[str]] = {}
    for rule in rules():
        if "finding" in rule["labels"]:
            of_finding.setdefault(rule["labels"]["finding"], []).append(rule["expr"])
    assert set(of_finding) <= set(FINDINGS)
    bounds = {
        finding: [re.split(r" (?:>=|<|>) ", expression)[-1] for expression in expressions]
        for finding, expressions in of_finding.items()
    }
    assert bounds == {
        "queue-waits": [str(judge.LAG_MS // 1000), str(judge.LAG_CRITICAL_MS // 1000)],
        "records-set-aside": [str(judge.ASIDE_MS // 1000)],
        "dead-letters": ["0"],
        "disk-low": [str(judge.DISK_FREE_MIN), str(judge.DISK_FREE_CRITICAL)],
        "certificate-expires": ["30 * 86400"],
        "network-certificate-expires": ["30 * 86400"],
    }


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed here")
def test_prometheus_takes_the_rules_and_fires_them(tmp_path: Path) -> None:
    alerts = FOLDER / "alerts.yaml"
    cases = {
        "rule_files": [str(alerts)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {
                        "series": 'cordbox_flow_events_total{instance="a",'
                        'event="record-dead-lettered",worker="flow-0"}',
                        "values": "0 0 1 1 1",
                    },
                    {"series": 'cordbox_disk_free_bytes{instance="a"}', "values": "5x20"},
                    {"series": 'cordbox_disk_size_bytes{instance="a"}', "values": "100x20"},
                    {"series": 'up{instance="a",job="cordbox"}', "values": "1x20"},
                    {
                        "series": 'cordbox_relay_blocked_partitions{instance="a"}',
                        "values": "1x20",
                    },
                    {
                        "series": 'cordbox_relay_unsent_records{instance="a",topic="ext"}',
                        "values": "9000+1000x60",
                    },
                    {
                        "series": 'cordbox_carriage_blocked_partitions{instance="a"}',
                        "values": "0 0 3 3 3 3 0x20",
                    },
                    {
                        "series": 'cordbox_carriage_oldest_seconds{instance="a"}',
                        "values": "0 0 20 80 140 200 260x4 0x20",
                    },
                ],
                "alert_rule_test": [
                    _fires("CordboxDeadLetters", "1m", {}),
                    _fires("CordboxDeadLetters", "4m", {"instance": "a"}),
                    _fires("CordboxDiskLow", "10m", {"instance": "a"}),
                    _fires("CordboxDiskFull", "10m", {}),
                    _fires("CordboxHostDown", "10m", {}),
                    _fires("CordboxRelayWaits", "4m", {}),
                    _fires("CordboxRelayWaits", "10m", {"instance": "a"}, value="1"),
                    _fires("CordboxRelayBehind", "10m", {}),
                    _fires("CordboxRelayBehind", "40m", {"instance": "a"}),
                    _fires("CordboxCarriageAway", "2m", {}),
                    _fires("CordboxCarriageAway", "4m", {"instance": "a"}, value="3"),
                    _fires("CordboxCarriageAway", "7m", {}),
                    _fires("CordboxCarriageBehind", "4m", {}),
                    _fires("CordboxCarriageBehind", "7m", {"instance": "a"}, value="260"),
                    _fires("CordboxCarriageBehind", "15m", {}),
                ],
            }
        ],
    }
    file = tmp_path / "cases.yaml"
    file.write_text(yaml.safe_dump(cases))
    for words in (("check", "rules", str(alerts)), ("test", "rules", str(file))):
        run = subprocess.run([str(PROMTOOL), *words], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr


def _fires(name: str, at: str, labels: dict[str, str], *, value: str = "") -> dict[str, object]:
    rule = next(rule for rule in rules() if rule["alert"] == name)
    texts = {
        key: text.replace("{{ $labels.instance }}", labels.get("instance", "")).replace(
            "{{ $value }}", value
        )
        for key, text in rule["annotations"].items()
    }
    told = {**rule["labels"], **labels}
    expected = [{"exp_labels": told, "exp_annotations": texts}] if labels else []
    return {"eval_time": at, "alertname": name, "exp_alerts": expected}
