"""The API of the pi-ai package: what it is asked, and the events that it answers with."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import UpstreamError
from copilot_proxy.formats.api import Fitted, NativePassage
from copilot_proxy.formats.chat_completions.request_to_model import mended
from copilot_proxy.formats.chat_completions.schema import Json
from copilot_proxy.formats.reasoning_cache import ReasoningRecorder

if TYPE_CHECKING:
    from copilot_proxy.formats.pi_ai.stream_to_chat import PiAiToChat


class PiAiApi:
    """See `formats.api` for what each method is. What does the work is imported late: a server
    that asks Copilot itself does without it."""

    name = "pi_ai"
    path: str | None = None
    native: NativePassage | None = None

    def from_chat(self, chat: Json, model: Model | None, notes: list[str]) -> Fitted:
        from copilot_proxy.formats.pi_ai.request_from_chat import to_pi

        if model is None:
            raise UpstreamError(
                "Copilot's list of models cannot be read, and pi-ai cannot do without it.",
                code="upstream_unreachable",
                hint="Try again in a moment.",
            )
        chat, names = mended(chat, model, notes)
        return Fitted(body=to_pi(chat, model, notes), tool_names=names._original)

    def headers(self, body: Json, betas: Collection[str], notes: list[str]) -> dict[str, str]:
        return {}

    def reader(
        self,
        model: str,
        *,
        include_usage: bool,
        recorder: ReasoningRecorder | None,
        tool_names: Mapping[str, str],
    ) -> "PiAiToChat":
        from copilot_proxy.formats.pi_ai.stream_to_chat import PiAiToChat

        return PiAiToChat(
            model, include_usage=include_usage, recorder=recorder, tool_names=tool_names
        )


PI_AI: Final = PiAiApi()
