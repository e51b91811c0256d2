"""Takes out of a recording what differs from machine to machine and from run to run."""

import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.embedded.home import Home
from orchestrator.settings import CHECKOUT

FIXED = {
    "duration": 12.345,
    "start_time": "12:00:00.000000",
    "StartTime": "2026, Jan 01 00:00:00.000000",
    "_stamp": "2026-01-01T00:00:00.000000",
    "pid": 4242,
    "ppid": 4241,
}
TEXTS = (
    (r"\b\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d(?:[.,]\d+)?", r"2026-01-01\g<1>00:00:00"),
    (r"\b\d{4}-\d\d-\d\dT\d\d_\d\d_\d\d_\d+Z", "2026-01-01T00_00_00_000Z"),
    (r"\b\d{4}, [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d\.\d+", "2026, Jan 01 00:00:00.000000"),
    (r"(?<![\d:])\d\d:\d\d:\d\d\.\d{6}\b", "12:00:00.000000"),
    (r"(?i)\b(pid[ =:]+|process )\d+", r"\g<1>4242"),
    (r"/proc/\d+", "/proc/4242"),
    (r"\b0x[0-9a-f]{8,}", "0x7f0000000000"),
    (r"__salt\.tmp\.\w+", "__salt.tmp.aaaaaaaa"),
    (r"\btmp(?=\w*\d|\w*_)[a-z0-9_]{8}\b", "tmpaaaaaaaa"),
    # Salt and Python write beside the file first, under its name with eight characters more.
    (r"((?:-> |Failed to commit change: [^']*)'[^']*)[a-z0-9_]{8}'", r"\g<1>aaaaaaaa'"),
    (r"\bpip-([a-z-]+)-[a-z0-9_]{8}\b", r"pip-\g<1>-aaaaaaaa"),
    (r"/cc[A-Za-z0-9]{6}\.", "/ccaaaaaa."),
    (r"\b\d+\.\d+ ?(s|ms|sec|seconds)\b", r"1.2 \g<1>"),
    (r"\[(salt\.[\w.]+) *:\d+ *\](\[\w+ *\])\[\d+\]", r"[\g<1>:1]\g<2>[4242]"),
    (r"/tmp/", "/scratch/"),
)
# Programs name the sites of their own documentation: no recording names a host that is not ours.
FOREIGN = re.compile(
    r"(?<=ttps://|.ttp://)(?![\w.-]*(?:example\.org|\.invalid|localhost|master|\.saltproject\.io)\b)(?!127\.)"
    r"[\w-]+(?:\.[\w-]+)+"
)
JID = re.compile(r"(?<!\d)20\d{18}(?!\d)")
FIRST_JID = 20260101000000000000


class Cleaner:
    """Of one recording: equal job ids stay equal."""

    def __init__(self, home: Home, root: Path) -> None:
        self._jids: dict[str, str] = {}
        self._texts = [*_places(home, root), *((re.compile(pattern), new) for pattern, new in TEXTS)]

    def clean(self, value: Any) -> Any:
        """The value with everything replaced that is this machine's or this run's."""
        if isinstance(value, dict):
            return {self.text(str(key)): self._entry(str(key), item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        for pattern, new in self._texts:
            text = pattern.sub(new, text)
        text = FOREIGN.sub("docs.example.org", text)
        return JID.sub(lambda found: self._jid(found[0]), text)

    def _entry(self, key: str, item: Any) -> Any:
        return FIXED[key] if key in FIXED and isinstance(item, type(FIXED[key])) else self.clean(item)

    def _jid(self, jid: str) -> str:
        return self._jids.setdefault(jid, str(FIRST_JID + len(self._jids)))


def _places(home: Home, root: Path) -> Iterator[tuple[re.Pattern[str], str]]:
    """Folders, the longest first, then the network and the name of the machine."""
    folders = {
        str(home.sockets): "/run/brinepool",
        str(home.root): "/srv/brinepool",
        str(root): "/srv/brinepool",
        str(CHECKOUT): "/srv/brinepool",
        sys.base_prefix: "/usr",
    }
    for folder in sorted(folders, key=len, reverse=True):
        yield re.compile(re.escape(folder) + r"(?![\w-])"), folders[folder]
    network = ".".join(str(home.network[0]).split(".")[:2])
    yield re.compile(rf"(?<![\d.]){re.escape(network)}\."), "127.23."
    yield re.compile(rf"(?<![\w-]){re.escape(socket.gethostname())}(?![\w-])"), "master"
