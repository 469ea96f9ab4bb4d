"""Runs the server as a service of the operating system: systemd, launchd or Task Scheduler."""
