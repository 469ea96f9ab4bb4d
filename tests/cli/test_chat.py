"""``chat``: one answer in a pipe or on a terminal, and a conversation."""

import asyncio
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from copilot_proxy.catalogue import parse_models
from copilot_proxy.cli import attachments, chat_answer, conversation, keyboard, spinner
from copilot_proxy.cli.main import run
from copilot_proxy.cli.markdown import MarkdownPrinter, split
from copilot_proxy.simulator import Simulator
from tests.cli.conftest import Ran
from tests.cli.terminals import Terminal, sign_in

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 50
Chat = Callable[..., Ran]


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> Simulator:
    """The simulator, with the person signed in to it."""
    sign_in(monkeypatch, simulator)
    return simulator


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Chat:
    """Runs ``chat`` here, with `piped` on its stdin, or with a person at the keyboard."""

    def call(*arguments: str, piped: bytes = b"", keyboard: str | None = None) -> Ran:
        data = piped if keyboard is None else keyboard.encode()
        stdin = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
        if keyboard is not None:
            stdin.isatty = lambda: True  # type: ignore[method-assign]
        monkeypatch.setattr(sys, "stdin", stdin)
        code = run(["chat", *arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


def asked(simulator: Simulator, number: int = -1) -> dict[str, Any]:
    """What the simulator was sent, without the marks of Claude's cache."""
    body = [one.body for one in simulator.state.requests if one.path == "/chat/completions"][number]
    assert isinstance(body, dict)
    for message in body["messages"]:
        message.pop("copilot_cache_control", None)
    return body


def test_an_answer(chat: Chat, account: Simulator) -> None:
    """It goes to stdout as plain text with a newline at the end; stderr stays empty."""
    ran = chat("Say", "hi")
    assert ran.code == 0
    assert ran.out.endswith("You said: Say hi\n")
    assert "claude-sonnet-4.5" in ran.out
    assert ran.err == ""
    assert asked(account)["stream"] is True


def test_a_newline_is_not_doubled(capsys: pytest.CaptureFixture[str]) -> None:
    """An answer that ends with one gets no second."""
    screen = chat_answer.PlainPrinter()
    screen.write("text\n")
    screen.close()
    assert capsys.readouterr().out == "text\n"


def test_what_is_piped_in(chat: Chat, account: Simulator) -> None:
    """It follows the prompt after an empty line, or is the prompt."""
    chat("Summarise", piped=b"\xef\xbb\xbfsome text\n")
    assert asked(account)["messages"] == [{"role": "user", "content": "Summarise\n\nsome text"}]
    chat(piped=b"just \xff this")
    assert asked(account)["messages"] == [{"role": "user", "content": "just � this"}]


@pytest.mark.parametrize("arguments", [[], [" "]])
def test_nothing_to_ask(chat: Chat, arguments: list[str]) -> None:
    """That is wrong usage, and nothing is sent."""
    ran = chat(*arguments)
    assert ran.code == 2
    assert "There is nothing to ask." in ran.err


def test_binary_data_is_no_question(chat: Chat) -> None:
    """An image that is piped in is led to the option for it."""
    ran = chat("look", piped=PNG + b"\0")
    assert ran.code == 2
    assert "--image" in ran.err


def test_no_stdin_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed stdin holds nothing."""
    monkeypatch.setattr(sys, "stdin", None)
    assert attachments.piped_text() is None


def test_model_and_system(chat: Chat, account: Simulator) -> None:
    """Both reach Copilot."""
    chat("Hi", "-m", "gpt-5-mini", "-s", "Be brief")
    assert asked(account)["model"] == "gpt-5-mini"
    assert asked(account)["messages"][0] == {"role": "system", "content": "Be brief"}


def test_the_default_model_is_a_setting(
    chat: Chat, account: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --model the setting decides."""
    monkeypatch.setenv("COPILOT_PROXY_DEFAULT_MODEL", "gpt-4.1")
    chat("Hi")
    assert asked(account)["model"] == "gpt-4.1"


@pytest.mark.parametrize(("name", "code"), [("nope", 1), ("", 2), (" ", 2)])
def test_an_unknown_model(chat: Chat, name: str, code: int) -> None:
    """It is said, with where to look; a name that is none is wrong usage."""
    ran = chat("Hi", "-m", name)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("Error: ")
    assert "copilot-proxy models" in ran.err


def test_a_model_that_needs_enabling(chat: Chat, account: Simulator) -> None:
    """What the list of models knows is said plainly."""
    ran = chat("Hi", "-m", "raptor-mini")
    assert ran.code == 1
    assert "raptor-mini needs enabling: accept its terms at https://github.com/settings" in ran.err


def test_a_sign_in_that_copilot_refuses(chat: Chat, account: Simulator) -> None:
    """Exit code 3, as for everything that a sign-in mends."""
    account.state.faults.on("authentication_failed")
    ran = chat("Hi")
    assert ran.code == 3
    assert "copilot-proxy login" in ran.err


def test_a_rate_limit_says_how_long(chat: Chat, account: Simulator) -> None:
    """The header that a program would read is told to the person."""
    account.state.faults.on("rate_limited")
    ran = chat("Hi")
    assert ran.code == 1
    assert re.search(r"[Ww]ait \d+ s\b", ran.err)


def test_json(chat: Chat, account: Simulator) -> None:
    """The whole completion goes to stdout, with what it took."""
    ran = chat("Hi", "--json", "-v")
    completion = json.loads(ran.out)
    assert completion["object"] == "chat.completion"
    assert completion["model"] == "claude-sonnet-4.5"
    assert completion["choices"][0]["finish_reason"] == "stop"
    assert completion["usage"]["completion_tokens"] > 0
    assert "tokens in" in ran.err


def test_json_needs_a_question(chat: Chat) -> None:
    """There is no conversation in JSON."""
    assert chat("--json", keyboard="").code == 2


def test_no_stream(chat: Chat, account: Simulator) -> None:
    """The answer is asked for in one piece and looks the same."""
    ran = chat("Hi", "--no-stream", "-m", "gpt-5-mini")
    assert ran.out.endswith("You said: Hi\n")
    assert asked(account)["stream"] is False


def test_verbose(chat: Chat) -> None:
    """Model, tokens, time and credits are told in the end, on stderr."""
    ran = chat("Hi", "-v")
    assert ran.err.startswith("claude-sonnet-4.5: ")
    assert " tokens in, " in ran.err
    assert " AI credits ($" in ran.err


def test_what_an_answer_took() -> None:
    """Cached tokens and notes are told; what is not known is left out."""
    one = chat_answer.new_answer()
    one.record.model, one.record.duration = "m", 2.0
    assert chat_answer.usage_summary(one.record) == "m: 2.00 s in all"
    one.record.usage = {
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 5},
    }
    one.record.notes = ["x was dropped"]
    assert chat_answer.usage_summary(one.record) == (
        "m: 9 tokens in (5 cached), 3 out, 2.00 s in all, note: x was dropped"
    )


def test_simulated(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """No account is needed; without one the way to sign in is told, with exit code 3."""
    monkeypatch.delenv("COPILOT_PROXY_GITHUB_TOKEN")
    ran = chat("Hi")
    assert ran.code == 3
    assert "copilot-proxy login" in ran.err
    assert chat("Hi", "--simulate").code == 0


def test_no_copilot(chat: Chat, account: Simulator) -> None:
    """Exit code 4, as everywhere."""
    account.state.plan = "none"
    assert chat("Hi").code == 4


@pytest.mark.parametrize(
    ("fault", "said"),
    [("finish_length", "reached the most tokens"), ("content_filter", "content filter")],
)
def test_an_answer_that_was_stopped(chat: Chat, account: Simulator, fault: str, said: str) -> None:
    """Why it ends where it ends is told on stderr."""
    account.state.faults.on(fault)
    ran = chat("Hi")
    assert ran.code == 0
    assert said in ran.err


def test_an_empty_answer(chat: Chat, account: Simulator) -> None:
    """Silence is explained."""
    account.state.faults.on("wordless")
    ran = chat("Hi")
    assert (ran.out, ran.err) == ("", "The model answered with nothing.\n")


def test_an_error_in_the_middle(chat: Chat, account: Simulator) -> None:
    """What came stays, the error is told after it, and the exit code is 1."""
    account.state.faults.on("error_chunk")
    ran = chat("count to 100")
    assert ran.code == 1
    assert ran.out.startswith("1 2 3")
    assert ran.out.endswith("\n")
    assert "Error: " in ran.err


def test_a_reader_that_leaves(account: Simulator) -> None:
    """A pipe that is closed early ends the request, without a word."""
    account.state.pace = 0.01
    code = f"{sys.executable} -m copilot_proxy chat 'count to 3000' | head -c 5"
    done = subprocess.run(
        ["sh", "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert (done.stdout, done.stderr) == ("1 2 3", "")
    sent = account.state.recorder.wait_for(lambda one: one.path == "/chat/completions")
    assert sent.done.wait(5)
    assert sent.closed_by_client


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "picture.txt"
    path.write_bytes(PNG)
    return path


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"GIF87a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
    ],
)
def test_images(chat: Chat, account: Simulator, image: Path, data: bytes, media_type: str) -> None:
    """They are told by their contents, and sent with the question."""
    image.write_bytes(data)
    assert "I see 1 image" in chat("What is it?", "-m", "gpt-5-mini", "-i", str(image)).out
    text, picture = asked(account)["messages"][0]["content"]
    assert text == {"type": "text", "text": "What is it?"}
    assert picture["image_url"]["url"].startswith(f"data:{media_type};base64,")


def test_files_that_are_no_images(chat: Chat, tmp_path: Path) -> None:
    """Missing, of another kind, far too large: each is said before anything is sent."""
    other = tmp_path / "other.png"
    assert "No such file" in chat("Hi", "-i", str(other)).err
    other.write_bytes(b"RIFF and nothing")
    ran = chat("Hi", "-i", str(other))
    assert ran.code == 2
    assert "It takes PNG, JPEG, WebP and GIF." in ran.err
    with other.open("wb") as file:
        file.truncate(21 * 1024 * 1024)
    assert "too large: 21.0 MB" in chat("Hi", "-i", str(other)).err


def test_images_that_the_model_does_not_take(chat: Chat, image: Path, tmp_path: Path) -> None:
    """Its own limits are known before the request is wasted."""
    show = ["-i", str(image)]
    assert (
        "grok-code-fast-1 does not see images." in chat("Hi", "-m", "grok-code-fast-1", *show).err
    )
    assert "at most 1 at once" in chat("Hi", "-m", "gpt-5-mini", *show, *show).err
    gif = tmp_path / "moving.gif"
    gif.write_bytes(b"GIF89a")
    assert "does not take image/gif" in chat("Hi", "-i", str(gif)).err
    image.write_bytes(PNG + b"0" * 4_000_000)
    ran = chat("Hi", *show)
    assert ran.code == 2
    assert "too large: 3.8 MB, and claude-sonnet-4.5 takes images of up to 3.0 MB." in ran.err


def test_a_model_of_which_nothing_is_known(image: Path) -> None:
    """Copilot decides then."""
    unknown = next(iter(parse_models([{"id": "a"}])))
    attachments.check_images([attachments.read_image(image)], unknown)


# On a terminal.


def test_an_answer_on_a_terminal() -> None:
    """It is shown as Markdown, with nothing else around it."""
    with Terminal("chat", "-v", "Some **bold** words") as terminal:
        assert terminal.end() == 0
        first = terminal.lines[0]
        assert first.endswith("You said: Some bold words")
        assert terminal.lines[1].startswith("claude-sonnet-4.5: ")


def test_an_answer_longer_than_the_screen() -> None:
    """Each word of it is there once, in order, also what has scrolled away."""
    with Terminal("chat", "count to 3000", lines=10) as terminal:
        assert terminal.end() == 0
        assert terminal.text.split() == [str(number) for number in range(1, 3001)]


def test_ctrl_c_ends_an_answer(account: Simulator) -> None:
    """What came stays, the request ends upstream, and the exit code is 130."""
    account.state.pace = 0.01
    with Terminal("chat", "count to 3000") as terminal:
        terminal.wait_for("1 2 3 4 5")
        terminal.press("c")
        assert terminal.end() == 130
        assert terminal.text.startswith("1 2 3 4 5")
        assert "Traceback" not in terminal.text
    sent = account.state.recorder.wait_for(lambda one: one.path == "/chat/completions")
    assert sent.done.wait(5)
    assert sent.closed_by_client


def test_something_moves_while_one_waits(account: Simulator) -> None:
    """Until the first word comes there is a sign of life, and it leaves no trace."""
    account.state.faults.on("stall_before_headers", value=0.5)
    with Terminal("chat", "Hi") as terminal:
        terminal.wait_for("Waiting")
        assert terminal.end() == 0
        assert "Waiting" not in terminal.text


def test_a_terminal_that_can_do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets the plain text."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert isinstance(chat_answer.new_printer(), chat_answer.PlainPrinter)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(chat_answer.new_printer(), MarkdownPrinter)


def test_the_sign_of_life(monkeypatch: pytest.MonkeyPatch, account: Simulator, chat: Chat) -> None:
    """It shows the end of what the model thinks."""
    shown: list[str] = []
    real = spinner.Spinner.show_reasoning

    def show_reasoning(self: spinner.Spinner, thought: str) -> None:
        real(self, thought)
        shown.append(str(self._status.status))

    monkeypatch.setattr(spinner.Spinner, "show_reasoning", show_reasoning)
    monkeypatch.setattr(chat_answer, "can_draw", lambda: True)
    assert chat("Hi", "-m", "gemini-3.1-pro-preview").code == 0
    assert shown[-1].endswith("I can answer this at once.")
    assert "*" not in shown[-1]


MARKDOWN = """# Title

Some *words* and a [link](https://example.com).

1. one

   more of it
2. two

```python
def f() -> None:
    \"\"\"A long line of documentation that has to be wrapped somewhere.\"\"\"

    return
```

| a | b |
|---|---|
| 1 | 2 |

> quoted

    indented code

---

The end."""


def drawn(pieces: list[str], *, height: int = 8, terminal: bool = True) -> str:
    file = io.StringIO()
    console = Console(
        file=file, width=40, height=height, force_terminal=terminal, color_system=None
    )
    screen = MarkdownPrinter(console)
    for piece in pieces:
        screen.write(piece)
    screen.close()
    screen.close()
    return file.getvalue()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_markdown_looks_the_same_however_it_arrives(size: int) -> None:
    """The pieces in which an answer comes make no difference in the end."""
    pieces = [MARKDOWN[i : i + size] for i in range(0, len(MARKDOWN), size)]
    assert drawn(pieces, terminal=False) == drawn([MARKDOWN], terminal=False)
    shown = drawn([MARKDOWN], terminal=False)
    assert "link\n(https://example.com)" in shown
    assert "def f() -> None:\n" in shown
    assert " \n" not in shown


def test_markdown_moves_no_cursor() -> None:
    """Control characters of an answer do not reach the terminal."""
    shown = drawn(["a\x1b]0;title\x07b\x1b[31mc\r\nd\x9b1m"], terminal=False)
    assert shown == "a]0;titleb[31mc d1m\n"


def test_markdown_without_words() -> None:
    """An answer of blanks leaves nothing; neither does a link that is only defined."""
    assert drawn(["\n", "  \n"], terminal=False) == ""
    assert drawn(["[x]: http://y\n"], terminal=False) == ""


LONG = {
    "code": "```python\n" + "".join(f"x{i} = {i}\n\n\n" for i in range(9)) + "```\n",
    "items": "".join(f"{i}. one\n\n   more\n" for i in range(10, 30)),
    "bullets": "".join(f"- item {i}\n  - sub {i}\n" for i in range(20)),
    "text": "".join(f"line {i}\n" for i in range(20)),
}


@pytest.mark.parametrize("kind", LONG)
@pytest.mark.parametrize("size", [1, 7, 40])
def test_a_block_that_is_longer_than_the_screen(kind: str, size: int) -> None:
    """It is printed in parts, which together look like the whole."""
    text = f"Before\n\n{LONG[kind]}\nThe end.\n"
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert drawn(pieces, terminal=False) == drawn([text], height=200, terminal=False)


@pytest.mark.parametrize("kind", ["code", "items", "bullets"])
def test_what_is_finished_scrolls_away(kind: str) -> None:
    """The beginning of a long block is there before its end has come."""
    file = io.StringIO()
    screen = MarkdownPrinter(Console(file=file, width=40, height=8, color_system=None))
    screen.write(LONG[kind].removesuffix("```\n"))
    before = file.getvalue()
    screen.close()
    assert len(before.split()) > 20
    assert len(file.getvalue().split()) < len(before.split()) + 20


@pytest.mark.parametrize(
    ("text", "finished"),
    [
        ("one\n\ntwo", []),
        ("one\n\ntwo\n", ["one\n\n"]),
        ("# one\ntwo\n\nthree\n", ["# one\n", "two\n\n"]),
        ("- a\n\n- b\n", []),
        ("- a\n\ntext\n", ["- a\n\n"]),
        ("```\na\n\nb\n", []),
        ("", []),
    ],
)
def test_what_is_finished(text: str, finished: list[str]) -> None:
    """A block is finished when the next one has a whole line."""
    assert split(text) == (finished, text[len("".join(finished)) :])


def test_a_tail_that_is_costly_is_not_redrawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a redraw would take too much of the time, the last one is shown again."""
    module = import_module("copilot_proxy.cli.markdown")
    now = iter([0.0, 1.0, 2.0, 10.0, 10.1])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(now))
    console = Console(width=40, height=5, file=io.StringIO())
    tail = module._Tail()
    shown = []
    for tail.text in ("one", "one two", "one two three"):
        shown.append("".join(part.text for part in console.render(tail)).strip())
    assert shown == ["one", "one", "one two three"]


# The conversation.


@pytest.fixture
def talking() -> Iterator[Terminal]:
    with Terminal("chat") as terminal:
        terminal.wait_for_prompt()
        yield terminal


def test_a_conversation(talking: Terminal, account: Simulator) -> None:
    """What was said before goes along with what is said next; Ctrl+D leaves."""
    talking.type("First")
    talking.wait_for("You said: First")
    talking.wait_for_prompt()
    talking.type("Second")
    talking.wait_for("You said: Second")
    talking.wait_for_prompt()
    talking.press("d")
    assert talking.end() == 0
    messages = asked(account)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[0]["content"] == "First"
    assert account.state.exchanges == 1


def test_several_lines(talking: Terminal, account: Simulator) -> None:
    """A backslash goes on in the next line; three quotes hold as many as one likes."""
    talking.type("one\\")
    talking.wait_for("\n.")
    talking.type("two")
    talking.wait_for("You said: one two")
    talking.wait_for_prompt()
    talking.type('"""three')
    talking.type("")
    talking.type('four"""')
    talking.wait_for("You said: three")
    talking.wait_for_prompt()
    talking.type("/exit")
    assert talking.end() == 0
    assert asked(account, 0)["messages"][0]["content"] == "one\ntwo"
    assert asked(account, 1)["messages"][-1]["content"] == "three\n\nfour"


def test_ctrl_c_stops_the_answer_only(talking: Terminal, account: Simulator) -> None:
    """The part that came is kept, and the conversation goes on."""
    account.state.pace = 0.01
    talking.type("count to 3000")
    talking.wait_for("1 2 3 4 5 6")
    talking.press("c")
    talking.wait_for("Stopped.")
    talking.wait_for_prompt()
    account.state.pace = 0
    talking.type("Next")
    talking.wait_for("You said: Next")
    talking.wait_for_prompt()
    talking.press("d")
    assert talking.end() == 0
    told = asked(account)["messages"]
    assert [message["role"] for message in told] == ["user", "assistant", "user"]
    assert told[1]["content"].startswith("1 2 3 4 5")


def test_ctrl_c_at_the_prompt(talking: Terminal) -> None:
    """It says how to leave."""
    talking.interrupt("To leave, press Ctrl+D or type /exit.")
    talking.wait_for_prompt()
    talking.type("/quit")
    assert talking.end() == 0


def test_lines_can_be_recalled(talking: Terminal) -> None:
    """The arrow keys bring earlier lines back."""
    talking.type("Something")
    talking.wait_for("You said: Something")
    talking.wait_for_prompt()
    talking.type("\x1b[A")
    talking.wait_for("You said: Something", times=2)
    talking.wait_for_prompt()
    talking.press("d")
    assert talking.end() == 0


def test_nothing_came_before_ctrl_c(talking: Terminal, account: Simulator) -> None:
    """A question without any answer is forgotten, so that it can be asked again."""
    account.state.faults.on("stall_before_headers", times=1)
    talking.type("First")
    account.state.recorder.wait_for(lambda one: one.path == "/chat/completions")
    talking.press("c")
    talking.wait_for("Stopped.")
    talking.wait_for_prompt()
    talking.type("Second")
    talking.wait_for("You said: Second")
    talking.wait_for_prompt()
    talking.press("d")
    assert talking.end() == 0
    assert asked(account)["messages"] == [{"role": "user", "content": "Second"}]


def converse(chat: Chat, *lines: str, arguments: tuple[str, ...] = ()) -> Ran:
    """A conversation whose answers go to a file, which needs no terminal."""
    return chat(*arguments, keyboard="".join(line + "\n" for line in lines))


def test_a_conversation_into_a_file(chat: Chat) -> None:
    """Only the answers go to stdout."""
    ran = converse(chat, "Hello", "", "   ")
    assert ran.code == 0
    assert ran.out == (
        "This is copilot-proxy's simulator, playing claude-sonnet-4.5: no model has read this. "
        "You said: Hello\n"
    )
    assert ran.err.startswith("claude-sonnet-4.5. /help tells")
    assert "> " in ran.err


def test_commands(chat: Chat, account: Simulator) -> None:
    """The model, the instructions and the memory can be changed; a path is no command."""
    ran = converse(
        chat,
        "One",
        "/model gpt-5-mini",
        "/model",
        "/system Be brief",
        "/reset",
        "/etc/hosts?",
        "/system",
        "/help",
        "/nonsense",
        "/exit",
        arguments=("-s", "Be kind", "-v"),
    )
    assert ran.code == 0
    assert ran.err.count("The model is gpt-5-mini.") == 2
    assert "/reset         forget what was said" in ran.err
    assert "There is no command /nonsense." in ran.err
    assert "No instructions now." in ran.err
    assert asked(account, 0)["messages"][0] == {"role": "system", "content": "Be kind"}
    assert asked(account, 1)["model"] == "gpt-5-mini"
    assert asked(account, 1)["messages"] == [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "/etc/hosts?"},
    ]
    assert " tokens in, " in ran.err


def test_trouble_leaves_the_conversation_usable(chat: Chat, account: Simulator) -> None:
    """After an error the same thing can be sent again, and is sent once."""
    account.state.faults.on("server_error_500", times=1)
    ran = converse(chat, "/model nope", "Hello", "Hello")
    assert ran.code == 0
    assert "does not exist" in ran.err
    assert ran.err.count("Error: ") == 2
    assert asked(account)["messages"] == [{"role": "user", "content": "Hello"}]


def test_images_go_with_the_first_words(chat: Chat, account: Simulator, image: Path) -> None:
    """They are shown once and stay in what was said."""
    converse(chat, "Look", "And?", arguments=("-i", str(image)))
    first, _, third = asked(account)["messages"]
    assert first["content"][1]["type"] == "image_url"
    assert third["content"] == "And?"


def test_a_conversation_that_cannot_begin(chat: Chat, account: Simulator, image: Path) -> None:
    """An unknown model, or one that cannot see what is to be shown, is said at once."""
    assert converse(chat, "Hi", arguments=("-m", "nope")).code == 1
    assert converse(chat, "Hi", arguments=("-m", "gpt-4", "-i", str(image))).code == 2


class Interrupted:
    """A relay at which somebody presses Ctrl+C."""

    def __init__(self, at: int) -> None:
        self._left = at
        self.names = self

    async def model(self, name: str) -> object:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        return next(iter(parse_models([{"id": name}])))


def test_ctrl_c_anywhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the prompt, and while a model is looked up, it stops just that."""
    lines = iter([KeyboardInterrupt(), "/model x", EOFError()])

    def read() -> str:
        line = next(lines)
        if isinstance(line, BaseException):
            raise line
        return line

    monkeypatch.setattr(conversation, "read_input", read)
    chat_module = import_module("copilot_proxy.cli.chat")
    options = chat_module.ChatOptions(
        model="a", system=None, images=[], as_json=False, stream=True, verbose=False
    )
    with asyncio.Runner() as runner:
        chat = conversation.Conversation(Interrupted(1), runner, options)  # type: ignore[arg-type]
        chat.run()
    assert "To leave, press Ctrl+D" in capsys.readouterr().err


def test_ctrl_c_while_an_answer_comes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What came is kept as what the model said."""

    async def ask(relay: object, request: dict[str, Any], one: chat_answer.Answer) -> None:
        one.text = "some"
        raise KeyboardInterrupt

    lines = iter(["Hi"])
    monkeypatch.setattr(conversation, "ask", ask)
    chat_module = import_module("copilot_proxy.cli.chat")
    options = chat_module.ChatOptions(
        model="a", system=None, images=[], as_json=False, stream=True, verbose=False
    )
    monkeypatch.setattr(conversation, "read_input", lambda: next(lines, None) or _end())
    with asyncio.Runner() as runner:
        chat = conversation.Conversation(Interrupted(1), runner, options)  # type: ignore[arg-type]
        chat.run()
    assert chat._history[-1] == {"role": "assistant", "content": "some"}
    assert "Stopped." in capsys.readouterr().err


def test_ctrl_c_just_after_an_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who wanted to stop an answer and was too late is still in the conversation, which has it."""

    async def ask(relay: object, request: dict[str, Any], one: chat_answer.Answer) -> None:
        one.text = "all"

    def remark(one: chat_answer.Answer, *, verbose: bool) -> None:
        raise KeyboardInterrupt

    lines = iter(["Hi"])
    monkeypatch.setattr(conversation, "ask", ask)
    monkeypatch.setattr(conversation, "remark", remark)
    chat_module = import_module("copilot_proxy.cli.chat")
    options = chat_module.ChatOptions(
        model="a", system=None, images=[], as_json=False, stream=True, verbose=False
    )
    monkeypatch.setattr(conversation, "read_input", lambda: next(lines, None) or _end())
    with asyncio.Runner() as runner:
        chat = conversation.Conversation(Interrupted(1), runner, options)  # type: ignore[arg-type]
        chat.run()
    assert [one["content"] for one in chat._history] == ["Hi", "all"]
    assert "To leave, press Ctrl+D" in capsys.readouterr().err


def _end() -> str:
    raise EOFError


def test_a_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the line is read by Python, which lets it be edited."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    lines = iter(["a\\", "b", '"""c', 'd"""', '"""e"""'])
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    assert keyboard.read_input() == "a\nb"
    assert keyboard.read_input() == "c\nd"
    assert keyboard.read_input() == "e"
