"""The Service Quotas service, for the quotas that bound launches. Requests for more are granted at once."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.gateway import caller
from hcluster.localcloud.api.market import quotas
from hcluster.localcloud.api.market.quotas import Quota
from hcluster.localcloud.api.paging import page
from hcluster.localcloud.api.parts import BaseResponse, ec2_backends

SERVICE, SERVICE_NAME = "ec2", "Amazon Elastic Compute Cloud (Amazon EC2)"
MOST = 100


class QuotasResponse(BaseResponse):  # type: ignore[misc]
    """One request to Service Quotas."""

    def __init__(self) -> None:
        super().__init__(service_name="service-quotas")

    @property
    def _ec2(self) -> Any:
        return ec2_backends[self.current_account][self.region]

    def _asked(self) -> dict[str, Any]:
        request: dict[str, Any] = json.loads(self.body or "{}")
        return request

    def list_services(self) -> str:
        """ListServices."""
        return json.dumps({"Services": [{"ServiceCode": SERVICE, "ServiceName": SERVICE_NAME}]})

    def get_service_quota(self) -> str:
        """GetServiceQuota: the applied value."""
        return json.dumps({"Quota": self._shown(self._quota(), applied=True)})

    def get_aws_default_service_quota(self) -> str:
        """GetAWSDefaultServiceQuota: AWS's value for new accounts."""
        return json.dumps({"Quota": self._shown(self._quota(), applied=False)})

    def list_service_quotas(self) -> str:
        """ListServiceQuotas."""
        return self._listed(applied=True)

    def list_aws_default_service_quotas(self) -> str:
        """ListAWSDefaultServiceQuotas."""
        return self._listed(applied=False)

    def request_service_quota_increase(self) -> str:
        """RequestServiceQuotaIncrease: granted at once, and recorded."""
        request, quota = self._asked(), self._quota()
        desired, now = float(request.get("DesiredValue") or 0), time.time()
        if desired <= self._ec2.quota_value(quota):
            raise Fault(
                "IllegalArgumentException", "You must provide a quota value greater than the current quota value."
            )
        record = {
            "Id": secrets.token_hex(16),
            "ServiceCode": SERVICE,
            "ServiceName": SERVICE_NAME,
            "QuotaCode": quota.code,
            "QuotaName": quota.name,
            "DesiredValue": desired,
            "Status": "APPROVED",
            "Created": now,
            "LastUpdated": now,
            "Requester": json.dumps({"callerArn": caller(self.normalized_request.environ).arn}),
            "QuotaArn": self._arn(quota),
            "GlobalQuota": False,
            "Unit": "None",
        }
        # New values in place of the old: whoever keeps the records sees that they changed.
        self._ec2.quota_values = {**self._ec2.quota_values, quota.code: desired}
        self._ec2.quota_requests = [*self._ec2.quota_requests, record]
        return json.dumps({"RequestedQuota": record})

    def get_requested_service_quota_change(self) -> str:
        """GetRequestedServiceQuotaChange."""
        wanted = self._asked().get("RequestId")
        for record in self._ec2.quota_requests:
            if record["Id"] == wanted:
                return json.dumps({"RequestedQuota": record})
        raise _no_such_resource()

    def list_requested_service_quota_change_history(self) -> str:
        """ListRequestedServiceQuotaChangeHistory, newest first."""
        return self._history(None)

    def list_requested_service_quota_change_history_by_quota(self) -> str:
        """ListRequestedServiceQuotaChangeHistoryByQuota, newest first."""
        return self._history(self._quota().code)

    def _history(self, code: str | None) -> str:
        request = self._asked()
        found = [
            record
            for record in reversed(self._ec2.quota_requests)
            if record["QuotaCode"] == (code or record["QuotaCode"])
            and record["ServiceCode"] == (request.get("ServiceCode") or SERVICE)
            and record["Status"] == (request.get("Status") or record["Status"])
        ]
        shown, token = page(found, request, MOST, "InvalidPaginationTokenException")
        return json.dumps({"RequestedQuotas": shown} | ({"NextToken": token} if token else {}))

    def _listed(self, *, applied: bool) -> str:
        request = self._asked()
        if request.get("ServiceCode") != SERVICE:
            raise _no_such_resource()
        wanted = request.get("QuotaCode")
        found = [quota for quota in quotas.BY_CODE.values() if quota.code == (wanted or quota.code)]
        shown, token = page(found, request, MOST, "InvalidPaginationTokenException")
        answer = {"Quotas": [self._shown(quota, applied=applied) for quota in shown]}
        return json.dumps(answer | ({"NextToken": token} if token else {}))

    def _quota(self) -> Quota:
        request = self._asked()
        quota = quotas.BY_CODE.get(str(request.get("QuotaCode")))
        if request.get("ServiceCode") != SERVICE or quota is None:
            raise _no_such_resource()
        return quota

    def _arn(self, quota: Quota) -> str:
        return f"arn:aws:servicequotas:{self.region}:{self.current_account}:{SERVICE}/{quota.code}"

    def _shown(self, quota: Quota, *, applied: bool) -> dict[str, Any]:
        return {
            "ServiceCode": SERVICE,
            "ServiceName": SERVICE_NAME,
            "QuotaArn": self._arn(quota) if applied else f"arn:aws:servicequotas:{self.region}::{SERVICE}/{quota.code}",
            "QuotaCode": quota.code,
            "QuotaName": quota.name,
            "Value": self._ec2.quota_value(quota) if applied else quota.default,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
            "UsageMetric": {
                "MetricNamespace": "AWS/Usage",
                "MetricName": "ResourceCount",
                "MetricDimensions": {
                    "Class": quota.families,
                    "Resource": "vCPU",
                    "Service": "EC2",
                    "Type": "Resource",
                },
                "MetricStatisticRecommendation": "Maximum",
            },
        }


def _no_such_resource() -> Fault:
    return Fault("NoSuchResourceException", "The specified service quota does not exist.")
