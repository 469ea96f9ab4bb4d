"""The helper processes of a soak test, which communicate with it in lines of JSON."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT


class Process:
    """A helper process that exchanges JSON, one line at a time."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self._log = log
        self._lock = asyncio.Lock()

    async def line(self) -> Any:
        """Return the next line, decoded; raises RuntimeError if the process has exited."""
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process exited early: {self._log.read_text()[-3000:]}")
        return json.loads(line)

    async def send(self, *command: Any) -> Any:
        """Send a command and return its answer."""
        assert self.process.stdin is not None
        async with self._lock:
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
            return await self.line()


@asynccontextmanager
async def started(
    module: str, *arguments: str, log: Path, **environ: str
) -> AsyncIterator[Process]:
    """Run a module of this package; its standard error goes to `log`."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"benchmarks.{module}",
            *arguments,
            cwd=ROOT,
            env={**os.environ, **environ},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
        try:
            yield Process(process, log)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
