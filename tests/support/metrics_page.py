"""Compares what a process exports with the reference of metrics."""

import importlib
import re
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))
operations = importlib.import_module("operations_reference")


def compared_with_page(text: str) -> tuple[set[str], list[str]]:
    """Names of metrics in an answer of `/metrics`, and where they differ from the reference.

    A sample may have the labels `worker` and, of histograms, `le` besides those of the reference.
    """
    known = {facts.name: facts for facts in operations.metrics()}
    seen: set[str] = set()
    wrong: list[str] = []
    for family in text_string_to_metric_families(text):
        if family.name.startswith(("python_", "process_")):
            continue
        name = re.sub(r"_created$", "", family.name)
        facts = known.get(name)
        if facts is None:
            wrong.append(f"{family.name} is in no row of metrics.md")
            continue
        seen.add(name)
        for sample in family.samples:
            if sample.name.endswith("_created"):
                continue
            if sample.name not in facts.exported:
                wrong.append(f"{sample.name} is no exported name of {name}")
            if set(sample.labels) - {"le", "worker"} != set(facts.labels) - {"worker"}:
                wrong.append(f"{sample.name} has the labels {sorted(sample.labels)}")
    return seen, wrong
