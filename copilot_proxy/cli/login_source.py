"""Reuses another program's sign-in for ``login --from``, if the user agrees."""

from typing import TYPE_CHECKING

from copilot_proxy.cli.console import confirmed, is_interactive, print_message
from copilot_proxy.errors import LoginFailed, UsageError

if TYPE_CHECKING:
    from copilot_proxy.masking import Secret


def token_of(program: str, host: str, store: str, *, yes: bool, command: str) -> "Secret":
    """Return the token of ``gh``, ``copilot-cli`` or ``editor`` for `host`.

    Asks the user first unless `yes` is true. `store` is where the copy will be kept, and `command`
    the command line for the hint. Raises `UsageError` if the user cannot be asked, and
    `LoginFailed` if there is no token or the user declines.
    """
    from copilot_proxy.auth.other_programs import TITLES, find_token
    from copilot_proxy.auth.token_kinds import reject_classic_token

    title = TITLES[program]
    if not yes:
        if not is_interactive():
            raise UsageError(
                f"Cannot ask whether to use {title}'s sign-in, because there is no terminal.",
                hint=f"To allow it, run: {command} --yes",
            )
        question = f"Read {title}'s token for {host} and store a copy in {store}?"
        if not confirmed(question):
            raise LoginFailed("No token was read.", hint="Sign in with: copilot-proxy login")
    found = find_token(program, host)
    reject_classic_token(found.token, where=f"in {found.where}")
    print_message(
        f"Found a token in {found.where}. If you sign out of "
        f"{title.replace('an ', 'the ', 1)}, this sign-in may also stop working."
    )
    return found.token


def limits() -> str:
    """Return the limitations of a sign-in whose token is used without an exchange."""
    return (
        "This token is used the way Copilot CLI uses it. Models that Copilot offers only to "
        "editors, such as some previews, may not work. A sign-in with `copilot-proxy login`, "
        "without --from or --with-token, works for all models."
    )
