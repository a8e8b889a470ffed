"""IAM policies: documents are read and refused here, and requests judged by them. Pure."""

from hcluster.localcloud.api.policy.documents import Document, Kind, context_keys, parse
from hcluster.localcloud.api.policy.evaluation import Asker, Decision, Match, Policies, Policy, context, decide
from hcluster.localcloud.api.policy.values import Context, PolicyError, Value

__all__ = [
    "Asker",
    "Context",
    "Decision",
    "Document",
    "Kind",
    "Match",
    "Policies",
    "Policy",
    "PolicyError",
    "Value",
    "context",
    "context_keys",
    "decide",
    "parse",
]


def allowed(documents: list[str], action: str, resource: str, values: dict[str, Value]) -> bool:
    """Whether identity policies allow it."""
    named = [Policy("", document) for document in documents]
    return decide(Policies(identity=named), Asker(), action, resource, context(values)).allowed


def trusts(document: str, principal: str, account: str, *, service: str = "") -> str:
    """How a role's trust policy lets somebody assume it: "direct", "account" or ""."""
    asker = Asker(service=service) if service else Asker(arn=principal, account=account)
    if decide(Policies(trust=Policy("", document)), asker, "sts:AssumeRole", "*", {}).allowed:
        return "direct"
    everything = Policy("", '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}')
    both = Policies(identity=[everything], trust=Policy("", document))
    return "account" if decide(both, asker, "sts:AssumeRole", "*", {}).allowed else ""
