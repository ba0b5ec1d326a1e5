#!/usr/bin/env python3
"""Writes records for the rules: `generated-match.json` raises the rule's alert, `generated-miss.json` raises none.

Run it after a change: `python3 testdata/rules/generate.py`. The records are made up from the API references of the
services. Each attack has a benign twin that differs in what the rule looks at. `match.json` and `miss.json` are
written by hand.
"""

import json
import pathlib
import uuid

HERE = pathlib.Path(__file__).parent
ACCOUNT = "111122223333"
STRANGER_ACCOUNT = "777788889999"


def user(name="dana.mills", key="AKIAF569694A2EXAMPLE", **more):
    return {"type": "IAMUser", "principalId": "AIDA83745A1A0EXAMPLE", "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}",
            "accountId": ACCOUNT, "accessKeyId": key, "userName": name, **more}


def session(role, name, issuer_path="", **more):
    context = {"sessionIssuer": {"type": "Role", "principalId": "AROAEXAMPLE0000000001",
                                 "arn": f"arn:aws:iam::{ACCOUNT}:role/{issuer_path}{role}", "accountId": ACCOUNT,
                                 "userName": role},
               "attributes": {"creationDate": "2026-02-03T08:00:00Z", "mfaAuthenticated": "false"}}
    context.update(more.pop("context", {}))
    return {"type": "AssumedRole", "principalId": f"AROAEXAMPLE0000000001:{name}",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}", "accountId": ACCOUNT,
            "accessKeyId": "ASIAEXAMPLE000000001", "sessionContext": context, **more}


KEY = user()
CONSOLE_USER = user(key="ASIAEXAMPLE000000002")
SSO = session("AWSReservedSSO_Developer_0123456789abcdef", "lee@example.com",
              "aws-reserved/sso.amazonaws.com/eu-west-1/")
CI = session("ci", "build-1287")
PIPELINE = session("github", "GitHubActions", context={"webIdFederationData": {
    "federatedProvider": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com", "attributes": {}}})
INSTANCE = session("web", "i-0a1b2c3d4e5f60718", context={"ec2RoleDelivery": "2.0"})
CLOUDFORMATION = session("deploy", "AWSCloudFormation", invokedBy="cloudformation.amazonaws.com")
ROOT = {"type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT,
        "accessKeyId": "ASIAEXAMPLE000000003"}
SESSION_OF_KEY = user(key="ASIAEXAMPLE000000004", sessionContext={"attributes": {
    "creationDate": "2026-02-03T08:00:00Z", "mfaAuthenticated": "false"}})
API_KEY = {member: value for member, value in user("model-client", credentialId="ACCAEXAMPLE00000001").items() if member != "accessKeyId"}
IN_CONSOLE = {**CONSOLE_USER, "invokedBy": "signin.amazonaws.com"}
ROOT_KEY = {**ROOT, "accessKeyId": "AKIAEXAMPLE000000005"}
IDENTITY_CENTER = session("AWSServiceRoleForSSO", "SSO-PROD", "aws-service-role/sso.amazonaws.com/", invokedBy="sso.amazonaws.com")
STRANGER = {"type": "AWSAccount", "principalId": "AIDASTRANGEREXAMPLE", "accountId": STRANGER_ACCOUNT}
SERVICE = {"type": "AWSService", "invokedBy": "backup.amazonaws.com"}


def event(service, name, request=None, response=None, who=KEY, error=None, **more):
    """A record; `more` sets or, with None, leaves out other members."""
    record = {
        "eventVersion": "1.11",
        "userIdentity": who,
        "eventTime": "2026-02-04T10:00:00Z",
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": who.get("invokedBy", "203.0.113.66"),
        "userAgent": who.get("invokedBy", "aws-sdk-go-v2/1.30.3 os/linux lang/go#1.22.5"),
        "requestParameters": request,
        "responseElements": response,
        "requestID": "",
        "eventID": "",
        "readOnly": name.startswith(("Get", "List", "Describe", "BatchGet", "Head")),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }
    if error:
        record["errorCode"] = error
        record["errorMessage"] = "the request was refused"
    record.update(more)
    for member in [member for member in more if more[member] is None]:
        del record[member]
    return record


def iam(name, request=None, response=None, **more):
    return event("iam", name, request, response, **more)


def s3(name, request=None, **more):
    return event("s3", name, request, **more)


def ec2(name, request=None, response=None, **more):
    return event("ec2", name, request, response, **more)


def policy(action="*", resource="*", **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": action, "Resource": resource, **more}]})


def trust(principal):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]})


def bucket_policy(principal, **more):
    statement = {"Effect": "Allow", "Principal": principal, "Action": ["s3:GetObject", "s3:ListBucket"],
                 "Resource": ["arn:aws:s3:::reports", "arn:aws:s3:::reports/*"], **more}
    return {"bucketName": "reports", "Host": "s3.amazonaws.com", "policy": "",
            "bucketPolicy": {"Version": "2012-10-17", "Statement": [statement]}}


def ingress(*permissions):
    items = []
    for protocol, first, last, cidr in permissions:
        ranges = {"ipv6Ranges": {"items": [{"cidrIpv6": cidr}]}, "ipRanges": {}} if ":" in cidr else \
            {"ipRanges": {"items": [{"cidrIp": cidr}]}, "ipv6Ranges": {}}
        items.append({"ipProtocol": protocol, "fromPort": first, "toPort": last, "groups": {}, **ranges,
                      "prefixListIds": {}})
    return {"groupId": "sg-0123456789abcdef0", "ipPermissions": {"items": items}}


def run(kind, count, **more):
    return {"instancesSet": {"items": [{"imageId": "ami-0123456789abcdef0", "minCount": 1, "maxCount": count}]},
            "instanceType": kind, "tagSpecificationSet": {"items": [
                {"resourceType": "instance", "tags": [{"key": "Name", "value": "node"}]}]}, **more}


ARN = f"arn:aws:iam::{ACCOUNT}"
OTHER = {"AWS": f"arn:aws:iam::{STRANGER_ACCOUNT}:root"}
OWN = {"AWS": f"arn:aws:iam::{ACCOUNT}:role/app"}
DENIED = "AccessDenied"
UNAUTHORIZED = "Client.UnauthorizedOperation"
TERRAFORM = {"userAgent": "APN/1.0 HashiCorp/1.0 Terraform/1.9.5 aws-sdk-go-v2/1.30.3"}
FROM_CONSOLE = {"sessionCredentialFromConsole": "true"}
DATA = {"managementEvent": False, "eventCategory": "Data"}
SIGNIN = {"eventType": "AwsConsoleSignIn"}


def sign_in(who, result, mfa="No"):
    return event("signin", "ConsoleLogin", None, {"ConsoleLogin": result}, who=who,
                 additionalEventData={"MFAUsed": mfa, "LoginTo": "https://console.aws.amazon.com"}, **SIGNIN)


def lifecycle(days, **more):
    return {"bucketName": "orders", "LifecycleConfiguration": {"Rule": {
        "ID": "expire", "Status": "Enabled", "Expiration": {"Days": days}, **more}}}


def kms_key(account):
    return f"arn:aws:kms:us-east-1:{account}:key/12345678-1234-1234-1234-123456789012"


def default_key(account):
    return {"bucketName": "orders", "ServerSideEncryptionConfiguration": {"Rule": {"ApplyServerSideEncryptionByDefault": {
        "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": kms_key(account)}}}}


def group(*members, key):
    return {key: {"add": {"items": list(members)}}}


def database(**more):
    return {"dBInstanceIdentifier": "orders", **more}


GENERATED = {
    "Compromised key quarantined": (
        [iam("AttachUserPolicy", {"userName": "deploy", "policyArn": f"arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine{v}"},
             who=user("deploy", invokedBy="AWS Internal")) for v in ("", "V2", "V3")]
        + [iam("DetachUserPolicy", {"userName": "dana.mills", "policyArn": "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"},
               error=DENIED)],
        [iam("AttachUserPolicy", {"userName": "deploy", "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"})]),
    "Root user signed in without MFA": (
        [sign_in(ROOT, "Success")],
        [sign_in(user("root"), "Success", "Yes")]),
    "Console sign-in without MFA": (
        [],
        [sign_in(SSO, "Success"), sign_in(CONSOLE_USER, "Success", "Yes"), sign_in(CONSOLE_USER, "Failure")]),
    "Root sign-in failed or password recovered": (
        [event("signin", "PasswordRecoveryCompleted", who=ROOT, **SIGNIN), sign_in(ROOT, "Failure"), event("signin", "PasswordRecoveryRequested", who=ROOT, error="Failed", **SIGNIN)],
        [sign_in(CONSOLE_USER, "Failure")]),
    "Access key of the root user created": (
        [iam("CreateAccessKey", None, {"accessKey": {"accessKeyId": "AKIAEXAMPLE000000009"}}, who=ROOT)],
        [iam("CreateAccessKey", None, {"accessKey": {"accessKeyId": "AKIAEXAMPLE000000009"}}, who=CONSOLE_USER)]),
    "Access key created for another user": (
        [iam("CreateAccessKey", {"userName": "ci"}, {"accessKey": {"accessKeyId": "AKIAEXAMPLE000000009"}}, who=CI)],
        [iam("CreateAccessKey", {"userName": "dana.mills"}, who=CONSOLE_USER)]),
    "Access key created with an access key": (
        [iam("CreateAccessKey", {"userName": "dana.mills"}, {"accessKey": {"accessKeyId": "AKIAEXAMPLE000000009"}}),
         iam("CreateAccessKey", None, {"accessKey": {"accessKeyId": "AKIAEXAMPLE000000009"}}),
         iam("CreateAccessKey", None, {"accessKey": {"accessKeyId": "AKIAEXAMPLE000000009"}}, who=SESSION_OF_KEY)],
        [iam("CreateAccessKey", {"userName": "dana.mills"}, error=DENIED),
         iam("CreateAccessKey", None, who=SESSION_OF_KEY, **FROM_CONSOLE),
         iam("CreateAccessKey", None, who=SESSION_OF_KEY, userAgent="aws-internal/3 aws-sdk-java/1.11.901")]),
    "Access key reactivated": (
        [iam("UpdateAccessKey", {"userName": "old-ci", "accessKeyId": "AKIAEXAMPLE000000009", "status": "Active"})],
        [iam("UpdateAccessKey", {"userName": "old-ci", "accessKeyId": "AKIAEXAMPLE000000009", "status": "Inactive"}),
         iam("UpdateAccessKey", {"userName": "old-ci", "accessKeyId": "AKIAEXAMPLE000000009", "status": "Active"}, error=DENIED)]),
    "Console password set for another user": (
        [iam("CreateLoginProfile", {"userName": "dana.mills", "passwordResetRequired": False}),
         iam("UpdateLoginProfile", {"userName": "ci"}, who=CI),
         iam("CreateLoginProfile", None, who={"type": "AssumedRole", "principalId": ACCOUNT, "arn": f"arn:aws:sts::{ACCOUNT}:assumed-root", "accountId": ACCOUNT,
             "accessKeyId": "ASIAEXAMPLE000000006", "sessionContext": {"assumedRoot": "true", "attributes": {"mfaAuthenticated": "false"}}})],
        [iam("UpdateLoginProfile", {"userName": "dana.mills"}, who=CONSOLE_USER)]),
    "Service credential or SSH key created": (
        [iam("CreateServiceSpecificCredential", {"userName": "bedrock-api", "serviceName": "bedrock.amazonaws.com"}),
         iam("UploadSSHPublicKey", {"userName": "dana.mills"}, who=SSO)],
        [iam("ListServiceSpecificCredentials", {"userName": "bedrock-api"})]),
    "MFA device added": (
        [iam("EnableMFADevice", {"userName": "admin", "serialNumber": f"{ARN}:mfa/x"}, who=SSO),
         iam("EnableMFADevice", {"userName": "dana.mills", "serialNumber": f"{ARN}:mfa/x"})],
        [iam("EnableMFADevice", {"userName": "dana.mills", "serialNumber": f"{ARN}:mfa/x"}, who=CONSOLE_USER)]),
    "Sign-in protection of IAM Identity Center weakened": (
        [event("sso", "UpdateSsoConfiguration", {"instanceArn": "arn:aws:sso:::instance/ssoins-1", "ssoConfiguration": {"mfaMode": "DISABLED"}}),
         event("sso-directory", "DeleteMfaDeviceForUser", {"userId": "u-1"}, who=CI)],
        [event("sso", "UpdateSsoConfiguration", {"instanceArn": "x"}, error=DENIED),
         event("sso-directory", "UpdatePassword", {"userId": "u-1"}, who={"type": "IdentityCenterUser", "accountId": ACCOUNT, "onBehalfOf": {"userId": "u-1"}}),
         event("cognito-idp", "UpdatePassword")]),
    "Password policy weakened": (
        [iam("UpdateAccountPasswordPolicy", {"minimumPasswordLength": 6, "requireSymbols": False}), iam("DeleteAccountPasswordPolicy")],
        [iam("UpdateAccountPasswordPolicy", {"minimumPasswordLength": 14}), iam("DeleteAccountPasswordPolicy", error="NoSuchEntityException")]),
    "Console session opened from credentials": (
        [event("signin", "GetSigninToken", who=who, **SIGNIN) for who in (CI, session("AWSReservedSSO_Fake", "x"))],
        [event("signin", "GetSigninToken", who=SSO, **SIGNIN)]),
    "Role assumed from an unknown account": (
        [event("sts", "AssumeRole", {"roleArn": f"{ARN}:role/admin", "roleSessionName": "x"}, who=STRANGER),
         event("sts", "AssumeRole", {"roleArn": f"{ARN}:role/admin", "roleSessionName": "x", "externalId": "e-1"}, who=STRANGER)],
        [event("sts", "AssumeRole", {"roleArn": f"{ARN}:role/reader", "roleSessionName": "x"}, who=STRANGER),
         event("sts", "AssumeRole", {"roleArn": f"{ARN}:role/admin", "roleSessionName": "x", "serialNumber": "arn:aws:iam::777788889999:mfa/lee"}, who=STRANGER),
         event("sts", "AssumeRole", {"roleArn": f"{ARN}:role/admin", "roleSessionName": "x"},
               who={**STRANGER, "principalId": "AROASTRANGEREXAMPLE:vendor"})]),
    "Trust anchor or profile of Roles Anywhere created": (
        [event("rolesanywhere", "CreateTrustAnchor", {"name": "ca", "enabled": True}),
         event("rolesanywhere", "CreateProfile", {"name": "p", "roleArns": [f"{ARN}:role/admin"]}),
         event("rolesanywhere", "UpdateProfile", {"profileId": "p", "roleArns": [f"{ARN}:role/admin"]})],
        [event("customer-profiles", "CreateProfile", {"name": "p"}), event("rolesanywhere", "ListTrustAnchors")]),
    "Identity provider changed": (
        [iam("UpdateSAMLProvider", {"sAMLProviderArn": f"{ARN}:saml-provider/idp"}),
         iam("CreateOpenIDConnectProvider", {"url": "https://id.example.org"}),
         event("sso-directory", "UpdateExternalIdPConfigurationForDirectory", {"directoryId": "d-1"})],
        [iam("GetSAMLProvider", {"sAMLProviderArn": f"{ARN}:saml-provider/idp"}),
         iam("CreateOpenIDConnectProvider", {"url": "https://id.example.org"}, error=DENIED),
         iam("UpdateSAMLProvider", {"sAMLProviderArn": f"{ARN}:saml-provider/AWSSSO_1_DO_NOT_DELETE"}, who=IDENTITY_CENTER)]),
    "IAM user created": (
        [iam("CreateUser", {"userName": "x"}, who=ROOT), iam("CreateUser", {"userName": "backup-svc"}), iam("CreateUser", {"userName": "backup-svc"}, who=IN_CONSOLE)],
        [iam("CreateUser", {"userName": "app"}, who=CLOUDFORMATION),
         event("identitystore", "CreateUser", {"userName": "lee"}), iam("CreateUser", {"userName": "x"}, error=DENIED)]),
    "User added to an administrator group": (
        [iam("AddUserToGroup", {"userName": "dana.mills", "groupName": "Administrators"})],
        [iam("AddUserToGroup", {"userName": "lee", "groupName": "developers"})]),
    "User added itself to a group": (
        [iam("AddUserToGroup", {"userName": "dana.mills", "groupName": "platform"})],
        [iam("AddUserToGroup", {"userName": "dana.mills", "groupName": "platform"}, who=session("dana.mills", "x")),
         iam("AddUserToGroup", {"userName": "lee", "groupName": "platform"}),
         iam("AddUserToGroup", {"userName": "dana.mills", "groupName": "platform"}, error=DENIED)]),
    "Access granted in IAM Identity Center": (
        [event("sso", "CreateAccountAssignment", {"instanceArn": "i", "targetId": ACCOUNT, "permissionSetArn": "p", "principalId": "u"}),
         event("identitystore", "CreateGroupMembership", {"identityStoreId": "d-1", "groupId": "g", "memberId": {"userId": "u"}}, who=CI),
         event("sso", "AttachCustomerManagedPolicyReferenceToPermissionSet", {"permissionSetArn": "p", "customerManagedPolicyReference": {"name": "x"}})],
        [event("sso", "DeleteAccountAssignment", {"instanceArn": "i"}), event("sso", "CreateAccountAssignment", {"instanceArn": "i"}, who=PIPELINE),
         event("quicksight", "CreateGroupMembership", {"groupName": "readers"})]),
    "Root session in a member account": (
        [event("sts", "AssumeRoot", {"targetPrincipal": STRANGER_ACCOUNT, "taskPolicyArn": {"arn": "arn:aws:iam::aws:policy/root-task/S3UnlockBucketPolicy"}}),
         event("sts", "AssumeRoot", {"targetPrincipal": STRANGER_ACCOUNT}, error=DENIED), iam("EnableOrganizationsRootSessions")],
        [iam("DisableOrganizationsRootSessions"), event("sts", "AssumeRole", {"roleArn": f"{ARN}:role/reader", "roleSessionName": "root"})]),
    "Administrator policy attached": (
        [iam("AttachRolePolicy", {"roleName": "app", "policyArn": "arn:aws-cn:iam::aws:policy/AdministratorAccess"}),
         iam("AttachGroupPolicy", {"groupName": "dev", "policyArn": "arn:aws-us-gov:iam::aws:policy/IAMFullAccess"}),
         event("sso", "AttachManagedPolicyToPermissionSet", {"managedPolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
         iam("AttachUserPolicy", {"userName": "x", "policyArn": "arn:aws-eusc:iam::aws:policy/PowerUserAccess"})],
        [iam("AttachRolePolicy", {"roleName": "app", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess-Amplify"}),
         iam("AttachRolePolicy", {"roleName": "AWSReservedSSO_Admin_1", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}, who=IDENTITY_CENTER),
         event("sso", "AttachManagedPolicyToPermissionSet", {"managedPolicyArn": "arn:aws:iam::aws:policy/ViewOnlyAccess"})]),
    "Policy with unlimited rights written": (
        [iam("PutUserPolicy", {"userName": "dana.mills", "policyName": "x", "policyDocument": document}) for document in (
            policy("*"), policy(["s3:List*", "*:*"]), json.dumps({"statement": {"effect": "Allow", "notaction": "iam:DeleteUser", "resource": "*"}}),
            '{"Statement":[{"Effect":"Allow","Action":"\\u002a","Resource":"*"}]}',
            '{"Statement":[{"Effect":"Allow","Condition":{"Bool":{"aws:SecureTransport":"true"}},"Action":["*"],"Resource":["*"]}]}')]
        + [event("sso", "PutInlinePolicyToPermissionSet", {"permissionSetArn": "arn:aws:sso:::permissionSet/x", "inlinePolicy": policy("*")})],
        [iam("PutUserPolicy", {"userName": "dana.mills", "policyName": "x", "policyDocument": policy("s3:*")}),
         iam("CreatePolicy", {"policyName": "x", "policyDocument": json.dumps({"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}})})]),
    "Policy with an escalation path written": (
        [iam("PutRolePolicy", {"roleName": "app", "policyName": "x", "policyDocument": policy(["iam:PassRole", "ec2:RunInstances"])}),
         iam("PutGroupPolicy", {"groupName": "app", "policyName": "x", "policyDocument": policy("iam:CreateAccessKey")}),
         iam("PutUserPolicy", {"userName": "dana.mills", "policyName": "x", "policyDocument": policy("IAM:*")}),
         iam("CreatePolicyVersion", {"policyArn": f"{ARN}:policy/app", "policyDocument": policy("iam:CreatePolicyVersion")})],
        [iam("PutRolePolicy", {"roleName": "app", "policyName": "x", "policyDocument": policy("iam:CreateAccessKey")}, who=CLOUDFORMATION),
         iam("PutUserPolicy", {"userName": "dana.mills", "policyName": "own-keys",
                               "policyDocument": policy("iam:CreateAccessKey", f"{ARN}:user/${{aws:username}}")})]),
    "Policy too large for CloudTrail": (
        [iam("PutRolePolicy", {"omitted": True, "originalSize": 120000, "reason": "requestParameters too large"})],
        [iam("TagRole", {"omitted": True, "originalSize": 120000, "reason": "requestParameters too large"})]),
    "Default version of a policy changed": (
        [iam("SetDefaultPolicyVersion", {"policyArn": f"{ARN}:policy/app", "versionId": "v1"})],
        [iam("CreatePolicyVersion", {"policyArn": f"{ARN}:policy/app", "policyDocument": policy("s3:GetObject"), "setAsDefault": True}, who=who)
         for who in (CLOUDFORMATION, PIPELINE)]),
    "Role opened to an unknown account": (
        [iam("CreateRole", {"roleName": "support", "assumeRolePolicyDocument": trust(OTHER)}),
         iam("CreateRole", {"roleName": "support", "assumeRolePolicyDocument": trust({"AWS": STRANGER_ACCOUNT})}),
         iam("UpdateAssumeRolePolicy", {"roleName": "app", "policyDocument": trust("*")}),
         iam("UpdateAssumeRolePolicy", {"roleName": "app", "policyDocument": trust({"AWS": [f"{ARN}:root", f"arn:aws:iam::{STRANGER_ACCOUNT}:user/x"]})})],
        [iam("CreateRole", {"roleName": "app", "assumeRolePolicyDocument": trust({"Service": "ec2.amazonaws.com"})}),
         iam("CreateRole", {"roleName": "app", "assumeRolePolicyDocument": trust(OWN)}),
         iam("CreateRole", {"roleName": "x", "assumeRolePolicyDocument": trust(OTHER)}, error="EntityAlreadyExists"),
         iam("CreateRole", {"roleName": "x", "assumeRolePolicyDocument": trust(OTHER)}, who={**CI, "invokedBy": "organizations.amazonaws.com"})]),
    "Trust policy of a role changed": (
        [iam("UpdateAssumeRolePolicy", {"roleName": "app", "policyDocument": trust(OWN)})],
        [iam("UpdateAssumeRolePolicy", {"roleName": "app", "policyDocument": trust(OWN)}, who=CLOUDFORMATION)]),
    "Permissions boundary removed": (
        [iam("DeleteUserPermissionsBoundary", {"userName": "dana.mills"}), iam("DeleteRolePermissionsBoundary", {"roleName": "app"}),
         event("sso", "DeletePermissionsBoundaryFromPermissionSet", {"instanceArn": "i", "permissionSetArn": "arn:aws:sso:::permissionSet/x"})],
        [iam("DeleteRolePermissionsBoundary", {"roleName": "app"}, error=DENIED)]),
    "Permissions boundary replaced": (
        [iam("PutRolePermissionsBoundary", {"roleName": "app", "permissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"}),
         iam("PutUserPermissionsBoundary", {"userName": "dana.mills", "permissionsBoundary": f"{ARN}:policy/limit"})],
        [iam("PutRolePermissionsBoundary", {"roleName": "app", "permissionsBoundary": f"{ARN}:policy/limit"}, who=who) for who in (CLOUDFORMATION, PIPELINE)]),
    "Instance profile of an instance changed": (
        [], [ec2("AssociateIamInstanceProfile", {}, who=CLOUDFORMATION),
             iam("AddRoleToInstanceProfile", {"roleName": "web", "instanceProfileName": "web"}, who=CI)]),
    "EKS cluster access granted": (
        [event("eks", "CreateAccessEntry", {"name": "prod", "principalArn": f"{ARN}:user/dana.mills"}),
         event("eks", "AssociateAccessPolicy", {"name": "prod", "principalArn": f"{ARN}:user/dana.mills",
               "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"}),
         event("eks", "CreatePodIdentityAssociation", {"name": "prod", "serviceAccount": "x", "roleArn": f"{ARN}:role/admin"})],
        [event("eks", "CreateAccessEntry", {"name": "prod", "principalArn": f"{ARN}:role/nodes"}, who={**CI, "invokedBy": "eks.amazonaws.com"}),
         event("eks", "CreatePodIdentityAssociation", {"name": "prod", "serviceAccount": "x", "roleArn": f"{ARN}:role/app"}, who=CI)]),
    "Account enumerated": (
        [s3("ListBuckets", {"Host": "s3.amazonaws.com"}, who=INSTANCE), iam("GetAccountAuthorizationDetails", who=INSTANCE, error=DENIED),
         event("guardduty", "ListDetectors", who=INSTANCE), iam("ListUsers", error=DENIED),
         iam("GetAccountAuthorizationDetails", {"filter": ["User"]}), s3("ListBuckets", {"Host": "s3.amazonaws.com"}, who=SESSION_OF_KEY, error=DENIED)],
        [s3("ListBuckets", {"Host": "s3.amazonaws.com"}, who=CONSOLE_USER), iam("ListUsers", who=CONSOLE_USER, error=DENIED),
         iam("ListRoles"), iam("GetAccountAuthorizationDetails", who=CI), ec2("DescribeInstances", who=INSTANCE), iam("ListRoles", who=INSTANCE), ec2("DescribeTags", who=INSTANCE, error=UNAUTHORIZED)]),
    "Identity change by an instance": (
        [iam("AttachUserPolicy", {"userName": "x", "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}, who=INSTANCE, error=DENIED),
         iam("PutRolePolicy", {"roleName": "x", "policyName": "y", "policyDocument": policy("s3:GetObject")}, who=INSTANCE),
         iam("CreateUser", {"userName": "x"}, who=INSTANCE), event("signin", "GetSigninToken", who=INSTANCE, **SIGNIN),
         iam("CreatePolicyVersion", {"policyArn": f"{ARN}:policy/app", "policyDocument": policy("s3:GetObject"), "setAsDefault": True}, who=INSTANCE),
         iam("UpdateAccessKey", {"userName": "x", "accessKeyId": "AKIAEXAMPLE000000009", "status": "Active"}, who=INSTANCE),
         iam("DeleteRolePermissionsBoundary", {"roleName": "x"}, who=INSTANCE)],
        [event("sts", "AssumeRole", {"roleArn": f"{ARN}:role/deploy", "roleSessionName": "x"}, who=INSTANCE)]),
    "Attempt to disable logging denied": (
        [ec2("DeleteFlowLogs", {"DeleteFlowLogsRequest": {"FlowLogId": "fl-1"}}, error=UNAUTHORIZED),
         event("cloudtrail", "StopEventDataStoreIngestion", {"eventDataStore": "e"}, error=DENIED)],
        [event("cloudtrail", "StopLogging", {"name": "main"}, error="TrailNotFoundException")]),
    "Trail changed": (
        [event("cloudtrail", "UpdateTrail", {"name": "main", "isMultiRegionTrail": False}, who=IN_CONSOLE)],
        [event("cloudtrail", "UpdateTrail", {"name": "aws-controltower-BaselineCloudTrail"}, who={**CI, "invokedBy": "cloudtrail.amazonaws.com"})]),
    "GuardDuty disabled": (
        [event("guardduty", "UpdateDetector", {"detectorId": "d", **change}) for change in (
            {"enable": False}, {"features": [{"name": "EKS_AUDIT_LOGS", "status": "DISABLED"}]},
            {"dataSources": {"s3Logs": {"enable": False}}}, {"dataSources": {"kubernetes": {"auditLogs": {"enable": False}}}})]
        + [event("guardduty", "UpdateOrganizationConfiguration", {"detectorId": "d", "features": [{"name": "S3_DATA_EVENTS", "autoEnable": "NONE"}]}),
           event("guardduty", "UpdateOrganizationConfiguration", {"detectorId": "d", "autoEnableOrganizationMembers": "NONE"}),
           event("guardduty", "UpdateIPSet", {"detectorId": "d", "ipSetId": "i", "location": "https://example.org/list"}),
           event("guardduty", "CreateTrustedEntitySet", {"detectorId": "d", "name": "x", "activate": True}),
           event("guardduty", "DeleteThreatIntelSet", {"detectorId": "d", "threatIntelSetId": "t"}),
           event("guardduty", "UpdateThreatIntelSet", {"detectorId": "d", "threatIntelSetId": "t", "activate": False}),
           event("guardduty", "UpdateFilter", {"detectorId": "d", "filterName": "x", "findingCriteria": {"criterion": {"severity": {"gte": 0}}}})],
        [event("guardduty", "UpdateDetector", {"detectorId": "d", "enable": True, "features": [{"name": "EKS_AUDIT_LOGS", "status": "ENABLED"}]}),
         event("guardduty", "CreateIPSet", {"detectorId": "d", "name": "x", "activate": False}),
         event("guardduty", "UpdateFilter", {"detectorId": "d", "filterName": "x", "action": "NOOP", "findingCriteria": {}}),
         event("guardduty", "UpdateOrganizationConfiguration", {"detectorId": "d", "autoEnableOrganizationMembers": "ALL"}),
         event("guardduty", "UpdateThreatIntelSet", {"detectorId": "d", "threatIntelSetId": "t", "activate": True})]),
    "Security Hub disabled": (
        [event("securityhub", "UpdateOrganizationConfiguration", {"AutoEnable": False}),
         event("securityhub", "UpdateStandardsControl", {"StandardsControlArn": "c", "ControlStatus": "DISABLED"})],
        [event("securityhub", "UpdateOrganizationConfiguration", {"AutoEnable": True}), event("config", "UpdateOrganizationConfiguration", {"AutoEnable": False}),
         event("securityhub", "UpdateStandardsControl", {"StandardsControlArn": "c", "ControlStatus": "ENABLED"})]),
    "AWS Config disabled": (
        [event("config", "StopConfigurationRecorder", {"configurationRecorderName": "default"}, who=IN_CONSOLE)],
        [event("config", "StopConfigurationRecorder", {"configurationRecorderName": "default"}, who=CLOUDFORMATION)]),
    "Security findings suppressed": (
        [event("securityhub", "BatchUpdateFindings", {"Workflow": {"Status": "SUPPRESSED"}, "FindingIdentifiers": []}),
         event("securityhub", "DeleteInsight", {"InsightArn": "arn:aws:securityhub:us-east-1:111122223333:insight/x"}),
         event("guardduty", "ArchiveFindings", {"detectorId": "d", "findingIds": ["f"]}),
         event("securityhub", "BatchUpdateAutomationRules", {"UpdateAutomationRulesRequestItems": [
             {"RuleArn": "a", "Actions": [{"FindingFieldsUpdate": {"Workflow": {"Status": "SUPPRESSED"}}}]}]})],
        [event("securityhub", "BatchUpdateFindings", {"Workflow": {"Status": "RESOLVED"}, "FindingIdentifiers": []}),
         event("guardduty", "UnarchiveFindings", {"detectorId": "d"}), event("guardduty", "ArchiveFindings", {"detectorId": "d"}, error=DENIED)]),
    "Macie, Inspector, Detective or Access Analyzer disabled": (
        [event("macie2", "DisableMacie"), event("inspector2", "Disable", {"resourceTypes": ["EC2"]}),
         event("access-analyzer", "DeleteAnalyzer", {"analyzerName": "org"}),
         event("macie2", "CreateFindingsFilter", {"name": "x", "action": "ARCHIVE"}), event("macie2", "UpdateMacieSession", {"status": "PAUSED"}),
         event("macie2", "UpdateMacieSession", {"findingPublishingFrequency": "SIX_HOURS"}),
         event("access-analyzer", "UpdateArchiveRule", {"analyzerName": "org", "ruleName": "x"}), event("macie2", "UpdateOrganizationConfiguration", {"autoEnable": False}),
         event("inspector2", "UpdateOrganizationConfiguration", {"autoEnable": {"ec2": False, "ecr": False, "lambda": False}})],
        [event("macie2", "EnableMacie"), event("macie2", "DisableMacie", error="AccessDeniedException"), event("macie2", "UpdateOrganizationConfiguration", {"autoEnable": True}),
         event("inspector2", "UpdateOrganizationConfiguration", {"autoEnable": {"ec2": True, "ecr": True, "lambda": False}}),
         event("elasticloadbalancing", "CreateFilter"), event("macie2", "CreateFindingsFilter", {"name": "x", "action": "NOOP"}),
         event("inspector2", "CreateFilter", {"name": "x", "action": "NONE"}), event("macie2", "UpdateMacieSession", {"findingPublishingFrequency": "ONE_HOUR", "status": "ENABLED"})]),
    "Flow or DNS query logs deleted": (
        [ec2("DeleteFlowLogs", {"DeleteFlowLogsRequest": {"FlowLogId": {"content": "fl-0123456789abcdef0", "tag": 1}}}),
         event("route53resolver", "DeleteResolverQueryLogConfig", {"resolverQueryLogConfigId": "rqlc-1"}),
         event("route53resolver", "DisassociateResolverQueryLogConfig", {"resolverQueryLogConfigId": "rqlc-1", "resourceId": "vpc-1"}),
         event("route53", "DeleteQueryLoggingConfig", {"id": "q"})],
        [ec2("DeleteFlowLogs", {"DeleteFlowLogsRequest": {"FlowLogId": "fl-1"}}, who=CLOUDFORMATION),
         ec2("CreateFlowLogs", {}), ec2("DeleteFlowLogs", {}, error="Client.InvalidFlowLogId.NotFound")]),
    "Logging of a service disabled": (
        [s3("PutBucketLogging", {"bucketName": "orders", "logging": "", "BucketLoggingStatus": {"xmlns": "http://s3.amazonaws.com/doc/2006-03-01/"}}),
         event("elasticloadbalancing", "ModifyLoadBalancerAttributes", {"loadBalancerArn": "a", "attributes": [{"key": "access_logs.s3.enabled", "value": "false"}]}),
         event("wafv2", "DeleteLoggingConfiguration", {"resourceArn": "a"}),
         event("redshift", "DisableLogging", {"clusterIdentifier": "dw"}),
         event("eks", "UpdateClusterConfig", {"name": "prod", "logging": {"clusterLogging": [{"types": ["audit"], "enabled": False}]}}),
         event("ssm", "UpdateDocument", {"name": "SSM-SessionManagerRunShell", "documentVersion": "$LATEST"}),
         event("rds", "ModifyDBCluster", {"dBClusterIdentifier": "orders", "cloudwatchLogsExportConfiguration": {"disableLogTypes": ["audit"]}})],
        [s3("PutBucketLogging", {"bucketName": "orders", "logging": "", "BucketLoggingStatus": {"LoggingEnabled": {"TargetBucket": "logs"}}}),
         event("elasticloadbalancing", "ModifyLoadBalancerAttributes", {"attributes": [{"key": "idle_timeout.timeout_seconds", "value": "60"}]}),
         event("eks", "UpdateClusterConfig", {"name": "prod", "logging": {"clusterLogging": [{"types": ["audit"], "enabled": True}]}}),
         event("eks", "UpdateClusterConfig", {"name": "prod", "logging": {"clusterLogging": [{"types": ["audit", "api"], "enabled": True}, {"types": ["scheduler"], "enabled": False}]}}),
         event("elasticloadbalancing", "ModifyLoadBalancerAttributes", {"attributes": [{"key": "access_logs.s3.enabled", "value": "false"}]}, who=CI),
         event("ssm", "UpdateDocument", {"name": "Patch", "documentVersion": "$LATEST"}),
         event("rds", "ModifyDBInstance", {"dBInstanceIdentifier": "orders", "cloudwatchLogsExportConfiguration": {"enableLogTypes": ["audit"], "disableLogTypes": []}}),
         event("eks", "UpdateClusterConfig", {"name": "prod", "resourcesVpcConfig": {"endpointPublicAccess": True}})]),
    "Log group, alarm or event rule removed": (
        [event("logs", "DeleteLogGroup", {"logGroupName": "/aws/lambda/orders"}), event("events", "DisableRule", {"name": "guard"}, who=SSO),
         event("monitoring", "DeleteAlarms", {"alarmNames": ["root-login"]}),
         event("monitoring", "DeleteAlarms", {"alarmNames": ["root-login"]}, **TERRAFORM), event("events", "RemoveTargets", {"rule": "guard", "ids": ["1"]}), event("logs", "PutRetentionPolicy", {"logGroupName": "x", "retentionInDays": 1}),
         event("sqs", "PurgeQueue", {"queueUrl": f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/cloudtrail"}),
         event("sns", "Unsubscribe", {"subscriptionArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:cloudtrail:8a1f6a3c"}),
         event("sns", "DeleteTopic", {"topicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:org-CloudTrail"}),
         event("events", "PutRule", {"name": "guard", "state": "DISABLED", "eventPattern": "{}"}),
         event("monitoring", "PutMetricAlarm", {"alarmName": "root-login", "actionsEnabled": False})],
        [event("logs", "DeleteLogGroup", {"logGroupName": "x"}, who=CLOUDFORMATION), event("logs", "DeleteLogStream", {}, who=CI), event("logs", "PutRetentionPolicy", {"logGroupName": "x", "retentionInDays": 30}),
         event("elasticloadbalancing", "DeleteRule", {"ruleArn": "x"}),
         event("sqs", "PurgeQueue", {"queueUrl": f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/orders"}),
         event("sns", "DeleteTopic", {"topicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:orders"}),
         event("sns", "Unsubscribe", {"subscriptionArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:orders:8a1f6a3c"}),
         event("events", "PutRule", {"name": "guard", "state": "ENABLED", "eventPattern": "{}"}), event("events", "PutRule", {"name": "guard", "state": "DISABLED"}, who=CI),
         event("monitoring", "PutMetricAlarm", {"alarmName": "root-login", "actionsEnabled": True})]),
    "Bedrock logging or guardrail removed": (
        [event("bedrock", "DeleteGuardrail", {"guardrailIdentifier": "g-1"}),
         event("bedrock", "PutModelInvocationLoggingConfiguration", {"loggingConfig": {"textDataDeliveryEnabled": False}})],
        [event("bedrock", "GetGuardrail", {"guardrailIdentifier": "g-1"}),
         event("bedrock", "PutModelInvocationLoggingConfiguration", {"loggingConfig": {"textDataDeliveryEnabled": True, "imageDataDeliveryEnabled": False}})]),
    "WAF or firewall protection removed": (
        [event("wafv2", "DisassociateWebACL", {"resourceArn": "a"}), event("wafv2", "DeleteWebACL", {"name": "edge"}),
         event("network-firewall", "DeleteFirewall", {"firewallName": "egress"}), event("shield", "DeleteProtection", {"protectionId": "p"}),
         ec2("ModifyVpcBlockPublicAccessOptions", {"ModifyVpcBlockPublicAccessOptionsRequest": {"InternetGatewayBlockMode": "off"}})],
        [event("wafv2", "DisassociateWebACL", {"resourceArn": "a"}, who=CLOUDFORMATION), event("guardduty", "DeleteIPSet", {"detectorId": "d"}),
         ec2("ModifyVpcBlockPublicAccessOptions", {"ModifyVpcBlockPublicAccessOptionsRequest": {"InternetGatewayBlockMode": "block-ingress"}})]),
    "Account leaves the organization": (
        [event("organizations", "LeaveOrganization", error="AccessDenied")],
        [event("organizations", "LeaveOrganization", error="AWSOrganizationsNotInUseException")]),
    "Organization policy removed": (
        [event("organizations", "DetachPolicy", {"policyId": "p-1", "targetId": ACCOUNT}),
         event("organizations", "DisablePolicyType", {"policyType": "SERVICE_CONTROL_POLICY"})],
        [event("organizations", "AttachPolicy", {"policyId": "p-1"}), iam("DeletePolicy", {"policyArn": f"{ARN}:policy/x"})]),
    "Organization changed": (
        [event("organizations", "RegisterDelegatedAdministrator", {"accountId": STRANGER_ACCOUNT, "servicePrincipal": "guardduty.amazonaws.com"}),
         event("organizations", "AcceptHandshake", {"handshakeId": "h-1"})],
        [event("organizations", "DescribeOrganization"), event("organizations", "MoveAccount", {"accountId": ACCOUNT}, error=DENIED)]),
    "Account contact changed": (
        [event("account", "PutAlternateContact", {"alternateContactType": "SECURITY"})],
        [event("account", "GetAlternateContact", {"alternateContactType": "SECURITY"})]),
    "Domain transfer allowed": (
        [event("route53domains", "DisableDomainTransferLock", {"domainName": "example.com"}),
         event("route53domains", "RetrieveDomainAuthCode", {"domainName": "example.com"})],
        [event("route53domains", "EnableDomainTransferLock", {"domainName": "example.com"})]),
    "Bucket or object opened to everyone": (
        [s3("PutBucketPolicy", bucket_policy("*"), who=ROOT)] + [s3("PutBucketPolicy", bucket_policy(principal)) for principal in ("*", {"AWS": "*"}, {"AWS": ["*"]}, {"aws": [f"{ARN}:root", "*"]})]
        + [s3("PutBucketPolicy", bucket_policy("*", Condition=condition)) for condition in (
            {"StringLike": {"aws:PrincipalArn": "*"}}, {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, {"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}},
            {"Bool": {"aws:SecureTransport": "true"}})]
        + [s3("PutBucketAcl", {"bucketName": "reports", "x-amz-acl": ["public-read-write"]}),
           s3("PutBucketAcl", {"bucketName": "reports", "AccessControlPolicy": {"AccessControlList": {"Grant": {
               "Permission": "READ", "Grantee": {"xsi:type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"}}}}})],
        [s3("PutBucketPolicy", bucket_policy("*", Condition=condition)) for condition in (
            {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}, {"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}},
            {"stringequals": {"AWS:sourcevpce": "vpce-0123456789abcdef0"}})]
        + [s3("PutBucketPolicy", bucket_policy(OWN)), s3("PutBucketPolicy", bucket_policy("*", Effect="Deny")),
           s3("PutObject", {"bucketName": "site", "key": "logo.png", "x-amz-acl": "public-read"}, who=CI, **DATA)]),
    "Resource opened to an unknown account": (
        [s3("PutBucketPolicy", bucket_policy(OTHER)),
         event("secretsmanager", "PutResourcePolicy", {"secretId": "db", "resourcePolicy": trust(OTHER)}),
         event("lambda", "AddPermission20150331v2", {"functionName": "pay", "statementId": "s", "action": "lambda:InvokeFunction", "principal": STRANGER_ACCOUNT}),
         event("kms", "CreateKey", {"policy": trust(OTHER)}), event("sqs", "AddPermission", {"queueUrl": "q", "label": "l", "aWSAccountIds": [STRANGER_ACCOUNT], "actions": ["*"]}),
         event("events", "PutPermission", {"action": "events:PutEvents", "principal": STRANGER_ACCOUNT, "statementId": "s"}),
         event("ses", "PutIdentityPolicy", {"identity": "example.com", "policy": trust(OTHER)}, who=IN_CONSOLE)],
        [s3("PutBucketPolicy", bucket_policy(OWN)), s3("PutBucketPolicy", bucket_policy({"AWS": "arn:aws:iam::127311923021:root"})),
         s3("PutBucketPolicy", bucket_policy(OTHER), error=DENIED),
         event("events", "PutPermission", {"action": "events:PutEvents", "principal": ACCOUNT, "statementId": "s"}),
         event("sqs", "AddPermission", {"queueUrl": "q", "label": "l", "aWSAccountIds": [ACCOUNT], "actions": ["SendMessage"]})]),
    "Log bucket changed": (
        [s3("PutBucketNotification", {"bucketName": "org-cloudtrail", "notification": "", "NotificationConfiguration": {}}),
         s3("DeleteObjects", {"bucketName": "org-cloudtrail", "delete": ""}, who=CI, **DATA)],
        [s3("PutObject", {"bucketName": "org-cloudtrail", "key": "a"}, who=CI, **DATA), s3("PutBucketPolicy", {**bucket_policy(OWN), "bucketName": "org-cloudtrail"}, who=CLOUDFORMATION)]),
    "Lifecycle rule expires objects within days": (
        [s3("PutBucketLifecycle", lifecycle(1)), s3("PutBucketLifecycleConfiguration", lifecycle(3, Filter={"Prefix": ""})),
         s3("PutBucketLifecycle", {"bucketName": "orders", "LifecycleConfiguration": {"Rule": [
             {"Status": "Enabled", "Expiration": {"Days": 400}}, {"Status": "Enabled", "Expiration": {"Days": 1}}]}}),
         s3("PutBucketLifecycle", {"bucketName": "orders", "LifecycleConfiguration": {"Rule": {"Status": "Enabled", "Expiration": {"Date": "2026-02-05T00:00:00Z"}}}}),
         s3("PutBucketLifecycle", lifecycle(1, Filter={"And": {"Prefix": "", "ObjectSizeGreaterThan": 1}})),
         s3("PutBucketLifecycle", {"bucketName": "orders", "LifecycleConfiguration": {"Rule": {"Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}}}),
         s3("PutBucketLifecycle", {"bucketName": "orders", "LifecycleConfiguration": {"Rule": [
             {"Status": "Enabled", "Expiration": {"Days": 400}}, {"Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 2}}]}})],
        [s3("PutBucketLifecycle", lifecycle(90)), s3("PutBucketLifecycle", lifecycle(1, Filter={"Prefix": "tmp/"})),
         s3("PutBucketLifecycle", lifecycle(1, Status="Disabled")), s3("PutBucketLifecycle", lifecycle(1, Filter={"Tag": {"Key": "ttl", "Value": "1d"}})),
         s3("PutBucketLifecycle", lifecycle(1, Filter={"And": {"Prefix": "tmp/", "Tag": {"Key": "ttl", "Value": "1d"}}})),
         s3("PutBucketLifecycle", {"bucketName": "orders", "LifecycleConfiguration": {"Rule": [
             {"Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}, {"Filter": {"Prefix": "old/"}, "Expiration": {"Days": 90}}]}}),
         s3("PutBucketLifecycle", {"bucketName": "orders", "LifecycleConfiguration": {"Rule": {"NoncurrentVersionExpiration": {"NoncurrentDays": 30}}}}),
         s3("PutBucketLifecycle", {"bucketName": "orders", "LifecycleConfiguration": {"Rule": {"Transition": {"Days": 1, "StorageClass": "GLACIER_IR"}}}})]),
    "Public access block removed": (
        [s3("PutBucketPublicAccessBlock", {"bucketName": "orders", "PublicAccessBlockConfiguration": block}) for block in (
            {"xmlns": "http://s3.amazonaws.com/doc/2006-03-01/"}, {"BlockPublicAcls": "false", "BlockPublicPolicy": "true", "IgnorePublicAcls": "true", "RestrictPublicBuckets": "true"})]
        + [s3("DeleteBucketPublicAccessBlock", {"bucketName": "orders"}, who=IN_CONSOLE)],
        [s3("PutBucketPublicAccessBlock", {"bucketName": "orders", "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True, "BlockPublicPolicy": True, "IgnorePublicAcls": True, "RestrictPublicBuckets": True}}),
         s3("PutBucketPublicAccessBlock", {"bucketName": "orders", "PublicAccessBlockConfiguration": {"BlockPublicAcls": "true"}})]),
    "EC2 account protection disabled": (
        [ec2(name) for name in ("DisableSnapshotBlockPublicAccess", "DisableImageBlockPublicAccess", "DisableEbsEncryptionByDefault", "EnableSerialConsoleAccess")],
        [ec2("EnableSnapshotBlockPublicAccess"), ec2("EnableSerialConsoleAccess", error=UNAUTHORIZED)]),
    "Snapshot or image made public": (
        [event("ssm", "ModifyDocumentPermission", {"name": "doc", "permissionType": "Share", "accountIdsToAdd": ["all"]})],
        [ec2("ModifySnapshotAttribute", {"snapshotId": "snap-1", "createVolumePermission": {"remove": {"items": [{"group": "all"}]}}})]),
    "Snapshot or image shared with an unknown account": (
        [ec2("ModifyImageAttribute", {"imageId": "ami-1", **group({"organizationArn": "arn:aws:organizations::777788889999:organization/o-x"}, key="launchPermission")}),
         ec2("ModifySnapshotAttribute", {"snapshotId": "snap-1", **group({"userId": ACCOUNT}, {"userId": STRANGER_ACCOUNT}, key="createVolumePermission")}),
         event("rds", "ModifyDBClusterSnapshotAttribute", {"attributeName": "restore", "valuesToAdd": [STRANGER_ACCOUNT]}),
         event("redshift", "AuthorizeSnapshotAccess", {"snapshotIdentifier": "s", "accountWithRestoreAccess": STRANGER_ACCOUNT})],
        [ec2("ModifyImageAttribute", {"imageId": "ami-1", "launchPermission": {"remove": {"items": [{"userId": STRANGER_ACCOUNT}]}}}),
         event("rds", "ModifyDBSnapshotAttribute", {"attributeName": "restore", "valuesToRemove": [STRANGER_ACCOUNT]}),
         ec2("ModifyImageAttribute", {"imageId": "ami-1", **group({"userId": ACCOUNT}, key="launchPermission")}),
         event("redshift", "RevokeSnapshotAccess", {"snapshotIdentifier": "s", "accountWithRestoreAccess": STRANGER_ACCOUNT})]),
    "Snapshot restored or exported": (
        [event("rds", "RestoreDBInstanceFromDBSnapshot", database(dBSnapshotIdentifier="nightly")),
         event("rds", "StartExportTask", {"exportTaskIdentifier": "x", "s3BucketName": "elsewhere"}),
         event("dynamodb", "ExportTableToPointInTime", {"tableArn": "a", "s3Bucket": "elsewhere"}, who=CI),
         event("elasticache", "CopySnapshot", {"sourceSnapshotName": "s", "targetBucket": "elsewhere"}),
         event("ebs", "GetSnapshotBlock", {"snapshotId": "snap-1", "blockIndex": 1}, **DATA)],
        [event("logs", "StartExportTask"), event("rds", "RestoreDBInstanceFromDBSnapshot", database(), who=CLOUDFORMATION),
         ec2("CopySnapshot", {"sourceSnapshotId": "snap-1"}), event("ebs", "GetSnapshotBlock", {"snapshotId": "snap-1"}, who=CI, **DATA)]),
    "Resource policy opened to everyone": (
        [event("kms", "PutKeyPolicy", {"keyId": "k", "policyName": "default", "policy": trust("*")}),
         event("sqs", "SetQueueAttributes", {"queueUrl": "q", "attributes": {"Policy": trust({"AWS": "*"})}}),
         event("ecr", "SetRepositoryPolicy", {"repositoryName": "app", "policyText": trust("*")}),
         event("lambda", "AddPermission20150331v2", {"functionName": "pay", "statementId": "s", "action": "lambda:InvokeFunction", "principal": "*"}),
         event("codebuild", "UpdateProjectVisibility", {"projectArn": "p", "projectVisibility": "PUBLIC_READ"}),
         event("lambda", "AddLayerVersionPermission20181031", {"layerName": "l", "statementId": "s", "action": "lambda:GetLayerVersion", "principal": "*"}),
         event("sns", "AddPermission", {"topicArn": "t", "label": "l", "aWSAccountId": ["*"], "actionName": ["Publish"]}),
         event("events", "PutPermission", {"action": "events:PutEvents", "principal": "*", "statementId": "s"}),
         event("s3tables", "PutTableBucketPolicy", {"resourcePolicy": trust("*")})],
        [event("kms", "PutKeyPolicy", {"keyId": "k", "policyName": "default", "policy": trust({"AWS": f"{ARN}:root"})}),
         event("lambda", "AddPermission20150331v2", {"functionName": "pay", "statementId": "s", "action": "lambda:InvokeFunction", "principal": "s3.amazonaws.com",
               "sourceArn": "arn:aws:s3:::orders"}),
         event("codebuild", "UpdateProjectVisibility", {"projectArn": "p", "projectVisibility": "PRIVATE"}),
         event("events", "PutPermission", {"action": "events:PutEvents", "principal": "*", "statementId": "s", "condition": {"type": "StringEquals", "key": "aws:PrincipalOrgID", "value": "o-a1b2c3d4e5"}}),
         event("es", "CreateDomain", {"domainName": "d", "vPCOptions": {"subnetIds": ["subnet-1"]}, "accessPolicies": trust("*")}),
         event("elasticfilesystem", "PutFileSystemPolicy", {"fileSystemId": "fs-1", "policy": json.dumps({"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"},
               "Action": "elasticfilesystem:ClientMount", "Condition": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}}}]})})]),
    "Key granted to another account": (
        [event("kms", "CreateGrant", {"keyId": "k", "granteePrincipal": f"arn:aws:iam::{STRANGER_ACCOUNT}:root", "operations": ["Decrypt"]}, who=who)
         for who in (KEY, CI)],
        [event("kms", "CreateGrant", {"keyId": "k", "granteePrincipal": f"{ARN}:role/app", "operations": ["Decrypt"]}),
         event("kms", "CreateGrant", {"keyId": "k", "granteePrincipal": f"arn:aws:iam::{STRANGER_ACCOUNT}:root", "operations": ["Decrypt"]},
               who={**KEY, "invokedBy": "dynamodb.amazonaws.com"})]),
    "Resource shared outside the organization": (
        [event("ram", "CreateResourceShare", {"name": "x", "principals": [STRANGER_ACCOUNT], "allowExternalPrincipals": True}),
         event("ram", "AssociateResourceShare", {"resourceShareArn": "x", "principals": [STRANGER_ACCOUNT]}),
         event("ram", "UpdateResourceShare", {"resourceShareArn": "x", "allowExternalPrincipals": True})],
        [event("ram", "CreateResourceShare", {"name": "x", "principals": [STRANGER_ACCOUNT], "allowExternalPrincipals": False}),
         event("ram", "CreateResourceShare", {"name": "x", "resourceArns": ["a"]}),
         event("ram", "DisassociateResourceShare", {"resourceShareArn": "x", "principals": [STRANGER_ACCOUNT]})]),
    "Bucket replicated to an unknown account": (
        [s3("PutBucketReplication", {"bucketName": "orders", "ReplicationConfiguration": {"Rule": {"Destination": {"Bucket": "arn:aws:s3:::x", "Account": STRANGER_ACCOUNT}}}}),
         s3("PutBucketReplication", {"bucketName": "orders", "ReplicationConfiguration": {"Rule": [{"Destination": {"Bucket": "arn:aws:s3:::x", "Account": STRANGER_ACCOUNT}}]}}),
         s3("PutBucketReplication", {"bucketName": "orders", "ReplicationConfiguration": {"Rule": [
             {"Destination": {"Bucket": "arn:aws:s3:::x", "Account": account}} for account in (ACCOUNT, STRANGER_ACCOUNT)]}})],
        [s3("PutBucketReplication", {"bucketName": "orders", "ReplicationConfiguration": {"Rule": {"Destination": {"Bucket": "arn:aws:s3:::x", "Account": ACCOUNT}}}}),
         s3("PutBucketReplication", {"bucketName": "orders", "ReplicationConfiguration": {"Rule": {"Destination": {"Bucket": "arn:aws:s3:::x"}}}}),
         s3("PutBucketReplication", {"bucketName": "orders", "ReplicationConfiguration": {"Rule": [
             {"Destination": {"Bucket": f"arn:aws:s3:::{name}", "Account": ACCOUNT}} for name in ("x", "y")]}})]),
    "Object encrypted with a key of the caller": (
        [s3("PutObject", {"bucketName": "orders", "key": "1.csv", "x-amz-server-side-encryption-customer-algorithm": "AES256"}, **DATA),
         s3("CopyObject", {"bucketName": "orders", "key": "2.csv"}, additionalEventData={"SSEApplied": "SSE_C"}, **DATA)],
        [s3("PutObject", {"bucketName": "orders", "key": "3.csv", "x-amz-server-side-encryption": "AES256"}, additionalEventData={"SSEApplied": "SSE_S3"}, **DATA)]),
    "Data encrypted with a key of another account": (
        [s3("CopyObject", {"bucketName": "orders", "key": "1.csv", "x-amz-server-side-encryption-aws-kms-key-id": kms_key(STRANGER_ACCOUNT)}, **DATA),
         s3("PutBucketEncryption", default_key(STRANGER_ACCOUNT)),
         ec2("ModifyEbsDefaultKmsKeyId", {"ModifyEbsDefaultKmsKeyIdRequest": {"KmsKeyId": kms_key(STRANGER_ACCOUNT)}})],
        [s3("CopyObject", {"bucketName": "orders", "key": "1.csv", "x-amz-server-side-encryption-aws-kms-key-id": kms_key(ACCOUNT)}, **DATA),
         s3("PutBucketEncryption", default_key(ACCOUNT)),
         s3("PutBucketEncryption", {"bucketName": "orders", "ServerSideEncryptionConfiguration": {"Rule": {
             "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}}}),
         ec2("ModifyEbsDefaultKmsKeyId", {"ModifyEbsDefaultKmsKeyIdRequest": {"KmsKeyId": "alias/disks"}})]),
    "Ransom note written": (
        [s3("PutObject", {"bucketName": "orders", "key": key}, **DATA) for key in ("FILES-DELETED.txt", "a/HOW_TO_RECOVER_FILES.html", "RANSOM_NOTE.txt", "How-To-Decrypt.txt")],
        [s3("PutObject", {"bucketName": "orders", "key": key}, **DATA) for key in ("2026/02/report.csv", "assets/decrypt-4f3a.js", "reports/ransomware-q3.pdf",
             "docs/README_how_to_restore_backup.md")]
        + [s3("GetObject", {"bucketName": "orders", "key": "RANSOM_NOTE.txt"}, **DATA)]),
    "Objects deleted in bulk": (
        [s3("DeleteObjects", {"bucketName": "orders", "delete": ""}, **DATA),
         s3("DeleteObject", {"bucketName": "orders", "key": "1.csv", "versionId": "v1"}, **DATA),
         s3("DeleteObject", {"bucketName": "orders", "key": "1.csv", "x-amz-bypass-governance-retention": "true"}, **DATA)],
        [s3("DeleteObject", {"bucketName": "orders", "key": "1.csv"}, **DATA), s3("DeleteObjects", {"bucketName": "orders", "delete": ""}, who=CI, **DATA)]),
    "Bucket versioning suspended": (
        [s3("PutBucketVersioning", {"bucketName": "orders", "VersioningConfiguration": {"Status": "Suspended"}})],
        [s3("PutBucketVersioning", {"bucketName": "orders", "VersioningConfiguration": {"Status": "Enabled"}})]),
    "Backup or recovery point destroyed": (
        [event("backup", "DeleteRecoveryPoint", {"backupVaultName": "main"}), event("dynamodb", "UpdateContinuousBackups", {
            "tableName": "t", "pointInTimeRecoverySpecification": {"pointInTimeRecoveryEnabled": False}}),
         event("rds", "ModifyDBInstance", database(backupRetentionPeriod=0)), event("rds", "DeleteDBInstance", database(skipFinalSnapshot=True)),
         event("redshift", "DeleteCluster", {"clusterIdentifier": "dw", "skipFinalClusterSnapshot": True}),
         event("backup", "UpdateRecoveryPointLifecycle", {"backupVaultName": "main", "lifecycle": {"deleteAfterDays": 1}}),
         event("rds", "DeleteDBSnapshot", {"dBSnapshotIdentifier": "manual-1"}), event("backup", "DeleteRecoveryPoint", {"backupVaultName": "main"}, who=IN_CONSOLE)],
        [event("backup", "DeleteRecoveryPoint", {"backupVaultName": "main"}, who=SERVICE), event("rds", "ModifyDBInstance", database(backupRetentionPeriod=14)),
         event("rds", "DeleteDBInstance", database(skipFinalSnapshot=True), who=CLOUDFORMATION),
         event("redshift", "DeleteCluster", {"clusterIdentifier": "dw", "skipFinalClusterSnapshot": False, "finalClusterSnapshotIdentifier": "last"}),
         event("eks", "DeleteCluster", {"name": "prod"}),
         event("backup", "UpdateRecoveryPointLifecycle", {"backupVaultName": "main", "lifecycle": {"deleteAfterDays": 365}}),
         event("rds", "DeleteDBSnapshot", {"dBSnapshotIdentifier": "manual-1"}, who=CI)]),
    "Database made public or its password set": (
        [event("rds", "RestoreDBInstanceFromDBSnapshot", database(publiclyAccessible=True)),
         event("rds", "ModifyDBInstance", database(masterUserPassword="****")),
         event("rds", "ModifyDBCluster", {"dBClusterIdentifier": "orders", "masterUserPassword": "****"}),
         event("redshift", "ModifyCluster", {"clusterIdentifier": "dw", "publiclyAccessible": True})],
        [event("rds", "CreateDBInstance", database(publiclyAccessible=False, masterUserPassword="****")),
         event("rds", "ModifyDBInstance", database(allocatedStorage=100))]),
    "Secrets listed": (
        [event("secretsmanager", "ListSecrets", {"filters": [{"key": "tag-key", "values": ["app"]}]}), event("secretsmanager", "ListSecrets", {}, who=SSO, error="AccessDeniedException"),
         event("secretsmanager", "ListSecrets", {}, userAgent="Mozilla/5.0")],
        [event("secretsmanager", "ListSecrets", {}, who=CI), event("secretsmanager", "ListSecrets", {}, who=SSO, **FROM_CONSOLE),
         event("secretsmanager", "GetSecretValue", {"secretId": "app"})]),
    "Password of an instance read": (
        [ec2("GetPasswordData", {"instanceId": "i-0a1b2c3d4e5f60718"}), ec2("GetPasswordData", {"instanceId": "i-0a1b2c3d4e5f60718"}, who=CI, error=UNAUTHORIZED),
         ec2("GetPasswordData", {"instanceId": "i-0a1b2c3d4e5f60718"}, who=CI, **TERRAFORM)],
        [ec2("GetPasswordData", {"instanceId": "i-0a1b2c3d4e5f60718"}, who={**CI, "invokedBy": "ssm.amazonaws.com"})]),
    "Private key exported": (
        [event("acm", "ExportCertificate", {"certificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/c"}, who=CI),
         event("lightsail", "DownloadDefaultKeyPair", error=DENIED)],
        [event("lightsail", "GetInstanceAccessDetails", {"instanceName": "blog"}, who=CONSOLE_USER, **FROM_CONSOLE),
         event("acm", "GetCertificate", {"certificateArn": "c"})]),
    "User data of an instance read": (
        [ec2("DescribeInstanceAttribute", {"instanceId": "i-0a1b2c3d4e5f60718", "attribute": "userData"}, who=CI, error=error) for error in (None, UNAUTHORIZED)]
        + [ec2("DescribeInstanceAttribute", {"instanceId": "i-0a1b2c3d4e5f60718", "attribute": "userData"}, userAgent="Mozilla/5.0")],
        [ec2("DescribeInstanceAttribute", {"instanceId": "i-0a1b2c3d4e5f60718", "attribute": "instanceType"}),
         ec2("DescribeInstanceAttribute", {"instanceId": "i-0a1b2c3d4e5f60718", "attribute": "userData"}, **TERRAFORM),
         ec2("DescribeInstanceAttribute", {"instanceId": "i-0a1b2c3d4e5f60718", "attribute": "userData"}, who=SSO, **FROM_CONSOLE)]),
    "Session opened on a machine": (
        [event("ec2-instance-connect", "SendSerialConsoleSSHPublicKey", {"instanceId": "i-0a1b2c3d4e5f60718"}, error="SerialConsoleAccessDisabledException"),
         ec2("CreateInstanceConnectEndpoint", {"CreateInstanceConnectEndpointRequest": {"SubnetId": "subnet-1"}})],
        [event("ssm", "StartSession", {"target": "i-0a1b2c3d4e5f60718"}, error="AccessDeniedException")]),
    "Command run on machines": (
        [event("ssm", "CreateAssociation", {"name": "AWS-RunShellScript", "targets": [{"key": "InstanceIds", "values": ["*"]}]}),
         event("ssm", "SendCommand", {"documentName": "arn:aws:ssm:us-east-1::document/AWS-RunShellScript", "instanceIds": ["i-1"]}),
         event("ssm", "UpdateAssociation", {"associationId": "a", "name": "AWS-RunShellScript"}),
         event("ssm", "CreateAssociationBatch", {"entries": [{"name": "AWS-RunPowerShellScript"}]}),
         event("ssm", "SendCommand", {"documentName": "collect", "instanceIds": ["i-1"]}),
         event("ssm", "StartChangeRequestExecution", {"documentName": "AWS-HelloWorldChangeTemplate", "runbooks": [{"documentName": "AWS-RunShellScript"}]}),
         event("ssm", "UpdateMaintenanceWindowTask", {"windowId": "mw-1", "windowTaskId": "t-1", "taskArn": "AWS-RunShellScript"}),
         event("ssm", "RegisterTaskWithMaintenanceWindow", {"windowId": "mw-1", "taskArn": "AWS-RunShellScript", "taskType": "RUN_COMMAND"})],
        [event("ssm", "CreateAssociation", {"name": "AWS-GatherSoftwareInventory"}),
         event("ssm", "SendCommand", {"documentName": "AWS-ConfigureAWSPackage", "instanceIds": ["i-1"]}),
         event("ssm", "SendCommand", {"documentName": "AmazonCloudWatch-ManageAgent", "instanceIds": ["i-1"]}),
         event("ssm", "SendCommand", {"documentName": "collect", "instanceIds": ["i-1"]}, who=CI),
         event("ssm", "UpdateMaintenanceWindowTask", {"windowId": "mw-1", "windowTaskId": "t-1", "taskArn": "AWS-InstallWindowsUpdates"}),
         event("ssm", "CreateAssociation", {"name": "AWS-RunShellScript"}, who={**CI, "invokedBy": "ssm.amazonaws.com"}),
         event("ssm", "RegisterTaskWithMaintenanceWindow", {"windowId": "mw-1", "taskArn": "arn:aws:lambda:us-east-1:111122223333:function:f", "taskType": "LAMBDA"})]),
    "Activation of Systems Manager created": (
        [event("ssm", "CreateActivation", {"iamRole": "service-role/hybrid", "registrationLimit": 5}),
         event("ssm", "UpdateServiceSetting", {"settingId": "/ssm/managed-instance/default-ec2-instance-management-role", "settingValue": "service-role/x"})],
        [event("ssm", "DeleteActivation", {"activationId": "a"}),
         event("ssm", "UpdateServiceSetting", {"settingId": "/ssm/parameter-store/high-throughput-enabled", "settingValue": "true"})]),
    "User data of an instance changed": (
        [], [ec2("ModifyInstanceAttribute", {"instanceId": "i-1", "userData": "<sensitiveDataRemoved>"}, who=CLOUDFORMATION),
             ec2("ModifyInstanceAttribute", {"instanceId": "i-1", "instanceType": {"value": "m5.large"}})]),
    "Security group open to the world": (
        [ec2("AuthorizeSecurityGroupIngress", ingress(permission)) for permission in (
            ("tcp", 22, 22, "1.2.3.4/0"), ("tcp", 22, 22, "0:0:0:0:0:0:0:0/0"), ("tcp", 80, 443, "0.0.0.0/0"), ("-1", -1, -1, "128.0.0.0/1"),
            ("-1", 443, 443, "0.0.0.0/0"), ("132", 443, 443, "0.0.0.0/0"), ("tcp", 22, 22, "64.0.0.0/2"), ("tcp", 22, 22, "2000::/3"))]
        + [ec2("AuthorizeSecurityGroupIngress", ingress(("tcp", 443, 443, "0.0.0.0/0"), ("tcp", 22, 22, "0.0.0.0/0"))),
           ec2("AuthorizeSecurityGroupIngress", ingress(("tcp", 22, 22, "10.0.0.0/8"), ("tcp", 443, 443, "0.0.0.0/0"), ("tcp", 3389, 3389, "::/0"))),
           ec2("AuthorizeSecurityGroupIngress", ingress(*[("tcp", port, port, "0.0.0.0/0") for port in (80, 443, 80, 22)])),
           ec2("AuthorizeSecurityGroupIngress", {"groupName": "web", "ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "cidrIp": "0.0.0.0/0"}),
           ec2("ModifyManagedPrefixList", {"ModifyManagedPrefixListRequest": {"PrefixListId": "pl-1", "AddEntry": {"tag": 1, "Cidr": "0.0.0.0/0"}}}),
           ec2("AuthorizeSecurityGroupIngress", {"groupName": "web", "ipProtocol": "-1", "fromPort": 443, "toPort": 443, "cidrIp": "0.0.0.0/0"}),
           ec2("AuthorizeSecurityGroupIngress", {**ingress(("tcp", 22, 22, "0.0.0.0/0")), "ipProtocol": "tcp", "fromPort": 443, "toPort": 443}),
           ec2("ModifySecurityGroupRules", {"ModifySecurityGroupRulesRequest": {"GroupId": "sg-1", "SecurityGroupRule": {"SecurityGroupRuleId": "sgr-1", "SecurityGroupRule": {
               "CidrIpv4": "0.0.0.0/0", "FromPort": 443, "ToPort": 443, "IpProtocol": "-1"}}}}),
           event("rds", "AuthorizeDBSecurityGroupIngress", {"dBSecurityGroupName": "d", "cIDRIP": "0.0.0.0/0"})],
        [ec2("AuthorizeSecurityGroupIngress", ingress(("tcp", 80, 80, "0.0.0.0/0"), ("tcp", 443, 443, "::/0"))),
         ec2("AuthorizeSecurityGroupIngress", ingress(("tcp", 22, 22, "198.51.100.0/24"))), ec2("AuthorizeSecurityGroupIngress", ingress(("tcp", 22, 22, "10.0.0.0/10"))),
         ec2("AuthorizeSecurityGroupIngress", ingress(("icmp", 8, -1, "0.0.0.0/0"))),
         ec2("AuthorizeSecurityGroupIngress", {"groupName": "web", "ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "cidrIp": "0.0.0.0/0"}),
         ec2("AuthorizeSecurityGroupIngress", ingress(("tcp", 22, 22, "10.0.0.0/8"))),
         ec2("AuthorizeSecurityGroupIngress", ingress(("tcp", 80, 80, "0.0.0.0/0"), ("tcp", 443, 443, "0.0.0.0/0"), ("tcp", 22, 22, "198.51.100.0/24"))), ec2("AuthorizeSecurityGroupIngress", ingress(("tcp", 22, 22, "fc00::/7"))),
         ec2("AuthorizeSecurityGroupIngress", {"groupId": "sg-1", "ipPermissions": {"items": [{"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "ipRanges": {
             "items": [{"cidrIp": "198.51.100.0/24", "description": "ticket NET-7/1"}]}}]}})]),
    "Network ACL open to the world": (
        [ec2("CreateNetworkAclEntry", {"networkAclId": "acl-1", "ruleNumber": 90, "egress": False, "ruleAction": "allow", "cidrBlock": "0.0.0.0/0", "aclProtocol": "-1"})],
        [ec2("CreateNetworkAclEntry", {"networkAclId": "acl-1", "ruleNumber": 90, "egress": True, "ruleAction": "allow", "cidrBlock": "0.0.0.0/0"}),
         ec2("CreateNetworkAclEntry", {"networkAclId": "acl-1", "ruleNumber": 90, "egress": False, "ruleAction": "deny", "cidrBlock": "0.0.0.0/0"}),
         ec2("CreateNetworkAclEntry", {"networkAclId": "acl-1", "ruleNumber": 90, "egress": False, "ruleAction": "allow", "cidrBlock": "10.0.0.0/8"})]),
    "Traffic mirrored": (
        [ec2("CreateTrafficMirrorSession", {"CreateTrafficMirrorSessionRequest": {"NetworkInterfaceId": "eni-1"}})],
        [ec2("DescribeTrafficMirrorSessions", {})]),
    "Metadata service open to IMDSv1": (
        [], [ec2("RunInstances", run("m5.large", 1, metadataOptions={"httpTokens": "optional"}), who={**CI, "invokedBy": "autoscaling.amazonaws.com"})]),
    "GPU instances started in bulk": (
        [ec2("RunInstances", run("p2.xlarge", 1), error=UNAUTHORIZED), ec2("RunInstances", run("g5.48xlarge", 10), error="Client.VcpuLimitExceeded"),
         ec2("RunInstances", run("p3.16xlarge", 1), error="Client.DryRunOperation"),
         ec2("RequestSpotInstances", {"instanceCount": 2, "launchSpecification": {"instanceType": "p5.48xlarge"}}),
         ec2("RunInstances", {"instancesSet": {"items": [{"minCount": 4, "maxCount": 4}]}, "launchTemplate": {"launchTemplateId": "lt-1"}},
             {"instancesSet": {"items": [{"imageId": "ami-1", "instanceType": "p5.48xlarge"}]}})],
        [ec2("RunInstances", run("g5.xlarge", 4), who={**CI, "invokedBy": "autoscaling.amazonaws.com"}), ec2("RunInstances", run("m5.large", 4)),
         ec2("RunInstances", run("m5.large", 1), error="Client.DryRunOperation")]),
    "Instances requested in bulk": (
        [ec2("RunInstances", run("c5.24xlarge", 20)), ec2("RunInstances", run("c5.24xlarge", 20), error="Client.InstanceLimitExceeded"),
         event("autoscaling", "CreateAutoScalingGroup", {"autoScalingGroupName": "x", "minSize": 50, "maxSize": 100}),
         event("autoscaling", "SetDesiredCapacity", {"autoScalingGroupName": "x", "desiredCapacity": 100}),
         event("autoscaling", "UpdateAutoScalingGroup", {"autoScalingGroupName": "x", "minSize": 20, "maxSize": 999}, who=SSO),
         event("servicequotas", "RequestServiceQuotaIncrease", {"serviceCode": "ec2", "quotaCode": "L-417A185B", "desiredValue": 1000})],
        [ec2("RunInstances", run("m5.large", 20), who={**CI, "invokedBy": "autoscaling.amazonaws.com"}), ec2("RunInstances", run("m5.large", 9)),
         event("servicequotas", "RequestServiceQuotaIncrease", {"serviceCode": "ec2", "quotaCode": "L-417A185B"}, who=SSO),
         event("autoscaling", "SetDesiredCapacity", {"autoScalingGroupName": "x", "desiredCapacity": 100}, who=CI),
         event("autoscaling", "SetDesiredCapacity", {"autoScalingGroupName": "x", "desiredCapacity": 3}),
         event("autoscaling", "CreateAutoScalingGroup", {"autoScalingGroupName": "x", "minSize": 1, "maxSize": 100, "desiredCapacity": 2})]),
    "Lambda function callable without authentication": (
        [event("lambda", "CreateFunctionUrlConfig", {"functionName": "pay", "authType": "NONE"})],
        [event("lambda", "CreateFunctionUrlConfig", {"functionName": "pay", "authType": "AWS_IAM"})]),
    "Code of a Lambda function changed": (
        [], [event("lambda", "UpdateFunctionCode20150331v2", {"functionName": "pay"}, who=who) for who in (CLOUDFORMATION, PIPELINE)]),
    "Image pushed to ECR": (
        [event("ecr", "PutImage", {"repositoryName": "app", "imageTag": "latest"}, {"image": {"imageId": {"imageDigest": "sha256:0"}}}, who=SSO)],
        [event("ecr", "PutImage", {"repositoryName": "app", "imageTag": "latest"}, who=CI)]),
    "Notebook or development endpoint changed": (
        [event("sagemaker", "UpdateNotebookInstanceLifecycleConfig", {"notebookInstanceLifecycleConfigName": "x"}),
         event("glue", "CreateDevEndpoint", {"endpointName": "x", "roleArn": f"{ARN}:role/glue"}),
         event("bedrock-agentcore", "CreateCodeInterpreter", {"name": "x", "executionRoleArn": f"{ARN}:role/admin"})],
        [event("sagemaker", "StartNotebookInstance", {"notebookInstanceName": "x"}),
         event("bedrock-agentcore", "CreateCodeInterpreter", {"name": "x"})]),
    "Bedrock used with a long-lived key": (
        [event("bedrock", "InvokeModel", {"modelId": "anthropic.claude-v2"}, error=error) for error in (None, "AccessDeniedException", "ValidationException")]
        + [event("bedrock", "InvokeModel", {"modelId": "anthropic.claude-v2"}, who=who) for who in (SESSION_OF_KEY, API_KEY)]
        + [event("bedrock", "StartAsyncInvoke", {"modelId": "amazon.nova-reel-v1"})],
        [event("bedrock", "InvokeModel", {"modelId": "m"}, who=user(key="ASIAEXAMPLE000000004", sessionContext={"attributes": {"mfaAuthenticated": "true"}})),
         event("bedrock", "InvokeModel", {"modelId": "anthropic.claude-v2"}, who=CI)]),
    "SES or SMS probed or changed with a long-lived key": (
        [event("ses", "GetAccount"), event("ses", "GetSendQuota", error="AccessDenied"), event("ses", "UpdateAccountSendingEnabled", {"enabled": True}),
         event("ses", "ListIdentities", {"identityType": "Domain"}),
         event("sns", "SetSMSAttributes", {"attributes": {"MonthlySpendLimit": "1000"}})],
        [event("ses", "GetSendQuota"), event("ses", "ListIdentities", who=SSO), event("sts", "GetAccount"), event("sns", "GetSMSAttributes", who=CI)]),
    "Root user browsed the console": (
        [event("billing", "GetBillingData", who=ROOT, **FROM_CONSOLE), event("billing", "ListBills", who=ROOT, error=DENIED, **FROM_CONSOLE),
         ec2("DescribeInstances", {}, who={**ROOT, "invokedBy": "signin.amazonaws.com"}),
         ec2("DescribeImages", {}, who=ROOT, userAgent="console.ec2.amazonaws.com")],
        [event("billing", "GetBillingData", who=CONSOLE_USER, **FROM_CONSOLE)]),
    "Root user activity": (
        [ec2("DescribeInstances", who=ROOT), iam("TagUser", {"userName": "x"}, who=ROOT), ec2("StopInstances", who={**ROOT, "invokedBy": "signin.amazonaws.com"}), ec2("StopInstances", who=ROOT, error=UNAUTHORIZED),
         ec2("StopInstances", who=ROOT, eventType=None), sign_in(ROOT, "Success", "Yes"), event("secretsmanager", "GetSecretValue", {"secretId": "s"}, who=ROOT_KEY, userAgent="Mozilla/5.0"),
         event("cloudtrail", "StopLogging", {"name": "main"}, who=ROOT, error="TrailNotFoundException")],
        [iam("TagUser", {"userName": "x"}), ec2("DescribeInstances", who={**ROOT, "invokedBy": "support.amazonaws.com"})]),
    "Change in an unused region": (
        [ec2("RunInstances", run("t3.micro", 1), awsRegion="me-south-1", eventType=None)],
        [ec2("RunInstances", run("t3.micro", 1), awsRegion="me-south-1", eventType="AwsServiceEvent"),
         ec2("DescribeInstances", awsRegion="me-south-1")]),
}


def main():
    for rule, (matches, misses) in GENERATED.items():
        folder = HERE / "".join(c if c.isalnum() and c.isascii() else "-" for c in rule.lower())
        folder.mkdir(exist_ok=True)
        for kind, records in (("match", matches), ("miss", misses)):
            if not records:
                continue
            for number, record in enumerate(records):
                for member, what in (("eventID", "event"), ("requestID", "request")):
                    record[member] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{rule}/{kind}/{number}/{what}"))
            lines = ",\n".join(json.dumps(record, separators=(",", ":")) for record in records)
            (folder / f"generated-{kind}.json").write_text(f'{{"Records":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
