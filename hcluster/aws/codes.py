"""One table: what EC2, S3, IAM and STS call a failure, and which of our errors it is.

Codes are those of the EC2 API reference ("Error codes for the Amazon EC2 API") and of the S3 and IAM API references;
Karpenter's ``pkg/errors`` agrees on which of them mean a shortage.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from hcluster.errors import (
    CapacityError,
    CloudError,
    ConflictError,
    CredentialsError,
    DeniedError,
    HclusterError,
    NotFoundError,
    ThrottledError,
    UnreachableError,
)

CODES: dict[type[HclusterError], frozenset[str]] = {
    CredentialsError: frozenset(
        {
            "AuthFailure",
            "ExpiredToken",
            "ExpiredTokenException",
            "IncompleteSignature",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidToken",
            "MissingAuthenticationToken",
            "MissingSecurityHeader",
            "RequestExpired",
            "RequestTimeTooSkewed",
            "SignatureDoesNotMatch",
            "TokenRefreshRequired",
            "UnrecognizedClientException",
        }
    ),
    DeniedError: frozenset(
        {
            "403",
            "AccessDenied",
            "AccessDeniedException",
            "AllAccessDisabled",
            "Blocked",
            "Client.UnauthorizedOperation",
            "Forbidden",
            "InvalidPayer",
            "NotSignedUp",
            "OptInRequired",
            "PendingVerification",
            "UnauthorizedOperation",
        }
    ),
    ThrottledError: frozenset(
        {
            "503",
            "BandwidthLimitExceeded",
            "EC2ThrottledException",
            "PriorRequestNotComplete",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "ServiceUnavailable",
            "SlowDown",
            "Throttling",
            "ThrottledException",
            "ThrottlingException",
            "TooManyRequestsException",
            "Unavailable",
        }
    ),
    CapacityError: frozenset(
        {
            "AddressLimitExceeded",
            "AttachmentLimitExceeded",
            "InsufficientAddressCapacity",
            "InsufficientCapacity",
            "InsufficientCapacityOnHost",
            "InsufficientFreeAddressesInSubnet",
            "InsufficientHostCapacity",
            "InsufficientInstanceCapacity",
            "InsufficientReservedInstanceCapacity",
            "InsufficientVolumeCapacity",
            "InstanceLimitExceeded",
            "LimitExceeded",
            "MaxFleetCountExceeded",
            "MaxIOPSLimitExceeded",
            "MaxSpotFleetRequestCountExceeded",
            "MaxSpotInstanceCountExceeded",
            "NetworkInterfaceLimitExceeded",
            "RulesPerSecurityGroupLimitExceeded",
            "SecurityGroupLimitExceeded",
            "SecurityGroupsPerInstanceLimitExceeded",
            "SnapshotLimitExceeded",
            "SpotMaxPriceTooLow",
            "TooManyBuckets",
            "UnfulfillableCapacity",
            "Unsupported",
            "VcpuLimitExceeded",
            "VolumeLimitExceeded",
        }
    ),
    NotFoundError: frozenset(
        {
            "404",
            "EC2InstanceNotFoundException",
            "InvalidAMIID.Malformed",
            "InvalidAMIID.Unavailable",
            "InvalidLaunchTemplateId.Malformed",
            "InvalidLaunchTemplateId.NotFoundException",
            "InvalidLaunchTemplateId.VersionNotFound",
            "InvalidLaunchTemplateName.NotFoundException",
            "NoSuchBucket",
            "NoSuchEntity",
            "NoSuchKey",
            "NoSuchUpload",
            "NotFound",
        }
    ),
    ConflictError: frozenset(
        {
            "409",
            "412",
            "BucketAlreadyExists",
            "BucketAlreadyOwnedByYou",
            "BucketNotEmpty",
            "ConcurrentModification",
            "ConditionalRequestConflict",
            "DeleteConflict",
            "DependencyViolation",
            "EntityAlreadyExists",
            "EntityTemporarilyUnmodifiable",
            "IdempotentParameterMismatch",
            "InvalidAMIName.Duplicate",
            "InvalidGroup.Duplicate",
            "InvalidGroup.InUse",
            "InvalidLaunchTemplateName.AlreadyExistsException",
            "InvalidNetworkInterface.InUse",
            "InvalidPermission.Duplicate",
            "InvalidSnapshot.InUse",
            "OperationAborted",
            "PreconditionFailed",
            "VolumeInUse",
        }
    ),
}

_BY_CODE = {code: error for error, codes in CODES.items() for code in codes}
_ENCODED = re.compile(r"[Ee]ncoded authorization failure message:\s*\S+")


@dataclass(frozen=True, slots=True)
class Whose:
    """On whose behalf a call was made; it words the message and the cure."""

    label: str
    """Such as ``profile hcluster-default, us-east-1``."""
    credentials_cure: str
    endpoint_cure: str


def error_class(code: str) -> type[HclusterError]:
    """Which of our errors an API's error code is; CloudError for those that mean nothing special to us."""
    known = _BY_CODE.get(code)
    if known is not None:
        return known
    # EC2 names a missing thing Invalid<Kind>.NotFound, and has over a hundred kinds.
    return NotFoundError if code.endswith(".NotFound") else CloudError


def code_of(failure: aws.ClientError) -> str:
    """The API's own error code, "" when the answer carried none."""
    return str(failure.response.get("Error", {}).get("Code", ""))


def message_of(failure: aws.ClientError) -> str:
    """The API's own message without the encoded part, which is long and says nothing to a person."""
    text = str(failure.response.get("Error", {}).get("Message") or "no message")
    return _ENCODED.sub("(decode it with aws sts decode-authorization-message)", text)


def retries_of(failure: aws.ClientError) -> int:
    """How often the SDK had repeated the call before this answer came."""
    return int(failure.response.get("ResponseMetadata", {}).get("RetryAttempts", 0))


@contextmanager
def translate(what: str, whose: Whose) -> Iterator[None]:
    """Turn whatever boto3 raises inside into our errors.

    Args:
        what: what was being tried, for a person: ``creating security group hcluster-x``.
        whose: profile and cures.
    """
    try:
        yield
    except aws.ClientError as failure:
        raise _refused(failure, what, whose) from failure
    except (
        aws.NoCredentialsError,
        aws.PartialCredentialsError,
        aws.CredentialRetrievalError,
        aws.ProfileNotFound,
        aws.SSOError,
        aws.TokenRetrievalError,
        aws.NoAuthTokenError,
    ) as failure:
        raise CredentialsError(
            f"{what}: no usable credentials for {whose.label}", context=str(failure), hint=whose.credentials_cure
        ) from failure
    except (aws.HTTPClientError, aws.ConnectionError) as failure:
        raise UnreachableError(
            f"{what}: {_endpoint(failure)} does not answer ({whose.label})",
            context=str(failure),
            hint=whose.endpoint_cure,
        ) from failure
    except ResponseParserError as failure:
        raise CloudError(
            f"{what}: the answer cannot be read ({whose.label})", context=str(failure)[:2000], hint=whose.endpoint_cure
        ) from failure
    except aws.BotoCoreError as failure:
        raise CloudError(f"{what}: {failure}", context=whose.label) from failure


def _refused(failure: aws.ClientError, what: str, whose: Whose) -> HclusterError:
    code = code_of(failure)
    kind = error_class(code)
    detail = {
        "code": code,
        "operation": failure.operation_name,
        "request": str(failure.response.get("ResponseMetadata", {}).get("RequestId", "")),
        "caller": whose.label,
    }
    return kind(f"{what}: {message_of(failure)} ({code})", context=json.dumps(detail), hint=_cure(kind, code, whose))


def _cure(kind: type[HclusterError], code: str, whose: Whose) -> str:
    if code == "NoSuchBucket":
        return "`hcluster platform up` makes the platform's bucket; is `bucket` of platform.yaml the right one?"
    if kind is CredentialsError:
        return whose.credentials_cure
    if kind is DeniedError:
        return f"allow the action to the caller of {whose.label}; `hcluster doctor` lists what is missing"
    if kind is ThrottledError:
        return "repeat the command in a minute; the account's request limit is shared by all who use it"
    if kind is CapacityError:
        return "name more instance types or the other market in the spec, or raise the quota that the message names"
    return ""


def _endpoint(failure: Any) -> str:
    """Who does not answer, without what was asked: that is told already."""
    found = urlsplit(str(getattr(failure, "kwargs", {}).get("endpoint_url") or ""))
    return f"{found.scheme}://{found.netloc}" if found.netloc else "the endpoint"
