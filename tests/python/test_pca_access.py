"""ACM-PCA: permissions, tags, resource policies."""

import json

import pytest

import authorities
from authorities import NEVER_EXISTED
from refusals import refused
from server import ACCOUNT

ACTIONS = ["IssueCertificate", "GetCertificate", "ListPermissions"]


def test_permissions_are_granted_listed_and_taken_back(pca, pending):
    grant = {"CertificateAuthorityArn": pending, "Principal": "acm.amazonaws.com", "Actions": ACTIONS}
    pca.create_permission(**grant)
    (found,) = pca.list_permissions(CertificateAuthorityArn=pending)["Permissions"]
    assert found["CertificateAuthorityArn"] == pending
    assert found["Principal"] == "acm.amazonaws.com"
    assert sorted(found["Actions"]) == sorted(ACTIONS)
    assert found["SourceAccount"] == ACCOUNT
    assert found["CreatedAt"]
    with refused("PermissionAlreadyExistsException"):
        pca.create_permission(**grant)
    pca.delete_permission(CertificateAuthorityArn=pending, Principal="acm.amazonaws.com")
    assert pca.list_permissions(CertificateAuthorityArn=pending)["Permissions"] == []
    with refused("ResourceNotFoundException"):
        pca.delete_permission(CertificateAuthorityArn=pending, Principal="acm.amazonaws.com")


def test_permissions_of_an_unknown_authority(pca):
    with refused("ResourceNotFoundException"):
        pca.create_permission(CertificateAuthorityArn=NEVER_EXISTED, Principal="acm.amazonaws.com", Actions=ACTIONS)
    with refused("ResourceNotFoundException"):
        pca.delete_permission(CertificateAuthorityArn=NEVER_EXISTED, Principal="acm.amazonaws.com")


def test_permissions_page_by_cursor(pca, root):
    (page,) = pca.get_paginator("list_permissions").paginate(CertificateAuthorityArn=root)
    assert len(page["Permissions"]) == 1
    with refused("InvalidNextTokenException"):
        pca.list_permissions(CertificateAuthorityArn=root, NextToken="nonsense")


def tags_of(pca, arn):
    found = pca.list_tags(CertificateAuthorityArn=arn)["Tags"]
    return {tag["Key"]: tag.get("Value") for tag in found}


def test_tags_are_added_replaced_and_removed(pca):
    arn = authorities.create(pca, "Tagged", Tags=[{"Key": "team", "Value": "red"}, {"Key": "env", "Value": "test"}])
    assert tags_of(pca, arn) == {"team": "red", "env": "test"}
    pca.tag_certificate_authority(
        CertificateAuthorityArn=arn, Tags=[{"Key": "team", "Value": "blue"}, {"Key": "cost", "Value": "1"}]
    )
    assert tags_of(pca, arn) == {"team": "blue", "env": "test", "cost": "1"}
    pca.untag_certificate_authority(
        CertificateAuthorityArn=arn, Tags=[{"Key": "team", "Value": "blue"}, {"Key": "cost", "Value": "1"}]
    )
    assert tags_of(pca, arn) == {"env": "test"}


def test_tags_page_by_cursor(pca):
    tags = [{"Key": f"key-{n:02}", "Value": str(n)} for n in range(30)]
    arn = authorities.create(pca, "Many tags", Tags=tags)
    pages = pca.get_paginator("list_tags").paginate(CertificateAuthorityArn=arn, PaginationConfig={"PageSize": 7})
    listed = [tag for page in pages for tag in page["Tags"]]
    assert sorted(listed, key=lambda tag: tag["Key"]) == tags


def test_fifty_tags_are_the_limit(pca, pending):
    tags = [{"Key": f"key-{n:02}", "Value": ""} for n in range(50)]
    pca.tag_certificate_authority(CertificateAuthorityArn=pending, Tags=tags)
    with refused("TooManyTagsException"):
        pca.tag_certificate_authority(CertificateAuthorityArn=pending, Tags=[{"Key": "one-more", "Value": ""}])
    assert len(tags_of(pca, pending)) == 50


def test_tags_that_are_not_acceptable(pca, pending):
    with refused("InvalidTagException"):
        pca.tag_certificate_authority(CertificateAuthorityArn=pending, Tags=[{"Key": "aws:mine", "Value": "x"}])
    with refused("ResourceNotFoundException"):
        pca.tag_certificate_authority(CertificateAuthorityArn=NEVER_EXISTED, Tags=[{"Key": "a", "Value": "b"}])
    with refused("ResourceNotFoundException"):
        pca.untag_certificate_authority(CertificateAuthorityArn=NEVER_EXISTED, Tags=[{"Key": "a", "Value": "b"}])


def policy(arn):
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "111122223333"},
        "Action": ["acm-pca:DescribeCertificateAuthority", "acm-pca:GetCertificate"],
        "Resource": arn,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_policy_is_kept_and_removed(pca, root):
    with refused("ResourceNotFoundException"):
        pca.get_policy(ResourceArn=root)
    pca.put_policy(ResourceArn=root, Policy=policy(root))
    assert json.loads(pca.get_policy(ResourceArn=root)["Policy"]) == json.loads(policy(root))
    pca.delete_policy(ResourceArn=root)
    with refused("ResourceNotFoundException"):
        pca.get_policy(ResourceArn=root)


@pytest.mark.parametrize("text", ["{", "[]", '{"Version": "2012-10-17"}'])
def test_a_policy_that_is_none_is_refused(pca, root, text):
    with refused("InvalidPolicyException"):
        pca.put_policy(ResourceArn=root, Policy=text)
