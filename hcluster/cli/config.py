"""What the global options, the environment and the configuration file say: which platform, who acts, which output."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hcluster.errors import SpecError, UsageError
from hcluster.model.principal import Principal

Output = Literal["table", "json"]

DEFAULT_TEAM = "default"
_KEYS = ("user", "team")
_NAME = re.compile(r"[\w .:/=+@-]{1,128}")
"""What fits into a tag of a resource."""


@dataclass(frozen=True, slots=True)
class CliState:
    """One call's settings; every command finds it in ``ctx.obj``."""

    platform_file: Path | None = None
    """The platform.yaml to use, None when there is none."""
    output: Output = "table"
    user: str = ""
    team: str = ""
    """Both empty when neither environment nor configuration file name them."""


def resolve(
    platform: Path | None, output: Output, environment: Mapping[str, str], *, home: Path | None = None
) -> CliState:
    """The settings of a call from the options given and the environment.

    Raises:
        UsageError: the configuration file or a name is wrong.
    """
    folder = config_folder(environment, home)
    settings = _read(folder / "config.yaml")
    user = environment.get("HCLUSTER_USER") or settings.get("user", "")
    team = environment.get("HCLUSTER_TEAM") or settings.get("team", "")
    for variable, value in (("HCLUSTER_USER", user), ("HCLUSTER_TEAM", team)):
        if value and not _NAME.fullmatch(value):
            raise UsageError(
                f"{value!r} cannot be a name in tags", hint=f"{variable} may hold letters, digits and .:/=+@-"
            )
    return CliState(_platform(platform, environment, folder), output, user, team)


def config_folder(environment: Mapping[str, str], home: Path | None = None) -> Path:
    """Where config.yaml and, for want of a nearer one, platform.yaml are."""
    base = environment.get("XDG_CONFIG_HOME") or (home or _home()) / ".config"
    return Path(base) / "hcluster"


def state_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where local clouds, caches and reports of unexpected errors are kept."""
    environment = os.environ if environment is None else environment
    if named := environment.get("HCLUSTER_STATE"):
        return Path(named)
    return Path(environment.get("XDG_STATE_HOME") or _home() / ".local" / "state") / "hcluster"


def _home() -> Path:
    """One's home folder.

    Raises:
        UsageError: there is none, as in a container that runs as an account without a name.
    """
    try:
        return Path.home()
    except RuntimeError as cause:
        raise UsageError(
            "there is no home folder to read settings from or to keep anything in",
            hint="set HOME, or both XDG_CONFIG_HOME and HCLUSTER_STATE",
        ) from cause


def _platform(given: Path | None, environment: Mapping[str, str], folder: Path) -> Path | None:
    if given:
        return given
    if named := environment.get("HCLUSTER_PLATFORM"):
        return Path(named)
    return next((path for path in (Path("platform.yaml"), folder / "platform.yaml") if path.is_file()), None)


def platform_file(state: CliState) -> Path:
    """The platform.yaml of this call.

    Raises:
        UsageError: none was named, and there is none in the usual places; or the named one does not exist.
    """
    if state.platform_file is None:
        raise UsageError(
            "there is no platform.yaml",
            hint="name one with `--platform FILE` or HCLUSTER_PLATFORM, or copy examples/platform.yaml "
            "to ./platform.yaml or ~/.config/hcluster/platform.yaml",
            reference="no-platform-file",
        )
    if not state.platform_file.is_file():
        there = state.platform_file.is_dir()
        raise UsageError(
            f"{state.platform_file} {'is a folder, not a file' if there else 'does not exist'}",
            hint="name the platform's file with `--platform FILE` or HCLUSTER_PLATFORM",
            reference="no-platform-file",
        )
    return state.platform_file


def principal(state: CliState, caller_arn: Callable[[], str]) -> Principal:
    """Who acts. ``caller_arn`` asks STS, and is called only when nothing else names the user."""
    return Principal(state.user or session_name(caller_arn()), state.team or DEFAULT_TEAM)


def session_name(arn: str) -> str:
    """The name in a caller's ARN: that of the user, or of the session of an assumed role.

    ``arn:aws:iam::1:user/path/jane`` and ``arn:aws:sts::1:assumed-role/ops/jane`` give jane, ``arn:aws:iam::1:root``
    gives root.
    """
    return arn.rsplit(":", 1)[-1].rsplit("/", 1)[-1]


def _read(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    # YAML is loaded only by those who have such a file.
    from hcluster.spec.yamlfile import Found, read

    document = read(path)
    found = list(document.found)
    for key, value in document.value.items():
        place = document.place((key,))
        if key not in _KEYS:
            found.append(Found(*place, key, f"unknown key (known: {', '.join(_KEYS)})"))
        elif not isinstance(value, str):
            found.append(Found(*place, key, f"must be text, not {value!r}"))
    if found:
        raise SpecError(f"{path} is not a configuration of hcluster", findings=tuple(map(str, found)))
    return {key: str(value) for key, value in document.value.items()}
