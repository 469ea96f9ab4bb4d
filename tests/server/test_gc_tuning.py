"""The tuning of the garbage collector for serving."""

import gc

import pytest

from copilot_proxy.server.gc_tuning import tune_gc_for_serving
from tests.conftest import UNFREEZE


def test_only_while_the_server_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Existing objects are frozen while the block runs, and everything is restored afterwards."""
    # The tests themselves leave out what they have loaded, and keep it so.
    monkeypatch.setattr(gc, "unfreeze", UNFREEZE)
    gc.unfreeze()
    before = gc.get_threshold()
    with tune_gc_for_serving():
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > before[0]

    assert (before, 0) == (gc.get_threshold(), gc.get_freeze_count())
