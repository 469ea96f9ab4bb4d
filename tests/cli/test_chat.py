"""``chat``: single answers in a pipe and on a terminal, and conversations."""

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
from tests.selection import crossed

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 50
Chat = Callable[..., Ran]


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> Simulator:
    """The simulator, with the user signed in to it."""
    sign_in(monkeypatch, simulator)
    return simulator


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Chat:
    """Return a function that runs ``chat`` in this process; stdin is `piped` or a terminal."""

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


def last_request(simulator: Simulator, number: int = -1) -> dict[str, Any]:
    """Return the request that the simulator received, without cache control markers."""
    body = [one.body for one in simulator.state.requests if one.path == "/chat/completions"][number]
    assert isinstance(body, dict)
    for message in body["messages"]:
        message.pop("copilot_cache_control", None)
    return body


def test_an_answer(chat: Chat, account: Simulator) -> None:
    """The answer goes to stdout as plain text with a newline at the end; stderr stays empty."""
    ran = chat("Say", "hi")
    assert ran.code == 0
    assert ran.out.endswith("You said: Say hi\n")
    assert "playing claude-sonnet-" in ran.out
    assert ran.err == ""
    assert last_request(account)["stream"] is True


def test_a_newline_is_not_doubled(capsys: pytest.CaptureFixture[str]) -> None:
    """An answer that ends with a newline gets no second newline."""
    screen = chat_answer.PlainPrinter()
    screen.write("text\n")
    screen.close()
    assert capsys.readouterr().out == "text\n"


def test_piped_input(chat: Chat, account: Simulator) -> None:
    """Piped input follows the prompt after an empty line, or serves as the prompt."""
    assert "" == chat("Summarize", piped=b"\xef\xbb\xbfsome text\n").err
    assert last_request(account)["messages"] == [
        {"role": "user", "content": "Summarize\n\nsome text"}
    ]
    ran = chat(piped=b"just\nnot \xff this")
    assert "not valid UTF-8 (line 2)" in ran.err
    sent = last_request(account)["messages"]
    assert [{"role": "user", "content": "just\nnot � this"}] == sent


@pytest.mark.parametrize("arguments", [[], [" "]])
def test_an_empty_prompt(chat: Chat, arguments: list[str]) -> None:
    """An empty prompt is a usage error, and nothing is sent."""
    ran = chat(*arguments)
    assert ran.code == 2
    assert "The prompt is empty." in ran.err


def test_piped_binary_data(chat: Chat) -> None:
    """For a piped image, the hint names the --image option."""
    ran = chat("look", piped=PNG + b"\0")
    assert ran.code == 2
    assert "--image" in ran.err


def test_no_stdin_at_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A closed stdin counts as empty, so no conversation starts."""
    monkeypatch.setattr(sys, "stdin", None)
    assert 0 == run(["chat", "Hi", "--simulate"])
    assert "piped" not in capsys.readouterr().err
    assert 2 == run(["chat", "--simulate"])
    assert "The prompt is empty." in capsys.readouterr().err


def test_model_and_system(chat: Chat, account: Simulator) -> None:
    """The model and the system prompt reach Copilot."""
    chat("Hi", "-m", "gpt-5-mini", "-s", "Be brief")
    assert last_request(account)["model"] == "gpt-5-mini"
    assert last_request(account)["messages"][0] == {"role": "system", "content": "Be brief"}


def test_the_default_model_is_a_setting(
    chat: Chat, account: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --model, the default_model setting is used."""
    monkeypatch.setenv("COPILOT_PROXY_DEFAULT_MODEL", "gpt-4.1")
    chat("Hi")
    assert last_request(account)["model"] == "gpt-4.1"


@pytest.mark.parametrize(("name", "code"), [("nope", 1), ("", 2), (" ", 2)])
def test_an_unknown_model(chat: Chat, name: str, code: int) -> None:
    """The error says where to find models; an empty name is a usage error."""
    ran = chat("Hi", "-m", name)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("Error: ")
    assert "copilot-proxy models" in ran.err


def test_a_model_that_needs_enabling(chat: Chat, account: Simulator) -> None:
    """The error says that the model must be enabled."""
    ran = chat("Hi", "-m", "raptor-mini")
    assert ran.code == 1
    assert "raptor-mini must be enabled first: accept its terms at https://github.com" in ran.err


def test_a_refused_sign_in(chat: Chat, account: Simulator) -> None:
    """The exit code is 3, as for every error that signing in fixes."""
    account.state.faults.on("authentication_failed")
    ran = chat("Hi")
    assert ran.code == 3
    assert "copilot-proxy login" in ran.err


def test_a_brief_failure_of_github(chat: Chat, account: Simulator) -> None:
    """A single 502 from GitHub, and one from Copilot's list of models, only delay the answer."""
    account.state.faults.on("exchange_html", times=1)
    account.state.faults.on("models_500", value=502, times=1)
    ran = chat("Hi", "-m", "sonnet")
    assert (0, "") == (ran.code, ran.err)


def test_a_rate_limit_says_how_long(chat: Chat, account: Simulator) -> None:
    """The wait in the Retry-After header is shown to the user in seconds."""
    account.state.faults.on("rate_limited")
    ran = chat("Hi")
    assert ran.code == 1
    assert re.search(r"[Ww]ait \d+ s\b", ran.err)


def test_json(chat: Chat, account: Simulator) -> None:
    """The whole completion with its usage goes to stdout."""
    ran = chat("Hi", "--json", "-v")
    completion = json.loads(ran.out)
    assert completion["object"] == "chat.completion"
    assert completion["model"].startswith("claude-sonnet-")
    assert completion["choices"][0]["finish_reason"] == "stop"
    assert completion["usage"]["completion_tokens"] > 0
    assert "tokens in" in ran.err


def test_json_needs_a_prompt(chat: Chat) -> None:
    """A conversation cannot be printed as JSON."""
    assert chat("--json", keyboard="").code == 2


def test_no_stream(chat: Chat, account: Simulator) -> None:
    """The answer is requested in one piece, and looks like a streamed answer."""
    ran = chat("Hi", "--no-stream", "-m", "gpt-5-mini")
    assert ran.out.endswith("You said: Hi\n")
    assert last_request(account)["stream"] is False


def test_verbose(chat: Chat) -> None:
    """The model, tokens, time and credits are shown on stderr after the answer."""
    ran = chat("Hi", "-v")
    assert re.match(r"claude-sonnet-[\d.]+: ", ran.err)
    assert " tokens in, " in ran.err
    assert re.search(r" in total, \d\.\d\d AI credits$", ran.err.rstrip())


def test_the_summary_of_an_answer() -> None:
    """Cached tokens and notes are shown; unknown values are left out."""
    one = chat_answer.new_answer()
    one.record.model, one.record.duration = "m", 2.0
    assert chat_answer.usage_summary(one.record) == "m: 2.00 s in total"
    one.record.usage = {
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 5},
    }
    one.record.notes = ["x was dropped"]
    assert chat_answer.usage_summary(one.record) == (
        "m: 9 tokens in (5 cached), 3 out, 2.00 s in total, note: x was dropped"
    )


def test_simulated(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """No account is needed; without --simulate, the exit code is 3 and a hint explains sign-in."""
    monkeypatch.delenv("COPILOT_PROXY_GITHUB_TOKEN")
    ran = chat("Hi")
    assert ran.code == 3
    assert "copilot-proxy login" in ran.err
    assert "copilot-proxy chat --simulate" in ran.err
    assert chat("Hi", "--simulate").code == 0


def test_a_ledger_that_cannot_be_used(
    chat: Chat, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests are sent, and one warning says that they are neither limited nor recorded."""
    (own_home / "ledger.sqlite3").mkdir(parents=True)
    ran = chat("Hi")
    assert (0, 1) == (ran.code, ran.err.count("ledger.sqlite3")), ran.err
    assert "cannot be written" in ran.err
    monkeypatch.setenv("COPILOT_PROXY_BUDGET", "0.1/day")
    for ran in (chat("Hi"), chat(keyboard="Hi\nHi\n")):
        assert 0 == ran.code
        assert 1 == ran.err.count("The budget is not enforced: "), ran.err
        assert 1 == ran.err.count("cannot be written"), ran.err


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("Hi", "-m", "nope"), "copilot-proxy models --simulate"),
        (("Hi", "-m", ""), "copilot-proxy models --simulate"),
        ((), 'copilot-proxy chat --simulate "Say hi"'),
    ],
)
def test_hints_of_the_simulator(chat: Chat, arguments: tuple[str, ...], command: str) -> None:
    """A hint names the command that works without an account."""
    ran = chat(*arguments, "--simulate")
    assert ran.code != 0
    assert command in ran.err
    assert "--simulate" not in chat(*arguments).err


def test_hints_of_the_simulator_in_a_conversation(chat: Chat) -> None:
    """An error in a conversation also names the command."""
    ran = chat("--simulate", keyboard="/model nope\n")
    assert "copilot-proxy models --simulate" in ran.err


def test_an_image_from_the_web(chat: Chat, account: Simulator) -> None:
    """The error shows the URL as typed, and says that only files can be attached."""
    ran = chat("Hi", "-i", "https://a.example//b.png")
    assert ran.code == 2
    assert "The image https://a.example//b.png is a URL." in ran.err
    assert account.state.requests == []


def test_an_empty_pipe(account: Simulator) -> None:
    """A note says that only the prompt is sent, for example if a piped diff is empty."""
    ran = subprocess.run(
        [sys.executable, "-m", "copilot_proxy", "chat", "Review this"],
        input="",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0
    assert ran.stderr == "The piped input is empty; only the prompt is sent.\n"
    assert "Review this" in ran.stdout


def test_an_empty_pipe_with_an_image(chat: Chat, tmp_path: Path) -> None:
    """Without a prompt, the command in the hint still contains the image."""
    (tmp_path / "a picture.png").write_bytes(PNG)
    ran = chat("-i", str(tmp_path / "a picture.png"))
    assert ran.code == 2
    assert f"copilot-proxy chat -i '{tmp_path}/a picture.png' \"Say hi\"" in ran.err


def test_no_copilot(chat: Chat, account: Simulator) -> None:
    """Without Copilot access, the exit code is 4."""
    account.state.plan = "none"
    assert chat("Hi").code == 4


@pytest.mark.parametrize(
    ("fault", "said"),
    [("finish_length", "reached the output token limit"), ("content_filter", "content filter")],
)
def test_an_answer_that_was_stopped(chat: Chat, account: Simulator, fault: str, said: str) -> None:
    """The reason why an answer ended early is shown on stderr."""
    account.state.faults.on(fault)
    ran = chat("Hi")
    assert ran.code == 0
    assert said in ran.err


def test_an_empty_answer(chat: Chat, account: Simulator) -> None:
    """A message says that the answer is empty."""
    account.state.faults.on("wordless")
    ran = chat("Hi")
    assert (ran.out, ran.err) == ("", "The model returned an empty answer.\n")


def test_an_error_in_the_middle(chat: Chat, account: Simulator) -> None:
    """The partial answer stays, the error follows it, and the exit code is 1."""
    account.state.faults.on("error_chunk")
    ran = chat("count to 100")
    assert ran.code == 1
    assert ran.out.startswith("1 2 3")
    assert ran.out.endswith("\n")
    assert "Error: " in ran.err


def test_a_pipe_that_is_closed_early(account: Simulator) -> None:
    """If the pipe is closed early, the request ends and nothing is printed."""
    account.state.pace = 0.01
    code = f"{sys.executable} -m copilot_proxy chat 'count to 3000' | head -c 5"
    done = subprocess.run(
        ["sh", "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert (done.stdout, done.stderr) == ("1 2 3", "")
    sent = account.state.recorder.wait_for(lambda one: one.path == "/chat/completions")
    assert sent.done.wait(60)
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
    """The type of an image is detected from its contents; the image is sent with the question."""
    image.write_bytes(data)
    assert "I see 1 image" in chat("What is it?", "-m", "gpt-5-mini", "-i", str(image)).out
    text, picture = last_request(account)["messages"][0]["content"]
    assert text == {"type": "text", "text": "What is it?"}
    assert picture["image_url"]["url"].startswith(f"data:{media_type};base64,")


def test_invalid_images(chat: Chat, tmp_path: Path) -> None:
    """A missing, unsupported or oversized file is an error before anything is sent."""
    other = tmp_path / "other.png"
    assert "No such file" in chat("Hi", "-i", str(other)).err
    other.write_bytes(b"RIFF and nothing")
    ran = chat("Hi", "-i", str(other))
    assert ran.code == 2
    assert "Use PNG, JPEG, WebP or GIF." in ran.err
    with other.open("wb") as file:
        file.truncate(21 * 1024 * 1024)
    assert "too large (21.0 MB)" in chat("Hi", "-i", str(other)).err


def test_images_that_the_model_does_not_support(chat: Chat, image: Path, tmp_path: Path) -> None:
    """The model's own limits are checked before the request is sent."""
    show = ["-i", str(image)]
    assert (
        "grok-code-fast-1 does not support images."
        in chat("Hi", "-m", "grok-code-fast-1", *show).err
    )
    gif = tmp_path / "moving.gif"
    gif.write_bytes(b"GIF89a")
    ran = chat("Hi", "-m", "claude-sonnet-4.5", "-i", str(gif))
    assert "does not support image/gif" in ran.err
    image.write_bytes(PNG + b"0" * 4_000_000)
    ran = chat("Hi", *show)
    assert ran.code == 2
    assert re.search(
        r"too large \(3\.8 MB\): claude-sonnet-[\d.]+ accepts images of up to 3\.0 MB\.", ran.err
    )


def test_images_for_an_unknown_model(image: Path) -> None:
    """Without known limits, the images are sent to Copilot."""
    unknown = next(iter(parse_models([{"id": "a"}])))
    attachments.check_images([attachments.read_image(str(image))], unknown)


# On a terminal.


def test_an_answer_on_a_terminal() -> None:
    """The answer is rendered as Markdown, without a frame or heading."""
    with Terminal("chat", "-v", "Some **bold** words") as terminal:
        assert terminal.end() == 0
        first = terminal.lines[0]
        assert first.endswith("You said: Some bold words")
        assert re.match(r"claude-sonnet-[\d.]+: ", terminal.lines[1])


def test_an_answer_longer_than_the_screen() -> None:
    """Each word is shown once and in order, even if it has scrolled off the screen."""
    with Terminal("chat", "count to 3000", lines=10) as terminal:
        assert terminal.end() == 0
        assert terminal.text.split() == [str(number) for number in range(1, 3001)]


def test_ctrl_c_ends_an_answer(account: Simulator) -> None:
    """The partial answer stays, the upstream request ends, and the exit code is 130."""
    account.state.pace = 0.01
    with Terminal("chat", "count to 3000") as terminal:
        terminal.wait_for("1 2 3 4 5")
        terminal.press("c")
        assert terminal.end() == 130
        assert "Stopped." in terminal.text
        assert terminal.text.startswith("1 2 3 4 5")
        assert "Traceback" not in terminal.text
    sent = account.state.recorder.wait_for(lambda one: one.path == "/chat/completions")
    assert sent.done.wait(60)
    assert sent.closed_by_client


def test_a_spinner_is_shown_until_the_first_word(account: Simulator) -> None:
    """A spinner is shown until the first word, and then erased."""
    account.state.faults.on("stall_before_headers", value=0.5)
    with Terminal("chat", "Hi") as terminal:
        terminal.wait_for("Waiting")
        assert terminal.end() == 0
        assert "Waiting" not in terminal.text


def test_a_dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dumb terminal receives plain text."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert isinstance(chat_answer.new_printer(), chat_answer.PlainPrinter)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(chat_answer.new_printer(), MarkdownPrinter)


def test_the_spinner_shows_reasoning(
    monkeypatch: pytest.MonkeyPatch, account: Simulator, chat: Chat
) -> None:
    """The spinner shows the end of the model's reasoning."""
    shown: list[str] = []
    real = spinner.Spinner.show_reasoning

    def show_reasoning(self: spinner.Spinner, thought: str) -> None:
        real(self, thought)
        shown.append(str(self._status.status))

    monkeypatch.setattr(spinner.Spinner, "show_reasoning", show_reasoning)
    monkeypatch.setattr(chat_answer, "can_draw", lambda: True)
    assert chat("Hi", "-m", "gemini-3.1-pro-preview").code == 0
    assert shown[-1].endswith("I can answer this right away.")
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
def test_markdown_does_not_depend_on_the_pieces(size: int) -> None:
    """The rendering does not depend on how the answer was split into pieces."""
    pieces = [MARKDOWN[i : i + size] for i in range(0, len(MARKDOWN), size)]
    assert drawn(pieces, terminal=False) == drawn([MARKDOWN], terminal=False)
    shown = drawn([MARKDOWN], terminal=False)
    assert "link\n(https://example.com)" in shown
    assert "def f() -> None:\n" in shown
    assert " \n" not in shown


def test_markdown_without_control_characters() -> None:
    """Control characters in an answer do not reach the terminal."""
    shown = drawn(["a\x1b]0;b\x07\r", "\nc\x9b1m"], terminal=False)
    assert shown == "a\\u001b]0;b\\u0007 c\\u009b1m\n"


def test_markdown_without_words() -> None:
    """An answer that is only whitespace or link definitions prints nothing."""
    assert drawn(["\n", "  \n"], terminal=False) == ""
    assert drawn(["[x]: http://y\n"], terminal=False) == ""


LONG = {
    "code": "```python\n" + "".join(f"x{i} = {i}\n\n\n" for i in range(9)) + "```\n",
    "items": "".join(f"{i}. one\n\n   more\n" for i in range(10, 30)),
    "bullets": "".join(f"- item {i}\n  - sub {i}\n" for i in range(20)),
    "text": "".join(f"line {i}\n" for i in range(20)),
}


@crossed(size=[1, 7, 40], kind=LONG)
def test_a_block_that_is_longer_than_the_screen(kind: str, size: int) -> None:
    """A long block is printed in parts, which look the same as the whole block."""
    text = f"Before\n\n{LONG[kind]}\nThe end.\n"
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert drawn(pieces, terminal=False) == drawn([text], height=200, terminal=False)


@pytest.mark.parametrize("kind", ["code", "items", "bullets"])
def test_finished_parts_scroll_away(kind: str) -> None:
    """The beginning of a long block is printed before the end of the block arrives."""
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
def test_when_a_block_is_finished(text: str, finished: list[str]) -> None:
    """A block is finished once the next block has a complete line."""
    assert split(text) == (finished, text[len("".join(finished)) :])


def test_redrawing_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """If redrawing would take too long, the last drawing is shown again."""
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
    """Each question is sent with the conversation before it; Ctrl+D exits."""
    talking.type("First")
    talking.wait_for("You said: First")
    talking.wait_for_prompt()
    talking.type("Second")
    talking.wait_for("You said: Second")
    talking.wait_for_prompt()
    talking.press("d")
    assert talking.end() == 0
    messages = last_request(account)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[0]["content"] == "First"
    assert account.state.exchanges == 1


def test_several_lines(talking: Terminal, account: Simulator) -> None:
    """A backslash continues a line; triple quotes enclose any number of lines."""
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
    assert last_request(account, 0)["messages"][0]["content"] == "one\ntwo"
    assert last_request(account, 1)["messages"][-1]["content"] == "three\n\nfour"


def test_ctrl_c_stops_the_answer_only(talking: Terminal, account: Simulator) -> None:
    """The partial answer is kept, and the conversation continues."""
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
    messages = last_request(account)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[1]["content"].startswith("1 2 3 4 5")


def test_ctrl_c_at_the_prompt(talking: Terminal) -> None:
    """A message says how to exit."""
    talking.interrupt("To exit, press Ctrl+D or type /exit.")
    talking.wait_for_prompt()
    talking.type("/quit")
    assert talking.end() == 0


def test_lines_can_be_recalled(talking: Terminal) -> None:
    """The arrow keys recall earlier lines."""
    talking.type("Something")
    talking.wait_for("You said: Something")
    talking.wait_for_prompt()
    talking.type("\x1b[A")
    talking.wait_for("You said: Something", times=2)
    talking.wait_for_prompt()
    talking.press("d")
    assert talking.end() == 0


def test_ctrl_c_before_the_answer(talking: Terminal, account: Simulator) -> None:
    """An unanswered question is not kept, so it can be asked again."""
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
    assert last_request(account)["messages"] == [{"role": "user", "content": "Second"}]


def converse(chat: Chat, *lines: str, arguments: tuple[str, ...] = ()) -> Ran:
    """Run a conversation whose answers go to a file instead of a terminal."""
    return chat(*arguments, keyboard="".join(line + "\n" for line in lines))


def test_a_conversation_into_a_file(chat: Chat) -> None:
    """Only the answers go to stdout."""
    ran = converse(chat, "Hello", "", "   ")
    assert ran.code == 0
    assert re.sub(r"claude-sonnet-[\d.]+", "MODEL", ran.out) == (
        "This is copilot-proxy's simulator, playing MODEL: no model has read this. "
        "You said: Hello\n"
    )
    assert re.match(r"Chatting with claude-sonnet-[\d.]+\. Type /help for help", ran.err)
    assert "> " in ran.err


def test_commands(chat: Chat, account: Simulator) -> None:
    """Commands change the model, the instructions and the history; a path is not a command."""
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
    assert "/reset         clear the conversation" in ran.err
    assert "Unknown command: /nonsense." in ran.err
    assert "Instructions removed." in ran.err
    assert last_request(account, 0)["messages"][0] == {"role": "system", "content": "Be kind"}
    assert last_request(account, 1)["model"] == "gpt-5-mini"
    assert last_request(account, 1)["messages"] == [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "/etc/hosts?"},
    ]
    assert " tokens in, " in ran.err


def test_a_conversation_continues_after_an_error(chat: Chat, account: Simulator) -> None:
    """After an error, the same question can be asked again, and is sent once."""
    account.state.faults.on("server_error_500", times=1)
    ran = converse(chat, "/model nope", "Hello", "Hello")
    assert ran.code == 0
    assert "does not exist" in ran.err
    assert ran.err.count("Error: ") == 2
    assert last_request(account)["messages"] == [{"role": "user", "content": "Hello"}]


def test_images_are_sent_with_the_first_question(
    chat: Chat, account: Simulator, image: Path
) -> None:
    """Images are sent with the first question and stay in the history."""
    converse(chat, "Look", "And?", arguments=("-i", str(image)))
    first, _, third = last_request(account)["messages"]
    assert first["content"][1]["type"] == "image_url"
    assert third["content"] == "And?"


def test_a_conversation_that_cannot_start(chat: Chat, account: Simulator, image: Path) -> None:
    """An unknown model, or an image for a model without vision, is an immediate error."""
    assert converse(chat, "Hi", arguments=("-m", "nope")).code == 1
    assert converse(chat, "Hi", arguments=("-m", "gpt-4", "-i", str(image))).code == 2


class Interrupted:
    """A relay that simulates Ctrl+C after `at` lookups."""

    def __init__(self, at: int) -> None:
        self._left = at
        self.models = self

    async def model(self, name: str) -> object:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        return next(iter(parse_models([{"id": name}])))


def interrupted_chat() -> conversation.Conversation:
    """Run a conversation that is interrupted once, and return it."""
    chat_module = import_module("copilot_proxy.cli.chat")
    options = chat_module.ChatOptions(
        model="a", system=None, images=[], as_json=False, stream=True, verbose=False, simulate=False
    )
    with asyncio.Runner() as runner:
        chat = conversation.Conversation(
            Interrupted(1),  # type: ignore[arg-type]
            runner,
            options,
            lambda: None,
        )
        chat.run()
    return chat


def test_ctrl_c_anywhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the prompt, and during a model lookup, Ctrl+C does not end the conversation."""
    lines: Iterator[Any] = iter([KeyboardInterrupt(), "/model x", EOFError()])

    def read() -> str:
        line = next(lines)
        if isinstance(line, BaseException):
            raise line
        return str(line)

    monkeypatch.setattr(conversation, "read_input", read)
    interrupted_chat()
    assert "To exit, press Ctrl+D" in capsys.readouterr().err


def test_ctrl_c_while_an_answer_comes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The partial answer is kept in the history."""

    async def ask(relay: object, request: dict[str, Any], one: chat_answer.ChatAnswer) -> None:
        one.text = "some"
        raise KeyboardInterrupt

    lines = iter(["Hi"])
    monkeypatch.setattr(conversation, "ask", ask)
    monkeypatch.setattr(conversation, "read_input", lambda: next(lines, None) or _end())
    chat = interrupted_chat()
    assert chat._history[-1] == {"role": "assistant", "content": "some"}
    assert "Stopped." in capsys.readouterr().err


def test_ctrl_c_just_after_an_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Ctrl+C that comes too late does not end the conversation, and the answer is kept."""

    async def ask(relay: object, request: dict[str, Any], one: chat_answer.ChatAnswer) -> None:
        one.text = "all"

    def print_notices(one: chat_answer.ChatAnswer, *, verbose: bool) -> None:
        raise KeyboardInterrupt

    lines = iter(["Hi"])
    monkeypatch.setattr(conversation, "ask", ask)
    monkeypatch.setattr(conversation, "print_notices", print_notices)
    monkeypatch.setattr(conversation, "read_input", lambda: next(lines, None) or _end())
    chat = interrupted_chat()
    assert [one["content"] for one in chat._history] == ["Hi", "all"]
    assert "To exit, press Ctrl+D" in capsys.readouterr().err


def _end() -> str:
    raise EOFError


def test_a_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, lines are read with `input`, which supports editing."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    lines = iter(["a\\", "b", '"""c', 'd"""', '"""e"""'])
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    assert keyboard.read_input() == "a\nb"
    assert keyboard.read_input() == "c\nd"
    assert keyboard.read_input() == "e"
