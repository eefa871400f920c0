import re
from pathlib import Path

import pytest

from host.tools.audit.policy import RULES, parse_policy
from host.tools.audit.schemas import policy_schema
from sandbox.host_api import CAPABILITIES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def schema():
    return policy_schema()


def test_reference_explains_every_member_and_code(schema):
    text = (DOCS / "reference" / "audit-policy.md").read_text(encoding="utf-8")
    members = schema["properties"].keys() - {"$schema"}
    assert members == set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert all(f"| `{code}` | {meaning} |" in text for code, meaning in RULES.items())
    assert all(f"`{name}`" in text for name in CAPABILITIES)
    limits = schema["properties"]["limits"]["properties"]
    assert all(f"`{name}`" in text for name in limits)


def test_policy_of_the_guide_is_valid():
    text = (DOCS / "how-to" / "audit-a-package.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert parse_policy(example.encode()).name == "Production"
