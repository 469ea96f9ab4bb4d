"""A conversation on the terminal: what was said so far, commands, a way out of every trouble."""

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final

from copilot_proxy.catalogue import ENABLE_URL
from copilot_proxy.cli.attachments import check_images, content
from copilot_proxy.cli.chat_answer import ask, new_answer, remark
from copilot_proxy.cli.console import problem, talk
from copilot_proxy.cli.keyboard import FENCE, prepare, read_input
from copilot_proxy.errors import CopilotProxyError, UsageError

if TYPE_CHECKING:
    from copilot_proxy.cli.chat_options import ChatOptions
    from copilot_proxy.relay.relay import Relay

_COMMAND: Final = re.compile(r"/([a-z]+)(?:\s+(.*))?$", re.DOTALL)
"""A path such as /etc/hosts is no command."""
_HELP: Final = (
    "/model [NAME]  show or change the model\n"
    "/system TEXT   give it instructions; without text, take them back\n"
    "/reset         forget what was said\n"
    "/help          show this\n"
    "/exit          leave; Ctrl+D does as well\n"
    "\n"
    "Several pasted lines are one question. A line that ends with \\ goes on in the next one.\n"
    f"{FENCE} begins and ends several lines.\n"
    "Ctrl+C stops an answer."
)


class Conversation:
    """Holds what was said. One event loop serves it all: connections and tokens are reused."""

    def __init__(self, relay: "Relay", runner: asyncio.Runner, options: "ChatOptions") -> None:
        self._relay = relay
        self._runner = runner
        self._options = options
        self._model = options.model
        self._system = options.system
        self._images = list(options.images)
        self._history: list[dict[str, Any]] = []

    def run(self) -> None:
        """Until the person leaves. Raises `CopilotProxyError` only if it cannot even begin."""
        self._model = self._named(self._model)
        prepare()
        talk(f"{self._model}. /help tells what you can do here; Ctrl+D leaves.")
        while True:
            try:
                if not self._turn(read_input().strip()):
                    return
            except EOFError:
                talk()
                return
            except KeyboardInterrupt:
                talk("\nTo leave, press Ctrl+D or type /exit.")

    def _turn(self, text: str) -> bool:
        """Does what the person entered; whether the conversation goes on."""
        command = _COMMAND.match(text)
        # Of several lines, only instructions are a command.
        if command is None or ("\n" in text and command[1] != "system"):
            if text:
                self._say(text)
        elif command[1] in ("exit", "quit"):
            return False
        else:
            self._obey(command[1], (command[2] or "").strip())
        return True

    def _named(self, name: str) -> str:
        """The id of the model that `name` means, if it can be conversed with."""
        model = self._runner.run(self._relay.models.model(name))
        if not model.is_chat:
            raise UsageError(f"{model.id} is for {model.type}, not for chat.")
        if model.needs_enabling:
            talk(f"{model.id} needs enabling, by you or your organisation: {ENABLE_URL}")
        check_images(self._images, model)
        return model.id

    def _say(self, text: str) -> None:
        """Asks, and remembers question and answer together: Ctrl+C may come at any moment."""
        question = {"role": "user", "content": content(text, self._images)}
        request = {
            "model": self._model,
            "messages": [*self._messages(), question],
            "stream": self._options.stream,
        }
        answer = new_answer()
        try:
            self._runner.run(ask(self._relay, request, answer))
        except KeyboardInterrupt:
            self._remember(question, answer.text)
            talk("\nStopped.")
        except CopilotProxyError as error:
            # It can be sent again: the arrow keys bring it back.
            problem(error)
        else:
            self._remember(question, answer.text)
            remark(answer, verbose=self._options.verbose)

    def _remember(self, question: dict[str, Any], text: str) -> None:
        """Nothing without an answer, so that the same can be asked again."""
        if text:
            self._history += [question, {"role": "assistant", "content": text}]
            self._images.clear()

    def _messages(self) -> list[dict[str, Any]]:
        system = [{"role": "system", "content": self._system}] if self._system else []
        return system + self._history

    def _obey(self, command: str, rest: str) -> None:
        match command:
            case "model":
                self._choose(rest)
            case "system":
                self._system = rest or None
                talk("The model has your instructions." if rest else "No instructions now.")
            case "reset":
                self._history.clear()
                talk("Forgotten.")
            case "help":
                talk(_HELP)
            case _:
                talk(f"There is no command /{command}. /help lists them.")

    def _choose(self, name: str) -> None:
        if name:
            try:
                self._model = self._named(name)
            except CopilotProxyError as error:
                problem(error)
                return
            except KeyboardInterrupt:
                talk()
                return
        talk(f"The model is {self._model}.")
