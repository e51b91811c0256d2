"""The legs of the contract suite: every adapter, with its real peer where one runs here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.commands import World
from tests.chat.console_leg import ConsoleLeg
from tests.chat.errbot_leg import ErrbotLeg
from tests.chat.hubot_leg import HubotLeg
from tests.chat.leg import Leg
from tests.chat.matrix_leg import MatrixLeg
from tests.chat.slack_leg import SlackLeg
from tests.chat.webhook_leg import WebhookLeg
from tests.peers import errbot, hubot

LEGS: dict[str, Callable[[World, Path, Any], Leg]] = {
    "console": lambda world, _folder, _peer: ConsoleLeg(world),
    "slack-http": lambda *_: SlackLeg("http"),
    "slack-socket": lambda *_: SlackLeg("socket"),
    "webhook": lambda *_: WebhookLeg(),
    "errbot": lambda *_: ErrbotLeg(),
    "hubot": lambda *_: HubotLeg(),
    "matrix": lambda _world, folder, synapse: MatrixLeg(synapse, folder),
}
"""A leg, given the world (the console needs it), a folder for what it keeps, and its peer from `PEERS`."""

PEERS = {"matrix": "synapse"}
"""The fixture of a peer that several tests share."""


def missing(name: str) -> str | None:
    """Why a leg cannot be had on this machine, in a sentence; None when it can (or its peer's fixture says so)."""
    checks = {"errbot": errbot.missing, "hubot": hubot.missing}
    return checks[name]() if name in checks else None
