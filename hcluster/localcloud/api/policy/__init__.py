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
