"""Which home has which /16 of 127/8 on this machine, so that two installations never collide.

A claim is a file named after the network (`/tmp/brinepool-networks/23`) that holds the path of its home. Creating it
exclusively is atomic whoever does it, so users need no lock among each other; a lock per user keeps that user's own
processes apart while one of them takes over a claim that was left behind.
"""

import json
import os
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from zlib import crc32

from filelock import FileLock

from orchestrator.domain.errors import Unavailable

REGISTRY = Path("/tmp/brinepool-networks")  # noqa: S108  (the one folder that all users of a machine share)
FIRST, LAST = 2, 254  # 127.0/16 and 127.1/16 are in everybody's use


def claim(home: Path, recorded: IPv4Network | None, *, registry: Path | None = None) -> IPv4Network:
    """Claim a network for `home`: the one it has recorded if it still can be had, else a free one.

    Raises Unavailable when the registry cannot be written or no network is left. The caller records the answer.
    """
    registry = registry or REGISTRY
    _open_to_all(registry)
    with FileLock(registry / f"lock-{os.getuid()}"):
        for number in _candidates(home, recorded):
            if _take(registry / str(number), home):
                return IPv4Network(f"127.{number}.0.0/16")
    raise Unavailable(
        "no-network", f"No network is free for this home; remove unused homes or their claims in {registry}."
    )


def release(home: Path, network: IPv4Network, *, registry: Path | None = None) -> None:
    """Give a claim back; one that is not ours is left alone."""
    claim_file = (registry or REGISTRY) / str(_number(network))
    if _holder(claim_file) == str(home):
        claim_file.unlink(missing_ok=True)


def recorded_in(home_file: Path) -> IPv4Network | None:
    """The network that a home's `home.json` records; None when there is no such file or it cannot be read."""
    try:
        return IPv4Network(json.loads(home_file.read_text())["network"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _open_to_all(registry: Path) -> None:
    try:
        registry.mkdir(exist_ok=True)
        if registry.stat().st_uid == os.getuid():
            registry.chmod(0o1777)  # like /tmp itself: everybody may add a claim, nobody may remove another's
    except OSError as error:
        raise Unavailable("no-network", f"The folder {registry} cannot be written: {error.strerror}.") from error


def _candidates(home: Path, recorded: IPv4Network | None) -> Iterator[int]:
    """The recorded network first; then all, beginning at one that depends on the home, to spread users out."""
    if number := _number(recorded):
        yield number
    size = LAST - FIRST + 1
    start = crc32(f"{os.getuid()}:{home}".encode())
    yield from (FIRST + (start + step) % size for step in range(size))


def _take(claim_file: Path, home: Path) -> bool:
    """True when the claim is ours now: new, ours already, or left behind by a home that no longer records it."""
    holder = _holder(claim_file)
    if holder == str(home):
        return True
    if holder is not None and not _left_behind(claim_file, Path(holder)):
        return False
    try:
        if holder is not None:
            claim_file.unlink()
        descriptor = os.open(claim_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o644)
    except OSError:  # somebody else was quicker, or it is another user's
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(str(home))
    return True


def _holder(claim_file: Path) -> str | None:
    try:
        return claim_file.read_text()
    except FileNotFoundError:
        return None
    except OSError:
        return ""  # another user's, unreadable: taken


def _left_behind(claim_file: Path, holder: Path) -> bool:
    """Only claims of our own user can be judged: another user's home may be unreadable, not gone."""
    try:
        return claim_file.stat().st_uid == os.getuid() and _number(recorded_in(holder / "home.json")) != int(
            claim_file.name
        )
    except OSError:
        return False


def _number(network: IPv4Network | None) -> int | None:
    return network.network_address.packed[1] if network else None
