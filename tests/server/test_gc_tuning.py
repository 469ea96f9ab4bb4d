"""The tuning of the garbage collector for serving."""

import gc

from copilot_proxy.server.gc_tuning import tune_gc_for_serving


def test_only_while_the_server_runs() -> None:
    """Existing objects are frozen while the block runs, and everything is restored afterwards."""
    gc.unfreeze()  # the tests leave out what they have loaded, too
    before = gc.get_threshold()
    with tune_gc_for_serving():
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > before[0]

    assert (before, 0) == (gc.get_threshold(), gc.get_freeze_count())
