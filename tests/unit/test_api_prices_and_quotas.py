"""Answers with data: Pricing, Service Quotas, SSM's public parameters."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from hcluster.localcloud.api.market.prices import LISTED
from tests.unit.api_cloud import BASE, Cloud, running_cloud

SPOT_STANDARD = "L-34B43A08"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        yield found


def test_the_price_of_a_type_is_found_the_way_that_price_lists_nest_it(cloud: Cloud) -> None:
    filters = [
        {"Type": "TERM_MATCH", "Field": field, "Value": value}
        for field, value in {
            "instanceType": "m5.xlarge",
            "regionCode": "us-east-1",
            "operatingSystem": "Linux",
            "tenancy": "Shared",
            "preInstalledSw": "NA",
            "capacitystatus": "Used",
        }.items()
    ]
    (text,) = cloud.client("pricing").get_products(ServiceCode="AmazonEC2", Filters=filters)["PriceList"]
    document = json.loads(text)
    assert document["product"]["attributes"]["vcpu"] == "4"
    (term,) = document["terms"]["OnDemand"].values()
    (dimension,) = term["priceDimensions"].values()
    assert (dimension["unit"], float(dimension["pricePerUnit"]["USD"])) == ("Hrs", 0.192)
    assert document["publicationDate"].startswith(str(LISTED)), "prices say of which day they are"


def test_products_come_in_pages_and_all_of_them_once(cloud: Cloud) -> None:
    pages = cloud.client("pricing").get_paginator("get_products").paginate(ServiceCode="AmazonEC2")
    skus = [json.loads(text)["product"]["sku"] for page in pages for text in page["PriceList"]]
    assert len(skus) == len(set(skus)) > 400


def test_a_service_without_a_price_list_is_not_found(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="NotFoundException"):
        cloud.client("pricing").get_products(ServiceCode="AmazonRedshift")
    with pytest.raises(ClientError, match="InvalidNextTokenException"):
        cloud.client("pricing").get_products(ServiceCode="AmazonEC2", NextToken="nonsense")


def test_attributes_of_products_are_listed(cloud: Cloud) -> None:
    pricing = cloud.client("pricing")
    (service,) = pricing.describe_services(ServiceCode="AmazonEC2")["Services"]
    assert "instanceType" in service["AttributeNames"]
    values = pricing.get_attribute_values(ServiceCode="AmazonEC2", AttributeName="tenancy")["AttributeValues"]
    assert values == [{"Value": "Shared"}]


def test_quotas_tell_the_applied_value_and_awss_default(cloud: Cloud) -> None:
    quotas = cloud.client("service-quotas")
    asked = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}
    applied = quotas.get_service_quota(**asked)["Quota"]
    assert applied["QuotaName"] == "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"
    assert quotas.get_aws_default_service_quota(**asked)["Quota"]["Value"] == 5.0
    assert applied["Value"] > 5.0
    listed = quotas.list_service_quotas(ServiceCode="ec2")["Quotas"]
    assert applied in listed
    assert {one["QuotaCode"] for one in listed} >= {"L-1216C47A", SPOT_STANDARD, "L-DB2E81BA", "L-3819A6DF"}


def test_an_unknown_quota_or_service_is_no_such_resource(cloud: Cloud) -> None:
    quotas = cloud.client("service-quotas")
    for asked in ({"ServiceCode": "ec2", "QuotaCode": "L-NONE"}, {"ServiceCode": "emr", "QuotaCode": "L-1216C47A"}):
        with pytest.raises(quotas.exceptions.NoSuchResourceException):
            quotas.get_service_quota(**asked)


def test_a_higher_quota_is_granted_and_recorded_and_a_lower_one_refused(cloud: Cloud) -> None:
    quotas = cloud.client("service-quotas")
    asked = {"ServiceCode": "ec2", "QuotaCode": SPOT_STANDARD}
    now = quotas.get_service_quota(**asked)["Quota"]["Value"]
    with pytest.raises(ClientError, match="IllegalArgumentException"):
        quotas.request_service_quota_increase(**asked, DesiredValue=now)
    made = quotas.request_service_quota_increase(**asked, DesiredValue=now + 1)["RequestedQuota"]
    assert quotas.get_service_quota(**asked)["Quota"]["Value"] == now + 1
    assert quotas.get_requested_service_quota_change(RequestId=made["Id"])["RequestedQuota"]["Status"] == "APPROVED"
    history = quotas.list_requested_service_quota_change_history(ServiceCode="ec2")["RequestedQuotas"]
    assert [one["Id"] for one in history] == [made["Id"]]


def test_debians_public_parameter_names_the_base_image(cloud: Cloud) -> None:
    ssm = cloud.client("ssm")
    for release in ("12", "bookworm"):
        found = ssm.get_parameter(Name=f"/aws/service/debian/release/{release}/latest/amd64")["Parameter"]
        assert (found["Value"], found["DataType"]) == (BASE, "aws:ec2:image")
    listed = ssm.get_parameters_by_path(Path="/aws/service/debian", Recursive=True)["Parameters"]
    assert {one["Value"] for one in listed} == {BASE}


def test_parameters_of_images_that_are_not_here_do_not_exist(cloud: Cloud) -> None:
    ssm = cloud.client("ssm")
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.get_parameter(Name=name)
    assert ssm.get_parameters(Names=[name])["InvalidParameters"] == [name]


def test_services_of_the_clouds_own_ask_for_permission(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    keys = (key["AccessKeyId"], key["SecretAccessKey"])
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("pricing", keys).get_products(ServiceCode="AmazonEC2")
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("service-quotas", keys).list_services()


def test_an_operation_that_a_service_lacks_is_refused_by_name(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="ListPriceLists"):
        cloud.client("pricing").list_price_lists(
            ServiceCode="AmazonEC2", EffectiveDate="2026-07-20", CurrencyCode="USD"
        )
    with pytest.raises(ClientError, match="AssociateServiceQuotaTemplate"):
        cloud.client("service-quotas").associate_service_quota_template()
