"""The settings, and where each value came from. Modules outside this folder import them from
here."""

from copilot_proxy import ENVIRONMENT_PREFIX
from copilot_proxy.settings.folders import config_dir, state_dir
from copilot_proxy.settings.loading import (
    INSTANCE_VARIABLE,
    load_settings,
    load_settings_with_errors,
    setting_names,
    unknown_variables,
)
from copilot_proxy.settings.profiles import DEFAULT as DEFAULT_PROFILE
from copilot_proxy.settings.settings import (
    DEFAULT_GITHUB_API_URL,
    DEFAULT_GITHUB_URL,
    Settings,
)

__all__ = [
    "DEFAULT_GITHUB_API_URL",
    "DEFAULT_GITHUB_URL",
    "DEFAULT_PROFILE",
    "ENVIRONMENT_PREFIX",
    "INSTANCE_VARIABLE",
    "Settings",
    "config_dir",
    "load_settings",
    "load_settings_with_errors",
    "setting_names",
    "state_dir",
    "unknown_variables",
]
