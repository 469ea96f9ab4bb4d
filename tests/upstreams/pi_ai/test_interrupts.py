"""Ctrl+C that comes while something short must be finished."""

import signal

import pytest

from copilot_proxy.upstreams.pi_ai.interrupts import uninterrupted


def test_it_comes_when_the_block_has_ended() -> None:
    """Nothing is lost: not the work, and not the wish to stop."""
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done.append(True)

    assert done


def test_without_one_nothing_happens() -> None:
    """And the next one is heard as ever."""
    with uninterrupted():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_what_is_ignored_stays_so() -> None:
    """As under nohup, also for a process that is started meanwhile."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with uninterrupted():
            assert signal.SIG_IGN == signal.getsignal(signal.SIGHUP)
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
