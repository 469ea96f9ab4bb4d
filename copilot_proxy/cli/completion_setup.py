"""``--install-completion [SHELL]`` and ``--show-completion [SHELL]``.

Typer's own options do not accept a shell's name, and its script for zsh completes nothing on the
first Tab. For other shells, Typer's scripts are used.
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
    """Return the action for a command line with one of these options, or None for any other."""
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
        raise UsageError(f"{option} takes the name of one shell.", hint=f"Use one of: {shells}.")
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
    return script


def _install(shell: str) -> Path:
    """Install the script, and return its path."""
    from typer.completion import install as install_for  # type: ignore[attr-defined]

    if shell == "zsh":
        return _install_zsh()
    installed: tuple[str, Path] = install_for(shell, NAME, _VARIABLE)
    return installed[1]


def _install_zsh() -> Path:
    """Write the script to ``~/.zfunc``, and make ``.zshrc`` load it unless it already does."""
    start = Path(os.environ.get("ZDOTDIR") or Path.home()) / ".zshrc"
    text = start.read_bytes() if start.exists() else b""
    if _ZSH_START.encode() not in text:
        gap = b"\n" if text and not text.endswith(b"\n") else b""
        with open(start, "ab") as file:
            file.write(gap + f"{_ZSH_START}\n".encode())
    path = Path.home() / ".zfunc" / f"_{NAME}"
    path.parent.mkdir(exist_ok=True)
    path.write_text(_ZSH, encoding="utf-8")
    return path
