"""Runs the server as an operating system service: systemd, launchd or Task Scheduler."""
