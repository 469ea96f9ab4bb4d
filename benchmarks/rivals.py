"""Other proxies that can be measured: how to install and start them.

They are installed into `build/rivals`, with npm, pip or apt, and are not part of the tests.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from benchmarks import target
from benchmarks.processes import ROOT
from benchmarks.target import Fake, Target

FOLDER: Final = ROOT / "build" / "rivals"
_CONFIGS: Final = Path(__file__).parent / "rivals"
_COPILOT_API: Final = "0.7.0"
_LITELLM: Final = "1.106.2"


@dataclass(frozen=True)
class Rival:
    """Another proxy: `install` installs it into a folder, `command` returns its start command."""

    name: str
    install: Callable[[Path], None]
    command: Callable[[Path, Path, Fake, int], list[str]]
    """Accepts the proxy's folder, a scratch folder, the upstream and the port."""
    environ: Callable[[Path, Fake], Mapping[str, str]] = lambda scratch, fake: {}

    @contextmanager
    def start(self, fake: Fake, folder: Path) -> Iterator[Target]:
        """Run the proxy in front of `fake`; install it first if necessary."""
        home = FOLDER / self.name
        if not home.exists():
            print(f"installing {self.name} into {home}", file=sys.stderr)
            self.install(home)
        scratch = folder / self.name
        scratch.mkdir(exist_ok=True)
        port = target.free_port()
        command = self.command(home, scratch, fake, port)
        environ = {**os.environ, "HOME": str(scratch), **self.environ(scratch, fake)}
        with target.started(self.name, command, environ, scratch, port) as running:
            yield running


def _install_copilot_api(home: Path) -> None:
    flags = ["--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"]
    package = f"copilot-api@{_COPILOT_API}"
    _run("npm", "install", "--prefix", str(home), *flags, package)


def _copilot_api(home: Path, scratch: Path, fake: Fake, port: int) -> list[str]:
    program = home / "node_modules" / "copilot-api" / "dist" / "main.js"
    preload = ["--import", str(_CONFIGS / "redirect.mjs")]
    return ["node", *preload, str(program), "start", "-p", str(port), "-g", "ghu_bench"]


def _copilot_api_environ(scratch: Path, fake: Fake) -> dict[str, str]:
    trusted = {"NODE_EXTRA_CA_CERTS": fake.certificates} if fake.certificates else {}
    return {"BENCH_UPSTREAM": fake.url, "NODE_ENV": "production", **trusted}


def _install_litellm(home: Path) -> None:
    _run(sys.executable, "-m", "venv", str(home))
    package = f"litellm[proxy]=={_LITELLM}"
    _run(str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", package)


def _litellm(home: Path, scratch: Path, fake: Fake, port: int) -> list[str]:
    config = scratch / "config.yaml"
    text = (_CONFIGS / "litellm.yaml").read_text()
    config.write_text(text.replace("UPSTREAM", fake.url).replace("KEY", target.KEY))
    program = str(home / "bin" / "litellm")
    return [program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]


def _litellm_environ(scratch: Path, fake: Fake) -> dict[str, str]:
    trusted = {"SSL_CERT_FILE": fake.certificates} if fake.certificates else {}
    return {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", **trusted}


def _install_nginx(home: Path) -> None:
    """Link the system's nginx, or unpack Debian's package without installing it."""
    if installed := shutil.which("nginx"):
        (home / "usr" / "sbin").mkdir(parents=True)
        (home / "usr" / "sbin" / "nginx").symlink_to(installed)
        return
    packages = home.with_name("nginx-package")
    packages.mkdir(parents=True, exist_ok=True)
    _run("apt-get", "download", "nginx", cwd=packages)
    _run("dpkg", "-x", str(next(packages.glob("nginx_*.deb"))), str(home))


def _nginx(home: Path, scratch: Path, fake: Fake, port: int) -> list[str]:
    parts = urlsplit(fake.url)
    text = (_CONFIGS / "nginx.conf").read_text()
    text = text.replace("HOST", parts.netloc).replace("PORT", str(port))
    (scratch / "nginx.conf").write_text(text.replace("SCHEME", parts.scheme))
    program = str(home / "usr" / "sbin" / "nginx")
    return [program, "-p", str(scratch), "-c", str(scratch / "nginx.conf")]


def _run(*command: str, cwd: Path | None = None) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdout=sys.stderr)


RIVALS: Final = {
    one.name: one
    for one in (
        Rival("copilot-api", _install_copilot_api, _copilot_api, _copilot_api_environ),
        Rival("litellm", _install_litellm, _litellm, _litellm_environ),
        Rival("nginx", _install_nginx, _nginx),
    )
}
"""Name -> rival."""
