"""`brine chat`: the console, as a conversation on a terminal, or a line at a time for scripts."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

import click

from orchestrator.chat.console_views import Said
from orchestrator.chat.replies import Reply, Tone
from orchestrator.commands.views import OperationView
from orchestrator.domain.lifecycle import OperationState

from . import chat_render, render
from .chat_talk import Talk
from .client import path
from .progress import display
from .session import Session, json_option, pass_session
from .waiting import to_the_end, wait_option


@click.command()
@click.argument("words", nargs=-1)
@wait_option
@json_option
@pass_session
def chat(session: Session, words: Sequence[str], wait: bool) -> None:
    """Say something in plain words, or talk.

    On a terminal without WORDS it is a conversation; Tab completes, Ctrl-D leaves, and nothing that runs is stopped.

    With WORDS, or with lines from another program, each line is said and its answer printed; what it starts is waited
    for. Exits with 1 when that fails, and with 2 for what was not understood, was refused, or asks for more.

    \b
    Examples:
      brine chat
      brine chat create shop feature/cart as cart-test
      brine chat "list environments"
      echo "show cart-test" | brine chat --json
    """
    talk = Talk(session.client)
    if not words and session.interactive and not session.console.is_dumb_terminal:
        from . import chat_session  # only a conversation needs the line editor, and importing it costs 0.1 s

        chat_session.run(session, talk)
        return
    lines = [" ".join(words)] if words else _typed()
    raise click.exceptions.Exit(_all(session, talk, lines, wait))


def _typed() -> Iterator[str]:
    """The lines of standard input, each as soon as it is there."""
    while True:
        if sys.stdin.isatty():
            click.echo("brine> ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.strip()


def _all(session: Session, talk: Talk, lines: Iterable[str], wait: bool) -> int:
    """Say each line → the exit code: the worst there was. A question that a later line answers is none."""
    since = talk.read().seq  # also finds out whether anybody is there
    shown: set[str] = set()
    worst = asked = 0
    for line in lines:
        said = talk.say(line, notice=_once())
        if said is None:
            click.echo("Brinepool did not answer that.", err=True)
            worst, asked = max(worst, 2), 0
            continue
        shown.add(said.message)
        code = _told(session, talk, said, wait)
        asked = code if said.reply.tone is Tone.QUESTION else 0
        worst = max(worst, 0 if asked else code)
    talk.have_shown(shown, since)
    return max(worst, asked)


def _told(session: Session, talk: Talk, said: Said, wait: bool) -> int:
    """Print the answer, and, when it started something that is to be waited for, how that goes and ends → the code."""
    reply, ended = said.reply, None
    if said.operation and wait:
        _print(session, reply, progress=False)
        ended = _watched(session, said.operation)
        final = talk.final(said.message, said.seq)
        reply = final.reply if final else _outcome(ended)
    if session.as_json:
        operation = ended or (said.operation and session.client.one(OperationView, path("operations", said.operation)))
        session.show(
            {
                "message": said.message,
                "reply": reply.model_dump(mode="json"),
                "operation": operation.model_dump(mode="json") if operation else None,
            }
        )
    else:
        _print(session, reply, progress=True)
    if ended and ended.state != OperationState.SUCCEEDED:
        return 1
    return 0 if said.done else 2


def _watched(session: Session, operation: str) -> OperationView:
    try:
        with display(session.console, quiet=session.as_json) as shown:
            return to_the_end(session, operation, shown)
    except KeyboardInterrupt:
        click.echo("\nNot watching any more; it goes on. Look with: brine chat jobs", err=True)
        raise click.exceptions.Exit(130) from None


def _outcome(ended: OperationView) -> Reply:
    """How it ended, where the card does not say so in time."""
    good = ended.state == OperationState.SUCCEEDED
    why = render.failure_lines(ended.failure) if ended.failure else []
    return Reply(
        title=f"{ended.environment}: the {ended.kind} {ended.state}", tone=Tone.GOOD if good else Tone.BAD,
        lines=tuple(why),
    )  # fmt: skip


def _print(session: Session, reply: Reply, progress: bool) -> None:
    if not session.as_json:
        session.print(chat_render.reply(reply, progress=progress))


def _once() -> Callable[[str], None]:
    """Says why something is tried again, each reason once."""
    told: set[str] = set()

    def notice(sentence: str) -> None:
        if sentence not in told:
            click.echo(f"{sentence} Trying again.", err=True)
        told.add(sentence)

    return notice
