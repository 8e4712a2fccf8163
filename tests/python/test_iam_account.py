"""OpenID Connect providers, the account's alias and its summary."""

import pytest

from iam_helpers import refused, trust
from server import ACCOUNT

THUMBPRINT = "9e99a48a9960b14926bb7f3b02e22da2b0ab7280"


def arn_of(name, path=""):
    return f"arn:aws:iam::{ACCOUNT}:oidc-provider/{name.lower()}.example.com{path}"


def make(iam, name, path="", **more):
    url = f"https://{name}.example.com{path}"
    return iam.create_open_id_connect_provider(Url=url, **more)["OpenIDConnectProviderArn"]


def test_a_provider_is_made_read_listed_and_removed(iam, name):
    arn = make(iam, name, "/id/A", ThumbprintList=[THUMBPRINT], ClientIDList=["sts.amazonaws.com", "b"])
    assert arn == arn_of(name, "/id/A")
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert found["Url"] == f"{name.lower()}.example.com/id/A"
    assert found["ClientIDList"] == ["sts.amazonaws.com", "b"] and found["ThumbprintList"] == [THUMBPRINT]
    assert found["CreateDate"] and found["Tags"] == []
    assert {"Arn": arn} in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    text = refused("EntityAlreadyExists", make, iam=iam, name=name, path="/id/A")
    assert text == f"Provider with url https://{name.lower()}.example.com/id/A already exists."
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    text = refused("NoSuchEntity", iam.get_open_id_connect_provider, OpenIDConnectProviderArn=arn)
    assert text == f"OpenIDConnect Provider not found for arn {arn}"


def test_audiences_thumbprints_and_tags_change(iam, name):
    arn = make(iam, name, Tags=[{"Key": "a", "Value": "1"}])
    named = {"OpenIDConnectProviderArn": arn}
    iam.add_client_id_to_open_id_connect_provider(ClientID="x", **named)
    iam.add_client_id_to_open_id_connect_provider(ClientID="x", **named)
    iam.add_client_id_to_open_id_connect_provider(ClientID="y", **named)
    iam.remove_client_id_from_open_id_connect_provider(ClientID="x", **named)
    iam.remove_client_id_from_open_id_connect_provider(ClientID="x", **named)
    iam.update_open_id_connect_provider_thumbprint(ThumbprintList=[THUMBPRINT], **named)
    found = iam.get_open_id_connect_provider(**named)
    assert found["ClientIDList"] == ["y"] and found["ThumbprintList"] == [THUMBPRINT]
    iam.tag_open_id_connect_provider(Tags=[{"Key": "b", "Value": "2"}], **named)
    iam.untag_open_id_connect_provider(TagKeys=["a"], **named)
    assert iam.list_open_id_connect_provider_tags(**named)["Tags"] == [{"Key": "b", "Value": "2"}]


@pytest.mark.parametrize(
    ("code", "text", "arguments"),
    [
        ("ValidationError", "Invalid Open ID Connect Provider URL", {"Url": "http://example.com"}),
        ("ValidationError", "Invalid Open ID Connect Provider URL", {"Url": "https://example.com?a=b"}),
        ("ValidationError", "at 'url' failed to satisfy", {"Url": "https://" + "a" * 255}),
        ("ValidationError", "at 'thumbprintList' failed", {"Url": "https://e.org", "ThumbprintList": ["a" * 41]}),
        ("InvalidInput", "Thumbprint list must", {"Url": "https://e.org", "ThumbprintList": [THUMBPRINT] * 6}),
        ("InvalidInput", "hexadecimal", {"Url": "https://e.org", "ThumbprintList": ["z" * 40]}),
        (
            "LimitExceeded",
            "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100",
            {"Url": "https://e.org", "ClientIDList": [str(at) for at in range(101)]},
        ),
    ],
)
def test_a_provider_that_cannot_be(iam, code, text, arguments):
    assert text in refused(code, iam.create_open_id_connect_provider, **arguments)


def test_a_provider_of_another_account_or_kind(iam, name):
    for arn in (f"arn:aws:iam::999999999999:oidc-provider/{name}", f"arn:aws:iam::{ACCOUNT}:role/{name}", "x" * 20):
        named = {"OpenIDConnectProviderArn": arn}
        refused("NoSuchEntity", iam.get_open_id_connect_provider, **named)
        refused("NoSuchEntity", iam.delete_open_id_connect_provider, **named)
        refused("NoSuchEntity", iam.add_client_id_to_open_id_connect_provider, ClientID="x", **named)
        refused("NoSuchEntity", iam.update_open_id_connect_provider_thumbprint, ThumbprintList=[], **named)
        refused("NoSuchEntity", iam.list_open_id_connect_provider_tags, **named)


def test_an_account_has_one_alias(own_server):
    own_server.start()
    iam = own_server.client("iam")
    assert iam.list_account_aliases()["AccountAliases"] == []
    iam.create_account_alias(AccountAlias="first-alias")
    refused("EntityAlreadyExists", iam.create_account_alias, AccountAlias="first-alias")
    iam.create_account_alias(AccountAlias="second")
    assert iam.list_account_aliases()["AccountAliases"] == ["second"]
    assert iam.get_user()["User"]["UserName"] == "second"
    refused("NoSuchEntity", iam.delete_account_alias, AccountAlias="first-alias")
    iam.delete_account_alias(AccountAlias="second")
    assert iam.list_account_aliases()["AccountAliases"] == []
    refused("InvalidInput", iam.create_account_alias, AccountAlias="123456789012")
    iam = own_server.client("iam", parameter_validation=False)
    for alias in ("ab", "-ab", "ab-", "a--b", "Ab1", "a" * 64):
        refused("ValidationError", iam.create_account_alias, AccountAlias=alias)


def test_the_summary_counts(own_server):
    own_server.start()
    iam = own_server.client("iam")
    iam.create_user(UserName="u")
    iam.create_group(GroupName="g")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust())
    iam.create_instance_profile(InstanceProfileName="p")
    make(iam, "oidc")
    summary = iam.get_account_summary()["SummaryMap"]
    for what in ("Users", "Groups", "Roles", "InstanceProfiles", "Providers"):
        assert summary[what] == 1, what
    assert summary["UsersQuota"] == 5000 and summary["AccessKeysPerUserQuota"] == 2
    iam.delete_user(UserName="u")
    iam.delete_role(RoleName="r")
    summary = iam.get_account_summary()["SummaryMap"]
    assert summary["Users"] == summary["Roles"] == 0 and summary["Groups"] == 1
