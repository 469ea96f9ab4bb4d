"""A conversation in the terminal: its history, its commands and its error handling."""

import asyncio
import re
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from copilot_proxy.catalogue import ENABLE_URL
from copilot_proxy.cli.attachments import check_images, content
from copilot_proxy.cli.chat_answer import ask, new_answer, print_notices
from copilot_proxy.cli.console import print_error, print_message
from copilot_proxy.cli.keyboard import FENCE, read_input, set_up_readline
from copilot_proxy.errors import CopilotProxyError, UsageError, with_simulate_flag

if TYPE_CHECKING:
    from copilot_proxy.cli.chat_options import ChatOptions
    from copilot_proxy.relay.relay import Relay

_COMMAND: Final = re.compile(r"/([a-z]+)(?:\s+(.*))?$", re.DOTALL)
"""Matches a slash command, but not a path such as /etc/hosts."""
_HELP: Final = (
    "/model [NAME]  show or change the model\n"
    "/system TEXT   set the instructions; without text, remove them\n"
    "/reset         clear the conversation\n"
    "/help          show this help\n"
    "/exit          exit; or press Ctrl+D\n"
    "\n"
    "Pasted lines are sent as one question. A line that ends with \\ continues on the next line.\n"
    f"Use {FENCE} before and after text that spans multiple lines.\n"
    "Press Ctrl+C to stop an answer."
)


class Conversation:
    """A conversation with its history.

    All requests run on the event loop of one runner, so that connections and tokens are reused.
    """

    def __init__(
        self,
        relay: "Relay",
        runner: asyncio.Runner,
        options: "ChatOptions",
        show_problems: Callable[[], None],
    ) -> None:
        """`show_problems` is called after each answer."""
        self._relay = relay
        self._runner = runner
        self._options = options
        self._show_problems = show_problems
        self._model = options.model
        self._system = options.system
        self._images = list(options.images)
        self._history: list[dict[str, Any]] = []
        self._session = str(uuid.uuid4())

    def run(self) -> None:
        """Run until the user exits. Raises `CopilotProxyError` if the model cannot be used."""
        self._model = self._resolve(self._model)
        set_up_readline()
        print_message(f"Chatting with {self._model}. Type /help for help; press Ctrl+D to exit.")
        while True:
            try:
                if not self._turn(read_input().strip()):
                    return
            except EOFError:
                print_message()
                return
            except KeyboardInterrupt:
                print_message("\nTo exit, press Ctrl+D or type /exit.")

    def _turn(self, text: str) -> bool:
        """Process the user's input, and return whether the conversation continues."""
        command = _COMMAND.match(text)
        # Only /system may span several lines; other multi-line input is a question.
        if command is None or ("\n" in text and command[1] != "system"):
            if text:
                self._ask(text)
        elif command[1] in ("exit", "quit"):
            return False
        else:
            self._run_command(command[1], (command[2] or "").strip())
        return True

    def _resolve(self, name: str) -> str:
        """Return the id of the model that `name` stands for.

        Raises `UsageError` if that is not a chat model or does not accept the attached images.
        """
        model = self._runner.run(self._relay.models.model(name))
        if not model.is_chat:
            raise UsageError(
                f"{model.id} is for {model.type}, not for chat.",
                hint="Choose a chat model. List them with: copilot-proxy models",
            )
        if model.needs_enabling:
            print_message(
                f"{model.id} must be enabled first, by you or your organization: {ENABLE_URL}"
            )
        check_images(self._images, model)
        return model.id

    def _ask(self, text: str) -> None:
        """Send a question; add it to the history only together with its answer.

        Ctrl+C may interrupt this at any time; the partial answer is kept.
        """
        question = {"role": "user", "content": content(text, self._images)}
        request = {
            "model": self._model,
            "messages": [*self._messages(), question],
            "stream": self._options.stream,
        }
        answer = new_answer(self._session)
        try:
            self._runner.run(ask(self._relay, request, answer))
        except KeyboardInterrupt:
            self._remember(question, answer.text)
            print_message("\nStopped.")
        except CopilotProxyError as error:
            # The user can send the question again by recalling it with the arrow keys.
            self._print_error(error)
        else:
            self._remember(question, answer.text)
            print_notices(answer, verbose=self._options.verbose)
        self._show_problems()

    def _print_error(self, error: CopilotProxyError) -> None:
        if self._options.simulate:
            error.hint = with_simulate_flag(error.hint)
        print_error(error)

    def _remember(self, question: dict[str, Any], text: str) -> None:
        """Add a question and its answer to the history; without an answer, add neither."""
        if text:
            self._history += [question, {"role": "assistant", "content": text}]
            self._images.clear()

    def _messages(self) -> list[dict[str, Any]]:
        system = [{"role": "system", "content": self._system}] if self._system else []
        return system + self._history

    def _run_command(self, command: str, argument: str) -> None:
        match command:
            case "model":
                self._set_model(argument)
            case "system":
                self._system = argument or None
                print_message("Instructions set." if argument else "Instructions removed.")
            case "reset":
                self._history.clear()
                print_message("Conversation cleared.")
            case "help":
                print_message(_HELP)
            case _:
                print_message(f"Unknown command: /{command}. Type /help for a list.")

    def _set_model(self, name: str) -> None:
        if name:
            try:
                self._model = self._resolve(name)
            except CopilotProxyError as error:
                self._print_error(error)
                return
            except KeyboardInterrupt:
                print_message()
                return
        print_message(f"The model is {self._model}.")
