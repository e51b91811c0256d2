import re
import string
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.chat.grammar import complete, examples, help_topics, spell, understand
from orchestrator.chat.grammar.nearest import MEANT, VERBS
from orchestrator.chat.intent import Command, Missing, Unclear, Understood, Verb, Vocabulary
from orchestrator.domain.durations import parse_duration

from .chat_phrases import ANSWERED, BERLIN, EXAMPLES, NOW, RIGHT, VOCABULARY, WRONG, Offer

EMPTY = Vocabulary()
CLEAN = Vocabulary(templates=VOCABULARY.templates, people=VOCABULARY.people)


def means(text: str, vocabulary: Vocabulary = VOCABULARY) -> Understood:
    return understand(text, vocabulary, NOW, BERLIN)


def as_seen(understood: Understood) -> Command | Missing | Offer:
    return Offer(understood.suggestions, understood.reason) if isinstance(understood, Unclear) else understood


@pytest.mark.parametrize(("text", "command"), RIGHT)
def test_what_people_type(text: str, command: Command) -> None:
    assert means(text) == command


@pytest.mark.parametrize(("text", "answer"), WRONG)
def test_what_is_wrong_or_missing(text: str, answer: Missing | Offer) -> None:
    assert as_seen(means(text)) == answer


@pytest.mark.parametrize(("text", "answers", "result"), ANSWERED)
def test_an_answer_completes_the_command(
    text: str, answers: tuple[str, ...], result: Command | Missing | Offer
) -> None:
    understood = means(text)
    for answer in answers:
        assert isinstance(understood, Missing)
        understood = complete(understood.command, understood.part, answer, VOCABULARY, NOW, BERLIN, understood.of)
    assert as_seen(understood) == result


@pytest.mark.parametrize("text", [text for text, answer in WRONG if isinstance(answer, Offer)])
def test_every_suggestion_is_a_command(text: str) -> None:
    understood = means(text)
    assert isinstance(understood, Unclear)
    assert 1 <= len(understood.suggestions) <= 3
    for suggestion in understood.suggestions:
        assert not isinstance(means(suggestion), Unclear)


@pytest.mark.parametrize("vocabulary", [VOCABULARY, EMPTY])
def test_every_example_of_the_help_is_understood(vocabulary: Vocabulary) -> None:
    told = [*examples(vocabulary), *(each for topic in help_topics().values() for each in topic.examples(vocabulary))]
    for example in told:
        understood = means(example, vocabulary)
        assert isinstance(understood, Command), example
    assert list(EXAMPLES) == examples(VOCABULARY)[:3]


@pytest.mark.parametrize("topic", help_topics())
def test_every_topic_is_found_by_its_name_and_shows_itself(topic: str) -> None:
    assert means(f"help {topic}") == Command(Verb.HELP, topic=topic)
    verbs = {means(example).verb for example in help_topics()[topic].examples(VOCABULARY)}  # type: ignore[union-attr]
    assert Verb(topic) in verbs


@pytest.mark.parametrize("verb", [*VERBS, *(verb for verbs in MEANT.values() for verb in verbs)])
def test_corrections_lead_to_verbs_of_the_grammar(verb: str) -> None:
    assert any(not isinstance(means(f"{verb}{rest}"), Unclear) for rest in ("", " me directly"))


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("until sunday 02:30", "2027-03-28 03:30"),  # 02:30 is skipped that night
        ("until 00:30", "2027-03-27 00:30"),
        ("until midnight", "2027-03-26 23:59"),
    ],
)
def test_clocks_that_change(text: str, local: str) -> None:
    now = datetime(2027, 3, 26, 12, 0, tzinfo=BERLIN)
    understood = understand(f"create shop {text}", VOCABULARY, now, BERLIN)
    assert isinstance(understood, Command)
    assert understood.until == datetime.fromisoformat(local).replace(tzinfo=BERLIN)


def test_a_time_of_day_is_meant_where_the_person_is() -> None:
    tokyo = understand("create shop until 18:00", VOCABULARY, NOW, ZoneInfo("Asia/Tokyo"))
    assert isinstance(tokyo, Command)
    assert tokyo.until is not None
    assert tokyo.until - NOW == timedelta(hours=23)  # it is 19:00 there, so tomorrow


@pytest.mark.parametrize(
    "text", ["x" * 10_000, "create shop " * 1_000, "create shop " * 100, '"' * 9_999, "web=" * 2_500, "```" * 3_000]
)
def test_a_line_that_is_too_long_is_refused_with_a_sentence(text: str) -> None:
    understood = means(text)
    assert isinstance(understood, Unclear)
    assert "too long" in understood.reason


@pytest.mark.parametrize("text", ["", "   ", "\u200b", "<@U024BE7LH>", "."])
def test_nothing_said(text: str) -> None:
    understood = means(text)
    assert isinstance(understood, Unclear)
    assert understood.suggestions == tuple(EXAMPLES)


def test_an_installation_without_anything_still_answers() -> None:
    assert means("create blog", EMPTY) == Command(Verb.CREATE, template="blog")
    assert isinstance(means("gibberish", EMPTY), Unclear)


def test_a_name_in_quotes_is_never_a_keyword() -> None:
    assert means('terminate "all"') == Command(Verb.TERMINATE, targets=("all",))
    assert means('create shop "web"') == Command(Verb.CREATE, template="shop", branch="web")


# ---- properties
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,12}[a-z0-9]", fullmatch=True) | st.sampled_from(
    [
        "all",
        "my",
        "list",
        "on",
        "as",
        "environments",
        "help",
        "until",
        "and",
        "server",
        "me",
        "a",
        "status",
        "2d",
        "yes",
    ]
)
LETTERS = string.ascii_letters + string.digits + "äßЖ中/._-#@+='\",!:%"
BRANCHES = (
    st.text(LETTERS, min_size=1, max_size=20)
    | st.sampled_from(["for", "2d", "3", "feature/for-as", "it's", 'say "no"', "a,b", "web", "--yes", "friday", "wow!"])
).filter(lambda branch: branch.split("/")[0].lower() not in VOCABULARY.roles and not branch.startswith("/"))
TARGETS = st.lists(NAMES, min_size=1, max_size=3, unique=True).map(tuple)
TTLS = st.sampled_from(["2d", "1d12h", "30m", "1w", "4h"])
MOMENTS = (
    st.integers(2, 400_000)
    .map(lambda minutes: (NOW + timedelta(minutes=minutes)).astimezone(BERLIN))
    .filter(lambda moment: not moment.fold)
)
REASONS = (
    st.lists(
        st.sampled_from(
            ["because", "of", "it's", "the", "show", "until", "friday", "18:00,", "web=3", "--yes", "all", "a/b"]
        ),
        min_size=1,
        max_size=6,
    )
    .map(" ".join)
    .map(lambda reason: re.sub(r"^(of )+|,$", "", reason))
)
ROLES = st.dictionaries(st.sampled_from(["api", "web", "shop-api"]), BRANCHES, max_size=2)
SPANS = st.fixed_dictionaries({"ttl": TTLS}) | st.fixed_dictionaries({"until": MOMENTS}) | st.just({})
CREATES = st.builds(
    lambda span, **rest: Command(Verb.CREATE, template="shop", **span, **rest),
    SPANS,
    branch=st.none() | BRANCHES,
    branches=ROLES,
    counts=st.dictionaries(st.sampled_from(["api", "web"]), st.integers(0, 99), max_size=2),
    name=st.none() | NAMES,
    use=st.none() | NAMES,
    confirmed=st.booleans(),
)
SINGLES = st.builds(
    lambda **rest: Command(Verb.CREATE, template="notes", **rest),
    role=st.sampled_from(["data", "site"]),
    branch=st.none() | BRANCHES,
    use=st.none() | NAMES,
)
DEPLOYS = st.builds(
    lambda app, branch, **rest: Command(Verb.DEPLOY, what=app + branch, **rest),
    st.sampled_from(["", "web/", "shop-api/"]),
    BRANCHES,
    targets=TARGETS,
    confirmed=st.booleans(),
)
EVERYTHING = st.sampled_from(["mine", "all"])
AIMED = st.builds(Command, st.sampled_from([Verb.TERMINATE, Verb.RETRY]), targets=TARGETS) | st.builds(
    Command, st.sampled_from([Verb.TERMINATE, Verb.RETRY, Verb.EXTEND]), everything=EVERYTHING
)
LOOKS = (
    st.builds(Command, st.sampled_from([Verb.SHOW, Verb.LOGS]), targets=TARGETS)
    | st.builds(Command, st.just(Verb.WHY), targets=TARGETS)
    | st.builds(Command, st.just(Verb.LOGS), targets=TARGETS, lines=st.integers(1, 9999))
    | st.builds(lambda span, targets: Command(Verb.EXTEND, targets=targets, **span), SPANS, TARGETS)
    | st.builds(lambda span, targets: Command(Verb.HOLD, targets=targets, **span), SPANS, TARGETS)
    | st.builds(Command, st.sampled_from([Verb.RELEASE, Verb.UNPROTECT, Verb.PLAN]), targets=TARGETS)
    | st.builds(
        lambda span, targets, why: Command(Verb.PROTECT, targets=targets, why=why, **span),
        SPANS,
        TARGETS,
        st.none() | REASONS,
    )
    | st.builds(Command, st.just(Verb.PLAN), everything=st.sampled_from(["", "mine"]), until=st.none() | MOMENTS)
    | st.just(Command(Verb.SCHEDULE))
    | st.builds(Command, st.just(Verb.LIST), noun=st.sampled_from(["environments", "servers"]), everything=EVERYTHING)
    | st.builds(Command, st.just(Verb.LIST), noun=st.just("environments"), person=st.just("ada"))
    | st.builds(Command, st.just(Verb.JOBS), targets=st.lists(NAMES, max_size=1).map(tuple))
    | st.builds(Command, st.just(Verb.PICK), number=st.integers(0, 999))
    | st.builds(Command, st.just(Verb.NOTIFY), mode=st.sampled_from(["", "mute", "unmute", "direct", "room"]))
)


@settings(max_examples=600, deadline=None)
@given(CREATES | SINGLES | DEPLOYS | AIMED | LOOKS)
def test_a_command_that_is_spelt_is_the_same_command(command: Command) -> None:
    assert means(spell(command), CLEAN) == command, spell(command)


WORDS = sorted({word for text, _ in (*RIGHT, *WRONG) for word in text.split()})


def check(text: str) -> None:
    """What holds for anything that anybody types."""
    understood = means(text)
    if isinstance(understood, Unclear):
        assert understood.reason
        assert len(understood.suggestions) <= 3
        return
    command = understood.command if isinstance(understood, Missing) else understood
    if isinstance(understood, Command):
        assert means(spell(command)) == command
    if command.ttl is not None:
        assert re.fullmatch(r"(\d+[wdhms])+", command.ttl)
    if command.until is not None:
        assert command.until > NOW
    if command.verb is Verb.TERMINATE:  # nothing is taken away that was not named
        typed = text.lower()
        assert all(
            target in typed or target.rpartition("-")[0].rpartition("-")[0] in typed for target in command.targets
        )


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=120))
def test_any_text_is_understood_or_refused(text: str) -> None:
    check(text)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8), st.sampled_from([" ", "  ", ", ", " and ", "\n"]))
def test_any_words_in_any_order_are_understood_or_refused(words: list[str], between: str) -> None:
    check(between.join(words))


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_mistyped_command_is_understood_or_refused(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([text for text, _ in RIGHT]))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + data.draw(st.text(max_size=2)) + text[place + data.draw(st.integers(0, 2)) :]
    check(text)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([text for text, answer in WRONG if isinstance(answer, Missing)]), st.text(max_size=40))
def test_any_answer_is_taken_or_refused(text: str, answer: str) -> None:
    asked = means(text)
    assert isinstance(asked, Missing)
    complete(asked.command, asked.part, answer, VOCABULARY, NOW, BERLIN, asked.of)


@given(st.sampled_from([command.ttl for _, command in RIGHT if command.ttl]))
def test_durations_are_what_the_commands_read(ttl: str) -> None:
    assert parse_duration(ttl)
