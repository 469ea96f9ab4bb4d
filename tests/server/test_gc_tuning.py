"""A server looks for cycles seldom, and leaves Python as it was."""

import gc

from copilot_proxy.server.gc_tuning import tune_gc_for_serving


def test_only_while_the_server_runs() -> None:
    """What was loaded is left out, and afterwards everything is as before."""
    before = gc.get_threshold()
    with tune_gc_for_serving():
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > before[0]

    assert (before, 0) == (gc.get_threshold(), gc.get_freeze_count())
