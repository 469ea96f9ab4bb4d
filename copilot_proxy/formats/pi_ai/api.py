"""pi-ai as an upstream API."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.reasoning_cache import ReasoningRecorder
from copilot_proxy.formats.rules import AdaptedBody
from copilot_proxy.formats.types import ChatRequest, PiAiRequest
from copilot_proxy.formats.upstream_api import NativePassage

if TYPE_CHECKING:
    from copilot_proxy.formats.pi_ai.stream_to_chat import PiAiToChat


class PiAiApi:
    """Implements `formats.upstream_api.UpstreamApi`.

    The translators are imported only when they are used, since by default the server calls Copilot
    directly.
    """

    name = "pi_ai"
    path: str | None = None
    native: NativePassage | None = None

    def accepted_stops(self, model: Model | None, stops: Sequence[str]) -> list[str]:
        return []

    def accepts_documents(self, model: Model | None) -> bool:
        return False  # pi-ai only sends text and images

    def from_chat(self, chat: ChatRequest, model: Model | None, notes: list[str]) -> AdaptedBody:
        from copilot_proxy.formats.pi_ai.request_to_model import pi_ai_from_chat

        return pi_ai_from_chat(chat, model, notes)

    def headers(
        self, body: PiAiRequest, betas: Collection[str], notes: list[str]
    ) -> dict[str, str]:
        return {}

    def with_cache_key(self, body: PiAiRequest, session: str | None) -> PiAiRequest:
        return body

    def reader(
        self,
        model: str,
        *,
        include_usage: bool,
        recorder: ReasoningRecorder | None,
        tool_names: Mapping[str, str],
        custom_tools: Collection[str] = (),
        used_ids: Collection[str] = (),
    ) -> "PiAiToChat":
        from copilot_proxy.formats.pi_ai.stream_to_chat import PiAiToChat

        return PiAiToChat(
            model,
            include_usage=include_usage,
            recorder=recorder,
            tool_names=tool_names,
            custom_tools=custom_tools,
            used_ids=used_ids,
        )


PI_AI: Final = PiAiApi()
