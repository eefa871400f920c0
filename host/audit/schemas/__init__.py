"""The JSON Schema of audit policies."""

import json
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator


@cache
def policy_validator() -> Any:
    """The validator of `audit_policy.schema.json`."""
    file = resources.files(__package__).joinpath("audit_policy.schema.json")
    return Draft202012Validator(json.loads(file.read_text(encoding="utf-8")))
