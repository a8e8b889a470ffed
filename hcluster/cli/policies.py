"""The command policies."""

from __future__ import annotations

from enum import StrEnum

import typer

from hcluster.cli.config import platform_file
from hcluster.cli.flow import flow, state_of
from hcluster.cli.output import render
from hcluster.errors import UsageError


class VerbGroup(StrEnum):
    """Whom a policy is for."""

    reader = "reader"
    operator = "operator"
    admin = "admin"
    baker = "baker"
    publisher = "publisher"


def policies(
    ctx: typer.Context,
    group: VerbGroup | None = typer.Argument(
        None, metavar="[VERB-GROUP]", help="Whose policy; without it, what there is.", show_default=False
    ),
    team: str = typer.Option("", metavar="NAME", help="Only what this team's clusters consist of. Default: all teams."),
    account: str = typer.Option("", metavar="ID", help="The account's number. Default: that of your credentials."),
) -> None:
    """Print the IAM policies that callers of hcluster need.

    Each allows one group of verbs and nothing more, on this platform's bucket, roles and whatever carries its tag.
    Nothing is changed: whoever keeps the account's users and roles puts them where they belong.

    \b
    Examples:
      hcluster policies
      hcluster policies operator --team analytics > operator.json
      hcluster policies --output json
    """
    from hcluster.plan import callers
    from hcluster.spec.load import load_platform

    state = state_of(ctx)
    if group is None and state.output != "json":
        rows = [(name, ", ".join(verbs)) for name, verbs in callers.VERBS.items()]
        render.emit(state, {}, render.table(("group", "verbs"), rows))
        return
    platform = load_platform(platform_file(state))
    if team and team not in platform.teams:
        raise UsageError(
            f"{team} is no team of platform {platform.name}", hint=f"its teams are {', '.join(platform.teams)}"
        )
    if account and not (account.isdecimal() and len(account) == 12):
        raise UsageError(f"{account} is no account's number", hint="it has twelve digits, such as 123456789012")
    if not account:
        with flow(ctx, "asking for the account") as context:
            account = context.compute.caller()[0]
    scope = callers.Scope(
        platform=platform.name,
        bucket=platform.bucket,
        region=platform.region,
        account=account,
        team=team,
        ssh_user=platform.network.ssh_user,
    )
    if group is None:
        render.emit(state, {name: callers.policy(name, scope) for name in callers.VERBS}, "")
        return
    # The document itself in either output, to be piped on to `aws iam put-role-policy`.
    document = callers.policy(group.value, scope)
    render.emit(state, document, render.to_json(document))
