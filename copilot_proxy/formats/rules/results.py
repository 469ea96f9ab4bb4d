"""Calls and results that lost each other, brought together again.

Interrupted agents leave calls without results and results without calls behind; Copilot refuses
such a conversation, and every later one that carries it along.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody, Piece

NO_RESULT: Final = "(The call was interrupted: there is no result.)"
_ORPHAN: Final = "(Result of an earlier tool call)"


def pair_results(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Sees to it that every call has one result, where the API wants it, and every result a call.

    A result that nothing called for becomes the user's words, so that the model still knows it.
    """
    if outgoing.is_paired():
        return
    given, told = outgoing.pieces(), len(notes)
    pairs = _Pairs(outgoing, given, notes)
    paired = pairs.behind() if outgoing.results_follow else pairs.anywhere()
    if (
        pairs.is_scattered
        or len(paired) != len(given)
        or any(one is not other for one, other in zip(paired, given, strict=True))
    ):
        outgoing.rebuild(paired)
        if len(notes) == told:
            notes.append("moved results of tools behind their calls")


class _Pairs:
    """The pieces of one conversation, and their new order."""

    def __init__(self, outgoing: OutgoingBody, pieces: Sequence[Piece], notes: list[str]) -> None:
        self._outgoing = outgoing
        self._pieces = pieces
        self._notes = notes
        self._where = outgoing.conversation_field
        self._out: list[Piece] = []
        self.is_scattered = False
        """Whether results that belong in one message come from several."""

    def anywhere(self) -> list[Piece]:
        """For APIs that let results stand anywhere behind their calls."""
        left = Counter(id for piece in self._pieces if piece.kind == "result" for id in piece.ids)
        open_calls: Counter[str] = Counter()
        for piece in self._pieces:
            if piece.kind == "result" and not open_calls[piece.ids[0]]:
                left[piece.ids[0]] -= 1
                self._orphan(piece)
                continue
            self._out.append(piece)
            if piece.kind == "result":
                open_calls[piece.ids[0]] -= 1
                left[piece.ids[0]] -= 1
            for id in piece.ids if piece.kind == "assistant" else ():
                if left[id] > open_calls[id]:
                    open_calls[id] += 1
                else:
                    self._invent(piece, id)
        return self._out

    def behind(self) -> list[Piece]:
        """For APIs that want the results of a message right behind it, and in its order.

        They are looked for up to the next answer; messages of the assistant's in a row are one.
        """
        used: set[int] = set()
        for position, piece in enumerate(self._pieces):
            if position in used:
                continue
            if piece.kind == "result":
                self._orphan(piece)
                continue
            self._out.append(piece)
            if piece.kind == "assistant" and piece.ids:
                found = self._results_after(position, used)
                if self._outgoing.results_share_a_message:
                    places = {self._pieces[found[id]].message_index for id in piece.ids if id in found}
                    self.is_scattered = self.is_scattered or len(places) > 1
                for id in self._order(piece, found):
                    at = found.pop(id, None)
                    if at is None:
                        self._invent(piece, id)
                    else:
                        used.add(at)
                        self._out.append(self._pieces[at])
        return self._out

    def _order(self, piece: Piece, found: dict[str, int]) -> Sequence[str]:
        """The ids of the calls in the order of their results: the calls' own, but where one message
        has all results, and may have them in any."""
        if not self._outgoing.results_share_a_message:
            return piece.ids
        return sorted(piece.ids, key=lambda id: found.get(id, len(self._pieces)))

    def _results_after(self, position: int, used: set[int]) -> dict[str, int]:
        results: dict[str, int] = {}
        in_row = True
        for later in range(position + 1, len(self._pieces)):
            piece = self._pieces[later]
            if piece.kind != "assistant":
                in_row = False
            elif not in_row:
                break
            if piece.kind == "result" and later not in used:
                results.setdefault(piece.ids[0], later)
        return results

    def _invent(self, piece: Piece, id: str) -> None:
        raw = self._outgoing.result(id, NO_RESULT)
        self._out.append(Piece("result", (id,), raw, piece.message_index))
        self._notes.append(
            f"added a result for {self._where}[{piece.message_index}]: a tool call without one"
        )

    def _orphan(self, piece: Piece) -> None:
        raw = self._outgoing.orphan(piece.raw, _ORPHAN)
        self._out.append(Piece("other", (), raw, piece.message_index))
        self._notes.append(
            f"changed {self._where}[{piece.message_index}]: a tool result that nothing called for"
        )
