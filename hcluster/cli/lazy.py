"""A group of commands whose modules are imported when one of them runs, so that help costs next to nothing."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import typer
from typer.core import TyperGroup

from hcluster.cli import complete, usage
from hcluster.cli.config import CliState, Output
from hcluster.cli.naming import by_prefix, takes_a_cluster
from hcluster.errors import UsageError

_NAME = re.compile(r"[\w.-]+")
"""What may be, or may have been meant as, the name of a cluster or its beginning."""


class Entry(NamedTuple):
    """Where a command lies, and what the list of commands says about it."""

    module: str
    attribute: str
    """A ``typer.Typer`` (a group) or a function (one command)."""
    help: str
    section: str


class LazyGroup(TyperGroup):
    """The root: it knows the commands by name and help alone."""

    entries: dict[str, Entry]
    """Set by the subclass, in the order of the help."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is typer's
        """Names in the order of the help."""
        return list(self.entries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the signature is typer's
        """Import a command's module and make the command; None for an unknown name."""
        if cmd_name not in self.commands and cmd_name in self.entries:
            self.commands[cmd_name] = load(cmd_name, self.entries[cmd_name])
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As inherited, but a misspelt name is compared with all names, loaded or not."""
        import difflib

        if args and args[0] not in self.entries and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], self.entries, n=1)
            ctx.fail(f"No such command '{args[0]}'." + (f" Did you mean '{close[0]}'?" if close else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the signature is typer's
        """List the commands by section, from the table alone."""
        width = max(map(len, self.entries))
        for section in dict.fromkeys(entry.section for entry in self.entries.values()):
            with formatter.section(section):
                formatter.write_dl(
                    [
                        (name.ljust(width), entry.help)
                        for name, entry in self.entries.items()
                        if entry.section == section
                    ]
                )


def load(name: str, entry: Entry) -> Any:
    """The command or group of an entry, with the options that every command takes."""
    found = getattr(importlib.import_module(entry.module), entry.attribute)
    if isinstance(found, typer.Typer):
        found.rich_markup_mode = None
        command: Any = typer.main.get_group(found)
    else:
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(name)(found)
        command = typer.main.get_command(single)
    command.name = name
    _prepare(command)
    return command


def _prepare(command: Any) -> None:
    """Give every command below what all have: options after its name, completion, short names."""
    command.context_settings = {"help_option_names": ["-h", "--help"], **command.context_settings}
    if isinstance(command, TyperGroup):
        command.epilog = f"`hcluster {command.name} COMMAND --help` tells more, with examples."
        for inner in command.commands.values():
            # The first sentence as a whole, over as many lines as it takes.
            inner.short_help = inner.get_short_help_str(limit=1000)
            _prepare(inner)
        return
    complete.prepare(command)
    usage.prepare(command)
    if takes_a_cluster(command.params):
        command.invoke = by_prefix(_named(command.invoke))
    taken = {name for parameter in command.params for name in parameter.opts}
    command.params += [option for option in _shared_options() if not taken.intersection(option.opts)]


def _named(invoke: Callable[[typer.Context], Any]) -> Callable[[typer.Context], Any]:
    """Refuse what cannot be a name before anybody is asked for it: "", as of an unset variable, or a path."""

    def run(ctx: typer.Context) -> Any:
        name = str(ctx.params["name"])
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is not the name of a cluster", hint=f"`{ctx.command_path} --help`, `hcluster list`"
            )
        return invoke(ctx)

    return run


def _shared_options() -> list[Any]:
    def shared(
        output: str = typer.Option(
            None,
            "--output",
            metavar="|".join(get_args(Output)),
            help="What goes to standard output.",
            callback=_set_output,
        ),
        platform: str = typer.Option(
            None, "--platform", metavar="FILE", help="The platform's YAML.", callback=_set_platform
        ),
    ) -> None:
        """Only its options are used."""

    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command()(shared)
    options = [option for option in typer.main.get_command(single).params if option.name in ("output", "platform")]
    for option in options:
        option.expose_value = False
    return options


def _set_output(ctx: typer.Context, value: str | None) -> str | None:
    if value is not None:
        if value not in get_args(Output):
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(get_args(Output))}")
        _replace(ctx, output=value)
    return value


def _set_platform(ctx: typer.Context, value: str | None) -> str | None:
    if value is not None:
        from pathlib import Path

        _replace(ctx, platform_file=Path(value))
    return value


def _replace(ctx: typer.Context, **values: Any) -> None:
    """Change the settings of this call; the outer contexts share them, so that errors are told in the same way."""
    state = ctx.obj if isinstance(ctx.obj, CliState) else CliState()
    ctx.obj = ctx.find_root().obj = dataclasses.replace(state, **values)
