"""Dumps: complete, private, limited in time, and never blocking a request."""

import gzip
import json
import logging
import os
import re
import stat
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from copilot_proxy import dumps as module
from copilot_proxy.cli.main import run
from copilot_proxy.dumps import Dumps
from copilot_proxy.errors import UsageError
from copilot_proxy.simulator import Simulator
from tests.cli.terminals import question, serve_while
from tests.conftest import Proxy, settings_at

TOKEN = "gho_" + "S3cret" * 6
KEY = "my-own-key-123456"
NAME = re.compile(r"\d{8}-\d{6}-(?P<id>[0-9a-f-]{36})\.(?P<part>[\w-]+)\.txt")

Started = Callable[..., Proxy]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "not" / "yet" / "dumps"


@pytest.fixture
def dumping(simulator: Simulator, folder: Path) -> Iterator[Proxy]:
    """A server that writes dumps."""
    with Proxy(settings_at(simulator, dump_dir=folder)) as running:
        yield running


def parts(folder: Path) -> dict[str, str]:
    """Return the parts of the dump of the only request in `folder`."""
    found = {}
    for path in folder.iterdir():
        name = NAME.fullmatch(path.name)
        assert name, path.name
        assert name["part"] not in found
        found[name["part"]] = path.read_text(encoding="utf-8")
    return found


def body_of(part: str) -> str:
    return part.partition("\n\n")[2]


@pytest.mark.parametrize("stream", [False, True])
def test_all_four_messages_are_written(dumping: Proxy, folder: Path, stream: bool) -> None:
    """A dump contains the requests and answers of both the client and Copilot."""
    asked = json.dumps(question("Grüße", stream=stream), ensure_ascii=False).encode()
    with dumping.client() as client:
        answer = client.post("/v1/chat/completions?key=q-secret", content=asked)
    record = dumping.wait_for_record()
    found = parts(folder)
    assert {NAME.fullmatch(one.name)["id"] for one in folder.iterdir()} == {record.request_id}  # type: ignore[index]
    assert sorted(found) == [
        "client-answer",
        "client-request",
        "copilot-1-answer",
        "copilot-1-request",
    ]
    assert found["client-request"].startswith("POST /v1/chat/completions\n")
    assert body_of(found["client-request"]).encode() == asked
    sent = json.loads(body_of(found["copilot-1-request"]))
    assert sent["messages"][0]["content"] == "Grüße"
    assert "\nx-initiator: user\n" in found["copilot-1-request"]
    assert found["copilot-1-answer"].startswith("200 OK\n")
    assert "Grüße" in json.dumps(found["copilot-1-answer"], ensure_ascii=False) or stream
    assert found["client-answer"].startswith("200\n")
    assert body_of(found["client-answer"]) == answer.text
    if stream:
        assert body_of(found["copilot-1-answer"]).endswith("data: [DONE]\n\n")


def test_every_attempt_is_written(dumping: Proxy, simulator: Simulator, folder: Path) -> None:
    """Refused attempts are written, with Copilot's answer."""
    with dumping.client() as client:
        client.get("/v1/models")
        simulator.state.faults.on("token_expired", times=1)
        assert client.post("/v1/chat/completions", json=question("Hi")).status_code == 200
    found = parts(folder)
    assert found["copilot-1-answer"].startswith("401 ")
    assert "IDE token expired" in found["copilot-1-answer"]
    assert found["copilot-2-answer"].startswith("200 ")
    assert body_of(found["copilot-1-request"]) == body_of(found["copilot-2-request"])


def test_no_secret_is_written(simulator: Simulator, folder: Path) -> None:
    """Only listed headers are written, and anything that looks like a token is masked."""
    given = settings_at(simulator, dump_dir=folder, api_key=KEY)
    with Proxy(given) as server, server.client() as client:
        client.post(
            "/v1/chat/completions",
            json=question(f"my token is {TOKEN}.", stream=True),
            headers={
                "authorization": f"Bearer {KEY}",
                "cookie": "a=cookie-secret",
                "x-strange": "strange-secret",
                "user-agent": f"tool/1 {TOKEN}",
            },
        )
        refused = client.post("/v1/chat/completions", json=question("nobody"))
        assert refused.status_code == 401
    written = "".join(parts(folder).values())
    for secret in (TOKEN, KEY, "cookie-secret", "strange-secret", "tid=", "authorization"):
        assert secret not in written
    assert "my token is ***" in written
    assert "user-agent: tool/1 ***" in written
    assert "nobody" not in written


def test_file_modes(dumping: Proxy, folder: Path) -> None:
    """Files have mode 0600, in a folder with mode 0700."""
    with dumping.client() as client:
        client.post("/v1/chat/completions", json=question("Hi"))
    assert {0o600} == {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()}
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert 0o700 == stat.S_IMODE(folder.parent.stat().st_mode)


def test_a_stream_is_written_as_it_comes(
    dumping: Proxy, simulator: Simulator, folder: Path
) -> None:
    """A stream is written as it arrives, so a crash loses only the part that came later."""
    simulator.state.faults.on("stall_mid_stream")
    with dumping.client() as client:
        asked = question("Hi", stream=True)
        with client.stream("POST", "/v1/chat/completions", json=asked) as answer:
            lines = answer.iter_lines()
            first = next(lines)
            found = parts(folder)
            assert first in found["client-answer"]
            assert body_of(found["copilot-1-answer"]).startswith("data: {")
        dumping.wait_for_record()
    # There is no error to report, since the client has disconnected.
    assert "error" not in body_of(parts(folder)["client-answer"])


def test_compressed_bodies_are_decompressed(
    dumping: Proxy, simulator: Simulator, folder: Path
) -> None:
    """Compressed bodies are decompressed, so that they can be read and masked."""
    simulator.state.faults.on("gzip")
    asked = json.dumps(question(f"Hi {TOKEN}", stream=True)).encode()
    with dumping.client() as client:
        headers = {"content-encoding": "gzip"}
        answer = client.post("/v1/chat/completions", content=gzip.compress(asked), headers=headers)
        assert answer.status_code == 200
    found = parts(folder)
    assert body_of(found["client-request"]) == asked.decode().replace(TOKEN, "***")
    assert "content-encoding: gzip" in found["copilot-1-answer"]
    assert body_of(found["copilot-1-answer"]).endswith("data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("encoding", "body", "shown"),
    [
        ("compress", b"x", "(the body has an unsupported content encoding)"),
        ("gzip", b"x" * 100, "(the remaining body cannot be decompressed)"),
        ("gzip", zlib.compress(b"y" * 5000, wbits=31), "y" * 1000 + "\n(truncated)"),
        (
            "gzip",
            gzip.compress(b"y" * 400, mtime=0) + gzip.compress(b"z" * 400, mtime=0),
            "y" * 400 + "z" * 400 + "\n(the remaining body cannot be decompressed)",
        ),
        (
            "deflate",
            zlib.compress(b"z" * 900),
            "z" * 900 + "\n(the remaining body cannot be decompressed)",
        ),
    ],
)
def test_bodies_that_are_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, body: bytes, shown: str
) -> None:
    """Bodies that cannot be decompressed or are too large are left out."""
    monkeypatch.setattr(module, "_MAX_BODY", 1000)
    dumps = Dumps(folder, 24)
    with dumps.request("0" * 8 + "-0000" * 3 + "-" + "0" * 12) as dump:
        part = dump.add_file("client-request", "POST /", [(b"Content-Encoding", encoding.encode())])
        part.write(body)
        part.write(b"")
        part.write(b"more")
        part.close()
    assert body_of(parts(folder)["client-request"]).strip() == shown


def test_old_files_of_ours_are_removed_and_nothing_else(folder: Path) -> None:
    """Only old dumps are removed, by name and age."""
    Dumps(folder, 24)
    request_id = "01234567-89ab-cdef-0123-456789abcdef"
    ours = [
        f"20261122-120000-{request_id}.{part}.txt"
        for part in ("client-request", "copilot-3-answer")
    ]
    others = ["notes.txt", f"20261122-120000-{request_id}.txt", f"{request_id}.client-request.txt"]
    young = f"20261122-130000-{request_id}.client-request.txt"
    for name in (*ours, *others):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - 25 * 3600,) * 2)
    (folder / young).touch()
    (folder / ours[0].replace("12", "13")).mkdir()
    (folder / ours[0].replace("12", "14")).symlink_to(folder / "notes.txt")
    Dumps(folder, 24)
    left = sorted(os.listdir(folder))
    assert left == sorted(
        [*others, young, ours[0].replace("12", "13"), ours[0].replace("12", "14")]
    )


def test_files_expire_while_the_server_runs(
    simulator: Simulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dumps expire even without requests."""
    monkeypatch.setattr(module, "_EXPIRY_INTERVAL", 0.01)
    with Proxy(settings_at(simulator, dump_dir=folder, dump_hours="0.00001")) as server:
        with server.client() as client:
            client.post("/v1/chat/completions", json=question("Hi"))
        until = time.monotonic() + 60
        while os.listdir(folder):
            assert time.monotonic() < until
            time.sleep(0.01)


def test_a_failed_write_is_reported_once(
    dumping: Proxy,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A failed write is reported once; requests work, and writing resumes when possible."""
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with dumping.client() as client:
        monkeypatch.setattr(os, "write", full)
        for _ in range(3):
            asked = question("Hi", stream=True)
            answer = client.post("/v1/chat/completions", json=asked)
            assert answer.text.endswith("data: [DONE]\n\n")
        monkeypatch.setattr(os, "write", real)
        for one in folder.iterdir():
            one.unlink()
        folder.rmdir()
        client.post("/v1/chat/completions", json=question("Hi"))
    assert len(parts(folder)) == 4
    shown = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert shown == [f"Cannot write dumps to {folder}: No space left on device."]


@pytest.mark.parametrize(
    ("thing", "shown", "hint"),
    [
        ("file", "cannot be used: File exists.", "it is created if it does not exist"),
        ("open", "Other users can access the dump folder", "chmod 700 "),
        ("sticky", "Other users can access the dump folder", "{place}/dumps; it is created"),
        ("in use", "Other users can access the dump folder", "{place}/dumps; it is created"),
        ("home", "Other users can access the dump folder", "{place}/dumps; it is created"),
    ],
)
def test_an_unusable_folder_is_reported_before_the_start(
    tmp_path: Path,
    thing: str,
    shown: str,
    hint: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An unusable folder results in exit code 2, and its mode is not changed.

    Changing it is suggested only for an empty folder that nothing else needs.
    """
    place = tmp_path / "dumps"
    if thing == "file":
        place.touch()
    else:
        place.mkdir()
        place.chmod(0o755)
    if thing == "sticky":
        place.chmod(0o1777)
    elif thing == "in use":
        (place / "notes.txt").touch()
    elif thing == "home":
        monkeypatch.setenv("HOME", str(place))
    before = place.stat().st_mode
    assert run(["serve", "--simulate", "--port", "0", "--dump-dir", str(place)]) == 2
    err = capsys.readouterr().err
    assert shown in err
    assert hint.format(place=place) in err.replace("\n", " ")
    assert (thing == "open") == ("chmod" in err)
    assert place.stat().st_mode == before


def test_a_folder_without_rights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without write permission is reported before the start."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match="Permission denied"):
        Dumps(folder, 24)


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_start_says_that_conversations_are_written(
    folder: Path,
    form: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The start message names the folder; simulated answers are also written."""

    def use(client: httpx.Client) -> None:
        asked = question("Hi", model="default")
        assert client.post("/v1/chat/completions", json=asked).status_code == 200

    monkeypatch.chdir(tmp_path)
    relative = str(folder.relative_to(tmp_path))
    flags = ("--simulate", "--dump-dir", relative, "--log-format", form)
    assert serve_while(use, *flags) == 0
    shown = f"Every conversation is written to {folder} and deleted after 24 hours."
    assert shown in capsys.readouterr().err
    assert len(parts(folder)) == 4


def test_off_by_default(simulator: Simulator, tmp_path: Path) -> None:
    """Without the setting, nothing is written."""
    with Proxy(settings_at(simulator)) as server:
        assert server.services().dumps is None
        with server.client() as client:
            client.post("/v1/chat/completions", json=question("Hi"))
    assert not list(tmp_path.rglob("*.txt"))
