"""The consensual ledger on a real host: a second network beside the IOUs of the first."""

import json
import shutil

import pytest

from host.tools.cordapps.toolchains import no_toolchains
from host.tools.dev.folder import DevFolder
from host.tools.dev.loop import DevLoop
from tests.flow_tools.conftest import SAMPLE

pytestmark = pytest.mark.slow
CAROL, DAVE, EVE = (f"O={name}, L=London, C=GB" for name in ("Carol", "Dave", "Eve"))
FLOWS = "consensual_demo_flows"


@pytest.fixture(scope="module")
def loop(network, sandbox, tmp_path_factory):
    """Three nodes of the sample, on the host of the other tests, signed by the same key."""
    root = tmp_path_factory.mktemp("consensual")
    for name in ("signing.p12", "signing-password"):
        shutil.copy(network.folder.root / name, root)
    project = SAMPLE.parent / "consensual_demo"
    told = []
    with network.host.client() as client:
        loop = DevLoop(
            project=project,
            folder=DevFolder(root, (CAROL, DAVE, EVE)),
            client=client,
            sandbox=sandbox,
            build_component=no_toolchains,
            tell=told.append,
            progress=lambda _step: None,
        )
        assert loop.reload(), told
        yield loop


@pytest.fixture
def run(loop, flow):
    """Runs a flow of the sample; its outcome."""
    return lambda name, which, body: flow(
        "start", name, f"{FLOWS}.{which}", json.dumps(body), "--wait"
    )


def test_three_nodes_agree_on_a_text(run, network, cordbox, tmp_path, loop):
    made = run(
        CAROL, "ConsensualDemoFlow", {"input": "minutes", "members": [DAVE, EVE]}
    ).out.strip()
    assert made.startswith("SHA-256D:")
    for name in (CAROL, DAVE, EVE):
        found = run(name, "FindTransactionFlow", {"transactionId": made}).json["transaction"]
        assert found["states"][0]["testField"] == "minutes"
        assert len(found["participants"]) == 3
    shown = cordbox("ledger", "show", CAROL, made, "--output", "json", *network.words()).json
    assert (shown["status"], sorted(shown["parties"])) == ("V", [DAVE, EVE])
    assert [each["differs"] for each in shown["verifications"]] == [False] * 3
    assert len({each["outcome"] for each in shown["verifications"]}) == 1
    exported = cordbox("ledger", "export", DAVE, made, *network.words()).out
    (tmp_path / "minutes.json").write_text(exported)
    certificate = tmp_path / "signer.pem"
    certificate.write_bytes(loop._folder.certificate)
    words = (loop._folder.cpi, tmp_path / "minutes.json", "--certificate", certificate)
    verified = cordbox("contract", "verify", *map(str, words))
    assert (verified.code, verified.out) == (0, f"{tmp_path / 'minutes.json'}: accepted\n")


def test_what_a_state_or_a_member_refuses_is_recorded_nowhere(run):
    refused = run(CAROL, "ConsensualDemoFlow", {"input": "fail", "members": [DAVE]}).out.strip()
    assert refused.startswith("Finality failed, Transaction validation failed")
    transaction_id = refused.split()[7]
    for name in (CAROL, DAVE):
        found = run(name, "FindTransactionFlow", {"transactionId": transaction_id}).json
        assert found["transaction"] is None
    invalid = run(CAROL, "ConsensualDemoFlow", {"input": "invalid", "members": [DAVE]})
    assert invalid.code == 1
    assert "State verification failed" in invalid.out + invalid.err
