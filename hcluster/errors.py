"""Every error that hcluster raises on purpose.

Each carries a stable ``reference`` (kebab-case, documented in docs/errors.md), a ``message`` that says what happened
and where, an optional ``context`` with the detail, and a ``hint``: the command or change that cures it. This module
imports nothing, so that any layer can raise and catch.
"""

from __future__ import annotations


class HclusterError(Exception):
    """The root of all expected failures; the command line prints it without a trace and exits 1."""

    reference = "failed"

    def __init__(self, message: str, *, context: str = "", hint: str = "", reference: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.context = context
        self.hint = hint
        if reference:
            self.reference = reference

    def __str__(self) -> str:
        return self.message


class UsageError(HclusterError):
    """The caller asked for something that makes no sense; exit 2."""

    reference = "usage"


class SpecError(UsageError):
    """A YAML file does not fit its schema. ``findings`` holds one line per finding, each with file and line."""

    reference = "spec-invalid"

    def __init__(self, message: str, *, findings: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, context="\n".join(findings), hint=hint)
        self.findings = findings


class NotFoundError(HclusterError):
    """A named thing (cluster, image, bucket, release, object) does not exist."""

    reference = "not-found"


class ConflictError(HclusterError):
    """A name is taken or a conditional write lost its race."""

    reference = "conflict"


class CredentialsError(HclusterError):
    """There are no usable credentials for the profile."""

    reference = "no-credentials"


class DeniedError(HclusterError):
    """The credentials do not allow the call."""

    reference = "access-denied"


class CapacityError(HclusterError):
    """The cloud has no capacity for an offering, or a quota is used up; another offering or a later try may work."""

    reference = "no-capacity"


class ThrottledError(HclusterError):
    """The cloud asked us to slow down; repeat later."""

    reference = "throttled"


class CloudError(HclusterError):
    """The cloud refused a call for a reason that no other class covers."""

    reference = "cloud-refused"


class UnreachableError(HclusterError):
    """A node, endpoint or service does not answer, or its address is outside the platform's network."""

    reference = "unreachable"


class HostKeyError(UnreachableError):
    """A node's host key differs from the one in its check-in, or it has not checked in."""

    reference = "host-key-mismatch"


class DeadlineError(HclusterError):
    """Something awaited did not happen in time; the message says what."""

    reference = "deadline"


class IntegrityError(HclusterError):
    """A digest differs from the expected one."""

    reference = "digest-mismatch"


class NodeFailedError(HclusterError):
    """A node reported that its bootstrap failed, or ended before it was ready."""

    reference = "node-failed"


class RemoteCommandError(HclusterError):
    """A command on a node ended with a code other than 0."""

    reference = "remote-command-failed"

    def __init__(self, message: str, *, exit_code: int = 1, context: str = "", hint: str = "") -> None:
        super().__init__(message, context=context, hint=hint)
        self.exit_code = exit_code


class CopyError(HclusterError):
    """A file could not be copied to or from a node; nothing half copied is left under its name."""

    reference = "copy-failed"


class QueryError(HclusterError):
    """HiveServer2 refused or failed a statement."""

    reference = "query-failed"


class JobFailedError(RemoteCommandError):
    """A YARN job ended without success; ``exit_code`` is the job's own."""

    reference = "job-failed"


class BakeError(HclusterError):
    """Packer, Puppet or the validation step failed while an image was baked."""

    reference = "bake-failed"


class LocalCloudError(HclusterError):
    """The embedded cloud cannot start, is not running, or lacks something of this machine."""

    reference = "local-cloud"
