"""The Configuration resource: sections of settings, read and changed while hosts run."""

import json
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Body

from host.domain.json import JsonObject, JsonValue
from host.rest.json_body import JsonInvalidError, parse_json
from host.rest.operation import resource
from host.rest.parameters import Number
from host.rest.services import Caller, Services
from host.rest.wire import wire
from host.settings.changes import ConfigInvalidError
from host.settings.secret import shown_config
from host.settings.section import SchemaVersion

router = resource("Configuration")


@wire
class ConfigSchemaVersion:
    major: int
    minor: int


@wire
class GetConfigResponse:
    """Both configurations are JSON texts: the stored values, and every key with its value."""

    section: str
    source_config: str
    config_with_defaults: str
    schema_version: ConfigSchemaVersion
    version: int


@wire
class UpdateConfigParameters:
    """New values of a section.

    `config` is an object, or a text of one; keys that it leaves out get their defaults. `version`
    is that of the section that the change is based on.
    """

    section: str
    version: Number
    config: Any
    schema_version: ConfigSchemaVersion


@wire
class UpdateConfigResponse:
    section: str
    config: str
    schema_version: ConfigSchemaVersion
    version: int


@router.get("/config/{section}")
def get_config(section: str, services: Services) -> GetConfigResponse:
    """Give a section of settings: what is stored, and what is in force with pins and defaults.

    A secret is shown as `{"configSecret": {}}`.
    """
    view = services.config.get(section)
    return GetConfigResponse(
        section=view.section.name,
        source_config=json.dumps(view.source_config),
        config_with_defaults=json.dumps(view.config_with_defaults),
        schema_version=_version(view.section.version),
        version=view.version,
    )


@router.put("/config", status_code=HTTPStatus.ACCEPTED)
def put_config(
    request: Annotated[UpdateConfigParameters, Body(alias="request")],
    services: Services,
    caller: Caller,
) -> UpdateConfigResponse:
    """Replace the stored values of a section; all processes have them within a second.

    Keys that take effect at the next start are marked in the section's schema. A key that a host's
    own settings give is refused with `config-key-pinned`. A secret is given as
    `{"configSecret": {"encryptedSecret": "…"}}`; `{"configSecret": {}}` keeps the stored one.
    """
    config = _object(request.config)
    wanted = request.schema_version
    changed = services.config.put(
        request.section,
        version=request.version,
        config=config,
        schema_version=SchemaVersion(major=wanted.major, minor=wanted.minor),
        by=caller.login_name,
    )
    return UpdateConfigResponse(
        section=request.section,
        config=json.dumps(shown_config(config)),
        schema_version=wanted,
        version=changed.version,
    )


def _object(config: JsonValue) -> JsonObject:
    try:
        found = parse_json(config) if isinstance(config, str) else config
    except JsonInvalidError as error:
        raise ConfigInvalidError(f"config is no JSON: {error.message}") from error
    if not isinstance(found, dict):
        raise ConfigInvalidError("config has no keys: expected an object of keys")
    return found


def _version(version: SchemaVersion) -> ConfigSchemaVersion:
    return ConfigSchemaVersion(major=version.major, minor=version.minor)
