"""Profiles of hosts: kept in a file, and what counts more than they do."""

import json

import click
import pytest
from click.shell_completion import ShellComplete

from host.cli import main, root
from host.cli.host_options import complete_profile, host_options, open_host_options
from host.domain.errors import NotFoundError
from host.tools.client.profiles import Profile, ProfileInvalidError, Profiles


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "profiles.json"
    monkeypatch.setenv("CORDBOX_PROFILES", str(path))
    for name in ("CORDBOX_URL", "CORDBOX_CA_FILE", "CORDBOX_ADMIN_PASSWORD", "CORDBOX_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return path


def run(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main(words)
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def test_profiles_are_made_replaced_listed_and_deleted(file, capsys):
    assert run(capsys, "profile", "create", "b", "--url", "https://b", "-u", "pat")[0] == 0
    assert run(capsys, "profile", "create", "a", "--url", "https://old")[0] == 0
    assert run(capsys, "profile", "create", "a", "--url", "https://a")[0] == 0
    code, out, _ = run(capsys, "profile", "list", "--output", "json")
    assert (code, json.loads(out)["profiles"]) == (
        0,
        {"a": {"url": "https://a"}, "b": {"url": "https://b", "user": "pat"}},
    )
    assert run(capsys, "profile", "delete", "a")[0] == 0
    code, _, err = run(capsys, "profile", "delete", "a")
    assert (code, err) == (1, "error[not-found]: there is no profile 'a'; there are: b\n")


def test_names_and_files_that_are_none_are_refused(file, capsys):
    for name in ("", "a/b", "x" * 65):
        with pytest.raises(ProfileInvalidError):
            Profiles(file).put(name, Profile(url="https://a"))
    file.parent.mkdir()
    for text in ("{", "[]", '{"a": {}}', '{"a": {"url": 1}}'):
        file.write_text(text)
        with pytest.raises(ProfileInvalidError, match=r"profiles\.json"):
            Profiles(file).all()
    file.unlink()
    with pytest.raises(NotFoundError):
        Profiles(file).get("a")


def test_files_of_any_name_are_kept_and_what_is_no_url_is_not(file, tmp_path, capsys):
    odd = tmp_path / "odd\udcff\n.pem"
    odd.write_text("x")
    words = ("profile", "create", "odd", "--url", "https://a/", "--ca-file", str(odd))
    assert run(capsys, *words)[0] == 0
    assert Profiles(file).get("odd").ca_file == str(odd)
    for url in ("127.0.0.1:8888", "ftp://a", "https://", "https://a b", "https://a/api", ""):
        code, _, err = run(capsys, "profile", "create", "new", "--url", url)
        assert (code, err.partition(":")[0]) == (1, "error[profile-invalid]"), url
    file.write_text("[" * 200_000)
    with pytest.raises(ProfileInvalidError):
        Profiles(file).all()


def test_names_of_profiles_are_completed(file):
    for name in ("live", "local", "test"):
        Profiles(file).put(name, Profile(url="https://a"))
    for words in (["vnode", "list", "--profile"], ["profile", "delete"]):
        found = ShellComplete(root, {}, "cordbox", "X").get_completions(words, "l")
        assert [each.value for each in found] == ["live", "local"]
    file.write_text("{")
    assert complete_profile(None, None, "l") == []


@pytest.fixture
def where(file, tmp_path, monkeypatch):
    """What a command would call, of the words that are typed."""
    for name in ("of-profile", "of-option"):
        (tmp_path / name).write_text(f"{name}\n")
    Profiles(file).put(
        "p", Profile(url="https://p", user="pat", password_file=str(tmp_path / "of-profile"))
    )
    called = {}

    def client(url, *, user, password, ca_file):
        called.update(url=url, user=user, password=password)

    monkeypatch.setattr("host.tools.client.host_client.HostClient", client)

    @click.command()
    @host_options
    def command(*, connect):
        connect()

    def typed(*words):
        command.main(args=[str(word) for word in words], standalone_mode=False)
        return called["url"], called["user"], called["password"]

    return typed


def test_the_command_line_counts_more_than_a_profile_and_that_more_than_variables(
    where, tmp_path, monkeypatch
):
    monkeypatch.setenv("CORDBOX_URL", "https://variable")
    monkeypatch.setenv("CORDBOX_ADMIN_PASSWORD", "variable")
    assert where() == ("https://variable", "admin", "variable")
    assert where("--profile", "p") == ("https://p", "pat", "of-profile")
    monkeypatch.setenv("CORDBOX_PROFILE", "p")
    assert where() == ("https://p", "pat", "of-profile")
    assert where("--url", "https://o", "-u", "me") == ("https://o", "me", "of-profile")
    assert where("--password", "typed") == ("https://p", "pat", "typed")
    assert where("--password-file", tmp_path / "of-option") == ("https://p", "pat", "of-option")


def test_commands_that_need_no_user_ask_the_host_of_a_profile(file, tmp_path, monkeypatch, capsys):
    trusted = tmp_path / "certificate.pem"
    trusted.write_text("x")
    Profiles(file).put("p", Profile(url="https://p", user="pat", ca_file=str(trusted)))
    asked = []

    @click.command()
    @open_host_options
    def command(*, url, ca_file):
        asked.append((url, ca_file))

    monkeypatch.setenv("CORDBOX_PROFILE", "p")
    for words in ([], ["--url", "https://o"]):
        command.main(args=words, standalone_mode=False)
    assert asked == [("https://p", trusted), ("https://o", trusted)]
    code, _, err = run(capsys, "host", "status", "--profile", "q")
    assert (code, err) == (1, "error[not-found]: there is no profile 'q'; there are: p\n")
