"""The formula on both kinds of machines, compiled by Salt itself; and no SLS touches an env value."""

import json

import pytest
import salt.client
import salt.config

from orchestrator.settings import CHECKOUT

SECRET = "hunter22"
APP = {
    "v": 1, "template": "shop", "environment": "cart", "role": "api", "app": "shop-api", "branch": "feature/it's",
    "repository": "https://git.example.org/shop/api.git", "build": ["echo \"a\" 'b' {{ c }}: # d"],
    "run": "./run $HOST", "port": 8000, "health": "/healthz", "health_deadline": 30, "address": "127.9.1.1",
    "siblings": {},
    "env": {"TOKEN": SECRET}, "plain": [],
}  # fmt: skip


@pytest.fixture(params=["sandbox", "systemd"])
def compiled(request, tmp_path):
    """The highstate of one server: state id → {function, arguments...}."""
    opts = dict(salt.config.minion_config(str(tmp_path / "minion"))) | {
        "file_client": "local", "id": "cart-api-1", "log_level": "quiet", "local": True,
        "file_roots": {"base": [str(CHECKOUT / "salt" / "states")]}, "pillar_roots": {"base": []},
        **{name: str(tmp_path / name) for name in ("cachedir", "pki_dir", "sock_dir", "extension_modules")},
    }  # fmt: skip
    if request.param == "sandbox":
        opts |= {
            "providers": {"service": "sandbox_service"},
            "sandbox": {
                "folder": "/home/me/it's here",
                "services": "/home/me/it's here/services.d",
                "supervisor": "/s",
            },
        }
    caller = salt.client.Caller(mopts=opts)
    high = caller.cmd("state.show_sls", "app", pillar={"brinepool": APP})
    assert isinstance(high, dict), high
    return request.param, high


def test_it_compiles_and_knows_no_value(compiled):
    _, high = compiled
    assert {"checkout", "env", "build", "start-script", "service-definition", "service", "health"} <= set(high)
    assert SECRET not in json.dumps(high)


def test_what_the_template_says_arrives_as_it_is(compiled):
    _, high = compiled
    assert argument(high["build"]["brinepool_app"], "build") == APP["build"]
    assert argument(high["checkout"]["git"], "rev") == "feature/it's"
    assert argument(high["health"]["brinepool_app"], "name") == "http://127.9.1.1:8000/healthz"


def test_a_real_machine_has_a_user_and_a_unit_and_a_sandbox_has_neither(compiled):
    kind, high = compiled
    real = kind == "systemd"
    assert ("user" in high, "base" in high) == (real, real)
    definition = argument(high["service-definition"]["file"], "name")
    assert definition == (
        "/etc/systemd/system/shop-api.service" if real else "/home/me/it's here/services.d/shop-api.conf"
    )
    assert argument(high["checkout"]["git"], "target").startswith(
        "/srv/shop-api/" if real else "/home/me/it's here/srv/"
    )
    assert argument(high["build"]["brinepool_app"], "user") == ("shop-api" if real else None)


def argument(declared, name):
    return next(item[name] for item in declared if isinstance(item, dict) and name in item)
