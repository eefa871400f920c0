"""The JSON Schema of audit policies."""

import json
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator

from host.guests.limits import LIMITS
from sandbox.host_api import CAPABILITIES


@cache
def policy_schema() -> Any:
    """`audit_policy.schema.json` with the names of all capabilities and of all limits of a run."""
    file = resources.files(__package__).joinpath("audit_policy.schema.json")
    schema = json.loads(file.read_text(encoding="utf-8"))
    properties = schema["properties"]
    properties["capabilities"]["items"] = {"enum": list(CAPABILITIES)}
    properties["limits"]["properties"] = {name: {"$ref": "#/$defs/bound"} for name in LIMITS}
    return schema


@cache
def policy_validator() -> Any:
    """The validator of `policy_schema`."""
    return Draft202012Validator(policy_schema())
