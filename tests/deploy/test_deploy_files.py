"""The files of `deploy/` fit the product: settings, commands, ports, paths, rights; no engine is needed."""

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from host.cli import root
from host.runtime.plugin_loading import declared_settings
from host.settings import HostSettings, load_settings
from plugins.kafka.settings import KafkaSettings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
BASE = DEPLOY / "kubernetes"
SETTINGS = "/etc/cordbox/cordbox.toml"
OURS = [name for name, each in COMPOSE["services"].items() if each["image"] == "cordbox"]


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, with their lines joined."""
    lines = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def given(name: str) -> list[str]:
    """What follows an instruction, wherever it stands."""
    return [rest for word, rest in instructions() if word == name]


def image_environment() -> dict[str, str]:
    (text,) = given("ENV")
    return dict(word.split("=", 1) for word in shlex.split(text))


def manifests() -> Iterator[dict[str, Any]]:
    """The objects of the Kustomize base, in the order that it gives them."""
    kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text(encoding="utf-8"))
    for name in kustomization["resources"]:
        yield from yaml.safe_load_all((BASE / name).read_text(encoding="utf-8"))


def manifest(kind: str) -> dict[str, Any]:
    (found,) = (each for each in manifests() if each["kind"] == kind)
    return found


def container() -> dict[str, Any]:
    (found,) = manifest("StatefulSet")["spec"]["template"]["spec"]["containers"]
    return found


def settings(file: Path, environment: dict[str, str]) -> HostSettings:
    """What a host reads; unknown settings and variables are refused."""
    own = {name: value for name, value in environment.items() if name.startswith("CORDBOX_")}
    return load_settings(options={}, file=file, environment=own, declare=declared_settings)


def check_command(words: Sequence[str]) -> None:
    """Refuse a command line whose command or options do not exist."""
    command: click.Command = root
    rest = list(words)
    while isinstance(command, click.Group):
        context = click.Context(command)
        found = command.get_command(context, rest.pop(0))
        assert found is not None, words
        command = found
    known = {name: option for option in command.params for name in option.opts}
    while rest:
        option = known[rest.pop(0)]
        if not (isinstance(option, click.Option) and option.is_flag):
            rest.pop(0)


def test_the_image_runs_without_rights_from_pinned_bases() -> None:
    (python,) = given("ARG")
    assert re.fullmatch(r"PYTHON=python:3\.\d+\.\d+-slim-\w+", python)
    assert given("FROM") == ["${PYTHON} AS build", "${PYTHON}"]
    assert given("USER") == ["10001:10001"]
    assert not given("ADD")
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert "pip install" not in last, "what builds stays in the first stage"
    for line in given("RUN"):
        for part in line.split("&&"):
            assert "pip install" not in part or "--require-hashes" in part or "/wheels/" in part


def test_what_the_image_copies_is_there_and_is_what_the_wheel_needs() -> None:
    copied = {word for line in given("COPY") if "--from" not in line for word in line.split()[:-1]}
    assert [each for each in copied if not (ROOT / each).exists()] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {*packages, "pyproject.toml", "README.md", "LICENSE"} <= copied
    making = "pip wheel --no-deps --no-build-isolation --wheel-dir"
    assert any(making in line for line in given("RUN"))
    wheel = (
        (ROOT / "Makefile")
        .read_text(encoding="utf-8")
        .replace("--quiet --disable-pip-version-check ", "")
    )
    assert making in wheel, "`make wheel`, which tests/suite runs, makes it the same way"


def test_the_lock_of_the_image_has_what_is_tested() -> None:
    def pins(file: Path) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9-]+)==([^ \\]+)", file.read_text(), re.MULTILINE))

    image, tested = pins(DEPLOY / "requirements.lock"), pins(ROOT / "requirements-dev.lock")
    assert {"confluent-kafka", "pg8000", "sqlalchemy"} <= image.keys()
    assert {name: version for name, version in image.items() if tested.get(name) != version} == {}


def test_the_image_s_settings_ports_and_health_check_are_the_host_s(tmp_path: Path) -> None:
    environment = image_environment()
    file = tmp_path / "cordbox.toml"
    file.write_text("")
    host = settings(file, environment)
    assert given("EXPOSE") == [str(host.listen_port)]
    assert host.listen_host == "0.0.0.0"
    volumes = set(yaml.safe_load(given("VOLUME")[0]))
    assert volumes == {str(host.data_dir), str(host.cache_dir)}
    (check,) = given("HEALTHCHECK")
    command = yaml.safe_load(check.partition("CMD ")[2])
    assert f"https://127.0.0.1:{host.listen_port}/isHealthy" in command[2]
    done = subprocess.run(
        [shutil.which("python3") or "python3", *command[1:]], capture_output=True, check=False
    )
    assert done.returncode == 1, "nothing listens here"
    assert b"Connection refused" in done.stderr
    assert given("ENTRYPOINT") == ['["cordbox"]']
    check_command(yaml.safe_load(given("CMD")[0]))


@pytest.mark.parametrize("name", OURS)
def test_services_of_compose_run_known_commands_without_rights(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    check_command(service["command"])
    assert SETTINGS in service["command"]
    assert {each["target"] for each in service["configs"]} == {SETTINGS}
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:8888", port)


def test_compose_has_three_hosts_on_one_database_with_names_of_their_own() -> None:
    hosts = [name for name in OURS if COMPOSE["services"][name]["command"][0] == "host"]
    assert len(hosts) == 3
    file = DEPLOY / "compose" / "cordbox.toml"
    found = [
        settings(file, {**image_environment(), **COMPOSE["services"][name]["environment"]})
        for name in hosts
    ]
    assert [each.host_name for each in found] == hosts
    assert {each.database_url for each in found} == {
        "postgresql://cordbox_host@postgres:5432/cordbox"
    }
    used = [volume for name in hosts for volume in COMPOSE["services"][name]["volumes"]]
    assert len(set(used)) == len(used), "each has its own volumes"
    assert {each.partition(":")[2] for each in used} == {"/var/lib/cordbox", "/var/cache/cordbox"}
    (words,) = COMPOSE["services"]["postgres"]["command"]
    (connections,) = re.findall(r"max_connections=(\d+)", words)
    processes = sum(sum(each.worker_plan.counts.values()) for each in found)
    assert 4 * processes * found[0].database_pool_max < int(connections)
    kafka = found[0].plugin(KafkaSettings)
    listener = COMPOSE["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert listener == f"PLAINTEXT://{kafka.kafka_bootstrap_servers}"


def test_compose_names_only_what_it_has_and_pins_each_image() -> None:
    services, secrets = COMPOSE["services"], COMPOSE["secrets"]
    for name, service in services.items():
        if name not in OURS:
            assert re.fullmatch(r"[a-z/]+:v?\d+(\.\d+)+(-\w+)?", service["image"]), service["image"]
        assert set(service.get("secrets", [])) <= secrets.keys()
        assert set(service.get("depends_on", {})) <= services.keys()
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (DEPLOY / source).is_dir(), volume
    for each in COMPOSE["configs"].values():
        assert (DEPLOY / each["file"]).is_file()
    files = tomllib.loads((DEPLOY / "compose" / "cordbox.toml").read_text())
    for key, value in files.items():
        if key.endswith("_file"):
            assert Path(value).parent == Path("/run/secrets")
            assert all(Path(value).name in services[name]["secrets"] for name in OURS), key


def test_secrets_of_compose_are_made_once_and_kept_from_others(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    script = tmp_path / "compose" / "make-secrets.sh"
    script.parent.mkdir()
    shutil.copy(DEPLOY / "compose" / "make-secrets.sh", script)
    subprocess.run([script], check=True, capture_output=True)
    folder = script.parent / "secrets"
    wanted = {Path(each["file"]).name for each in COMPOSE["secrets"].values()}
    assert {file.name for file in folder.iterdir()} == wanted
    assert script.parent.stat().st_mode & 0o077 == 0
    checked = [
        "openssl",
        "verify",
        "-CAfile",
        folder / "database-ca.pem",
        "-verify_hostname",
        "postgres",
    ]
    subprocess.run([*checked, folder / "database-certificate.pem"], check=True, capture_output=True)
    again = subprocess.run([script], capture_output=True, check=False)
    assert again.returncode == 1
    assert b"secrets exist" in again.stderr


def test_prometheus_scrapes_each_host_and_reads_the_rules() -> None:
    config = yaml.safe_load((DEPLOY / "compose" / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    assert job["scheme"] == "https"
    assert job["static_configs"] == [{"targets": [f"host-{n}:8888" for n in (1, 2, 3)]}]
    (mount,) = (v for v in COMPOSE["services"]["prometheus"]["volumes"] if v.startswith("./"))
    source, target, _ = mount.split(":")
    for rules in config["rule_files"]:
        assert (DEPLOY / source / Path(rules).relative_to(target)).is_file()
    assert list((DEPLOY / source).glob("*.json")), "a dashboard for Grafana"


def test_pods_are_restricted_and_write_to_their_volumes_alone() -> None:
    pod = manifest("StatefulSet")["spec"]["template"]["spec"]
    host = container()
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False, "CORDBOX_PORT… would be refused as unknown settings"
    assert pod["securityContext"]["runAsUser"] == int(given("USER")[0].partition(":")[0])
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert host["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    environment = image_environment()
    writable = {each["mountPath"] for each in host["volumeMounts"] if not each.get("readOnly")}
    assert writable == {environment["CORDBOX_DATA_DIR"], environment["CORDBOX_CACHE_DIR"], "/tmp"}
    claims = manifest("StatefulSet")["spec"]["volumeClaimTemplates"]
    volumes = {each["name"] for each in pod["volumes"]} | {
        each["metadata"]["name"] for each in claims
    }
    assert {each["name"] for each in host["volumeMounts"]} == volumes


def test_probes_ask_what_a_host_answers() -> None:
    host, (_, port) = container(), image_environment()["CORDBOX_LISTEN"].split(":")
    assert host["ports"] == [{"name": "rest", "containerPort": int(port)}]
    for probe, path in (
        ("startup", "/isHealthy"),
        ("liveness", "/isHealthy"),
        ("readiness", "/status"),
    ):
        asked = host[f"{probe}Probe"]["httpGet"]
        assert asked == {"path": path, "port": "rest", "scheme": "HTTPS"}
    observed = (ROOT / "host/rest/observe.py").read_text(encoding="utf-8")
    for path in ("/isHealthy", "/status", "/metrics"):
        assert f'Route("{path}"' in observed
    check_command(host["args"])
    for service in (each for each in manifests() if each["kind"] == "Service"):
        assert service["spec"]["ports"] == [
            {"name": "rest", "port": int(port), "targetPort": "rest"}
        ]


def test_pods_read_their_settings_and_secrets() -> None:
    environment = {**image_environment(), "CORDBOX_HOST_NAME": "cordbox-0"}
    found = settings(BASE / "cordbox.toml", environment)
    (name,) = container()["env"]
    assert name["name"] == "CORDBOX_HOST_NAME"
    assert name["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert found.plugin(KafkaSettings).kafka_tls
    mounts = {each["mountPath"]: each for each in container()["volumeMounts"]}
    files = tomllib.loads((BASE / "cordbox.toml").read_text())
    folders = {str(Path(value).parent) for key, value in files.items() if key.endswith("_file")}
    assert folders == {"/run/secrets"} <= mounts.keys()
    page = (ROOT / "docs/how-to/deploy.md").read_text(encoding="utf-8")
    for key, value in files.items():
        if key.endswith("_file"):
            assert f"--from-file={Path(value).name}" in page, "the page makes each secret"


def test_the_unit_is_that_of_the_installation_page() -> None:
    unit = (DEPLOY / "systemd" / "cordbox.service").read_text(encoding="utf-8")
    page = (ROOT / "docs/how-to/install.md").read_text(encoding="utf-8")
    assert f"```ini\n{unit}```" in page
    (line,) = re.findall(r"^ExecStart=/opt/cordbox/bin/cordbox (.*)$", unit, re.MULTILINE)
    check_command(line.split())


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    unit = (DEPLOY / "systemd" / "cordbox.service").read_text(encoding="utf-8")
    file = tmp_path / "cordbox.service"
    file.write_text(unit.replace("/opt/cordbox/bin/cordbox", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, check=False
    )
    own = [line for line in done.stderr.splitlines() if "cordbox.service" in line]
    assert own == []
    assert done.returncode == 0, done.stderr


def test_kubernetes_takes_the_objects() -> None:
    validate = pytest.importorskip("kubernetes_validate")
    for each in manifests():
        validate.validate(each, "1.33", strict=True)


def test_kustomize_builds_the_base_and_an_overlay(tmp_path: Path) -> None:
    """What `kubectl apply -k` would send; no cluster is asked."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl, whose kustomize is needed")
    shutil.copytree(BASE, tmp_path / "base")
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    (overlay / "cordbox.toml").write_text('database_url = "postgresql://cordbox_host@db/cordbox"\n')
    (overlay / "kustomization.yaml").write_text(
        "resources: [../base]\n"
        "images: [{name: cordbox, newName: registry.example.com/cordbox, newTag: 1.2.3}]\n"
        "configMapGenerator:\n"
        "  - {name: cordbox-settings, namespace: cordbox, behavior: replace, files: [cordbox.toml]}\n"
    )
    for folder, image in (
        ("base", "cordbox:0.1.0"),
        ("overlay", "registry.example.com/cordbox:1.2.3"),
    ):
        built = subprocess.run(
            [kubectl, "kustomize", tmp_path / folder], capture_output=True, text=True, check=False
        )
        assert built.returncode == 0, built.stderr
        objects = {each["kind"]: each for each in yaml.safe_load_all(built.stdout)}
        assert objects.keys() == {"ConfigMap", *(each["kind"] for each in manifests())}
        pod = objects["StatefulSet"]["spec"]["template"]["spec"]
        (host,) = pod["containers"]
        assert host["image"] == image
        # The name tells the content, so that pods start anew with changed settings.
        name = objects["ConfigMap"]["metadata"]["name"]
        assert re.fullmatch(r"cordbox-settings-\w+", name)
        assert name in [each.get("configMap", {}).get("name") for each in pod["volumes"]]
        text = objects["ConfigMap"]["data"]["cordbox.toml"]
        assert ("@db/" in text) == (folder == "overlay")
