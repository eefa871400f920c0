import json

import pytest

from host.cli import main


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        told = capsys.readouterr()
        return left.value.code, told.out, told.err

    return run


@pytest.fixture
def file(tmp_path, sample):
    path = tmp_path / "hostile.cpi"
    path.write_bytes(sample("hostile").cpi)
    return path


def test_json_without_findings_ends_well(cli, file, pem):
    code, out, _ = cli("audit", file, "--certificate", pem, "--output", "json")
    told = json.loads(out)
    assert code == 0
    assert told["findings"] == []
    assert told["trust"] == "trusted"
    assert len(told["components"][0]["imports"]) == 24


def test_options_may_come_first(cli, file):
    code, out, _ = cli("audit", "--output", "json", file)
    assert code == 0
    assert json.loads(out)["trust"] == "not-judged"


def test_policy_decides_the_exit_code(cli, file, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"policyVersion": 1, "name": "p", "capabilities": []}')
    code, out, _ = cli("audit", file, "--policy", policy, "--output", "json")
    told = json.loads(out)
    assert code == 1
    assert told["policy"] == "p"
    assert {f["code"] for f in told["findings"]} == {"audit-capability-not-allowed"}
    assert cli("audit", file, "--policy", policy)[0] == 1


def test_wrong_policy_is_wrong_usage(cli, file, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"policyVersion": 1, "x": 1}')
    code, _, err = cli("audit", file, "--policy", policy)
    assert code == 2
    assert "'x'" in err


def test_settings_of_the_host_are_the_limits(cli, file, tmp_path):
    (tmp_path / "cordbox.toml").write_text(
        '[cordbox.quota]\nwall_ms_max = 77\n[cordbox.guest]\nallowed_capabilities = ["log"]\n'
    )
    _, out, _ = cli("audit", file, "--output", "json")
    (component,) = json.loads(out)["components"]
    limits = {limit["name"]: limit["effective"] for limit in component["limits"]}
    assert limits["wallMsMax"] == 77
    assert {i["interface"] for i in component["imports"] if i["door"] == "open"} == set()


@pytest.mark.parametrize("form", ["html", "sarif", "text"])
def test_reports_go_to_a_file(cli, file, tmp_path, form):
    target = tmp_path / f"report.{form}"
    code, out, _ = cli("audit", file, "--output", form, "--output-file", target)
    assert (code, out) == (0, "")
    assert "hostile" in target.read_text(encoding="utf-8")
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".new")] == []


def test_both_ways_to_compare(cli, tmp_path, component_cpk):
    old, new = tmp_path / "old.jar", tmp_path / "new.jar"
    old.write_bytes(component_cpk(facts={"limits": {"fuelMax": 1000}}))
    new.write_bytes(component_cpk(facts={"limits": {"fuelMax": 2000}}))
    code, out, _ = cli("audit", "--diff", old, new, "--output", "json")
    assert code == 1
    assert cli("audit", "diff", old, new, "--output", "json") == (1, out, "")
    assert json.loads(out)["widens"] is True
    assert cli("audit", "diff", new, old)[0] == 0


def test_wrong_usage(cli, file):
    assert cli("audit", file, file)[0] == 2
    assert cli("audit", "--diff", file)[0] == 2
    assert cli("audit", "no-such-file")[0] == 2


def test_no_package_is_refused(cli, tmp_path):
    path = tmp_path / "x.cpi"
    path.write_bytes(b"nothing")
    code, _, err = cli("audit", path)
    assert code == 1
    assert "error[" in err
