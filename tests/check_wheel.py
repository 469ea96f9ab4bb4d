"""Builds the wheel, installs it in a fresh environment, and uses it there as a user would.

Tests in a checkout do not notice a file missing from the wheel, or a dependency that only the tests
install. Run with: make wheel
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, **more: str) -> str:
    """Return the output of a command; fail if the command does."""
    environment = {**os.environ, **more}
    done = subprocess.run(
        [str(part) for part in command],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=600,
    )
    if done.returncode:
        sys.exit(f"{command} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def build(folder: Path) -> Path:
    """Build the wheel from a copy of the sources, via the source distribution."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    return next(folder.glob("*.whl"))


def check_reproducible(wheel: Path, folder: Path) -> None:
    """Check that a second build produces the same bytes."""
    if wheel.read_bytes() != build(folder / "again").read_bytes():
        sys.exit("a second build of the wheel differs from the first")


def check_files(wheel: Path) -> None:
    """Check that the wheel contains the package and its data, and nothing else."""
    names = zipfile.ZipFile(wheel).namelist()
    strange = [n for n in names if not n.startswith(("copilot_proxy/", "g_copilot_proxy-"))]
    if strange:
        sys.exit(f"the wheel holds more than the package: {strange}")
    packed = {name for name in names if name.startswith("copilot_proxy/")}
    tracked = run("git", "-C", ROOT, "ls-files", "copilot_proxy").split()
    missing = sorted(set(tracked) - packed)
    if missing:
        sys.exit(f"the wheel lacks {missing}")


def removed_in_containers() -> list[str]:
    """Return the packages, other than pip, that the Containerfile uninstalls."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    uninstalled = re.search(r"pip uninstall --quiet --yes \\\n\s+(.+) pip ", text)
    if not uninstalled:
        sys.exit("the Containerfile uninstalls nothing")
    return uninstalled[1].split()


def check_pages(program: Path, home: dict[str, str]) -> None:
    """Check the endpoints for which the server uses Litestar."""
    command = [str(program), "serve", "--simulate", "--port", "0"]
    environment = {**os.environ, **home, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, encoding="utf-8", env=environment
    ) as server:
        try:
            lines = iter(server.stderr or ())
            url = next(line for line in lines if "Base URL" in line).split()[-1].removesuffix("/v1")
            for path in ("v1/models", "schema/openapi.yaml", "metrics"):
                httpx.get(f"{url}/{path}", timeout=30).raise_for_status()
        finally:
            server.kill()


def main() -> None:
    """Build, install and run."""
    folder = Path(tempfile.mkdtemp(prefix="copilot-proxy-wheel-"))
    try:
        wheel = build(folder)
        check_files(wheel)
        check_reproducible(wheel, folder)
        venv.create(folder / "env", with_pip=True)
        scripts = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
        run(scripts / "python", "-m", "pip", "install", "--quiet", wheel)
        home = {"HOME": str(folder), "COPILOT_PROXY_HOME_DIR": str(folder / "home")}
        version = run(scripts / "copilot-proxy", "--version", **home)
        if not version.startswith("g-copilot-proxy "):
            sys.exit(f"--version says {version!r}")
        run(scripts / "g-copilot-proxy", "--help", **home)
        answer = run(scripts / "copilot-proxy", "chat", "--simulate", "ping", **home)
        if "ping" not in answer:
            sys.exit(f"chat --simulate says {answer!r}")
        models = run(scripts / "copilot-proxy", "models", "--simulate", "--json", **home)
        if '"gpt-6.1-sol"' not in models:
            sys.exit("models --simulate does not list gpt-6.1-sol")
        pip = (scripts / "python", "-m", "pip", "--disable-pip-version-check", "--quiet")
        run(*pip, "uninstall", "--yes", *removed_in_containers())
        run(scripts / "copilot-proxy", "chat", "--simulate", "ping", **home)
        check_pages(scripts / "copilot-proxy", home)
        print(f"{wheel.name}: works, even without the packages that containers omit")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
