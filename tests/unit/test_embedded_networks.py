"""Each home gets a /16 of its own, keeps it, and gives it up when it is gone."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from orchestrator.domain.errors import Unavailable
from orchestrator.embedded import networks


def _claim(tmp_path: Path, name: str) -> IPv4Network:
    """Claim as a home does: with what it has recorded, and recording the answer."""
    home = tmp_path / name
    home.mkdir(exist_ok=True)
    network = networks.claim(home, networks.recorded_in(home / "home.json"), registry=tmp_path / "registry")
    (home / "home.json").write_text(json.dumps({"network": str(network)}))
    return network


def test_homes_that_claim_at_the_same_time_never_share_a_network(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda number: _claim(tmp_path, f"home{number}"), range(30)))
    assert len(set(claimed)) == 30
    assert all(network.subnet_of(IPv4Network("127.0.0.0/8")) and network.prefixlen == 16 for network in claimed)
    assert not {IPv4Network("127.0.0.0/16"), IPv4Network("127.1.0.0/16")} & set(claimed)


def test_a_home_keeps_its_network_also_when_the_registry_was_cleaned(tmp_path):
    network = _claim(tmp_path, "home")
    assert _claim(tmp_path, "home") == network
    shutil.rmtree(tmp_path / "registry")
    assert _claim(tmp_path, "home") == network


def test_only_a_home_that_is_gone_loses_its_network(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "FIRST", 200)
    monkeypatch.setattr(networks, "LAST", 200)
    network = _claim(tmp_path, "first")
    with pytest.raises(Unavailable, match="No network is free"):
        _claim(tmp_path, "second")
    shutil.rmtree(tmp_path / "first")
    assert _claim(tmp_path, "second") == network


def test_a_released_network_is_free_but_nobody_releases_another_ones(tmp_path):
    network = _claim(tmp_path, "home")
    claim_file = tmp_path / "registry" / str(network.network_address.packed[1])
    networks.release(tmp_path / "stranger", network, registry=tmp_path / "registry")
    assert claim_file.read_text() == str(tmp_path / "home")
    networks.release(tmp_path / "home", network, registry=tmp_path / "registry")
    assert not claim_file.exists()
