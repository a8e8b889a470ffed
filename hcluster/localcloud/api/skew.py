"""How each service refuses a request whose clock is too far from its own. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from hcluster.localcloud.api.faults import Fault

SKEW = 15 * 60
"""Seconds that the clocks of caller and cloud may differ by."""
_QUERY = ("iam", "sts")
_STAMP = "%Y%m%dT%H%M%SZ"


def skewed(service: str, made: datetime, now: datetime) -> Fault:
    """The error for a request to ``service`` (signing name) that was signed at ``made``, by the service's clock.

    S3: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; EC2:
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html; the others name both times.
    """
    if service == "s3":
        return Fault(
            "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", 403
        )
    if service == "ec2":
        return Fault("RequestExpired", "Request has expired.", 400)
    code = "SignatureDoesNotMatch" if service in _QUERY else "InvalidSignatureException"
    status = 403 if service in _QUERY else 400
    stamp, current = made.strftime(_STAMP), now.strftime(_STAMP)
    if made < now:
        limit = (now - timedelta(seconds=SKEW)).strftime(_STAMP)
        text = f"Signature expired: {stamp} is now earlier than {limit} ({current} - {SKEW // 60} min.)"
    else:
        limit = (now + timedelta(seconds=SKEW)).strftime(_STAMP)
        text = f"Signature not yet current: {stamp} is still later than {limit} ({current} + {SKEW // 60} min.)"
    return Fault(code, text, status)
