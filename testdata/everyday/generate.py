#!/usr/bin/env python3
"""Writes `everyday.json.gz`: 3,000 records of ordinary activity in an account, to measure how often the rules cry wolf.

Deployments by pipelines and CloudFormation, autoscaling, backups, agents on instances, data events, developers in the
console and at the command line, and infrastructure tools that read everything they manage. The output is the same for
every run: `python3 testdata/everyday/generate.py`.
"""

import gzip
import importlib.util
import json
import pathlib
import random
import uuid

HERE = pathlib.Path(__file__).parent
SPEC = importlib.util.spec_from_file_location("records", HERE.parent / "rules" / "generate.py")
g = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(g)

COUNT = 3_000
event, ec2, s3, iam, session = g.event, g.ec2, g.s3, g.iam, g.session


def service(name):
    return {"type": "AWSService", "invokedBy": f"{name}.amazonaws.com"}


def on_behalf(who, name):
    return {**who, "invokedBy": f"{name}.amazonaws.com"}


AUTOSCALING = on_behalf(session("AWSServiceRoleForAutoScaling", "AutoScaling"), "autoscaling")
BACKUP = session("backup", "AWSBackup-backup", invokedBy="backup.amazonaws.com")
LAMBDA = session("orders-fn", "orders")
TASK = session("orders-task", "6f1f8c0d7a4b4f0e8e3d6a1b2c3d4e5f")
NODE = session("nodes", "i-0f00000000000000a")
CONFIG = session("AWSServiceRoleForConfig", "configLambdaExecution", invokedBy="config.amazonaws.com")
MONITOR = session("monitoring", "vendor")
CONSOLE = {"sessionCredentialFromConsole": "true", "userAgent": "Mozilla/5.0"}
SERVICE_EVENT = {"eventType": "AwsServiceEvent"}
INSTANCE_ID = "i-0a1b2c3d4e5f60718"
READS = [("ec2", name) for name in (
    "DescribeInstances", "DescribeVolumes", "DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcs", "DescribeTags",
    "DescribeImages", "DescribeSnapshots", "DescribeRouteTables", "DescribeNetworkInterfaces", "DescribeLaunchTemplates")] + [
    ("iam", "ListRoles"), ("iam", "GetRole"), ("iam", "ListPolicies"), ("iam", "GetPolicyVersion"), ("iam", "ListUsers"),
    ("iam", "GetAccountSummary"), ("s3", "ListBuckets"), ("s3", "GetBucketPolicy"), ("s3", "GetBucketAcl"),
    ("s3", "GetBucketPublicAccessBlock"), ("rds", "DescribeDBInstances"), ("lambda", "ListFunctions20150331"),
    ("lambda", "GetFunction20150331v2"), ("logs", "DescribeLogGroups"), ("monitoring", "DescribeAlarms"),
    ("cloudtrail", "DescribeTrails"), ("guardduty", "ListDetectors"), ("kms", "ListAliases"), ("eks", "DescribeCluster"),
    ("secretsmanager", "DescribeSecret"), ("sts", "GetCallerIdentity"), ("dynamodb", "DescribeTable")]


def read(random, who, **more):
    source, name = random.choice(READS)
    return event(source, name, {}, who=who, **more)


def kinds(r):
    """Pairs of weight and function that makes a record."""
    def pick(*makers):
        return lambda: r.choice(makers)()

    return [
        # Data events and calls of applications.
        (140, pick(lambda: s3("GetObject", {"bucketName": "orders", "key": f"{r.random()}.csv"}, who=TASK, **g.DATA),
                   lambda: s3("PutObject", {"bucketName": "orders", "key": f"{r.random()}.csv"}, who=LAMBDA, **g.DATA),
                   lambda: s3("DeleteObject", {"bucketName": "orders", "key": "x"}, who=TASK, **g.DATA),
                   lambda: s3("DeleteObjects", {"bucketName": "spark", "delete": ""}, who=NODE, **g.DATA),
                   lambda: event("lambda", "Invoke", {"functionName": "orders"}, who=TASK, **g.DATA))),
        (120, lambda: event("kms", "Decrypt", {"encryptionContext": {}}, who=r.choice((TASK, LAMBDA, NODE)))),
        (50, lambda: event("kms", "GenerateDataKey", {"keyId": "k"}, who=on_behalf(LAMBDA, "s3"))),
        (90, lambda: event("sts", "AssumeRole", {"roleArn": f"{g.ARN}:role/orders-task", "roleSessionName": "x"},
                           who=service(r.choice(("ecs-tasks", "lambda", "ec2", "config", "backup"))))),
        (30, lambda: event("sts", "AssumeRole", {"roleArn": f"{g.ARN}:role/vendor", "roleSessionName": "x", "externalId": "e"},
                           who={"type": "AWSAccount", "principalId": "AROAVENDOREXAMPLE:vendor", "accountId": "999988887777"})),
        (20, lambda: event("sts", "AssumeRoleWithWebIdentity", {"roleArn": f"{g.ARN}:role/github"}, who={
            "type": "WebIdentityUser", "principalId": "token", "userName": "repo:example/app:ref:refs/heads/main"})),
        (20, lambda: event("secretsmanager", "GetSecretValue", {"secretId": "app"}, who=r.choice((TASK, LAMBDA, NODE, g.KEY)))),
        (10, lambda: event("ssm", "GetParameter", {"name": "/app/a", "withDecryption": True}, who=TASK)),
        (8, lambda: event("ssm", "GetParameters", {"names": ["/app/a", "/app/b"], "withDecryption": True}, who=TASK)),
        # Agents and services.
        (60, lambda: event("ssm", "UpdateInstanceInformation", {"instanceId": INSTANCE_ID}, who=NODE)),
        (40, lambda: ec2(r.choice(("DescribeInstances", "DescribeVolumes", "DescribeTags")), {}, who=NODE,
                         error=r.choice((None, None, g.UNAUTHORIZED)))),
        (40, lambda: read(r, CONFIG)),
        (60, lambda: read(r, MONITOR)),
        (30, lambda: event("logs", r.choice(("CreateLogStream", "CreateLogGroup")), {}, who=LAMBDA)),
        (20, lambda: event("ecr", r.choice(("GetAuthorizationToken", "BatchGetImage", "GetDownloadUrlForLayer")), {}, who=NODE)),
        (25, lambda: event("sts", "GetCallerIdentity", who=r.choice((NODE, g.CI, TASK)))),
        # Autoscaling and backups.
        (12, pick(lambda: ec2("RunInstances", g.run("m5.large", r.randint(1, 12), metadataOptions={"httpTokens": "required"}), who=AUTOSCALING),
                  lambda: ec2("TerminateInstances", {}, who=AUTOSCALING),
                  lambda: event("monitoring", "DeleteAlarms", {}, who=on_behalf(LAMBDA, "application-autoscaling")),
                  lambda: event("elasticloadbalancing", "RegisterTargets", {}, who=AUTOSCALING),
                  lambda: event("sqs", "SetQueueAttributes", {"attributes": {"VisibilityTimeout": "30"}}, who=g.CI))),
        (10, pick(lambda: ec2("CreateSnapshot", {}, who=BACKUP), lambda: ec2("DeleteSnapshot", {}, who=BACKUP),
                  lambda: event("backup", "DeleteRecoveryPoint", {}, who=service("backup")),
                  lambda: event("rds", "CreateDBSnapshot", {}, who=BACKUP), lambda: event("rds", "DeleteDBSnapshot", {}, who=BACKUP))),
        (8, lambda: event(r.choice(("kms", "rds", "elasticache")), r.choice(("RotateKey", "FailoverDBInstance")), None, who=service("kms"), **SERVICE_EVENT)),
        # Deployments.
        (25, pick(lambda: iam("CreateRole", {"roleName": "r", "assumeRolePolicyDocument": g.trust({"Service": "lambda.amazonaws.com"})}, who=g.CLOUDFORMATION),
                  lambda: iam("PutRolePolicy", {"roleName": "r", "policyName": "p", "policyDocument": g.policy("s3:GetObject", "arn:aws:s3:::orders/*")}, who=g.CLOUDFORMATION),
                  lambda: iam("AttachRolePolicy", {"roleName": "r", "policyArn": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}, who=g.CLOUDFORMATION),
                  lambda: event("lambda", "UpdateFunctionCode20150331v2", {"functionName": "orders"}, who=g.CLOUDFORMATION),
                  lambda: event("lambda", "AddPermission20150331v2", {"functionName": "orders", "action": "lambda:InvokeFunction", "principal": "events.amazonaws.com",
                                "sourceArn": f"arn:aws:events:us-east-1:{g.ACCOUNT}:rule/x"}, who=g.CLOUDFORMATION),
                  lambda: ec2("AuthorizeSecurityGroupIngress", g.ingress(("tcp", 443, 443, "0.0.0.0/0")), who=g.CLOUDFORMATION),
                  lambda: ec2("CreateLaunchTemplateVersion", {"CreateLaunchTemplateVersionRequest": {"LaunchTemplateData": {"UserData": "x"}}}, who=g.CLOUDFORMATION),
                  lambda: event("logs", "DeleteLogGroup", {}, who=g.CLOUDFORMATION),
                  lambda: s3("PutBucketPolicy", g.bucket_policy({"Service": "delivery.logs.amazonaws.com"}), who=g.CLOUDFORMATION),
                  lambda: s3("PutBucketPublicAccessBlock", {"bucketName": "b", "PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "BlockPublicPolicy": True}}, who=g.CLOUDFORMATION))),
        (25, pick(lambda: event("ecr", r.choice(("InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage")), {"repositoryName": "app"}, who=g.CI),
                  lambda: event("ecs", r.choice(("UpdateService", "RegisterTaskDefinition")), {}, who=g.CI),
                  lambda: event("lambda", "UpdateFunctionCode20150331v2", {"functionName": "orders"}, who=g.PIPELINE),
                  lambda: event("cloudformation", r.choice(("CreateChangeSet", "ExecuteChangeSet", "DescribeStacks")), {}, who=g.PIPELINE),
                  lambda: s3("PutObject", {"bucketName": "artifacts", "key": "app.zip"}, who=g.PIPELINE, **g.DATA))),
        (60, lambda: read(r, g.CI, **g.TERRAFORM)),
        (6, lambda: ec2("DescribeInstanceAttribute", {"instanceId": INSTANCE_ID, "attribute": r.choice(("userData", "instanceType", "disableApiTermination"))}, who=g.CI, **g.TERRAFORM)),
        (6, lambda: event("secretsmanager", "GetSecretValue", {"secretId": "app"}, who=g.KEY, **g.TERRAFORM)),
        # People.
        (8, pick(lambda: g.sign_in(g.SSO, "Success"), lambda: event("signin", "GetSigninToken", who=g.SSO, **g.SIGNIN),
                 lambda: g.sign_in(g.CONSOLE_USER, "Success", "Yes"), lambda: event("sso", "GetRoleCredentials", {}, who=g.SSO))),
        (120, lambda: read(r, r.choice((g.SSO, g.CONSOLE_USER)), error=r.choice((None,) * 9 + (g.DENIED,)), **CONSOLE)),
        (15, lambda: event("secretsmanager", "ListSecrets", {}, who=g.SSO, **CONSOLE)),
        (15, pick(lambda: ec2(r.choice(("StartInstances", "StopInstances", "RebootInstances", "CreateTags")), {}, who=g.SSO, **CONSOLE),
                  lambda: ec2("RunInstances", g.run("t3.micro", 1, metadataOptions={"httpTokens": "required"}), who=g.SSO, **CONSOLE),
                  lambda: ec2("AuthorizeSecurityGroupIngress", g.ingress(("tcp", 22, 22, "198.51.100.20/32")), who=g.SSO, **CONSOLE),
                  lambda: event("rds", "ModifyDBInstance", {"dBInstanceIdentifier": "orders", "allocatedStorage": 200}, who=g.SSO, **CONSOLE),
                  lambda: s3("PutBucketVersioning", {"bucketName": "b", "VersioningConfiguration": {"Status": "Enabled"}}, who=g.SSO, **CONSOLE),
                  lambda: iam("ChangePassword", {}, who=g.CONSOLE_USER, **CONSOLE),
                  lambda: iam("EnableMFADevice", {"userName": "dana.mills", "serialNumber": "x"}, who=g.CONSOLE_USER, **CONSOLE),
                  lambda: event("sts", "GetSessionToken", {"serialNumber": "x"}, who=g.KEY))),
        # What an administrator does now and then; some of it is worth a look.
        (2, pick(lambda: event("ssm", "StartSession", {"target": INSTANCE_ID}, who=g.SSO),
                 lambda: event("lambda", "UpdateFunctionCode20150331v2", {"functionName": "orders"}, who=g.SSO),
                 lambda: iam("CreateAccessKey", {"userName": "dana.mills"}, {"accessKey": {"accessKeyId": "AKIAEXAMPLE000000009"}}, who=g.CONSOLE_USER),
                 lambda: event("cloudshell", "CreateSession", {}, who=g.SSO, **CONSOLE),
                 lambda: iam("UpdateAccessKey", {"userName": "dana.mills", "status": "Inactive"}, who=g.CONSOLE_USER),
                 lambda: event("secretsmanager", "PutSecretValue", {"secretId": "app"}, who=g.SSO))),
    ]


def main():
    r = random.Random(20260204)
    weighted = kinds(r)
    weights = [weight for weight, _ in weighted]
    records = []
    for number in range(COUNT):
        (_, make), = r.choices(weighted, weights)
        record = make()
        record["eventID"] = str(uuid.UUID(int=r.getrandbits(128), version=4))
        del record["requestID"]
        record["eventTime"] = f"2026-02-04T{number * 24 // COUNT:02}:{number % 60:02}:00Z"
        records.append(json.dumps(record, separators=(",", ":")))
    text = '{"Records":[' + ",\n".join(records) + "]}"
    with open(HERE / "everyday.json.gz", "wb") as file:
        with gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
            packed.write(text.encode())


if __name__ == "__main__":
    main()
