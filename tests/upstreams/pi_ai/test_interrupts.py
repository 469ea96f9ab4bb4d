"""Ctrl+C during short sections that must be completed."""

import signal

import pytest

from copilot_proxy.upstreams.pi_ai.interrupts import uninterrupted


def test_an_interrupt_is_raised_after_the_block() -> None:
    """The interrupt is raised after the block, which is completed."""
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done.append(True)

    assert done


def test_without_an_interrupt() -> None:
    """Without an interrupt, nothing is raised, and later interrupts work."""
    with uninterrupted():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_an_ignored_signal_stays_ignored() -> None:
    """An ignored SIGINT, as under nohup, stays ignored, even in child processes."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with uninterrupted():
            assert signal.SIG_IGN == signal.getsignal(signal.SIGHUP)
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
