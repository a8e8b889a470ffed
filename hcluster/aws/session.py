"""One profile of one folder: clients, credentials and where the endpoints are."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

import botocore.session
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from botocore.utils import parse_timestamp

from hcluster.aws.codes import Whose, translate
from hcluster.aws.models import ServiceModels
from hcluster.errors import CredentialsError

CONNECT_SECONDS = 5
READ_SECONDS = 60
ATTEMPTS = 6
"""Tries of one call in all, up to 1, 2, 4, 8 and 16 s apart (standard mode): half a minute at most."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair at one moment. Its parts never show in a repr, hence in no log."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)


class AwsSession:
    """Clients of one profile, made when first asked for and shared by all threads.

    Args:
        profile: a profile's name; "" takes the SDK's default chain (environment, default profile, instance role).
        directory: folder with the files ``config`` and ``credentials``; None is ~/.aws or what AWS_CONFIG_FILE and
            AWS_SHARED_CREDENTIALS_FILE say.
        region: such as us-east-1; "" takes the profile's.
        models: a folder for what was cut out of the SDK's descriptions of services, so that the next process need not
            read all of them; it may be removed at any time. None: nothing is kept.

    Nothing is read before the first use. Then every method raises CredentialsError when folder, profile or credentials
    are missing.
    """

    def __init__(self, profile: str, directory: Path | None, region: str, models: Path | None = None) -> None:
        self._profile = profile
        self._directory = directory.expanduser() if directory else None
        self._wanted_region = region
        self._models = models
        self._lock = threading.RLock()
        self._session: Any = None
        self._clients: dict[tuple[str, str], Any] = {}

    @property
    def profile(self) -> str:
        """The profile's name."""
        return self._profile

    @property
    def folder(self) -> str:
        """Where the profile is looked for, for messages."""
        return str(self._directory) if self._directory else "~/.aws"

    @property
    def whose(self) -> Whose:
        """How errors name this session."""
        name = self._named
        cure = f"`aws configure --profile {self._profile}`" if self._profile else "`aws configure`"
        return Whose(
            label=f"{name} of {self.folder}" + (f", {self._wanted_region}" if self._wanted_region else ""),
            credentials_cure=(
                f"the spec names {name} in {self.folder}: for the local cloud run `hcluster local start`, "
                f"for AWS {cure} (or `aws sso login`)"
            ),
            endpoint_cure="is it running and reachable from here? A local cloud starts with `hcluster local start`",
        )

    @property
    def _named(self) -> str:
        return f"profile {self._profile}" if self._profile else "the default credentials"

    def region(self) -> str:
        """The region of all clients. Raises CredentialsError when neither the caller nor the profile names one."""
        found = self._wanted_region or self._opened().get_config_variable("region")
        if not found:
            raise CredentialsError(
                f"no region for {self.whose.label}", hint="set `region` in platform.yaml or in the profile"
            )
        return str(found)

    def frozen_credentials(self) -> Credentials:
        """The key pair as it is now, for the environment of a child process that makes its own calls."""
        with self.call("reading the credentials"):
            found = self._opened().get_credentials().get_frozen_credentials()
        return Credentials(found.access_key, found.secret_key, found.token or "")

    def endpoint(self, service: str) -> str:
        """URL that the calls of a service (``ec2``, ``s3``, …) go to."""
        return str(self.client(service).meta.endpoint_url)

    def client(self, service: str, region: str = "") -> Any:
        """The boto3 client of a service; thread-safe. ``region`` is for services that only a few regions have."""
        with self._lock:
            made = self._clients.get((service, region))
            if made is None:
                with self.call(f"opening {service}"):
                    made = self._make(service, region)
                self._clients[service, region] = made
            return made

    @contextmanager
    def call(self, what: str) -> Iterator[None]:
        """Turn the SDK's exceptions inside into ours; ``what`` says what was tried."""
        with translate(what, self.whose):
            yield

    def _make(self, service: str, region: str) -> Any:
        session, region = self._opened(), region or self.region()
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            user_agent_extra=f"hcluster/{_version()}",
            max_pool_connections=32,
        )
        made = session.create_client(service, region_name=region, config=config)
        if getproxies() and _private(made.meta.endpoint_url):
            # A private address lies behind no web proxy, but HTTP(S)_PROXY would send its requests there, keys and all.
            direct = config.merge(Config(proxies={}))
            made = session.create_client(service, region_name=region, config=direct)
        return made

    def _opened(self) -> Any:
        with self._lock:
            if self._session is None:
                self._session = self._open()
            return self._session

    def _open(self) -> Any:
        whose = self.whose
        if self._directory and not self._directory.is_dir():
            raise CredentialsError(
                f"there is no folder {self._directory} to read {self._named} from", hint=whose.credentials_cure
            )
        session = botocore.session.Session()
        if self._directory:
            session.set_config_variable("config_file", str(self._directory / "config"))
            session.set_config_variable("credentials_file", str(self._directory / "credentials"))
        if self._profile:
            # Set on the session, not through AWS_PROFILE, it also outranks AWS_ACCESS_KEY_ID of the environment.
            session.set_config_variable("profile", self._profile)
        with translate("reading the profile", whose):
            session.get_scoped_config()
            if not session.get_config_variable("data_path"):
                session.register_component("data_loader", ServiceModels(self._models))
            resolver = session.get_component("credential_provider")
            if self._directory:
                # A folder of one's own is complete in itself: never ask the metadata service of the caller's machine.
                resolver.remove("container-role")
                resolver.remove("iam-role")
            if session.get_credentials() is None:
                raise CredentialsError(f"no credentials for {whose.label}", hint=whose.credentials_cure)
            factory = session.get_component("response_parser_factory")
            factory.set_parser_defaults(timestamp_parser=_moment)
        session.register("needs-retry", _no_retry_when_refused)
        return session


def _moment(value: Any) -> datetime:
    """A moment in an answer. EC2 and S3 write ISO 8601, for which the SDK's way to read it is a slow one; and a listing
    holds one for each thing."""
    if isinstance(value, str):
        with suppress(ValueError):
            found = datetime.fromisoformat(value)
            if found.tzinfo is not None:
                return found
    return cast("datetime", parse_timestamp(value))


def _no_retry_when_refused(caught_exception: BaseException | None = None, **_: object) -> None:
    """A refused connection means that nobody listens there: half a minute of retries would only delay that answer."""
    refused = isinstance(caught_exception, EndpointConnectionError) and "refused" in str(
        caught_exception.kwargs.get("error", "")
    )
    if refused and caught_exception is not None:
        raise caught_exception


def _private(url: str) -> bool:
    try:
        return ipaddress.ip_address(urlsplit(url).hostname or "").is_private
    except ValueError:
        return False


def _version() -> str:
    try:
        return metadata.version("hcluster")
    except metadata.PackageNotFoundError:
        return "0"
