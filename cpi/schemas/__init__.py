"""The JSON Schemas of this room, and validators over them."""

import json
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft201909Validator, FormatChecker

from cpi.pem_text import is_pem_certificate

_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("certificate-pem")
def _certificate_pem(value: object) -> bool:
    return not isinstance(value, str) or is_pem_certificate(value)


@cache
def validator(name: str) -> Any:
    """The validator of `<name>.schema.json` in this folder."""
    text = resources.files(__package__).joinpath(f"{name}.schema.json").read_text(encoding="utf-8")
    return Draft201909Validator(json.loads(text), format_checker=_FORMATS)
