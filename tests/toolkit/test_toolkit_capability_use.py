from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from cordapp import services
from cordapp.flows import Flow
from host.cli import main
from host.domain.packages import CodeWorld
from host.tools.cordapps.capability_use import CAPABILITY_OF, undeclared_uses
from host.tools.cordapps.project import CAPABILITIES, CpkPlan

FLOWS = """\
from cordapp.flows import ClientStartableFlow, ResponderFlow


class Pay(ClientStartableFlow):
    def call(self, request):
        self.ledger_service.query("x")
        self.ledger_service.query("y")
        return self.member_lookup.my_info()


class Answer(ResponderFlow):
    def call(self, session):
        self.log.info("fine")
"""


def warnings(*capabilities: str, world: CodeWorld = CodeWorld.WORKFLOW) -> list[str]:
    plan = CpkPlan(
        world=world,
        symbolic_name="x",
        version=1,
        source=Path(),
        modules=("flows",),
        component=None,
        capabilities=capabilities,
    )
    sources = {"flows.py": FLOWS, "cordapp/services.py": "x.signing_service"}
    return list(undeclared_uses(plan, sources))


def test_each_capability_is_told_once_with_its_first_use() -> None:
    assert warnings("membership") == [
        "flows.py:6: ledger_service needs the capability 'ledger', "
        "which workflow.capabilities does not name",
        "flows.py:11: responder flow Answer needs the capability 'sessions', "
        "which workflow.capabilities does not name",
    ]


def test_declared_capabilities_are_fine_and_contracts_have_none() -> None:
    assert warnings("ledger", "membership", "sessions") == []
    assert warnings(world=CodeWorld.CONTRACT) == []


def test_the_table_knows_every_service_of_the_sdk() -> None:
    granted_always = {"flow_engine", "clock", "random", "log", "signature_spec_service"}
    found = {
        name
        for name, hint in get_type_hints(Flow).items()
        if isinstance(hint, type) and issubclass(hint, services.Service)
    }
    assert found == CAPABILITY_OF.keys() | granted_always
    assert set(CAPABILITY_OF.values()) == set(CAPABILITIES) - {"flow", "log"}


@pytest.mark.slow
def test_a_build_warns(
    iou_project: Path,
    build: Callable[..., Any],
    keystore: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    toml = iou_project / "cordapp.toml"
    toml.write_text(toml.read_text().replace('"ledger", ', ""))
    (warning,) = build(iou_project).warnings
    assert "needs the capability 'ledger'" in warning
    words = ["cordapp", "build", str(iou_project), "--keystore", str(keystore.path)]
    with pytest.raises(SystemExit) as left:
        main([*words, "--storepass", keystore.password])
    assert left.value.code == 0
    assert f"warning: {warning}" in capsys.readouterr().err.splitlines()
