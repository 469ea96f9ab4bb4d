"""OpenAI's SDK and Ollama's library for Node against the running server."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

FOLDER = Path(__file__).parent / "node"


def check(script: str, proxy: Proxy) -> str:
    """Run a script, and return what it prints."""
    ran = subprocess.run(
        ["node", str(FOLDER / script), proxy.url],
        env={"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    return ran.stdout


def needs(package: str) -> pytest.MarkDecorator:
    """Return a mark that skips a test without Node or without the package."""
    is_there = shutil.which("node") and (FOLDER / "node_modules" / package).exists()
    return pytest.mark.skipif(not is_there, reason=f"no {package} in tests/node: make clients")


@pytest.mark.timeout(120)
@needs("openai")
def test_openai_for_node(proxy: Proxy) -> None:
    """Chat, responses, embeddings, streams and tools work with models of every kind."""
    assert 18 == check("check.mjs", proxy).count("ok ")


@pytest.mark.timeout(120)
@needs("ollama")
def test_ollama_for_node(simulator: Simulator) -> None:
    """Chat, streams, tools, thinking, lists and embeddings work, and a stream can be aborted."""
    with Proxy(settings_at(simulator, ollama=True)) as proxy:
        assert 11 == check("check_ollama.mjs", proxy).count("ok ")
