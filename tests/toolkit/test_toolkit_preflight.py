"""`cordbox package preflight`: the upload's rules, on what a cluster tells of itself."""

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cpi.archive.sources import BytesSource
from cpi.package.group_policy import parse_group_policy
from cpi.package.verify import read_package
from host.cli import main
from host.domain.errors import ForbiddenError, UnavailableError
from host.tools.client.cluster_facts import (
    ClusterAnswerError,
    ClusterFacts,
    ClusterSnapshotError,
    StoredCpi,
    dump_facts,
    load_facts,
)
from host.tools.client.cluster_query import ask_cluster
from host.tools.packages.preflight import Verdict, judge
from tests.cpi import support
from tests.toolkit.test_toolkit_diff import DIGEST, bundle, cpk

CPI = bundle(cpk(), support.policy())
GROUP = parse_group_policy(support.policy()).group_id


def pem(certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def facts(**changes) -> ClusterFacts:
    known = ClusterFacts(
        cluster="https://localhost:8888",
        platform_version=50200,
        cpis=(),
        code_signers={"root": pem(support.root().certificate)},
        upload_bytes_max=1_000_000,
        runtimes=(DIGEST,),
        capabilities=("ledger", "flow"),
    )
    return msgspec.structs.replace(known, **changes)


def stored(**changes) -> StoredCpi:
    package = read_package(CPI)
    values = {
        "name": package.id.name,
        "version": package.id.version,
        "signer_summary_hash": package.id.signer_summary_hash,
        "file_checksum": "AB" * 32,
        "group_id": GROUP,
        **changes,
    }
    return StoredCpi(**values)


def verdicts(known: ClusterFacts, data: bytes = CPI, *, force: bool = False) -> dict[str, Verdict]:
    return {f.check: f.verdict for f in judge(BytesSource(data), known, force=force).findings}


def test_nothing_speaks_against_a_fitting_package() -> None:
    found = verdicts(facts())
    assert {check for check, verdict in found.items() if verdict is Verdict.OK} == {
        "upload-size", "signers", "identity", "platform-version", "runtime", "capabilities",
    }  # fmt: skip
    assert found.pop("code") is Verdict.UNKNOWN
    assert found.pop("certificate-chain-in-identity") is Verdict.WARNING
    assert not judge(BytesSource(CPI), facts()).refused


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"upload_bytes_max": 10}, "upload-size"),
        ({"code_signers": {}}, "no-trust"),
        ({"code_signers": {"a": pem(support.self_signed("ec256").anchor)}}, "signer-not-trusted"),
        ({"cpis": (stored(),)}, "cpi-exists"),
        ({"platform_version": 40000}, "platform-version"),
        ({"runtimes": ()}, "runtime"),
    ],
)
def test_each_reason_against_it(change: dict, check: str) -> None:
    report = judge(BytesSource(CPI), facts(**change))
    assert [f.check for f in report.findings if f.verdict is Verdict.REFUSED] == [check]
    assert report.refused


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"upload_bytes_max": None}, "upload-size"),
        ({"code_signers": None}, "signers"),
        ({"cpis": None}, "identity"),
        ({"platform_version": None}, "platform-version"),
        ({"runtimes": None}, "runtime"),
        ({"capabilities": None}, "capabilities"),
    ],
)
def test_what_is_not_told_is_unknown(change: dict, check: str) -> None:
    assert verdicts(facts(**change))[check] is Verdict.UNKNOWN


def test_capabilities_that_are_not_granted_are_a_warning() -> None:
    assert verdicts(facts(capabilities=("flow",)))["capabilities"] is Verdict.WARNING


def test_a_broken_package_or_another_type_is_refused() -> None:
    assert verdicts(facts(), CPI[:-30])["archive-layout"] is Verdict.REFUSED
    assert Verdict.REFUSED in verdicts(facts(), cpk()).values()
    plain = support.cpi(bundle=support.cpb(cpks={"a.jar": support.cpk()}))
    assert verdicts(facts(), plain)["cpk-descriptor-missing"] is Verdict.REFUSED


def test_other_versions_signers_and_the_same_file() -> None:
    others = (stored(version="9"), stored(name="other"), stored(signer_summary_hash=DIGEST))
    assert verdicts(facts(cpis=others))["identity"] is Verdict.OK
    (told,) = [
        f for f in judge(BytesSource(CPI), facts(cpis=others)).findings if f.check == "identity"
    ]
    assert told.message.endswith("it has 1 other versions of it, the newest is 9, newer")
    same = stored(file_checksum=read_package(CPI).file_checksum.partition(":")[2])
    (finding,) = [
        f for f in judge(BytesSource(CPI), facts(cpis=(same,))).findings if f.check == "cpi-exists"
    ]
    assert finding.message.endswith("already exists, as the very same file")


def test_forced_uploads() -> None:
    def outcome(*cpis: StoredCpi) -> Verdict:
        return verdicts(facts(cpis=cpis), force=True)["force-upload"]

    assert outcome(stored()) is Verdict.OK
    assert outcome() is Verdict.REFUSED
    assert outcome(stored(version="9")) is Verdict.REFUSED
    assert outcome(stored(group_id="other")) is Verdict.REFUSED
    assert outcome(stored(group_id=None)) is Verdict.UNKNOWN


def test_snapshots_come_back_and_wrong_ones_are_refused() -> None:
    known = facts(cpis=(stored(), stored(group_id=None)), runtimes=None)
    assert load_facts(dump_facts(known), source="x") == known
    for text in (b"", b"[]", b'{"cluster": 1}', b'{"cluster":"x","other":1}', b"\xff",
                 b'{"cluster":"x","snapshotVersion":2}', b'{"cluster":"x","cpis":[{}]}'):  # fmt: skip
        with pytest.raises(ClusterSnapshotError, match=r"^file\.json: "):
            load_facts(text, source="file.json")
    with pytest.raises(ClusterSnapshotError, match="code signer a"):
        judge(BytesSource(CPI), facts(code_signers={"a": "no certificate"}))


@contextmanager
def server(answers: dict[str, object]) -> Iterator[str]:
    """A host's REST interface as far as it is asked, for the user admin with password pw."""
    expected = "Basic " + base64.b64encode(b"admin:pw").decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/api/v5_2/")
            status = 200 if path in answers else 404
            if self.headers["Authorization"] != expected:
                status = 401
            answer = answers.get(path, "")
            body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()


def answers() -> dict[str, object]:
    have = stored()
    return {
        "cpi/getprotocolversion": 50200,
        "cpi": {
            "cpis": [
                {
                    "id": {
                        "cpiName": have.name,
                        "cpiVersion": have.version,
                        "signerSummaryHash": have.signer_summary_hash,
                    },
                    "cpiFileFullChecksum": have.file_checksum,
                    "groupPolicy": support.policy(),
                }
            ]
        },
        "certificate/cluster/code-signer": ["a b/c"],
        "certificate/cluster/code-signer/a%20b%2Fc": pem(support.root().certificate),
    }


def ask(url: str, password: str = "pw") -> ClusterFacts:
    return ask_cluster(url, user="admin", password=password, ca_file=None)


def test_a_cluster_is_asked_over_rest() -> None:
    with server(answers()) as url:
        known = ask(f"{url}/")
        assert known.cluster == f"{url}/"
        with pytest.raises(ForbiddenError, match="status 401"):
            ask(url, "wrong")
    assert known.cpis == (stored(),)
    assert known.platform_version == 50200
    assert known.code_signers == {"a b/c": pem(support.root().certificate)}
    assert (known.upload_bytes_max, known.runtimes, known.capabilities) == (None, None, None)
    with pytest.raises(UnavailableError):
        ask(url)


@pytest.mark.parametrize(
    "change",
    [
        {"cpi": {"cpis": [{"id": {}}]}},
        {"cpi": []},
        {"cpi": "no JSON"},
        {"cpi/getprotocolversion": "x"},
        {"cpi/getprotocolversion": [1]},
        {"certificate/cluster/code-signer": {}},
        {"certificate/cluster/code-signer": ["other"]},
    ],
)
def test_odd_answers_are_refused(change: dict) -> None:
    with server(answers() | change) as url, pytest.raises(ClusterAnswerError):
        ask(url)


def run(capsys, *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    captured = capsys.readouterr()
    return int(left.value.code or 0), captured.out, captured.err


def test_the_command(tmp_path: Path, capsys, monkeypatch) -> None:
    path, snapshot = tmp_path / "a.cpi", tmp_path / "cluster.json"
    path.write_bytes(CPI)
    base = ("package", "preflight", path)
    monkeypatch.setenv("CORDBOX_ADMIN_PASSWORD", "pw")
    with server(answers()) as url:
        code, out, err = run(capsys, *base, "--target", url, "--write-cluster", snapshot)
    assert (code, err) == (1, "")
    assert "refused  cpi-exists: " in out
    assert "unknown  upload-size: " in out
    assert out.endswith("would be refused\n")
    code, out, _ = run(capsys, *base, "--cluster", snapshot, "--force", "--output", "json")
    document = json.loads(out)
    assert (code, document["accepted"]) == (0, True)
    assert {"force-upload": "ok", "runtime": "unknown"}.items() <= {
        f["check"]: f["verdict"] for f in document["findings"]
    }.items()
    assert run(capsys, *base)[0] == 2
    assert run(capsys, *base, "--target", "http://x", "--cluster", snapshot)[0] == 2
    monkeypatch.delenv("CORDBOX_ADMIN_PASSWORD")
    assert run(capsys, *base, "--target", "http://x")[0] == 2
