import types

import pluggy
import pytest

from host.runtime import hookspecs
from host.runtime.plugin_loading import PluginInvalidError, PluginUnknownError, make_plugin_manager


def test_the_built_in_adapters_come_through_hooks():
    plugins = make_plugin_manager(["embedded"])
    implemented = {
        name
        for name in (
            "register_storage",
            "register_bus",
            "register_key_store",
            "register_capabilities",
        )
        if getattr(plugins.hook, name).get_hookimpls()
    }
    assert implemented == {
        "register_storage",
        "register_bus",
        "register_key_store",
        "register_capabilities",
    }


def test_an_unknown_plugin_is_refused_by_name():
    with pytest.raises(PluginUnknownError, match=r"'rabbitmq'.*plugin_entry_points is off"):
        make_plugin_manager(["rabbitmq"])
    with pytest.raises(PluginUnknownError, match=r"no entry point$"):
        make_plugin_manager(["rabbitmq"], with_entry_points=True)


def test_the_same_plugin_twice_is_refused():
    with pytest.raises(PluginInvalidError, match="embedded"):
        make_plugin_manager(["embedded", "embedded"])


def install(tmp_path, monkeypatch, source):
    """Make a distribution with an entry point, as pip would have left it."""
    (tmp_path / "acme_plugin.py").write_text(source)
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cordbox]\nacme = acme_plugin\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "acme_plugin", raising=False)


def test_entry_points_are_loaded_when_configured(tmp_path, monkeypatch):
    install(
        tmp_path,
        monkeypatch,
        "from host.runtime.hookspecs import hookimpl\n"
        "@hookimpl\n"
        "def register_bus(settings):\n"
        "    return 'a bus'\n",
    )
    plugins = make_plugin_manager(["embedded", "acme"], with_entry_points=True)
    assert (
        plugins.hook.register_bus(settings=None, directory=None, config=None, storage=None)
        == "a bus"
    )


def test_a_hook_that_does_not_exist_is_refused(tmp_path, monkeypatch):
    install(
        tmp_path,
        monkeypatch,
        "from host.runtime.hookspecs import hookimpl\n@hookimpl\ndef register_teapot(): ...\n",
    )
    with pytest.raises(PluginInvalidError, match="register_teapot"):
        make_plugin_manager(["acme"], with_entry_points=True)


def test_every_hook_says_in_one_sentence_what_it_is_for():
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    hooks = [f for f in vars(hookspecs).values() if isinstance(f, types.FunctionType)]
    names = [f.__name__ for f in hooks if hasattr(manager.hook, f.__name__)]
    assert names
    assert all(vars(hookspecs)[name].__doc__.splitlines()[0].endswith(".") for name in names)
