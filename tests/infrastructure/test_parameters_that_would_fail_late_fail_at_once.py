"""CloudFormation refuses a parameter that cannot work before it makes anything, and not when a resource has failed."""

import pytest

from tests.infrastructure.stack import RefusedParameters, Stack

KEY = "arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d-1111-2222-3333-444455556666"
MULTI_REGION = "arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-0a1b2c3d4e5f"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PayloadKeyArns", f"{KEY}, {KEY}"),
        ("PayloadKeyArns", f"{KEY},"),
        ("PayloadKeyArns", "alias/payloads"),
        ("PayloadKeyArns", KEY.replace("key/", "alias/")),
        ("PayloadKeyArns", KEY.rpartition("/")[2]),
        ("PayloadKeyArns", ",".join([KEY] * 11)),
        ("KmsKeyArn", "alias/stored"),
        ("JwtAudience", "shop,"),
        ("JwtAudience", "shop, backoffice"),
        ("JwtReadScope", "runs/read,runs/write"),
        ("WorkflowModules", "workflows."),
        ("WorkflowModules", "shop..orders"),
        ("WorkflowModules", "shop, orders"),
    ],
)
def test_a_value_of_another_form_is_refused(name: str, value: str) -> None:
    with pytest.raises(RefusedParameters, match=f"^{name} does not match"):
        Stack(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PayloadKeyArns", KEY),
        ("PayloadKeyArns", ",".join([KEY, MULTI_REGION, KEY])),
        ("KmsKeyArn", MULTI_REGION),
        ("WorkflowModules", "shop.orders,_jobs"),
    ],
)
def test_what_works_is_let_through(name: str, value: str) -> None:
    assert Stack(**{name: value}).parameters[name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [("SubnetIds", ["subnet-0a1b", "vpc-0a1b"]), ("SecurityGroupIds", ["default"])],
)
def test_each_member_of_a_list_has_its_form(name: str, value: list[str]) -> None:
    with pytest.raises(RefusedParameters, match=f"^{name} does not match"):
        Stack(**{"SubnetIds": ["subnet-0a1b"], "SecurityGroupIds": ["sg-0a1b"], name: value})


@pytest.mark.parametrize("given", [{"SubnetIds": ["subnet-0a1b"]}, {"SecurityGroupIds": ["sg-0a1b"]}])
def test_subnets_and_security_groups_are_given_together(given: dict[str, list[str]]) -> None:
    with pytest.raises(RefusedParameters, match="must be set together"):
        Stack(**given)
