"""Pasting into a conversation, with and without bracketed paste."""

import io
import os
import pty
import sys
from collections.abc import Callable, Iterator

import pytest

from copilot_proxy.cli import keyboard
from copilot_proxy.simulator import Simulator
from tests.cli.terminals import Terminal, sign_in
from tests.selection import first


def questions(simulator: Simulator) -> list[object]:
    """Return the last user message of each request."""
    bodies = [one.body for one in simulator.state.requests if one.path == "/chat/completions"]
    return [body["messages"][-1]["content"] for body in bodies if isinstance(body, dict)]


@pytest.fixture
def talking(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> Iterator[Terminal]:
    sign_in(monkeypatch, simulator)
    with Terminal("chat", "-m", "gpt-5-mini") as terminal:
        terminal.wait_for_prompt()
        yield terminal


def leave(talking: Terminal) -> None:
    talking.wait_for_prompt()
    talking.press("d")
    assert talking.end() == 0


def test_bracketed_paste(talking: Terminal, simulator: Simulator) -> None:
    """A bracketed paste is one question, which the user still has to send."""
    talking.type("\x1b[200~one\rtwo\r\rthree\x1b[201~ and more")
    talking.wait_for("You said: one")
    leave(talking)
    assert questions(simulator) == ["one\ntwo\n\nthree and more"]


@pytest.mark.parametrize("count", first([3, 400]))
def test_paste_without_brackets(talking: Terminal, simulator: Simulator, count: int) -> None:
    """Lines that arrive together form one question, since each question is billed."""
    lines = [f"line {number} of a text" for number in range(count)]
    talking.type("\r".join(lines))
    talking.wait_for(f"{count} pasted lines are sent as one question.")
    talking.wait_for("You said: line 0")
    leave(talking)
    assert questions(simulator) == ["\n".join(lines)]


def test_a_last_line_without_an_end(talking: Terminal, simulator: Simulator) -> None:
    """A last line without a newline can still be edited, and is sent with the others."""
    talking.send("one\rtwo\rthr")
    talking.wait_for(". thr")
    talking.type("ee")
    talking.wait_for("You said: one")
    leave(talking)
    assert questions(simulator) == ["one\ntwo\nthree"]


def test_commands_with_several_lines(talking: Terminal, simulator: Simulator) -> None:
    """Only /system may have several lines."""
    talking.type("/system be brief\rand kind")
    talking.wait_for("Instructions set.")
    talking.wait_for_prompt()
    talking.type("/reset\rplease")
    talking.wait_for("You said: /reset")
    leave(talking)
    assert questions(simulator) == ["/reset\nplease"]


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], int]]:
    """A terminal as stdin, and a function that types into it."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r", encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield lambda data: os.write(ours, data)
    os.close(ours)


def test_waiting_lines(line: Callable[[bytes], None], capsys: pytest.CaptureFixture[str]) -> None:
    """Lines that are already waiting belong to the first one, even if answers go to a file."""
    line("eins\nzwei ü\n\ndrei\n".encode())
    assert keyboard.read_input() == "eins\nzwei ü\n\ndrei"
    line(b"one\n")
    assert keyboard.read_input() == "one"
    assert capsys.readouterr().err.count("sent as one question") == 1


@pytest.mark.parametrize(
    ("typed", "text"),
    [('"""one\ntwo"""\n', "one\n\ntwo"), ("one\n", "one"), ("one\\\ntwo\n", "one\ntwo")],
)
def test_an_empty_line_that_arrives_alone(
    monkeypatch: pytest.MonkeyPatch, typed: str, text: str
) -> None:
    """An empty line is kept inside triple quotes, and ignored elsewhere."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    waiting = iter(["\n", "", "", ""])
    monkeypatch.setattr(keyboard, "_waiting", lambda: next(waiting))
    assert keyboard.read_input() == text


def test_waiting_lines_that_cannot_be_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """If waiting lines cannot be detected, each line is a separate question."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\ntwo\n"))
    assert keyboard.read_input() == "one"
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert keyboard._waiting() == ""
