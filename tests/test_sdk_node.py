"""OpenAI's SDK for Node against the running server."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Proxy

FOLDER = Path(__file__).parent / "node"


@pytest.mark.timeout(120)
@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")
@pytest.mark.skipif(
    not (FOLDER / "node_modules" / "openai").exists(),
    reason="no openai in tests/node: make clients",
)
def test_openai_for_node(proxy: Proxy) -> None:
    """Chat, responses, embeddings, streams and tools work with models of every kind."""
    ran = subprocess.run(
        ["node", str(FOLDER / "check.mjs"), proxy.url],
        env={"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert 18 == ran.stdout.count("ok ")
