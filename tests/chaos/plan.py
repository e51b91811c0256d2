"""What one round does and what is done to it: made from the seed and its number alone, so it can be repeated."""

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

FAKE, REAL = "fake", "real"
PEOPLE = ("alice", "bob", "carol")
NAMES = ("cart", "tax", "till")  # used again in every round: whatever an old bearer left would be in the way
BRANCHES = ("main", "feature/cart")
PHASES = ("requested", "booting", "configuring", "deploying", "retrying", "terminating", "removing")
EVERYTHING = "everything"


@dataclass(frozen=True)
class Ask:
    """One request of one person. `wait`: seconds, or for the end of what this person asked for last ("ended"), or until
    the environment has that status; `later`: seconds after that."""

    verb: str  # create | deploy | retry | cancel | terminate | remove
    environment: str
    what: str = ""
    wait: float | str = 0.0
    later: float = 0.0


@dataclass(frozen=True)
class Client:
    """One person who asks for one thing after the other."""

    person: str
    asks: tuple[Ask, ...]


@dataclass(frozen=True)
class Moment:
    """When something is killed.

    event   the `nth` event `what` of an operation of kind `of` (either may be "" for any) was written; `delay` later
    point   inside the Brinepool process, the `nth` time it comes to the point `what`
    step    inside the master, at the `nth` thing that a run of the runner's function `what` writes or asks of a cloud

    With `of`, the last two count from when an operation of that kind was asked for.
    """

    where: str
    what: str
    of: str = ""
    nth: int = 1
    delay: float = 0.0


@dataclass(frozen=True)
class Kill:
    """`target` (brinepool | salt-api | salt-master | minions | everything) dies, and is back after `down` seconds.

    `late`: where everything dies, the minions die last, when their jobs may be done.
    """

    target: str
    moment: Moment
    down: float = 0.0
    late: bool = False


@dataclass(frozen=True)
class Fault:
    """A misbehaviour by its name, with its arguments; `times` it happens at most."""

    name: str
    times: int = 1
    server: str = ""
    options: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Round:
    """`excused`: the codes of failures that the round itself causes, so that operations may end with them."""

    number: int
    world: str
    focus: str
    clients: tuple[Client, ...]
    kills: tuple[Kill, ...]
    faults: tuple[Fault, ...]
    excused: frozenset[str]


def numbers_of(phases: Sequence[str], after: int, count: int) -> list[int]:
    """The first `count` numbers from `after` on of rounds that are about one of these phases."""
    return list(islice((number for number in itertools.count(after) if PHASES[number % len(PHASES)] in phases), count))


def plan_round(seed: int, number: int, world: str = FAKE) -> Round:
    """The round of that number. The same arguments always give the same round."""
    rng = random.Random(f"{seed}/{world}/{number}")  # noqa: S311
    focus = PHASES[number % len(PHASES)]
    clients: list[Client] = []
    faults: list[Fault] = []
    for name, story in zip(NAMES, _stories(rng, focus, world), strict=False):
        more, own = _STORIES[story](rng, name)
        clients += more if world == FAKE or story == "shrink" else [_small(client) for client in more]
        faults += own
    kills = _kills(rng, focus, world)
    if world == REAL:  # a real stack cannot be told to fail
        return Round(number, world, focus, tuple(clients), tuple(kills), (), frozenset())
    excused = frozenset(code for fault in faults for code in _EXCUSES.get(fault.name, ()))
    faults += _faults_in(rng, focus) + _message_faults(rng)
    return Round(number, world, focus, tuple(clients), tuple(kills), tuple(faults), excused)


def _stories(rng: random.Random, focus: str, world: str) -> list[str]:
    """What happens to each of the environments; the first meets the focus."""
    if world == FAKE:
        return [_STORY_OF[focus], *rng.choices(sorted(_STORIES), k=rng.choice((1, 2)))]
    first = "stop" if focus == "retrying" else _STORY_OF[focus]
    return [first, rng.choice(sorted(set(_STORIES) - {"mend", "shrink"}))]


def _small(client: Client) -> Client:
    """The same with one web server."""
    asks = (replace(ask, what="web=1") if ask.verb == "create" else ask for ask in client.asks)
    return replace(client, asks=tuple(asks))


# Stories: what people do to one environment

Story = Callable[[random.Random, str], tuple[list[Client], list[Fault]]]


def _web(rng: random.Random) -> str:
    return f"web={rng.choice((1, 1, 2))}"


def _build(rng: random.Random, name: str) -> tuple[list[Client], list[Fault]]:
    """Two want the same name at the same moment."""
    one, two, _ = rng.sample(PEOPLE, 3)
    return [
        Client(one, (Ask("create", name, _web(rng)),)),
        Client(two, (Ask("create", name, _web(rng), rng.uniform(0, 0.05)),)),
    ], []


def _change(rng: random.Random, name: str) -> tuple[list[Client], list[Fault]]:
    """Two deploy different branches at once, and one of them again."""
    one, two, three = rng.sample(PEOPLE, 3)
    return [
        Client(one, (Ask("create", name, _web(rng)), Ask("deploy", name, "feature/cart", "ended"))),
        Client(two, (Ask("deploy", name, "web/feature/cart", "ready"), Ask("deploy", name, "main", "ended"))),
        *([Client(three, (Ask("terminate", name, wait="deploying"),))] if rng.random() < 0.3 else []),
    ], []


def _mend(rng: random.Random, name: str) -> tuple[list[Client], list[Fault]]:
    """A create that fails is tried again, and by two at once."""
    one, two, _ = rng.sample(PEOPLE, 3)
    clients = [
        Client(one, (Ask("create", name, _web(rng)), Ask("retry", name, wait="failed"))),
        Client(two, (Ask(rng.choice(("retry", "deploy")), name, "main", "failed"),)),
    ]
    fault = rng.choice(("FailsDuringHighstate", "CreateFails"))
    options: dict[str, object] = {"state": rng.choice(("checkout", "build"))} if fault == "FailsDuringHighstate" else {}
    return clients, [Fault(fault, 1, f"{name}-{rng.choice(('api', 'web'))}-1", options)]


def _regret(rng: random.Random, name: str) -> tuple[list[Client], list[Fault]]:
    """A create is cancelled or terminated while it runs, and the name is used again at once."""
    one, two, three = rng.sample(PEOPLE, 3)
    verb = rng.choice(("cancel", "terminate"))
    wait = rng.choice((rng.uniform(0.02, 0.5), "provisioning", "configuring"))
    return [
        Client(one, (Ask("create", name, _web(rng)),)),
        Client(two, (Ask(verb, name, wait=wait), Ask("create", name, _web(rng), "gone"))),
        Client(three, (Ask("terminate", name, wait=rng.uniform(0.02, 0.6)),)),
    ], []


def _stop(rng: random.Random, name: str) -> tuple[list[Client], list[Fault]]:
    """A deploy is cancelled, and what it left half done is completed."""
    one, two, _ = rng.sample(PEOPLE, 3)
    slow = Fault("WorksSlowly", 1, f"{name}-web-1", {"seconds": 1.5, "skip": 1})
    later = rng.choice((0.0, rng.uniform(0.1, 1.0)))  # so that a highstate has begun
    return [
        Client(one, (Ask("create", name, _web(rng)), Ask("deploy", name, "feature/cart", "ended"))),
        Client(two, (Ask("cancel", name, wait="deploying", later=later), Ask("retry", name, wait="failed"))),
    ], [slow] if rng.random() < 0.5 else []


def _shrink(rng: random.Random, name: str) -> tuple[list[Client], list[Fault]]:
    """A server is removed while somebody deploys; then all of it."""
    one, two, _ = rng.sample(PEOPLE, 3)
    gone = rng.choice((f"{name}-web-2", f"{name}-web-1", f"{name}-api-1"))
    return [
        Client(one, (Ask("create", name, "web=2"), Ask("remove", name, gone, "ended"))),
        Client(two, (Ask("deploy", name, "web/feature/cart", wait=rng.choice(("ready", "deploying"))),)),
    ], []


def _end(rng: random.Random, name: str) -> tuple[list[Client], list[Fault]]:
    """Two terminate it at once, and somebody deploys to it."""
    one, two, three = rng.sample(PEOPLE, 3)
    faults = [Fault("DestroyFails", 1, f"{name}-api-1")] if rng.random() < 0.3 else []
    return [
        Client(one, (Ask("create", name, _web(rng)), Ask("terminate", name, wait="ended"))),
        Client(two, (Ask("terminate", name, wait="ready"),)),
        Client(three, (Ask("deploy", name, "web/feature/cart", "ready"),)),
    ], faults


_STORIES: dict[str, Story] = {
    "build": _build, "change": _change, "mend": _mend, "regret": _regret, "stop": _stop, "shrink": _shrink, "end": _end,
}  # fmt: skip
_STORY_OF = {
    "requested": "build", "booting": "regret", "configuring": "build", "deploying": "change", "retrying": "mend",
    "terminating": "end", "removing": "shrink",
}  # fmt: skip
_EXCUSES = {
    "FailsDuringHighstate": ("branch-missing", "build-failed", "state-failed", "checkout-failed"),
    "CreateFails": ("create-failed", "cloud-quota"),
    "DestroyFails": ("destroy-failed",),
}

# Kills

_KIND_OF = {
    "requested": "create", "booting": "create", "configuring": "create", "deploying": "deploy", "retrying": "retry",
    "terminating": "terminate", "removing": "terminate-server",
}  # fmt: skip
_EVENTS_OF = {
    "requested": ("operation.requested",),
    "booting": ("environment.provisioning", "server.booting", "server.created"),
    "configuring": ("environment.configuring", "server.configuring", "server.state_finished"),
    "deploying": ("environment.deploying", "server.configuring", "server.state_finished"),
    "retrying": ("operation.started", "server.booting", "server.configuring", "server.state_finished"),
    "terminating": ("environment.terminating", "server.terminating", "operation.started"),
    "removing": ("server.terminating", "operation.started", "server.terminated"),
}
POINTS = (
    "start:before", "start:after", "create:before", "create:after", "submit:before", "submit:after", "put:before",
    "put:after", "returned:after", "destroy:before", "destroy:after", "step:before", "step:after",
)  # fmt: skip
_POINTS_OF = {
    "requested": ("start:before", "start:after"),
    "booting": ("create:before", "create:after", "step:after"),
    "configuring": ("put:after", "submit:before", "submit:after", "returned:after"),
    "deploying": ("put:before", "put:after", "submit:after", "returned:after"),
    "retrying": ("create:after", "submit:after", "step:after"),
    "terminating": ("destroy:before", "destroy:after", "step:after"),
    "removing": ("destroy:before", "destroy:after", "put:after"),
}
_STEPS_OF = {"booting": "brinepool.create", "terminating": "brinepool.destroy", "removing": "brinepool.destroy"}


def _kills(rng: random.Random, focus: str, world: str) -> list[Kill]:
    kills = [_kill_in(rng, focus, world)]
    if world == FAKE and rng.random() < 0.5:
        kills.append(_kill_in(rng, focus, world))
    if rng.random() < (0.5 if world == FAKE else 0.3):
        kills.append(_kill_later(rng, world))
    return kills


def _kill_in(rng: random.Random, focus: str, world: str) -> Kill:
    """One that meets the phase of the round."""
    if world == REAL:
        target = rng.choice(("brinepool", "brinepool", "salt-api", "salt-master", "minions", EVERYTHING))
        return Kill(target, _event(rng, focus, 0.5), rng.uniform(0, 2))
    dice = rng.random()
    if dice < 0.4 or focus == "requested":
        kind = "" if focus == "requested" else _KIND_OF[focus]
        moment = Moment("point", rng.choice(_POINTS_OF[focus]), kind, _nth(rng, focus))
        if moment.what == "submit:after" and rng.random() < 0.5:  # its minion may do the job, and then forget it
            return Kill(EVERYTHING, moment, rng.uniform(0.25, 0.6), late=True)
        return Kill(_brinepool(rng), moment, _down(rng), rng.random() < 0.5)
    if dice < 0.55 and focus in _STEPS_OF:
        moment = Moment("step", _STEPS_OF[focus], _KIND_OF[focus], rng.randint(1, 12))
        return Kill("salt-master", moment, rng.uniform(0.05, 0.6))
    target = rng.choice(("brinepool",) * 6 + ("salt-api", "salt-master", "minions", EVERYTHING, EVERYTHING))
    return Kill(target, _event(rng, focus, 0.06), _down(rng), rng.random() < 0.5)


def _nth(rng: random.Random, focus: str) -> int:
    return 1 if focus in ("requested", "retrying") else rng.choice((1, 1, 2, 3))


def _brinepool(rng: random.Random) -> str:
    return rng.choice(("brinepool", "brinepool", EVERYTHING))


def _down(rng: random.Random) -> float:
    return rng.choice((0.0, 0.0, rng.uniform(0.05, 0.6)))


def _event(rng: random.Random, focus: str, longest: float) -> Moment:
    kind = rng.choice(_EVENTS_OF[focus])
    nth = rng.randint(1, 8) if kind == "server.state_finished" else 1
    return Moment("event", kind, _KIND_OF[focus], nth, rng.choice((0.0, rng.uniform(0, longest))))


def _kill_later(rng: random.Random, world: str) -> Kill:
    """One at any moment: also while Brinepool is still picking up what the first one left."""
    if world == REAL:
        return Kill(rng.choice(("brinepool", "salt-api", "minions")), Moment("event", "", nth=rng.randint(5, 60)))
    if rng.random() < 0.3:
        return Kill(_brinepool(rng), Moment("point", rng.choice(POINTS), nth=rng.randint(1, 4)), _down(rng))
    target = rng.choice(("brinepool", "brinepool", "salt-api", "salt-master", "minions", EVERYTHING))
    return Kill(target, Moment("event", "", nth=rng.randint(5, 90), delay=rng.uniform(0, 0.1)), _down(rng))


# Messages

_EVENT_TAGS = ("salt/job/*/ret/*", "salt/run/*/ret", "salt/minion/*/start", "salt/job/*/prog/*", "*")
_CALLS = ("brinepool.create", "brinepool.destroy", "brinepool.put", "brinepool.highstate", "jobs.lookup_jid")


def _faults_in(rng: random.Random, focus: str) -> list[Fault]:
    """What makes the phase of the round longer: there is more time to be overtaken in."""
    if focus != "booting" or rng.random() < 0.3:
        return []
    seconds = round(rng.uniform(0.2, 0.8), 2)
    if rng.random() < 0.5:
        return [Fault("MakesSlowly", rng.randint(1, 3), options={"seconds": seconds})]
    return [Fault("StartsLate", rng.randint(1, 3), options={"function": "brinepool.create", "seconds": seconds})]


def _message_faults(rng: random.Random) -> list[Fault]:
    chosen = rng.sample(_FAULTS, k=rng.randint(2, 5))
    return [make(rng) for make in chosen]


_FAULTS: Sequence[Callable[[random.Random], Fault]] = (
    lambda rng: Fault("DropsEvents", rng.randint(1, 8), options={"pattern": rng.choice(_EVENT_TAGS)}),
    lambda rng: Fault("DropsEvents", rng.randint(1, 3), options={"pattern": rng.choice(_EVENT_TAGS[:2])}),
    lambda rng: Fault("RepeatsEvents", rng.randint(3, 30)),
    lambda rng: Fault("DelaysEvents", rng.randint(1, 8), options={"seconds": round(rng.uniform(0.05, 0.6), 2)}),
    lambda rng: Fault("DropsStream", rng.randint(1, 3)),
    lambda rng: Fault("HangsStream", 1),
    lambda rng: Fault("LosesReturns", 1),
    lambda rng: Fault("TakesEffectButTimesOut", 1, options={"function": rng.choice(_CALLS[:2])}),
    lambda rng: Fault("StartsLate", rng.randint(1, 2), options={
        "function": rng.choice(_CALLS[:2]), "seconds": round(rng.uniform(0.1, 0.8), 2)}),
    lambda rng: Fault("Restarts", 1, options={"function": rng.choice(_CALLS), "seconds": 0.1}),
    lambda rng: Fault("ExpiresTokens", 2, options={"after": rng.randint(1, 6)}),
    lambda rng: Fault("AnswersSlowly", rng.randint(1, 6), options={"seconds": round(rng.uniform(0.05, 0.4), 2)}),
    lambda rng: Fault("ForgetsJobs", 1),
)  # fmt: skip
