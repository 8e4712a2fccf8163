"""The whole account in one listing."""

import json

from iam_helpers import document, refused, trust


def fill(iam):
    """An account with a little of everything; the ARN of its policy."""
    managed = iam.create_policy(PolicyName="managed", PolicyDocument=document(), Description="What for")
    managed = managed["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=managed, PolicyDocument=document(["kms:Decrypt"]), SetAsDefault=True)
    iam.create_user(UserName="bob", PermissionsBoundary=managed, Tags=[{"Key": "team", "Value": "blue"}])
    iam.create_user(UserName="eve")
    iam.create_group(GroupName="staff")
    iam.add_user_to_group(GroupName="staff", UserName="bob")
    iam.create_role(RoleName="job", Path="/jobs/", AssumeRolePolicyDocument=trust())
    iam.create_instance_profile(InstanceProfileName="machine")
    iam.add_role_to_instance_profile(InstanceProfileName="machine", RoleName="job")
    iam.put_user_policy(UserName="bob", PolicyName="u", PolicyDocument=document())
    iam.put_group_policy(GroupName="staff", PolicyName="g", PolicyDocument=document())
    iam.put_role_policy(RoleName="job", PolicyName="r", PolicyDocument=document())
    iam.attach_user_policy(UserName="bob", PolicyArn=managed)
    iam.attach_group_policy(GroupName="staff", PolicyArn=managed)
    iam.attach_role_policy(RoleName="job", PolicyArn=managed)
    return managed


def test_everything_is_told_once(own_server):
    iam = own_server.start().client("iam")
    managed = fill(iam)
    attached = [{"PolicyName": "managed", "PolicyArn": managed}]

    def inline(name):
        return [{"PolicyName": name, "PolicyDocument": json.loads(document())}]

    told = iam.get_account_authorization_details(Filter=["User", "Group", "Role", "LocalManagedPolicy"])
    assert told["IsTruncated"] is False
    bob, eve = told["UserDetailList"]
    assert bob["UserName"] == "bob" and bob["GroupList"] == ["staff"] and bob["UserPolicyList"] == inline("u")
    assert bob["AttachedManagedPolicies"] == attached and bob["Tags"] == [{"Key": "team", "Value": "blue"}]
    assert bob["PermissionsBoundary"]["PermissionsBoundaryArn"] == managed
    assert bob["Arn"] == iam.get_user(UserName="bob")["User"]["Arn"]
    assert eve["GroupList"] == eve["UserPolicyList"] == eve["AttachedManagedPolicies"] == []
    (staff,) = told["GroupDetailList"]
    assert staff["GroupPolicyList"] == inline("g") and staff["AttachedManagedPolicies"] == attached
    (job,) = told["RoleDetailList"]
    assert job["Path"] == "/jobs/" and job["AssumeRolePolicyDocument"] == json.loads(trust())
    assert job["RolePolicyList"] == inline("r") and job["AttachedManagedPolicies"] == attached
    assert [profile["InstanceProfileName"] for profile in job["InstanceProfileList"]] == ["machine"]
    (policy,) = told["Policies"]
    assert policy["Arn"] == managed and policy["DefaultVersionId"] == "v2" and policy["Description"] == "What for"
    assert (policy["AttachmentCount"], policy["PermissionsBoundaryUsageCount"]) == (3, 1)
    versions = [(version["VersionId"], version["IsDefaultVersion"]) for version in policy["PolicyVersionList"]]
    assert versions == [("v2", True), ("v1", False)]
    assert policy["PolicyVersionList"][1]["Document"] == json.loads(document())


def test_it_is_filtered_and_comes_in_pages(own_server):
    iam = own_server.start().client("iam")
    managed = fill(iam)

    def told(**more):
        pages = iam.get_paginator("get_account_authorization_details").paginate(
            **more, PaginationConfig={"PageSize": 3}
        )
        names = {"UserDetailList": "UserName", "GroupDetailList": "GroupName", "RoleDetailList": "RoleName"}
        pages = list(pages)
        assert all(sum(len(page[part]) for part in (*names, "Policies")) <= 3 for page in pages)
        found = [[item[name] for page in pages for item in page[part]] for part, name in names.items()]
        return *found, [policy["Arn"] for page in pages for policy in page["Policies"]]

    users, groups, roles, policies = told()
    assert (users, groups, roles) == (["bob", "eve"], ["staff"], ["job"])
    aws = [arn for arn in policies if arn != managed]
    assert policies == [managed, *aws] and "arn:aws:iam::aws:policy/AdministratorAccess" in aws
    assert told(Filter=["AWSManagedPolicy"]) == ([], [], [], aws)
    assert told(Filter=["LocalManagedPolicy", "Group"]) == ([], ["staff"], [], [managed])
    assert told(Filter=["User"]) == (["bob", "eve"], [], [], [])
    marker = iam.get_account_authorization_details(MaxItems=1)["Marker"]
    refused("ValidationError", iam.get_account_authorization_details, Filter=["User"], Marker=marker)
