"""Components from sources in other languages, built by toolchains from plugins."""

from collections.abc import Callable
from pathlib import Path

import pluggy

from host.domain.errors import InvalidInputError
from host.domain.packages import CodeWorld

ComponentBuilder = Callable[[str, CodeWorld, Path], bytes]
"""Turns a language, a world and a folder of sources into a component."""


class ToolchainMissingError(InvalidInputError):
    """No plugin supports the language, or a tool that it needs is not installed."""

    code = "toolchain-missing"


class ToolchainFailedError(InvalidInputError):
    """A language's tool refuses the sources; the message ends with what the tool wrote."""

    code = "toolchain-failed"


def component_builder(plugins: pluggy.PluginManager) -> ComponentBuilder:
    """A builder that tries the plugins in order; the first one with the language is used."""

    def build(language: str, world: CodeWorld, source: Path) -> bytes:
        made: bytes | None = plugins.hook.build_component(
            language=language, world=world, source=source
        )
        if made is None:
            known = [n for _, p in plugins.list_name_plugin() for n in getattr(p, "LANGUAGES", ())]
            raise ToolchainMissingError(
                f"language {language!r}: no plugin builds it, expected {', '.join(sorted(known))}"
            )
        return made

    return build


def no_toolchains(language: str, _world: CodeWorld, _source: Path) -> bytes:
    """A builder without any language.

    Raises:
        ToolchainMissingError: always.
    """
    raise ToolchainMissingError(f"language {language!r}: no toolchains are loaded here")
