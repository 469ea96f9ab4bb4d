"""Offers to sign the user in if a command on a terminal needs a sign-in."""

from collections.abc import Callable
from typing import TypeVar

import typer

from copilot_proxy.cli.console import is_interactive, print_message
from copilot_proxy.cli.login import sign_in
from copilot_proxy.errors import NotSignedIn

Result = TypeVar("Result")


def with_sign_in(command: Callable[[], Result]) -> Result:
    """Run `command`. If it needs a sign-in and the user agrees, sign in and run it again.

    Raises `NotSignedIn` if the user declines or cannot be asked, and any error of `sign_in`.
    """
    try:
        return command()
    except NotSignedIn as error:
        # Any other code means that GitHub has refused a token; the error's message says what to do.
        if error.code != "not_signed_in" or not is_interactive():
            raise
        print_message(error.message)
        if not typer.confirm("Sign in now?", default=True, err=True):
            raise
    sign_in()
    return command()
