"""Settings that are wrong: one sentence that names the setting, also inside a table, and from where it came."""

from pathlib import Path

import pytest

from orchestrator import settings
from orchestrator.domain.errors import BadInput


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("BRINE_BUILDING_AT_ONCE", "0", r"The setting BRINE_BUILDING_AT_ONCE is wrong: .*greater than"),
        ("BRINE_SERVERS_IN_ALL", "many", r"The setting BRINE_SERVERS_IN_ALL is wrong: .*integer"),
        ("BRINE_SWEEP_EVERY", "-5m", r"The setting BRINE_SWEEP_EVERY is wrong: .*not a duration"),
        ("BRINE_PROVIDERS", "nonsense", r"BRINE_PROVIDERS is no JSON, which a table or a list has to be there\."),
        ("BRINE_PROVIDERS", '{"a": {"bulding": 3}}', r"There is no setting “providers\.a\.bulding”; a line"),
        (
            "BRINE_PROVIDERS", '{"a": {"building_at_once": 0}}',
            r"a\.building_at_once in the setting BRINE_PROVIDERS is wrong: ",
        ),
    ],
)  # fmt: skip
def test_a_wrong_variable(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadInput, match=sentence):
        settings.load()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("building_at_one = 3", "There is no setting “building_at_one”; a line of settings.toml or a BRINE_ variable"),
        ("building_at_once = ", "The file settings.toml in the home cannot be read: "),
    ],
)
def test_a_wrong_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "settings.toml").write_text(text)
    monkeypatch.setenv("BRINE_HOME", str(tmp_path))
    with pytest.raises(BadInput, match=sentence):
        settings.load()
