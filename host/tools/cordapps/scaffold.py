"""A new CorDapp project: a project file, one flow and its test, ready to build and to run."""

import re
from pathlib import Path

from host.domain.errors import ConflictError, InvalidInputError, StorageError
from host.tools.cordapps.project import PROJECT_FILE

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_NAME_LENGTH_MAX = 64

_PROJECT = """\
[cordapp]
name = "{name}"
version = "1.0.0"
vendor = "{vendor}"
licence = "Apache-2.0"

[workflow]
name = "com.example.{package}.workflows"
source = "workflows"
modules = ["{package}_flows"]
version = 1
capabilities = []
"""

_FLOWS = '''\
"""Flows of {name}."""

from dataclasses import dataclass

from cordapp.flows import ClientStartableFlow


@dataclass(frozen=True)
class GreetingRequest:
    name: str


@dataclass(frozen=True)
class Greeting:
    text: str


class Greet(ClientStartableFlow[GreetingRequest, Greeting]):
    """Greets `name` in the name of the virtual node that runs the flow."""

    def call(self, request_body: GreetingRequest) -> Greeting:
        me = self.flow_engine.virtual_node_name
        return Greeting(f"Hello {{request_body.name}}, this is {{me}}")
'''


_TEST = '''\
"""Each test runs twice: as plain Python, and in the sandbox that the host uses."""

from {package}_flows import Greet

from cordapp_testkit import Network

ALICE = "O=Alice, L=London, C=GB"


def test_greets_in_the_name_of_the_node(cordapp_network: Network) -> None:
    alice = cordapp_network.node(ALICE)
    assert alice.start(Greet, {{"name": "Bob"}}) == {{"text": f"Hello Bob, this is {{ALICE}}"}}
'''

_PYTEST = """\
[pytest]
addopts = -p cordapp_testkit.pytest_plugin
"""

_PYRIGHT = """\
{{
  "typeCheckingMode": "strict",
  "extraPaths": ["contracts", "workflows"],
  "exclude": ["build", ".cordbox-dev"]
}}
"""

_README = """\
# {name}

Tests need pytest: install Cordbox with the extra `test`, such as `pip install 'cordbox[test]'`.
mypy is a package of its own.

```
python -m pytest
mypy --strict .
cordbox keystore create --file signing.p12 --storepass PASSWORD --alias me \\
    --dname "CN=Me, O=Example, L=London, C=GB"
cordbox cordapp build . --keystore signing.p12 --storepass PASSWORD --key me
cordbox cordapp rebuild . --check build/{name}-1.0.0.cpb
```

`cordapp.toml` says what the CorDapp is made of, `workflows` holds its flows. `pytest.ini` loads the
test kit, and `pyrightconfig.json` tells pyright and editors that use it where modules are.
"""


class ProjectExistsError(ConflictError):
    """The folder of a new project exists already."""

    code = "cordapp-project-exists"


def new_project(parent: Path, name: str, *, vendor: str) -> tuple[Path, ...]:
    """Create the folder `name` with a project that builds; returns the created files.

    Raises:
        InvalidInputError: `name` has other characters than lower-case letters, digits and single
            hyphens.
        ProjectExistsError: the folder exists.
        StorageError: it cannot be made.
    """
    if len(name) > _NAME_LENGTH_MAX or not _NAME.fullmatch(name):
        raise InvalidInputError(
            f"{name!r} is no project name: expected lower-case letters, digits and hyphens, "
            f"at most {_NAME_LENGTH_MAX}"
        )
    folder, package = parent / name, name.replace("-", "_")
    contents = {
        folder / PROJECT_FILE: _PROJECT,
        folder / "workflows" / f"{package}_flows.py": _FLOWS,
        folder / f"test_{package}_flows.py": _TEST,
        folder / "pytest.ini": _PYTEST,
        folder / "pyrightconfig.json": _PYRIGHT,
        folder / "README.md": _README,
    }
    safe_vendor = "".join(c for c in vendor if c.isprintable() and c not in '"\\') or "Unknown"
    try:
        folder.mkdir(parents=True)
        (folder / "workflows").mkdir()
        for path, template in contents.items():
            text = template.format(name=name, package=package, vendor=safe_vendor)
            path.write_text(text, encoding="utf-8", newline="\n")
    except FileExistsError as refused:
        raise ProjectExistsError(f"{folder} exists already") from refused
    except OSError as refused:
        raise StorageError(f"{folder} cannot be made: {refused.strerror}") from refused
    return tuple(contents)
