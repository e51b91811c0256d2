"""Renders the configuration of the stack into `<home>/etc`: Salt's, git's, pip's and supervisor's.

What ops curate (cloud providers and profiles, the minions' settings) stays in `<site>/salt/cloud` and is linked. All
that is rendered is derived from the home and the settings, so rendering again changes nothing.
"""

import configparser
import hashlib
import io
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from orchestrator.domain.errors import BadInput
from orchestrator.settings import Settings

from . import launcher
from .home import Home
from .programs import programs

GIT_HOST = "https://git.example.org/"  # the neutral host that our own templates name their repositories at
CURATED = ("cloud.providers.d", "cloud.profiles.d")
LAUNCHER = Path(launcher.__file__)


def render(home: Home) -> None:
    """Write everything. Raises BadInput when the site lacks the curated folders."""
    _link_curated(home)
    for folder in ("requested", "active"):
        # salt-cloud looks and then makes them; two first creates at once would both look, and one would fail.
        (cloud_cache(home) / folder).mkdir(parents=True, exist_ok=True)
    for name, content in _files(home).items():
        _write(home.etc / name, content, mode=0o600 if name == "master" else 0o644)  # master: salt-api's secret


def fingerprint(home: Home, settings: Settings) -> str:
    """Changes when something changes that running programs have read at their start."""
    started_with = {name: content for name, content in _files(home).items() if name != "cloud"}
    return hashlib.sha256(repr((started_with, settings_in_force(settings))).encode()).hexdigest()[:16]


def cloud_cache(home: Home) -> Path:
    """Where salt-cloud keeps what it knows of servers."""
    return home.salt / "cache" / "cloud"


def _files(home: Home) -> dict[str, str]:
    return {
        "master": _yaml(master(home)),
        "cloud": _yaml(cloud(home)),  # read anew by each use of salt-cloud
        "gitconfig": gitconfig(home),
        "pip.conf": pip(home),
        "supervisord.conf": supervisor(home),
    }


def master(home: Home) -> dict[str, Any]:
    """Salt's master configuration, for salt-master, salt-api and the commands (`salt -c <home>/etc`)."""
    address, port = home.salt_api
    return {
        "user": home.user,  # Salt's default is root, and then refuses to run as anybody else
        "interface": home.address,  # loopback only; a network of its own for each home
        "publish_port": home.salt_publish[1],
        "ret_port": home.salt_return[1],
        "id": "brinepool_master",  # the default asks the resolver for a name, which may take seconds
        **_salt_paths(home),
        "file_roots": {"base": [str(home.site / "salt" / "states")]},
        "pillar_roots": {"base": [str(home.site / "salt" / "pillar")]},
        "ext_pillar": [{"brinepool": {}}],
        "pillar_safe_render_error": False,  # the default hides the reason, which is what ops need
        # A copy of each minion's pillar and grains on the master's disk, for targeting by them, which we do not do. The
        # values of env files would lie there a second time.
        "minion_data_cache": False,
        # Our runner and ext_pillar find the site and salt-cloud's configuration here.
        "brinepool": {"home": str(home.root), "site": str(home.site), "cloud_config": str(home.etc / "cloud")},
        # Each runner call is a process that would collect the master's grains anew, 0.2 to 0.3 s each time.
        "grains_cache": True,
        "grains_cache_expiration": 86400,
        "auto_accept": False,  # salt-cloud accepts the key that it made; nobody else gets in
        "keysize": 2048,  # the master's own key: loaded on every login of a minion, see salt/cloud/cloud.conf
        "rest_cherrypy": {"host": address, "port": port, "disable_ssl": True, "debug": False, "thread_pool": 50},
        "netapi_enable_clients": ["local", "local_async", "runner", "runner_async"],
        "sharedsecret": home.secret("salt-api"),
        "external_auth": {"sharedsecret": {"brinepool": rights()}},
    }


def _salt_paths(home: Home) -> dict[str, Any]:
    """Where the master keeps its things. No root_dir: Salt would take sock_dir below it, and that must be short."""
    cache = home.salt / "cache"
    return {
        "pki_dir": str(home.salt / "pki"),
        "cachedir": str(cache),
        "extension_modules": str(cache / "extmods"),
        "sqlite_queue_dir": str(cache / "queues"),
        "sock_dir": str(home.sockets / "master"),  # short, see Home.sockets
        "pidfile": str(home.run / "salt-master.pid"),
        "api_pidfile": str(home.run / "salt-api.pid"),
        "log_file": str(home.log / "salt-master.log"),
        "api_logfile": str(home.log / "salt-api.log"),
        "key_logfile": str(home.log / "salt-key.log"),
    }


def rights() -> list[Any]:
    """What our account may do at salt-api, and nothing else: no cmd.run, no state.*, no wheel, no cache.store."""
    return [
        {"*": ["brinepool.*", "saltutil.find_job", "saltutil.kill_job", "test.ping"]},
        {"@runner": ["brinepool.*", "jobs.lookup_jid"]},
        "@events",
    ]


def cloud(home: Home) -> dict[str, Any]:
    """Salt-cloud's configuration: the curated one, completed with what only this home knows."""
    curated = _curated_cloud(home)
    master = {"master": home.address, "master_port": home.salt_return[1], "publish_port": home.salt_publish[1]}
    return {
        **curated,
        "minion": curated.get("minion", {}) | master,
        "log_file": str(home.log / "salt-cloud.log"),
        "cachedir": str(cloud_cache(home)),
        "sandbox": _sandbox_cloud(home),
    }


def _curated_cloud(home: Home) -> dict[str, Any]:
    """`<site>/salt/cloud/cloud.conf`. Raises BadInput when it is no YAML mapping."""
    path = home.site / "salt" / "cloud" / "cloud.conf"
    try:
        data = YAML(typ="safe", pure=True).load(path.read_text())
    except (OSError, YAMLError) as error:
        raise BadInput("site-incomplete", f"The file {path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise BadInput(
            "site-incomplete", f"The file {path} must hold settings of salt-cloud, one “name: value” a line."
        )
    return data


def _sandbox_cloud(home: Home) -> dict[str, Any]:
    """What our driver needs to know (see saltext.sandboxes.Cloud)."""
    return {
        "folder": str(home.sandboxes),
        "sockets": str(home.sockets),
        "network": str(home.network),
        "launcher": [sys.executable, "-I", "-S", str(LAUNCHER)],
        "supervisord": str(home.bin / "supervisord"),
        "salt_minion": str(home.bin / "salt-minion"),
        "environment": sandbox_environment(home),
        "minion": {"user": home.user},
    }


def sandbox_environment(home: Home) -> dict[str, str]:
    """The whole environment of a sandbox, as an image would give it: nothing of the caller's but where programs are."""
    return {
        "BRINE_HOME": str(home.root),
        # `python3` is the one that we run from: a machine's own often lacks pip or venv, which the samples need.
        "PATH": f"{home.bin}:{os.environ.get('PATH', os.defpath)}",
        **_plain(home),
        "PIP_CONFIG_FILE": str(home.etc / "pip.conf"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def stack_environment(home: Home, settings: Settings) -> dict[str, str]:
    """The environment of the stack's own programs: the settings in force, and the user's home for git's credentials."""
    kept = {key: os.environ[key] for key in ("HOME", "SSH_AUTH_SOCK") if key in os.environ}
    own = {"PATH": f"{home.bin}:{os.environ.get('PATH', os.defpath)}", "PYTHONUNBUFFERED": "1"}
    return kept | settings_in_force(settings) | _plain(home) | own | {"BRINE_CONFIG": fingerprint(home, settings)}


def settings_in_force(settings: Settings) -> dict[str, str]:
    """The settings as environment variables, so that `brine serve` has those that `brine up` was called with.

    Those of the command line stay with it: a token is no business of the server's environment.
    """
    server = {name: value for name, value in settings if name not in ("url", "token") and value is not None}
    return {f"BRINE_{name.upper()}": _as_variable(value) for name, value in server.items()}


def _as_variable(value: object) -> str:
    """A setting's value as Settings reads it from the environment: lists and tables are JSON there."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return json.dumps(value, default=_as_table) if isinstance(value, tuple | dict) else str(value)


def _as_table(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_none=True)
    raise TypeError(f"a setting holds {type(value).__name__}, which cannot be handed over")


def _plain(home: Home) -> dict[str, str]:
    return {
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_GLOBAL": str(home.etc / "gitconfig"),
        "GIT_TERMINAL_PROMPT": "0",  # nobody sits at it: without credentials fail at once
        "SPT_NOENV": "1",  # Salt's process titles would overwrite the marks in /proc/<pid>/environ
    }


def gitconfig(home: Home) -> str:
    """Git's configuration for the master and every sandbox: our sample apps' host is a folder of this home."""
    return (
        f'[url "file://{home.repos}/"]\n\tinsteadOf = {GIT_HOST}\n'
        '[protocol "ext"]\n\tallow = never\n'  # a URL of this kind is a command
        "[safe]\n\tdirectory = *\n"  # repositories here may belong to the user who made the home, not the one who runs
        "[advice]\n\tdetachedHead = false\n"
    )


def pip(home: Home) -> str:
    """Pip's configuration for sandboxes: a build needs no network, whatever the template's command line says."""
    return f"[global]\nno-index = true\nfind-links = {home.wheels}\ndisable-pip-version-check = true\n"


def supervisor(home: Home) -> str:
    """The stack's supervisord.conf."""
    config = configparser.RawConfigParser()
    config["unix_http_server"] = {"file": str(home.supervisor_socket), "chmod": "0600"}
    config["supervisord"] = {
        "logfile": str(home.log / "supervisord.log"),
        "pidfile": str(home.run / "supervisord.pid"),
        "childlogdir": str(home.log),
    }
    config["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    for program in programs(home):
        config[f"program:{program.name}"] = _section(home, program.name, program.command, program.order)
    text = io.StringIO()
    config.write(text)
    return text.getvalue().replace("%", "%%")  # supervisor expands %(...)s everywhere


def _section(home: Home, name: str, command: tuple[str, ...], order: int) -> dict[str, str]:
    started = (sys.executable, "-I", "-S", str(LAUNCHER), "run", name, "--", *command)
    return {
        "command": shlex.join(started),
        "priority": str(order),
        "autorestart": "true",
        "startsecs": "1",
        "startretries": "5",
        "stopasgroup": "true",  # Salt's children do not all listen to their parent
        "killasgroup": "true",
        "stopwaitsecs": "5",
        "redirect_stderr": "true",
        "stdout_logfile": str(home.log / f"{name}.out"),
        "stdout_logfile_maxbytes": "5MB",
        "stdout_logfile_backups": "2",
    }


def _link_curated(home: Home) -> None:
    """Link the curated cloud configuration, so that an edit by ops is in force at once."""
    for name in CURATED:
        source, link = home.site / "salt" / "cloud" / name, home.etc / name
        if not source.is_dir():
            raise BadInput("site-incomplete", f"The site has no folder {source}; set BRINE_SITE to one that has.")
        if not link.is_symlink() or link.readlink() != source:
            link.unlink(missing_ok=True)
            link.symlink_to(source)


def _yaml(data: dict[str, Any]) -> str:
    text = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.dump(data, text)
    return text.getvalue()


def _write(path: Path, content: str, mode: int) -> None:
    """Write a file in one step, never readable by more than `mode` says."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, mode), "w") as file:
        file.write(content)
    temporary.replace(path)
