"""A .env file means the same to the shell, to systemd's rules and to python-dotenv."""

import io
import os
import subprocess

import pytest
from dotenv import dotenv_values
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.envfile import env_text
from orchestrator.domain.errors import BadInput

NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True).map(lambda name: f"T_{name}")
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r\n"), max_size=30) | st.text(
    "ab '\"\\$`!#~=:;&|<>*?()[]{}%\t", max_size=12
)


def sourced(text: str, folder) -> dict[str, str]:
    """What a real POSIX shell has in its environment after sourcing the text."""
    file = folder / ".env"
    file.write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["/bin/sh", "-c", 'set -a; . "$1"; set +a; exec env -0', "sh", str(file)],
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"}, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stderr == b""
    return dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if line.startswith("T_"))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_a_real_shell_reads_back_every_value(tmp_path_factory, values):
    assert sourced(env_text(values), tmp_path_factory.getbasetemp()) == values


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_systemd_rules_read_back_every_value(values):
    lines = (line.split("=", 1) for line in env_text(values).split("\n") if line)
    assert {name: systemd(text) for name, text in lines} == values


@given(st.dictionaries(NAMES, VALUES.filter(lambda v: not (set("'\\") & set(v) and set("$`") & set(v))), max_size=4))
def test_dotenv_reads_back_every_value_that_it_can_spell(values):
    assert dotenv_values(stream=io.StringIO(env_text(values)), interpolate=False) == values


def systemd(text: str) -> str:
    """The value of an EnvironmentFile= assignment, by the rules of systemd.exec(5)."""
    if text.startswith("'"):
        assert text.index("'", 1) == len(text) - 1
        return text[1:-1]
    if not text.startswith('"'):
        assert not set(text) & set(" \\'\"#;")
        return text
    value, rest = "", iter(text[1:-1])
    for character in rest:
        following = next(rest) if character == "\\" else ""
        value += following if following and following in '"\\`$' else character + following
    return value


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b"])
def test_what_a_line_cannot_carry_is_refused_without_showing_it(value):
    with pytest.raises(BadInput) as refused:
        env_text({"TOKEN": value})
    assert "TOKEN" in refused.value.message
    assert value not in refused.value.message


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "A\nB"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(BadInput):
        env_text({name: "x"})


def test_simple_values_are_bare():
    assert env_text({"PORT": "8000", "URL": "http://127.0.0.1:8000/x"}) == "PORT=8000\nURL=http://127.0.0.1:8000/x\n"
