"""The JSON Schemas of this room, and validators over them."""

import json
from functools import cache
from importlib import resources
from typing import Any

from cpi.crypto.pem_text import is_pem_certificate


@cache
def validator(name: str) -> Any:
    """The validator of `<name>.schema.json` in this folder."""
    # Loading the library takes longer than most verifications.
    from jsonschema import Draft201909Validator  # noqa: PLC0415

    text = resources.files(__package__).joinpath(f"{name}.schema.json").read_text(encoding="utf-8")
    return Draft201909Validator(json.loads(text), format_checker=_formats())


@cache
def _formats() -> Any:
    from jsonschema import FormatChecker  # noqa: PLC0415

    formats = FormatChecker(formats=())
    formats.checks("certificate-pem")(_certificate_pem)
    return formats


def _certificate_pem(value: object) -> bool:
    return not isinstance(value, str) or is_pem_certificate(value)
