"""What a minion is told: its record, its env in layers, and nothing else."""

import pytest

from orchestrator.domain.record import Record
from orchestrator.saltext.pillar.brinepool import EnvFileError, layered, pillar_of

RECORD = Record(
    operation="01KB0000000000000000000001", server="cart-web-1", template="shop", environment="cart", role="web",
    app="shop-web", repository="https://git.example.org/shop/web.git", branch="main", run="./run", port=8000,
    health="/healthz", needs={"API_URL": "api"}, address="127.9.1.1",
    siblings={"api": ["127.9.1.2:8000", "127.9.1.3:8000"]},
)  # fmt: skip


@pytest.fixture
def envfiles(tmp_path):
    def write(**files):
        for name, text in files.items():
            path = tmp_path / f"{name.replace('_', '/')}.env"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def test_later_layers_win(envfiles):
    folder = envfiles(common="A=1\nB=1\nC=1\n", shop_common="B=2\nC=2\n", shop_web="C=3\n", shop_api="C=4\n")
    assert layered(folder, "shop", "web") == {"A": "1", "B": "2", "C": "3"}
    assert layered(folder, "other", "web") == {"A": "1", "B": "1", "C": "1"}


def test_wiring_and_address_win_over_files_and_are_no_secrets(envfiles):
    told = pillar_of(RECORD, envfiles(common="API_URL=http://elsewhere\nPORT=1\nTOKEN='a b'\n"))
    assert told["env"] == {
        "API_URL": "http://127.9.1.2:8000,http://127.9.1.3:8000", "HOST": "127.9.1.1", "PORT": "8000", "TOKEN": "a b",
    }  # fmt: skip
    assert told["plain"] == ["API_URL", "HOST", "PORT"]
    assert told["branch"] == "main"
    assert "operation" not in told


def test_values_are_taken_as_they_are_written(envfiles):
    folder = envfiles(common='A=$HOME ${B}\nexport B=\'x # y\'\nC="two \\" quotes"\n# D=1\nE=\n')
    assert layered(folder, "shop", "web") == {"A": "$HOME ${B}", "B": "x # y", "C": 'two " quotes', "E": ""}


@pytest.mark.parametrize("text", ["OK=1\n\nhunter22 is my password\n", "OK=1\n\nhunter22\n", "OK=1\n\nA-hunter22=1\n"])
def test_a_wrong_line_is_named_without_its_content(envfiles, text):
    with pytest.raises(EnvFileError) as wrong:
        layered(envfiles(shop_web=text), "shop", "web")
    assert str(wrong.value) == "envfiles/shop/web.env, line 3: write NAME=value."


def test_a_file_that_is_no_text_is_named(envfiles):
    folder = envfiles()
    (folder / "common.env").write_bytes(b"A=\xff\xfe")
    with pytest.raises(EnvFileError, match=r"envfiles/common\.env cannot be read"):
        layered(folder, "shop", "web")


def test_a_link_out_of_the_folder_is_refused(envfiles, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "master.env"
    outside.write_text("KEY=hunter22\n")
    folder = envfiles()
    (folder / "common.env").symlink_to(outside)
    with pytest.raises(EnvFileError, match="leads out of the folder"):
        layered(folder, "shop", "web")
