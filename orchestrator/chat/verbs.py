"""What each verb does: from what was understood to a command, and from what that gives to a reply."""

from collections.abc import Callable
from dataclasses import replace

from orchestrator.commands import branches, cancelling, environments, find, operations, permissions, servers, templates
from orchestrator.commands.views import Accepted, CreateEnvironment, CreateServer, Deploy, Extend, Terminate
from orchestrator.domain.conversation import Outcome
from orchestrator.domain.errors import BadInput, Conflict, NotFound
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.people import Role
from orchestrator.domain.policy import Act

from . import cards, keeping, selves
from .grammar import spell
from .intent import Command, Verb
from .replies import Fact, Reply, Table, Tone
from .talk import Option, Said, Talk

MOST_BRANCHES = 25
LOG_LINES = 40


def act(talk: Talk, command: Command) -> Said:
    """Carry out what was understood. Raises BrinepoolError as commands do."""
    return _VERBS[command.verb](talk, command)


# What changes something


def _create(talk: Talk, command: Command) -> Said:
    assert command.template  # noqa: S101  (the grammar asks for it otherwise)
    ttl = keeping.span(talk, command)
    try:
        if command.role:
            single = CreateServer(
                template=command.template, role=command.role, name=command.name, branch=command.branch, ttl=ttl,
                use=command.use,
            )  # fmt: skip
            return _card(talk, servers.create(talk.world, talk.actor, single, talk.key))
        whole = CreateEnvironment(
            template=command.template, name=command.name, branch=command.branch, branches=dict(command.branches),
            counts=dict(command.counts), ttl=ttl, use=command.use,
        )  # fmt: skip
        return _card(talk, environments.create(talk.world, talk.actor, whole, talk.key))
    except BadInput as error:
        if error.code == "needs-a-sibling":
            return _which_to_use(talk, command, error)
        return _nearest_branches(command, error)


def _deploy(talk: Talk, command: Command) -> Said:
    assert command.what  # noqa: S101
    ask, started = Deploy(what=command.what), []
    for target in command.targets:
        module = servers if _is_server(talk, target) else environments
        try:
            started.append(module.deploy(talk.world, talk.actor, target, ask, _key(talk, command, target)))
        except BadInput as error:
            return _nearest_branches(command, error)
    return _cards(talk, started)


def _terminate(talk: Talk, command: Command) -> Said:
    targets = _terminated(talk, command)
    if not targets:
        return Said(cards.note("You have no environment here, so there is nothing to terminate."))
    if not command.confirmed and (question := _sure(talk, targets)):
        return question
    started = []
    for target in targets:
        module = servers if _is_server(talk, target) else environments
        ask, key = Terminate(confirmed=command.confirmed), _key(talk, command, target)
        try:
            started.append(module.terminate(talk.world, talk.actor, target, ask, key))
        except Conflict as conflict:
            if conflict.code != "needed-by-others":
                raise
            return _confirm(f"{conflict.message} Terminate {target} all the same?", [target])
    return _cards(talk, started)


def _extend(talk: Talk, command: Command) -> Said:
    lines = []
    for target in _meant(talk, command):
        ask = Extend(by=None if command.until else command.ttl, until=command.until)
        view = environments.extend(talk.world, talk.actor, target, ask)
        lines.append(f"{view.name} expires in {cards.left(view.expires_in_s)}.")
    return Said(cards.note(lines[0], *lines[1:], tone=Tone.GOOD), Outcome.ACCEPTED)


def _retry(talk: Talk, command: Command) -> Said:
    failed = [each.name for each in talk.environments()[0] if each.failure or each.degraded_since]
    targets = [name for name in _meant(talk, command) if not command.everything or name in failed]
    if not targets:
        return Said(cards.note("Nothing of yours failed, so there is nothing to retry.", tone=Tone.GOOD))
    started = [environments.retry(talk.world, talk.actor, name, _key(talk, command, name)) for name in targets]
    return _cards(talk, started)


def _cancel(talk: Talk, command: Command) -> Said:
    ended = [cancelling.cancel(talk.world, talk.actor, _environment_of(talk, each)) for each in command.targets]
    begun = [each for each in ended if not each.operation.state.ended]
    if begun:
        return _cards(talk, begun)
    titles = [each.operation.failure.title for each in ended if each.operation.failure]
    lines = [f"{each.environment.name} is {each.environment.status}." for each in ended]
    reply = cards.note(" ".join(titles), *lines, tone=Tone.WARNING)
    return Said(reply, Outcome.ACCEPTED, ended[0].operation.id)


def _environment_of(talk: Talk, target: str) -> str:
    return talk.server(target).environment if _is_server(talk, target) else target


# Looking


def _show(talk: Talk, command: Command) -> Said:
    if command.template:
        permissions.check(talk.world, talk.actor, Act.LOOK, command.template)
        return Said(cards.template(templates.show(talk.world, command.template)))
    if len(command.targets) > 1:
        return Said(cards.environments([talk.environment(each) for each in command.targets], 0))
    target = command.targets[0]
    if _is_server(talk, target):
        return Said(cards.server(talk.server(target)))
    return Said(cards.environment(talk.environment(target)))


def _why(talk: Talk, command: Command) -> Said:
    target = command.targets[0]
    if _is_server(talk, target):
        server = talk.server(target)
        failure, name, degraded = server.failure, target, " ".join(cards.why_degraded(server))
    else:
        view = talk.environment(target)
        failure, name, degraded = view.failure, view.name, view.degraded or ""
    if failure is None and degraded:
        return Said(cards.note(f"{name} is degraded: {degraded}", tone=Tone.WARNING))
    if failure is None:
        return Said(cards.note(f"Nothing failed on {name}.", tone=Tone.GOOD))
    lines = cards.failure_lines(failure)
    who = "This is for ops." if failure.audience == "ops" and "ops" not in " ".join(lines) else ""
    told = tuple(line for line in (*lines[1:], who, *cards.more_about(failure)) if line)
    return Said(Reply(title=lines[0], tone=Tone.BAD, lines=told, code=mask_secrets(failure.evidence)))


def _list(talk: Talk, command: Command) -> Said:
    match command.noun:
        case "servers":
            found, hidden = talk.servers(command.targets[0] if command.targets else None)
            if command.everything == "mine":
                found = [each for each in found if each.owner == talk.actor.person]
            return Said(cards.servers(found, hidden))
        case "templates":
            known = [each for each in templates.list_all(talk.world) if each.name in talk.vocabulary.templates]
            return Said(cards.templates(known))
        case "jobs":
            return _jobs(talk, command)
        case _:
            owner = talk.actor.person if command.everything == "mine" else command.person
            return Said(cards.environments(*talk.environments(owner)))


def _jobs(talk: Talk, command: Command) -> Said:
    found = operations.list_all(talk.world, active=True)
    if command.targets:
        found = [each for each in found if each.environment in command.targets]
    allowed = [each for each in found if each.environment in talk.vocabulary.environments]
    return Said(cards.jobs(allowed, len(found) - len(allowed)))


def _where(talk: Talk, command: Command) -> Said:
    word = command.app or ""
    with_it = talk.vocabulary.roles.get(word, ())
    if not with_it:
        known = sorted({app for roles in talk.vocabulary.templates.values() for app in roles.values()})
        raise NotFound("app-unknown", f"There is no app “{word}”.{find.did_you_mean(word, known)}")
    found = [each for each in talk.environments()[0] if each.template in with_it]
    rows = []
    for each in found:
        role = talk.vocabulary.role_of(each.template, word)
        rows.append((each.name, each.status.value, each.branches.get(role or "", ""), each.owner))
    if not rows:
        return Said(cards.note(f"{word} runs nowhere yet; make a place for it with: create {with_it[0]}"))
    table = Table(columns=("environment", "status", "branch now", "owner"), rows=tuple(rows))
    return Said(Reply(title=f"{word} can be deployed to", tables=(table,)))


def _branches(talk: Talk, command: Command) -> Said:
    word = command.app or command.template or ""
    if word in talk.vocabulary.templates:
        name, role = word, None
    else:
        having = talk.vocabulary.roles.get(word, ())
        if not having:
            raise NotFound("app-unknown", f"There is no app, role or template “{word}”.")
        name = having[0]
        role = talk.vocabulary.role_of(name, word)
    found = branches.list_all(talk.world, find.template(talk.world, name), role)
    facts = tuple(Fact(label=f"{each}", value=_branch_names(known.names)) for each, known in found.items())
    return Said(Reply(title=f"Branches of {word}", facts=facts))


def _logs(talk: Talk, command: Command) -> Said:
    target = command.targets[0]
    if not _is_server(talk, target):
        of_environment = [each.name for each in talk.environment(target).servers]
        if not of_environment:
            raise NotFound("no-server", f"{target} has no server.")
        if len(of_environment) != 1:
            options = [Option(name, spell(replace(command, targets=(name,)))) for name in of_environment]
            return _question(f"Whose log? {target} has {len(of_environment)} servers.", options)
        target = of_environment[0]
    talk.server(target)
    return Said(cards.log(servers.logs(talk.world, target, command.lines or LOG_LINES)))


# Helpers


def _is_server(talk: Talk, name: str) -> bool:
    return name in talk.vocabulary.servers and name not in talk.vocabulary.environments


def _key(talk: Talk, command: Command, target: str) -> str | None:
    """One message may start several operations; each has a key of its own."""
    if talk.key is None or len(command.targets) < 2:
        return talk.key
    return f"{talk.key}:{target}"[-200:]


def _card(talk: Talk, accepted: Accepted) -> Said:
    usual = operations.usual_seconds(talk.world, accepted.operation.id)
    reply = cards.started(accepted, [], usual)
    return Said(reply, Outcome.ACCEPTED, accepted.operation.id, card=True)


def _cards(talk: Talk, started: list[Accepted]) -> Said:
    """One operation has a live card; of several only their beginning is told here, and their ends by notices."""
    if len(started) == 1:
        return _card(talk, started[0])
    lines = [f"{cards.doing(each.operation)} {each.environment.name}" for each in started]
    title = f"{len(started)} operations have begun; how each ends is told here."
    return Said(cards.note(title, *lines, tone=Tone.WORKING), Outcome.ACCEPTED, started[0].operation.id)


def _meant(talk: Talk, command: Command) -> list[str]:
    """The targets, or all environments of the person. Raises NotFound when they have none."""
    if not command.everything:
        return list(command.targets)
    own = [each.name for each in talk.environments(talk.actor.person)[0]]
    if not own:
        raise NotFound("nothing-of-yours", "You have no environment here.")
    return own


def _terminated(talk: Talk, command: Command) -> list[str]:
    if not command.everything:
        return list(command.targets)
    if command.everything == "all" and not talk.world.access.current().access.role_of(talk.actor.person).covers(
        Role.OPS
    ):
        raise BadInput("too-much", "Only ops may terminate everything at once; say: terminate all my environments")
    owner = talk.actor.person if command.everything == "mine" else None
    return [each.name for each in talk.environments(owner)[0]]


def _sure(talk: Talk, targets: list[str]) -> Said | None:
    """The question before somebody else's environment, or more than one thing, is terminated."""
    if len(targets) > 1:
        return _confirm(f"Terminate {len(targets)} at once: {', '.join(targets)}?", targets)
    target = targets[0]
    owner = (talk.server(target) if _is_server(talk, target) else talk.environment(target)).owner
    if owner == talk.actor.person:
        return None
    return _confirm(f"{target} belongs to {owner}. Terminate it all the same?", targets)


def _confirm(question: str, targets: list[str]) -> Said:
    yes = spell(Command(Verb.TERMINATE, targets=tuple(targets), confirmed=True))
    label = f"Terminate {targets[0]}" if len(targets) == 1 else f"Terminate all {len(targets)}"
    return _question(question, [Option(label, yes, danger=True), Option("Leave it", "")])


def _question(title: str, options: list[Option]) -> Said:
    return Said(Reply(title=title, tone=Tone.QUESTION), Outcome.ASKED, options=options)


def _nearest_branches(command: Command, error: BadInput) -> Said:
    """A branch that does not exist: the sentence, and the command with each of the nearest ones to pick from."""
    near, wanted = error.extra.get("nearest"), error.extra.get("wanted")
    if not isinstance(near, list) or not near or not isinstance(wanted, str):
        raise error
    options = [Option(each, spell(_with_branch(command, wanted, each))) for each in near]
    failure = error.extra["failure"]
    lines = getattr(failure, "lines", [error.message])
    return Said(
        Reply(title=lines[0], tone=Tone.BAD, lines=tuple(lines[1:])), Outcome.REFUSED, options=options, code=error.code
    )


def _with_branch(command: Command, wanted: str, other: str) -> Command:
    by_role = {role: other if branch == wanted else branch for role, branch in command.branches.items()}
    what = command.what.removesuffix(wanted) + other if command.what else None
    branch = other if command.branch == wanted else command.branch
    return replace(command, branch=branch, branches=by_role, what=what)


def _which_to_use(talk: Talk, command: Command, error: BadInput) -> Said:
    """A lone server needs an environment whose siblings it uses: those that there are, to pick from."""
    candidates = [each for each in talk.environments()[0] if each.template == command.template]
    if not candidates:
        raise error
    options = [Option(each.name, spell(replace(command, use=each.name))) for each in candidates[:5]]
    return _question(f"Whose servers is it to use? A {command.role} server needs an environment.", options)


def _branch_names(names: tuple[str, ...]) -> str:
    more = len(names) - MOST_BRANCHES
    return ", ".join(names[:MOST_BRANCHES]) + (f" and {more} more" if more > 0 else "")


_VERBS: dict[Verb, Callable[[Talk, Command], Said]] = {
    Verb.CREATE: _create,
    Verb.DEPLOY: _deploy,
    Verb.TERMINATE: _terminate,
    Verb.EXTEND: _extend,
    Verb.RETRY: _retry,
    Verb.CANCEL: _cancel,
    Verb.HOLD: keeping.hold,
    Verb.RELEASE: keeping.release,
    Verb.PROTECT: keeping.protect,
    Verb.UNPROTECT: keeping.unprotect,
    Verb.PLAN: keeping.plan,
    Verb.SCHEDULE: keeping.schedule,
    Verb.SHOW: _show,
    Verb.WHY: _why,
    Verb.LIST: _list,
    Verb.JOBS: _jobs,
    Verb.WHERE: _where,
    Verb.BRANCHES: _branches,
    Verb.LOGS: _logs,
    Verb.HELP: selves.help_,
    Verb.LINK: selves.link,
    Verb.NOTIFY: selves.notify,
    Verb.WHOAMI: selves.who_am_i,
}
