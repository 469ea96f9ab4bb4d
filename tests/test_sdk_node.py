"""The Node SDKs of OpenAI, Google and Ollama against the running server."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

FOLDER = Path(__file__).parent / "node"


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")
@pytest.mark.parametrize(
    ("package", "script", "checks"),
    [
        ("openai", "check.mjs", 18),
        ("@google/genai", "check_google.mjs", 9),
        ("ollama", "check_ollama.mjs", 11),
    ],
)
def test_an_sdk_for_node(simulator: Simulator, package: str, script: str, checks: int) -> None:
    """Texts, streams, tools and embeddings work with models of every kind."""
    if not (FOLDER / "node_modules" / package).exists():
        pytest.skip(f"no {package} in tests/node: make clients")
    with Proxy(settings_at(simulator, ollama=True)) as proxy:
        ran = subprocess.run(
            ["node", str(FOLDER / script), proxy.url],
            env={"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert checks == ran.stdout.count("ok ")
