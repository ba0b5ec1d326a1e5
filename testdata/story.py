"""The content of the sample logs: a morning at an invented company in which credentials are stolen.

All accounts, addresses and domains are invented or reserved for documentation.
`FILES` lists every file with its records in order.
"""

import hashlib
import json

ORG = "o-exampleorg"
PROD, DATA, AUDIT = "111122223333", "444455556666", "777788889999"
OFFICE, HOME, ATTACKER, ATTACKER6 = "192.0.2.10", "192.0.2.77", "203.0.113.66", "2001:db8:66::bad"
DAY = "2026-01-14"
CLI = "aws-cli/2.22.7 md/awscrt#0.23.4 ua/2.0 os/linux#6.8.0 lang/python#3.12.6 md/command#{}"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
TERRAFORM = "APN/1.0 HashiCorp/1.0 Terraform/1.10.2 (+https://www.terraform.io) aws-sdk-go-v2/1.32.6 ua/2.1 os/linux lang/go#1.23.3"


class Raw:
    """A value with a verbatim JSON text, such as `1.688560107857E9`."""

    def __init__(self, text):
        self.text = text


def identifier(*seed):
    digest = hashlib.sha256(repr(seed).encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], "4" + digest[12:15], "a" + digest[15:18], digest[18:30]))


def short(prefix, *seed):
    return prefix + hashlib.sha256(repr(seed).encode()).hexdigest()[:17]


def access_key(prefix, owner):
    return prefix + hashlib.sha256(owner.encode()).hexdigest()[:9].upper() + "EXAMPLE"


def iam_user(name, account=PROD, key=True, **more):
    identity = {"type": "IAMUser", "principalId": "AIDA" + access_key("", name),
                "arn": f"arn:aws:iam::{account}:user/{name}", "accountId": account}
    if key:
        identity["accessKeyId"] = access_key("AKIA", name)
    identity["userName"] = name
    return identity | more


def assumed_role(role, session, account=PROD, mfa="false", **context):
    principal = "AROA" + access_key("", role)
    return {"type": "AssumedRole", "principalId": f"{principal}:{session}",
            "arn": f"arn:aws:sts::{account}:assumed-role/{role}/{session}", "accountId": account,
            "accessKeyId": access_key("ASIA", session),
            "sessionContext": {
                "sessionIssuer": {"type": "Role", "principalId": principal,
                                  "arn": f"arn:aws:iam::{account}:role/{role}",
                                  "accountId": account, "userName": role},
                "attributes": {"creationDate": f"{DAY}T08:31:02Z", "mfaAuthenticated": mfa}} | context}


def root(account=PROD, **more):
    return {"type": "Root", "principalId": account, "arn": f"arn:aws:iam::{account}:root",
            "accountId": account} | more


def service(name):
    return {"type": "AWSService", "invokedBy": f"{name}.amazonaws.com"}


def record(time, source, name, identity, *, ip=OFFICE, agent=None, region="us-east-1", request=None,
           response=None, read=None, account=PROD, kind="AwsApiCall", tls=None, version="1.11", **more):
    """A record with its keys in CloudTrail's order. Omits readOnly if `read` is None, and keys with the value DROP."""
    body = {"eventVersion": version, "userIdentity": identity, "eventTime": f"{DAY}T{time}Z",
            "eventSource": f"{source}.amazonaws.com", "eventName": name, "awsRegion": region,
            "sourceIPAddress": ip}
    if agent is not False:
        body["userAgent"] = agent or CLI.format(f"{source}.{name.lower()}")
    for key in ("errorCode", "errorMessage"):
        if key in more:
            body[key] = more.pop(key)
    body |= {"requestParameters": request, "responseElements": response}
    if "additionalEventData" in more:
        body["additionalEventData"] = more.pop("additionalEventData")
    if kind == "AwsApiCall":
        body["requestID"] = identifier("request", time, name)
    body["eventID"] = identifier("event", time, name, ip)
    if read is not None:
        body["readOnly"] = read
    if "resources" in more:
        body["resources"] = more.pop("resources")
    management = more.pop("managementEvent", True)
    category = more.pop("eventCategory", "Management")
    body |= {"eventType": kind, "managementEvent": management, "recipientAccountId": account} | more
    if category:
        body["eventCategory"] = category
    if tls:
        body["tlsDetails"] = {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256",
                              "clientProvidedHostHeader": tls}
    return {key: value for key, value in body.items() if value is not DROP}


DROP = object()


def console_login(time, identity, ip, result, mfa, **more):
    return record(time, "signin", "ConsoleLogin", identity, ip=ip, agent=BROWSER, read=False, kind="AwsConsoleSignIn",
                  response={"ConsoleLogin": result}, additionalEventData={
                      "LoginTo": "https://console.aws.amazon.com/console/home?hashArgs=%23&isauthcode=true",
                      "MobileVersion": "No", "MFAUsed": mfa}, tls="signin.aws.amazon.com", **more)


def object_event(time, name, identity, bucket, key, sent, received, **more):
    request = {"bucketName": bucket, "Host": f"{bucket}.s3.amazonaws.com", "key": key}
    return record(
        time, "s3", name, identity, request=request, agent="[Boto3/1.35.80 Botocore/1.35.80]",
        read=name.startswith(("Get", "Head")), managementEvent=False, eventCategory="Data",
        additionalEventData={"SignatureVersion": "SigV4", "CipherSuite": "TLS_AES_128_GCM_SHA256",
                             "bytesTransferredIn": received, "AuthenticationMethod": "AuthHeader",
                             "bytesTransferredOut": sent},
        resources=[{"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{bucket}/{key}"},
                   {"accountId": PROD, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{bucket}"}],
        tls=f"{bucket}.s3.amazonaws.com", **more)


def instance(number, image):
    return {"instanceId": short("i-0", "instance", number), "imageId": image, "instanceState": {"code": 0, "name": "pending"},
            "amiLaunchIndex": number, "productCodes": {}, "instanceType": "p5.48xlarge",
            "placement": {"availabilityZone": "us-east-1b", "tenancy": "default"},
            "subnetId": short("subnet-0", "public"), "privateIpAddress": f"10.0.4.{20 + number}"}


MARIA = iam_user("maría.gómez")
STOLEN = iam_user("maría.gómez", sessionContext={"attributes": {
    "creationDate": f"{DAY}T09:06:11Z", "mfaAuthenticated": "false"}})
BACKUP = iam_user("backup-svc")
ADMIN = assumed_role("AWSReservedSSO_Admin_0a1b2c3d4e5f6789", "lena@corp.example", mfa="true",
                     sourceIdentity="lena@corp.example")
DEPLOY = assumed_role("deploy", "GitHubActions", webIdFederationData={
    "federatedProvider": f"arn:aws:iam::{PROD}:oidc-provider/token.actions.githubusercontent.com", "attributes": {}})
NODE = assumed_role("web-node", "i-0a1b2c3d4e5f67890", ec2RoleDelivery="2.0")
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Sid": "PublicRead", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
     "Resource": "arn:aws:s3:::corp-example-backups/*", "Condition": {"StringLike": {"aws:UserAgent": "*<&'>*"}}}]}, indent=2)

MORNING = [
    record("08:45:10", "ec2", "DescribeInstances", NODE, ip="198.51.100.20", read=True,
           request={"maxResults": 100, "instancesSet": {}, "filterSet": {"items": [
               {"name": "tag:Name", "valueSet": {"items": [{"value": "web-*"}]}}]}}, tls="ec2.us-east-1.amazonaws.com"),
    record("08:45:31", "sts", "AssumeRole", service("ecs-tasks"), ip="ecs-tasks.amazonaws.com",
           agent="ecs-tasks.amazonaws.com", read=True, request={
               "roleArn": f"arn:aws:iam::{PROD}:role/orders-task", "roleSessionName": "5f3c0de1", "durationSeconds": 3600},
           response={"credentials": {"accessKeyId": access_key("ASIA", "orders"), "sessionToken": "IQoJb3JpZ2luX2VjEXAMPLE//==",
                                     "expiration": "Jan 14, 2026, 9:45:31 AM"}},
           resources=[{"accountId": PROD, "type": "AWS::IAM::Role", "ARN": f"arn:aws:iam::{PROD}:role/orders-task"}],
           sharedEventID=identifier("shared", 1)),
    record("08:46:02", "ecs", "UpdateService", DEPLOY, ip="198.51.100.140", agent=TERRAFORM, read=False,
           request={"cluster": "prod", "service": "orders", "taskDefinition": "orders:42", "desiredCount": 3},
           response={"service": {"serviceName": "orders", "status": "ACTIVE", "pendingCount": 0}}),
    record("08:46:40", "lambda", "UpdateFunctionCode20150331v2", DEPLOY, ip="198.51.100.140", agent=TERRAFORM, read=False,
           request={"functionName": "thumbnails", "publish": False, "dryRun": False},
           response={"functionName": "thumbnails", "runtime": "nodejs22.x", "codeSize": 48213, "timeout": 30}),
    record("08:47:15", "sso", "Authenticate", {
        "type": "IdentityCenterUser", "accountId": PROD, "onBehalfOf": {
            "userId": "94482488-3041-7026-18f3-be45837cd0e4",
            "identityStoreArn": f"arn:aws:identitystore::{PROD}:identitystore/d-9067642ac7"},
        "credentialId": "EXAMPLEvHtX8xqYJ0k1nB3zS5tQ2wLmC"}, ip=HOME, agent=BROWSER, read=False,
           kind="AwsServiceEvent", serviceEventDetails={"CredentialType": "WEBAUTHN", "UserName": "lena@corp.example"}),
    record("08:48:20", "kms", "Decrypt", service("secretsmanager"), ip="secretsmanager.amazonaws.com",
           agent="secretsmanager.amazonaws.com", read=True, request={
               "encryptionAlgorithm": "SYMMETRIC_DEFAULT", "encryptionContext": {"SecretVersionId": identifier("secret")}},
           resources=[{"accountId": PROD, "type": "AWS::KMS::Key",
                       "ARN": f"arn:aws:kms:us-east-1:{PROD}:key/1234abcd-12ab-34cd-56ef-1234567890ab"}]),
]

BREAK_IN = [
    console_login("09:01:07", {"type": "IAMUser", "principalId": "", "accountId": PROD, "accessKeyId": "",
                               "userName": "HIDDEN_DUE_TO_SECURITY_REASONS"}, ATTACKER, "Failure", "No",
                  errorMessage="No username found in supplied account"),
    console_login("09:02:30", root(accessKeyId=""), ATTACKER, "Failure", "No", errorMessage="Failed authentication"),
    console_login("09:04:12", iam_user("maría.gómez", key=False), ATTACKER, "Failure", "No",
                  errorMessage="Failed authentication"),
    console_login("09:06:11", iam_user("maría.gómez", key=False), ATTACKER, "Success", "No"),
    record("09:06:48", "sts", "GetCallerIdentity", STOLEN, ip=ATTACKER, read=True, sessionCredentialFromConsole="true"),
    record("09:07:05", "iam", "ListUsers", STOLEN, ip=ATTACKER, agent=BROWSER, read=True,
           request={"maxItems": 1000}, sessionCredentialFromConsole="true", tls="iam.amazonaws.com"),
    record("09:07:21", "iam", "GetAccountAuthorizationDetails", STOLEN, ip=ATTACKER, read=True, errorCode="AccessDenied",
           errorMessage=f"User: arn:aws:iam::{PROD}:user/maría.gómez is not authorized to perform: "
                        "iam:GetAccountAuthorizationDetails on resource: * because no identity-based policy allows the action"),
    record("09:07:44", "organizations", "DescribeOrganization", STOLEN, ip=ATTACKER6, read=True,
           errorCode="AWSOrganizationsNotInUseException", errorMessage="Your account is not a member of an organization."),
]

FOOTHOLD = [
    record("09:09:10", "iam", "CreateUser", STOLEN, ip=ATTACKER, agent=BROWSER, read=False, request={"userName": "backup-svc"},
           response={"user": {"path": "/", "userName": "backup-svc", "userId": "AIDA" + access_key("", "backup-svc"),
                              "arn": f"arn:aws:iam::{PROD}:user/backup-svc", "createDate": "Jan 14, 2026, 9:09:10 AM"}},
           sessionCredentialFromConsole="true"),
    record("09:09:25", "iam", "AttachUserPolicy", STOLEN, ip=ATTACKER, agent=BROWSER, read=False,
           request={"userName": "backup-svc", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
           sessionCredentialFromConsole="true"),
    record("09:09:41", "iam", "CreateAccessKey", STOLEN, ip=ATTACKER, agent=BROWSER, read=False, request={"userName": "backup-svc"},
           response={"accessKey": {"userName": "backup-svc", "accessKeyId": access_key("AKIA", "backup-svc"), "status": "Active"}},
           sessionCredentialFromConsole="true"),
    record("09:10:30", "iam", "PutRolePolicy", BACKUP, ip=ATTACKER, read=False,
           request={"roleName": "web-node", "policyName": "inline-all", "policyDocument": "{\"Version\":\"2012-10-17\",\"Statement\":"
                    "[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}"}),
    record("09:11:02", "ec2", "AuthorizeSecurityGroupIngress", BACKUP, ip=ATTACKER, read=False,
           request={"groupId": short("sg-0", "web"), "groupName": "web", "ipPermissions": {"items": [
               {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "groups": {}, "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]},
                "ipv6Ranges": {"items": [{"cidrIpv6": "::/0"}]}, "prefixListIds": {}}]}},
           response={"requestId": identifier("sg"), "_return": True}),
    record("09:12:15", "ec2", "RunInstances", BACKUP, ip=ATTACKER, read=False,
           request={"instancesSet": {"items": [{"imageId": "ami-0bad0bad0bad0bad0", "minCount": 3, "maxCount": 3}]},
                    "instanceType": "p5.48xlarge", "subnetId": short("subnet-0", "public"), "availabilityZone": "us-east-1b",
                    "disableApiTermination": True, "tagSpecificationSet": {"items": [
                        {"resourceType": "volume", "tags": [{"key": "Name", "value": "scratch"}]},
                        {"resourceType": "instance", "tags": [{"key": "Name", "value": ""}, {"key": "team", "value": "ml"},
                                                              {"key": "Name", "value": "gpu-batch ☃"}]}]}},
           response={"requestId": identifier("run"), "reservationId": short("r-0", "run"), "ownerId": PROD, "groupSet": {},
                     "instancesSet": {"items": [instance(0, "ami-0bad0bad0bad0bad0"), instance(1, "ami-0bad0bad0bad0bad0"),
                                                instance(2, "ami-0fee1bad0fee1bad0")]}}),
    record("09:12:50", "ec2", "RunInstances", BACKUP, ip=ATTACKER, read=False, errorCode="Client.VcpuLimitExceeded",
           errorMessage="You have requested more vCPU capacity than your current vCPU limit of 576 allows.",
           request={"imageId": "ami-0bad0bad0bad0bad0", "instanceType": "p5.48xlarge", "subnetId": short("subnet-0", "public")}),
    record("09:13:20", "ec2", "RequestSpotInstances", BACKUP, ip=ATTACKER, read=False,
           request={"spotPrice": "19.99", "launchSpecification": {"imageId": "ami-0spot0spot0spot00", "instanceType": "p4d.24xlarge"}},
           response={"spotInstanceRequestSet": {"items": [{"state": "open"}]}}),
]

THEFT = [
    record("09:14:02", "s3", "ListBuckets", BACKUP, ip=ATTACKER, read=True, request={"Host": "s3.amazonaws.com"},
           additionalEventData={"SignatureVersion": "SigV4", "bytesTransferredIn": 0, "bytesTransferredOut": 2341}),
    record("09:14:20", "s3", "PutBucketPublicAccessBlock", BACKUP, ip=ATTACKER, read=False,
           request={"publicAccessBlock": "", "bucketName": "corp-example-backups", "Host": "corp-example-backups.s3.amazonaws.com",
                    "PublicAccessBlockConfiguration": {"xmlns": "http://s3.amazonaws.com/doc/2006-03-01/", "RestrictPublicBuckets": False,
                                                       "BlockPublicPolicy": False, "BlockPublicAcls": False, "IgnorePublicAcls": True}},
           additionalEventData={"SignatureVersion": "SigV4", "bytesTransferredIn": 301, "bytesTransferredOut": 0}),
    record("09:14:33", "s3", "PutBucketPolicy", BACKUP, ip=ATTACKER, read=False,
           request={"bucketName": "corp-example-backups", "Host": "corp-example-backups.s3.amazonaws.com", "policy": POLICY,
                    "bucketPolicy": json.loads(POLICY)},
           additionalEventData={"bytesTransferredIn": Raw("312.0"), "bytesTransferredOut": Raw("0.0")}),
    object_event("09:15:01", "GetObject", BACKUP, "corp-example-backups", "db/2026-01-13/orders.dump", Raw("1.688560107857E9"), Raw("0.0"), ip=ATTACKER),
    object_event("09:15:44", "GetObject", BACKUP, "corp-example-backups", "hr/Gehälter 2025 (vertraulich).xlsx", Raw("2917.0"), Raw("0.0"), ip=ATTACKER),
    object_event("09:15:59", "GetObject", BACKUP, "corp-example-backups", "legal/契約書/a+b&c=\"d\".pdf", 88120, 0, ip=ATTACKER6),
    object_event("09:16:10", "HeadObject", BACKUP, "corp-example-backups", "db/missing.dump", 0, 0, ip=ATTACKER,
                 errorCode="NoSuchKey", errorMessage="The specified key does not exist."),
    object_event("09:16:30", "PutObject", BACKUP, "corp-example-backups", "READ_ME_\U0001f480.txt", Raw("0"), 911, ip=ATTACKER),
    object_event("09:16:42", "DeleteObject", BACKUP, "corp-example-backups", "db/2026-01-13/orders.dump", 0, 0, ip=ATTACKER),
]

COVER_UP = [
    record("09:18:05", "cloudtrail", "PutEventSelectors", BACKUP, ip=ATTACKER, read=False,
           request={"trailName": "org-trail", "eventSelectors": [{"readWriteType": "ReadOnly", "includeManagementEvents": False}]}),
    record("09:18:20", "cloudtrail", "StopLogging", BACKUP, ip=ATTACKER, read=False,
           request={"name": f"arn:aws:cloudtrail:us-east-1:{PROD}:trail/org-trail"}, tls="cloudtrail.us-east-1.amazonaws.com"),
    record("09:18:31", "cloudtrail", "DeleteTrail", BACKUP, ip=ATTACKER, read=False, errorCode="InsufficientOrganizationAccess",
           errorMessage="Only the management account can delete this trail.", request={"name": "org-trail"}),
    record("09:18:59", "guardduty", "DeleteDetector", BACKUP, ip=ATTACKER, read=False, request={"detectorId": "12abc34d567e8fa901bc2d34e56789f0"}),
    record("09:19:12", "ec2", "DeleteFlowLogs", BACKUP, ip=ATTACKER, request={"DeleteFlowLogsRequest": {"FlowLogId": {"tag": 1, "content": "fl-0a1b2c3d"}}},
           response={"DeleteFlowLogsResponse": {"unsuccessful": ""}}),
    record("09:19:30", "iam", "DeactivateMFADevice", BACKUP, ip=ATTACKER, read=False,
           request={"userName": "lena", "serialNumber": f"arn:aws:iam::{PROD}:mfa/lena"}),
    record("09:19:47", "iam", "CreateVirtualMFADevice", BACKUP, ip=ATTACKER, request={"virtualMFADeviceName": "lena2"},
           response={"virtualMFADevice": {"serialNumber": f"arn:aws:iam::{PROD}:mfa/lena2"}}, eventCategory=None, managementEvent=DROP),
    record("09:20:15", "kms", "ScheduleKeyDeletion", BACKUP, ip=ATTACKER, read=False, errorCode="MalformedPolicyDocumentException",
           errorMessage="", request={"keyId": "alias/backups", "pendingWindowInDays": 7, "reason": "tidy up\n\tsoon"}),
]

RESPONSE = [
    console_login("09:31:00", root(), OFFICE, "Success", "Yes"),
    record("09:32:10", "iam", "UpdateAccessKey", ADMIN, read=False, request={
        "userName": "backup-svc", "accessKeyId": access_key("AKIA", "backup-svc"), "status": "Inactive"}, tls="iam.amazonaws.com"),
    record("09:32:40", "iam", "DeleteLoginProfile", ADMIN, read=False, request={"userName": "maría.gómez"}),
    record("09:33:05", "cloudtrail", "StartLogging", ADMIN, read=False,
           request={"name": f"arn:aws:cloudtrail:us-east-1:{PROD}:trail/org-trail"}),
    record("09:33:50", "ec2", "RevokeSecurityGroupIngress", ADMIN, request={"groupId": short("sg-0", "web"), "groupName": "web"},
           response={"_return": True}, read="false"),
    record("09:34:20", "ec2", "TerminateInstances", ADMIN, read=False, errorCode="Client.OperationNotPermitted",
           errorMessage="The instance may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.",
           request={"instancesSet": {"items": [{"instanceId": short("i-0", "instance", 0)}]}}),
]

SECOND_REGION = [
    record("09:10:00", "ssm", "SendCommand", BACKUP, ip=ATTACKER, region="us-east-2", read=False,
           request={"documentName": "AWS-RunShellScript", "instanceIds": ["i-0a1b2c3d4e5f67890"], "parameters": "HIDDEN_DUE_TO_SECURITY_REASONS"},
           response={"command": {"status": "Pending", "documentName": "AWS-RunShellScript"}}),
    record("09:10:21", "ssm", "StartSession", BACKUP, ip=ATTACKER, region="us-east-2", read=False, request={"target": "i-0a1b2c3d4e5f67890"},
           response={"sessionId": "backup-svc-0a1b", "tokenValue": "Value hidden due to security reasons."}),
    record("09:11:00", "secretsmanager", "BatchGetSecretValue", BACKUP, ip=ATTACKER, region="us-east-2",
           request={"filters": [{"key": "tag-key", "values": ["!x"]}], "maxResults": 20}),
    record("09:11:30", "ecr", "PutImage", DEPLOY, ip="198.51.100.140", region="us-east-2", agent="docker/27.4.0 go/go1.22.10", read=False,
           request={"registryId": PROD, "repositoryName": "shop/web", "imageTag": "v1.42", "imageManifest": "{\n   \"schemaVersion\": 2\n}"},
           response={"image": {"repositoryName": "shop/web"}}, resources=[{"ARN": f"arn:aws:ecr:us-east-2:{PROD}:repository/shop/web", "accountId": PROD},
                                                                           {"type": None, "arn": "arn:aws:ecr:us-east-2::mirror/shop", "ARN": None}]),
    record("09:12:00", "sts", "AssumeRoleWithSAML", {"type": "SAMLUser", "principalId": "EXAMPLEIdp=:otto@corp.example", "userName": "otto@corp.example",
                                                   "identityProvider": "EXAMPLEIdp="}, ip=HOME, region="us-east-2", read=True,
           request={"principalArn": f"arn:aws:iam::{PROD}:saml-provider/corp", "roleArn": f"arn:aws:iam::{PROD}:role/analyst"}),
    record("09:12:20", "sts", "AssumeRoleWithWebIdentity", {
        "type": "WebIdentityUser", "principalId": f"arn:aws:iam::{PROD}:oidc-provider/token.example.com:aud:repo:corp/shop",
        "userName": "repo:corp/shop:ref:refs/heads/main", "identityProvider": f"arn:aws:iam::{PROD}:oidc-provider/token.example.com"},
           ip="198.51.100.140", region="us-east-2", read=True, request={"roleSessionName": "ci"}),
    record("09:12:45", "dynamodb", "DescribeTable", {"type": "FederatedUser", "principalId": f"{PROD}:kiosk", "accountId": PROD,
                                                     "arn": f"arn:aws:sts::{PROD}:federated-user/kiosk"}, ip="198.51.100.7", region="us-east-2", read=True,
           request={"tableName": "stock"}),
    record("09:13:00", "kms", "GenerateDataKey", {"type": "AWSAccount", "principalId": "AIDAEXAMPLEPARTNER", "accountId": "999999999999"},
           ip="198.51.100.200", region="us-east-2", read=True, request={"keySpec": "AES_256"}, sharedEventID=identifier("shared", 2)),
    record("09:13:30", "elasticfilesystem", "CreateMountTarget", {"type": "Directory", "userName": "efs-admin", "invokedBy": "elasticfilesystem.amazonaws.com"},
           ip="elasticfilesystem.amazonaws.com", region="us-east-2", read=False, request={"subnetId": short("subnet-0", "eu")},
           response={"subnetId": short("subnet-0", "eu"), "lifeCycleState": "creating"}),
]

WEST = [
    record("09:14:00", "ec2", "CreateVpcEndpoint", ADMIN, region="us-west-2", read=False,
           request={"serviceName": "com.amazonaws.us-west-2.s3", "vpcId": short("vpc-0", "west")}),
    record("09:14:30", "autoscaling", "TerminateInstanceInAutoScalingGroup", service("autoscaling"), ip="autoscaling.amazonaws.com", region="us-west-2",
           agent="autoscaling.amazonaws.com", read=False, request={"groupName": "web"}),
    record("09:15:00", "ec2", "EnableFastLaunch", ADMIN, region="us-west-2", read=False,
           request={"DescribeFastLaunchImagesRequest": {"ImageId": {"tag": 1, "content": "ami-0windows0windows0"}}}),
    record("09:15:30", "sts", "AssumeRole", assumed_role("break-glass", "lena", mfa="true", assumedRoot="true") | {"arn": "arn:aws:sts::malformed"}, region="us-west-2",
           request={"roleArn": f"arn:aws:iam::{PROD}:role/admin", "host": "lower-case is another key"}),
]

NETWORK = [
    record("09:05:00", "cloudtrail", "ListTrails", {"type": "AWSAccount", "principalId": "AKIAEXAMPLE", "accountId": PROD}, ip="10.0.0.1", agent=False,
           kind="AwsVpceEvent", account=DATA, eventCategory="NetworkActivity", managementEvent=DROP, errorCode="VpceAccessDenied",
           errorMessage="The request was denied due to a VPC endpoint policy", vpcEndpointId="vpce-0123456789abcdef0",
           vpcEndpointAccountId=DATA, requestID=identifier("vpce"), sharedEventID=identifier("shared", 3)),
    record("09:05:40", "s3", "GetObject", assumed_role("etl", "spark", account=DATA) | {
               "inScopeOf": {"issuerType": "AWS::Lambda", "credentialsIssuedTo": "AWS::Lambda::Function", "sourceAccount": DATA,
                             "sourceArn": f"arn:aws:lambda:us-east-1:{DATA}:function:etl"}, "invokedByDelegate": {"accountId": AUDIT}}, ip="10.0.7.7", account=DATA, read=True, version="1.10",
           managementEvent=False, eventCategory="Data", request={"bucketName": "lake", "key": None, "Host": "lake.s3.amazonaws.com"},
           addendum={"reason": "DELIVERY_DELAY", "updatedFields": "eventID, requestID", "originalRequestID": identifier("old request"),
                     "originalEventID": identifier("old event")},
           additionalEventData={"bytesTransferredOut": Raw("18446744073709551615"), "bytesTransferredIn": 1}, vpcEndpointId="vpce-0123456789abcdef0"),
    {"eventVersion": "1.01", "userIdentity": root(DATA), "eventTime": "2014-03-06T21:22:54Z", "eventSource": "iam.amazonaws.com",
     "eventName": "GetAccountSummary", "awsRegion": "us-east-1", "sourceIPAddress": HOME, "userAgent": "AWSConsole",
     "requestParameters": None, "responseElements": None, "requestID": identifier("old"), "eventID": identifier("oldest")},
    {"eventVersion": "1.0", "accountId": DATA, "eventId": identifier("aggregate"), "eventCategory": "Aggregated", "eventType": "AwsAggregatedEvent",
     "awsRegion": "us-east-1", "eventSource": "s3.amazonaws.com",
     "timeWindow": {"windowStart": f"{DAY}T09:00:00Z", "windowEnd": f"{DAY}T09:05:00Z", "windowSize": "PT5M"},
     "summary": {"primaryDimension": {"dimension": "eventName", "statistics": [{"name": "PutObject", "value": 1000}, {"name": "GetObject", "value": 12}],
                                     "aggregationType": "Count"}, "details": []}},
    record("09:06:30", "glacier", "InitiateJob", {"type": "AWSService", "invokedBy": "snowball.amazonaws.com"}, ip="AWS Internal", account=DATA, read=False,
           edgeDeviceDetails=[{"deviceId": "JID-EXAMPLE", "location": "truck 7"}], apiVersion="2012-06-01", agent="AWS Internal",
           eventContext={"requestContext": {"aws:SourceIp": "192.0.2.55"}, "tagContext": {"team": "archive"}}),
]

INSIGHT = [
    {"eventVersion": "1.09", "eventTime": f"{DAY}T09:13:00Z", "awsRegion": "us-east-1", "eventID": identifier("insight"),
     "eventType": "AwsCloudTrailInsight", "recipientAccountId": PROD, "sharedEventID": identifier("insights"), "eventCategory": "Insight",
     "insightDetails": {"state": "Start", "eventSource": "ec2.amazonaws.com", "eventName": "RunInstances", "insightType": "ApiCallRateInsight",
                        "insightContext": {"statistics": {"baseline": {"average": Raw("0.0019841270")}, "insight": {"average": 3}}}}},
]

DIGEST = {"awsAccountId": PROD, "digestStartTime": f"{DAY}T08:01:31Z", "digestEndTime": f"{DAY}T09:01:31Z",
          "digestS3Bucket": "org-trail-logs", "digestSignatureAlgorithm": "SHA256withRSA", "logFiles": []}


def trail_path(account, region, stamp, unique, ending="json.gz", service="CloudTrail"):
    year, month, day = DAY.split("-")
    name = f"{account}_{service}_{region}_{year}{month}{day}T{stamp}Z_{unique}.{ending}"
    return f"AWSLogs/{ORG}/{account}/{service}/{region}/{year}/{month}/{day}/{name}"


# path, form of the file (see `wrap` in generate.py), records
FILES = [
    (trail_path(PROD, "us-east-1", "0850", "q3Jm0aXo8ZtBn1Ld"), "gzip", MORNING),
    (trail_path(PROD, "us-east-1", "0910", "Wk6uYc2RvE9sTf4P"), "gzip", BREAK_IN),
    (trail_path(PROD, "us-east-1", "0915", "B8hNx5GdUo7iKz0M"), "gzip", FOOTHOLD),
    (trail_path(PROD, "us-east-1", "0920", "s1VqLa3CyJ6eRw9F"), "gzip ascii", THEFT),
    (trail_path(PROD, "us-east-1", "0925", "Dp4tXb7HmO2gZu5S"), "gzip", COVER_UP),
    (trail_path(PROD, "us-east-1", "0935", "n9KcYf1EjQ8vIr6A"), "gzip", RESPONSE),
    (trail_path(PROD, "us-east-2", "0915", "T0xWd3LsGh5oBm7U", "json"), "plain", SECOND_REGION),
    (trail_path(PROD, "us-west-2", "0915", "zR2yEa9PkV4qCj6N"), "two gzip members", WEST),
    (trail_path(DATA, "us-east-1", "0910", "fM8uHi1XnL5tSg3O", "json"), "pretty", NETWORK),
    (trail_path(PROD, "us-east-1", "0915", "e7DbQw4ZcA0rYk2J", service="CloudTrail-Insight"), "gzip", INSIGHT),
    (trail_path(PROD, "us-east-1", "0901", "x5GpVo8FiT1mNs9K", service="CloudTrail-Digest"), "digest", DIGEST),
    ("exports/bare-array.json", "array", [
        record("10:00:00", "config", "PutDeliveryChannel", iam_user("audit", AUDIT), account=AUDIT, ip=OFFICE, read=False,
               request={"deliveryChannel": {"name": "default"}}) | {"eventTime": f"{DAY} 10:00:00"},
        record("10:00:05", "config", "DescribeConfigRules", iam_user("audit", AUDIT), account=AUDIT, ip=OFFICE)
        | {"eventTime": f"{DAY}T11:00:05.250+01:00", "requestID": None, "userAgent": "quotes \" \\ / \u007f and\ttabs"}]),
    ("exports/event-bridge.json", "event bridge", [
        record("10:05:00", "ec2", "StopInstances", iam_user("olga", AUDIT), account=AUDIT, ip=OFFICE, read=False,
               request={"instancesSet": {"items": [{"instanceId": "i-0123456789abcdef0"}]}, "force": False})]),
    ("exports/one-per-line.json", "lines", [
        record("10:10:00", "logs", "FilterLogEvents", iam_user("audit", AUDIT), account=AUDIT, ip=OFFICE,
               request={"logGroupName": "/aws/lambda/x", "filterPattern": "},{\"eventVersion\":\"1.08\",\"eventName\":\"Fake\"}]}"}),
        record("10:10:30", "s3", "DeleteBucket", iam_user("audit", AUDIT), account=AUDIT, ip=OFFICE, read=False, request={"bucketName": "tmp.example.com"}),
        record("10:11:00", "ec2", "CreateImage", {"userName": "legacy"}, account=AUDIT, ip=OFFICE, request={"name": "golden", "instanceId": "i-0fedcba9876543210"})]),
    ("exports/single-record.json", "single", [
        record("10:15:00", "signin", "SwitchRole", assumed_role("auditor", "olga", AUDIT), account=AUDIT, ip=OFFICE, read=False, kind="AwsConsoleAction",
               additionalEventData={"SwitchFrom": f"arn:aws:iam::{AUDIT}:user/olga", "RedirectTo": "https://console.aws.amazon.com/?a=1&b=<2>"})]),
]
