"""Implements ``--install-completion [SHELL]`` and ``--show-completion [SHELL]``.

Typer's own options do not accept a shell's name, and ignore the folders that users of zsh and fish
have chosen. Typer's script for zsh completes nothing on the first Tab.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from copilot_proxy.cli.console import NAME, print_message, print_result
from copilot_proxy.errors import UsageError

_INSTALL: Final = "--install-completion"
_SHOW: Final = "--show-completion"
_VARIABLE: Final = "_COPILOT_PROXY_COMPLETE"
_SHELLS: Final = ("bash", "zsh", "fish", "powershell", "pwsh")
_ZSH: Final = f"""\
#compdef {NAME}

_copilot_proxy_completion() {{
  eval $(env _TYPER_COMPLETE_ARGS="${{words[1,$CURRENT]}}" {_VARIABLE}=complete_zsh {NAME})
}}

if [[ $funcstack[1] == _{NAME} ]]; then
  # compinit has loaded this file, at the first Tab.
  _copilot_proxy_completion "$@"
else
  compdef _copilot_proxy_completion {NAME}
fi
"""
_ZSH_START: Final = "fpath+=~/.zfunc; autoload -Uz compinit; compinit"


def completion_action(arguments: Sequence[str]) -> Callable[[], None] | None:
    """Return the action if the arguments are for one of the two options; otherwise None."""
    first, separator, value = (arguments[0] if arguments else "").partition("=")
    if first not in (_INSTALL, _SHOW):
        return None
    values = [value, *arguments[1:]] if separator else list(arguments[1:])
    if any(one.startswith("-") for one in values):
        return None  # such as --help, which Typer handles
    return lambda: _run(first, values)


def _run(option: str, values: Sequence[str]) -> None:
    """Install or show the script. Raises `UsageError`."""
    shells = ", ".join(_SHELLS)
    if len(values) > 1:
        raise UsageError(f"{option} accepts only one shell.", hint=f"Use one of: {shells}.")
    shell = values[0].lower() if values else _current_shell()
    if shell is None:
        raise UsageError(
            "The shell could not be determined.", hint=f"Run: {option} SHELL, with one of {shells}."
        )
    if shell not in _SHELLS:
        raise UsageError(f"There is no completion for {shell!r}.", hint=f"Use one of: {shells}.")
    if option == _SHOW:
        print_result(_script(shell).rstrip("\n"))
        return
    path = _install(shell)
    print_message(f"Completion for {shell} is installed in {path}. It works in new terminals.")


def _current_shell() -> str | None:
    """Return the name of the shell that started this program."""
    import shellingham  # type: ignore[import-untyped]  # which Typer needs, too

    try:
        name: str = shellingham.detect_shell()[0]
    except shellingham.ShellDetectionFailure:
        name = Path(os.environ.get("SHELL", "")).name
    return name or None


def _script(shell: str) -> str:
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    if shell == "zsh":
        return _ZSH
    script: str = get_completion_script(prog_name=NAME, complete_var=_VARIABLE, shell=shell)
    return f"{script}\n"


def _install(shell: str) -> Path:
    """Install the script, and return its path."""
    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    match shell:
        case "bash":
            path = home / ".bash_completions" / f"{NAME}.sh"
            # Always quote the path, as Typer does. Otherwise, a line that Typer has added would be
            # added again.
            quoted = str(path).replace("'", "'\\''")
            _add_line(home / ".bashrc", f"source '{quoted}'")
        case "zsh":
            path = home / ".zfunc" / f"_{NAME}"
            _add_line(Path(os.environ.get("ZDOTDIR") or home) / ".zshrc", _ZSH_START)
        case "fish":
            path = config / "fish" / "completions" / f"{NAME}.fish"
        case _:
            from typer.completion import install  # type: ignore[attr-defined]

            installed: tuple[str, Path] = install(shell, NAME, _VARIABLE)
            return installed[1]
    from copilot_proxy.private_files import make_folder  # slow to import

    make_folder(path.parent)
    with open(path, "wb", opener=_open) as file:
        file.write(_script(shell).encode())
    return path


def _add_line(path: Path, line: str) -> None:
    """Append a line to a shell's file unless the file already contains the line."""
    content = path.read_bytes() if path.exists() else b""
    if line.encode() not in content:
        gap = b"\n" if content and not content.endswith(b"\n") else b""
        with open(path, "ab", opener=_open) as file:
            file.write(gap + f"{line}\n".encode())
        print_message(f"Added a line to {path} to load the completion.")


def _open(path: str, flags: int) -> int:
    """Open a shell's file. A new file is writable only by its owner, since the shell runs it."""
    return os.open(path, flags, 0o644)
