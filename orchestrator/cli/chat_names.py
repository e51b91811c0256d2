"""What Tab completes in `brine chat`: verbs, and the names that the server knows."""

from collections.abc import Iterable, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from orchestrator.chat.intent import Verb
from orchestrator.commands.views import EnvironmentView, ServerView, TemplateView
from orchestrator.domain.errors import BrinepoolError

from .client import Client, path

VERBS = tuple(verb.value for verb in Verb if verb not in (Verb.YES, Verb.NO, Verb.PICK))
_NOUNS = ("environments", "servers", "templates", "jobs")


class Names(Completer):
    """Completes from what `refresh` learned, so that Tab never waits for the server."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._templates: Sequence[str] = ()
        self._apps: Sequence[str] = ()
        self._environments: Sequence[str] = ()
        self._servers: Sequence[str] = ()

    def refresh(self) -> None:
        """Ask the server for its names; when it does not answer, the known ones stay."""
        try:
            templates = self._client.many(TemplateView, "templates", path("templates"))
            environments = self._client.many(EnvironmentView, "environments", path("environments"))
            servers = self._client.many(ServerView, "servers", path("servers"))
        except BrinepoolError:
            return
        self._templates = [each.name for each in templates]
        self._apps = sorted({role.app for each in templates for role in each.roles})
        self._environments = [each.name for each in environments]
        self._servers = [each.name for each in servers]

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """The words that begin with what was typed of one."""
        words = document.text_before_cursor.split(" ")
        typed, before = words[-1], [word.lower() for word in words[:-1] if word]
        for word in self._candidates(before):
            if word.startswith(typed.lower()):
                yield Completion(word, start_position=-len(typed))

    def _candidates(self, before: Sequence[str]) -> Sequence[str]:
        if not before:
            return VERBS
        if before[-1] == "use":
            return self._environments
        match before[0]:
            case "create":
                return self._templates
            case "list":
                return _NOUNS
            case "help":
                return VERBS
            case "where" | "branches":
                return [*self._templates, *self._apps]
            case "deploy" if before[-1] != "to":
                return [f"{app}/" for app in self._apps]
            case _:
                return [*self._environments, *self._servers]
