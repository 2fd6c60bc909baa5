"""`graindex ui` refuses what it cannot serve, in one line; serving is tested in a browser."""

import socket
from pathlib import Path

import pytest

from graindex.store import init_store
from orchestration.cli.main import WRONG_COMMAND, main


@pytest.fixture
def home(tmp_path: Path) -> str:
    return init_store(tmp_path / "home").location.home


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a wrong command prints."""
    assert main(["ui", *arguments]) == WRONG_COMMAND
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_port_in_use(home: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refusal(["--home", home, "--port", str(port)], capsys)
    assert f"cannot listen on 127.0.0.1:{port}" in line
    assert "choose another --port" in line


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_is_none(home: str, port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--port" in refusal(["--home", home, "--port", port], capsys)


def test_no_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere" in refusal(["--home", str(tmp_path / "nowhere")], capsys)
