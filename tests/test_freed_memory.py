"""Returning freed memory to the operating system."""

import platform
import subprocess
import sys

import pytest

CODE = """
from pathlib import Path
from copilot_proxy.freed_memory import return_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

blocks = [bytes(range(250)) * 20 for _ in range(4000)]
kept = blocks[::500]
del blocks
before = resident()
return_freed_memory()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps freed memory")
def test_memory_is_returned() -> None:
    """Freed memory between blocks that are still in use is returned to the system."""
    shown = subprocess.check_output([sys.executable, "-c", CODE], text=True)

    assert int(shown) > 10_000_000
