"""Values of sections that are secrets: sealed where they are stored, never shown. Pure.

Their JSON form is Corda's: `{"configSecret": {"encryptedSecret": "<base64>"}}`. Who reads a section
sees `{"configSecret": {}}`, and who sends that back leaves the stored secret as it is.
"""

import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from host.domain.errors import InvalidInputError
from host.domain.json import JsonObject, JsonValue

CONFIG_SECRET = "configSecret"  # noqa: S105  # a name
ENCRYPTED_SECRET = "encryptedSecret"  # noqa: S105  # a name
SHOWN: Mapping[str, Any] = {CONFIG_SECRET: {}}
"""What stands for a secret wherever a section is shown."""
EXPECTED = (
    f'a secret, {{"{CONFIG_SECRET}": {{"{ENCRYPTED_SECRET}": "…"}}}}, which'
    " `cordbox secret-config create` prints"
)
SEALED_CHARACTERS_MAX = 8192
_VAULT_PATH = "vaultPath"


class ConfigSecretPlainError(InvalidInputError):
    """A key of a section that is a secret was given readably, or in another form than sealed."""

    code = "config-secret-plain"


class ConfigSecretMisplacedError(InvalidInputError):
    """A secret was given for a key of a section that is none, and would be shown."""

    code = "config-secret-misplaced"


class ConfigSecretMissingError(InvalidInputError):
    """A change leaves a secret as it is stored, but none is stored."""

    code = "config-secret-missing"


class SecretTypeError(InvalidInputError):
    """A secret is of the type VAULT: this platform reads none from HashiCorp Vault."""

    code = "secret-type-unsupported"


class Encrypted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Base64 of nonce, ciphertext and tag (`host.settings.secret_box`)."""

    encrypted_secret: Annotated[str, Meta(min_length=1, max_length=SEALED_CHARACTERS_MAX)]

    def __repr__(self) -> str:
        return "Encrypted(…)"


class ConfigSecret(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A sealed secret. `LiveConfig.opened` gives its text, where it is used."""

    config_secret: Encrypted


def is_secret(hint: object) -> bool:
    """Whether values of a type are secrets."""
    if hint is ConfigSecret:
        return True
    return any(is_secret(each) for each in typing.get_args(hint))


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a key that is a secret, or has none."""
    text = {"type": "string", "minLength": 1, "maxLength": SEALED_CHARACTERS_MAX}
    inner = {
        "type": "object",
        "properties": {ENCRYPTED_SECRET: text},
        "additionalProperties": False,
    }
    return {
        "type": ["object", "null"],
        "properties": {CONFIG_SECRET: inner},
        "required": [CONFIG_SECRET],
        "additionalProperties": False,
    }


def shown_value(hint: object, value: Any) -> Any:
    """The JSON value of a key as everybody may see it."""
    return dict(SHOWN) if is_secret(hint) and value is not None else value


def shown_config(config: JsonObject) -> JsonObject:
    """A section's nested values as everybody may see them."""
    return {name: _shown(value) for name, value in config.items()}


def _shown(value: JsonValue) -> JsonValue:
    if not isinstance(value, Mapping):
        return value
    return dict(SHOWN) if CONFIG_SECRET in value else shown_config(value)


def with_stored(config: JsonObject, stored: JsonObject) -> JsonObject:
    """`config` with the secrets of `stored` in the places where it leaves them as they are.

    Raises:
        ConfigSecretMissingError: none is stored there; names the key.
    """
    return {name: _kept(value, stored.get(name), name) for name, value in config.items()}


def _kept(value: JsonValue, stored: JsonValue, name: str) -> JsonValue:
    if not isinstance(value, Mapping):
        return value
    before = stored if isinstance(stored, Mapping) else {}
    if dict(value) == SHOWN:
        if CONFIG_SECRET not in before:
            raise ConfigSecretMissingError(f"{name}: no secret is stored that could be kept")
        return before
    return {word: _kept(v, before.get(word), f"{name}.{word}") for word, v in value.items()}


def check_places(section: str, hints: Mapping[str, object], config: JsonObject) -> None:
    """Check that secrets are given for the keys that are secrets, and for no others.

    Args:
        section: its name.
        hints: types by the names of its keys.
        config: its nested values.

    Raises:
        ConfigSecretPlainError: a secret is not sealed; names the key, not the value.
        ConfigSecretMisplacedError: a key is no secret; names it.
        SecretTypeError: a secret is to be read from HashiCorp Vault.
    """
    for name, value in _leaves(config, hints, ""):
        inner = value.get(CONFIG_SECRET) if isinstance(value, Mapping) else None
        if isinstance(inner, Mapping) and _VAULT_PATH in inner:
            raise SecretTypeError(
                f"{section}.{name}: secrets of type VAULT are not supported, only type CORDA"
            )
        if name in hints and is_secret(hints[name]):
            if value is not None and not _is_sealed(value):
                raise ConfigSecretPlainError(f"{section}.{name}: expected {EXPECTED}")
        elif isinstance(value, Mapping) and CONFIG_SECRET in value:
            raise ConfigSecretMisplacedError(
                f"{section}.{name} is no secret: everybody who may read the section would see it"
            )


def _is_sealed(value: JsonValue) -> bool:
    try:
        msgspec.convert(value, ConfigSecret)
    except msgspec.ValidationError:
        return False
    return True


def _leaves(
    config: JsonObject, hints: Mapping[str, object], above: str
) -> Iterator[tuple[str, JsonValue]]:
    for word, value in config.items():
        name = f"{above}{word}"
        if name in hints or not isinstance(value, Mapping) or CONFIG_SECRET in value:
            yield name, value
        else:
            yield from _leaves(value, hints, f"{name}.")
