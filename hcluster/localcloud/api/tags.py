"""Tags of EC2's resources: kept and found without a walk over all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import InvalidParameterValueErrorTagNull, TagLimitExceeded
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.instance_filters import is_plain, matches
from hcluster.localcloud.api.paging import page

MOST = 50
"""Tags a resource has beside those of AWS."""
_PAGE = 1000
_FILTERS = ("key", "resource-id", "resource-type", "value")

_READABLE = re.compile(r"[0-9a-zA-Z\-_+=,.@:]{1,255}")
_RESERVED = (".", "..", "_index")

Tags = dict[str, str]


def demand_readable(keys: Iterable[str]) -> None:
    """Raise Fault for a key that instance metadata cannot show.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-tags-in-IMDS.html
    """
    for key in keys:
        if not key.startswith("aws:") and (not _READABLE.fullmatch(key) or key in _RESERVED):
            raise Fault(
                "InvalidParameterValue",
                f"'{key}' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{{1,255}}), "
                "and must not be a reserved name ('.', '..', '_index')",
            )


class TagRecords:
    """A part of EC2's records."""

    tags: dict[str, Tags]

    def create_tags(self, resource_ids: Iterable[str], tags: Mapping[str, str]) -> bool:
        """Add tags to resources, or change them."""
        if None in tags.values():
            raise InvalidParameterValueErrorTagNull
        merged = {i: {**self.tags.get(i, {}), **tags} for i in resource_ids}
        for result in merged.values():
            if len(result) > MOST and sum(not key.startswith("aws:") for key in result) > MOST:
                raise TagLimitExceeded
        for resource_id, result in merged.items():
            self.tags[resource_id] = result
        return True

    def delete_tags(self, resource_ids: Iterable[str], tags: Mapping[str, str | None]) -> bool:
        """Remove tags of these keys; of those with a value, only where it is that."""
        for resource_id in resource_ids:
            had = self.tags.get(resource_id, {})
            left = {k: v for k, v in had.items() if k not in tags or (tags[k] is not None and tags[k] != v)}
            if left != had:
                self.tags[resource_id] = left
        return True

    def delete_tag_keys(self, resource_ids: Iterable[str], tag_keys: Iterable[str]) -> bool:
        """Remove tags by their keys."""
        return self.delete_tags(resource_ids, dict.fromkeys(tag_keys))

    def describe_tags(self, filters: Mapping[str, Sequence[str]] | None = None) -> list[dict[str, str]]:
        """One entry a tag, in the shape of moto's."""
        wanted = {name: tuple(str(v) for v in values) for name, values in (filters or {}).items()}
        ids = wanted.pop("resource-id", None)
        if ids is None:
            listed: list[tuple[str, Tags]] = list(self.tags.items())
        elif is_plain(ids):
            listed = [(i, self.tags[i]) for i in dict.fromkeys(ids) if i in self.tags]
        else:
            listed = [(i, tags) for i, tags in self.tags.items() if matches(ids, (i,))]
        tests = [_test(name, values) for name, values in wanted.items()]
        return [
            {"resource_id": i, "key": key, "value": value, "resource_type": kind_of(i)}
            for i, tags in listed
            for key, value in tags.items()
            if all(test(i, key, value) for test in tests)
        ]


class TagOperations:
    """A part of the response to one request."""

    def create_tags(self: Any) -> Any:
        """CreateTags: of what exists."""
        for resource_id in self._get_param("Resources", []):
            if str(resource_id).startswith("i-"):
                # moto's own look-up takes a missing one.
                found = self.ec2_backend.get_instance(resource_id)
                if found.metadata_options.instance_metadata_tags == "enabled":
                    demand_readable(str(tag.get("Key")) for tag in self._get_param("Tags", []))
        return super().create_tags()  # type: ignore[misc] # the next one is moto's response

    def describe_tags(self: Any) -> ActionResult:
        """DescribeTags, in pages."""
        filters = self._filters_from_querystring()
        self.error_on_dryrun()
        for name in filters:
            if name not in _FILTERS and not name.startswith("tag:"):
                raise Fault("InvalidParameterValue", f"The filter '{name}' is invalid")
        shown, token = page(self.ec2_backend.describe_tags(filters=filters), dict(self.params), _PAGE)
        return ActionResult({"Tags": shown, "NextToken": token})


def _test(name: str, values: tuple[str, ...]) -> Callable[[str, str, str], bool]:
    """Whether a tag (of a resource, with a key and a value) fits a filter."""
    if name.startswith("tag:"):
        wanted = name.removeprefix("tag:")
        return lambda _, key, value: key == wanted and matches(values, (value,))
    if name == "key":
        return lambda _, key, __: matches(values, (key,))
    if name == "value":
        return lambda _, __, value: matches(values, (value,))
    return lambda i, _, __: name != "resource-type" or matches(values, (kind_of(i),))


def kind_of(resource_id: str) -> str:
    """The resource type of an id."""
    kind = EC2_PREFIX_TO_RESOURCE.get(resource_id.rpartition("-")[0])
    return str(kind or EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource_id), ""))
