"""All fields of a CloudTrail record, computed in the simplest possible way.

`generate.py` writes `expected/` with this reference.
"""

from fractions import Fraction
from datetime import datetime, timedelta, timezone
import re

from json_nodes import compact


def text(node):
    """The value of a string field whose JSON value is `node`; None if the field has no value."""
    if node is None or node.kind == "null":
        return None
    if node.kind == "string":
        value = node.string
    elif node.kind in ("object", "array"):
        value = compact(node)
    else:
        value = node.raw().decode("utf-8", "replace")
    return value.split("\0")[0]


def at(node, *keys):
    for key in keys:
        node = node.member(key) if node is not None else None
    return node


# Fields that are the value at a single path: name and path.
PLAIN = [line.split() for line in """
ct.error errorCode
ct.errormessage errorMessage
ct.time eventTime
ct.src eventSource
ct.name eventName
ct.region awsRegion
ct.srcip sourceIPAddress
ct.useragent userAgent
ct.requestid requestID
ct.eventtype eventType
ct.apiversion apiVersion
ct.sharedeventid sharedEventID
ct.vpcendpointid vpcEndpointId
ct.eventcategory eventCategory
ct.user.identitytype userIdentity.type
ct.user.principalid userIdentity.principalId
ct.user.arn userIdentity.arn
ct.request requestParameters
ct.response responseElements
ct.additionaleventdata additionalEventData
ct.serviceeventdetails serviceEventDetails
ct.edgedevicedetails edgeDeviceDetails
ct.request.availabilityzone requestParameters.availabilityZone
ct.request.cluster requestParameters.cluster
ct.request.functionname requestParameters.functionName
ct.request.groupname requestParameters.groupName
ct.request.host requestParameters.Host
ct.request.name requestParameters.name
ct.request.policy requestParameters.policy
ct.request.reason requestParameters.reason
ct.request.target requestParameters.target
ct.request.documentname requestParameters.documentName
ct.request.serialnumber requestParameters.serialNumber
ct.request.servicename requestParameters.serviceName
ct.request.subnetid requestParameters.subnetId
ct.request.taskdefinition requestParameters.taskDefinition
ct.request.username requestParameters.userName
ct.response.subnetid responseElements.subnetId
ct.response.reservationid responseElements.reservationId
ct.addendum.reason addendum.reason
ct.addendum.updatedfields addendum.updatedFields
ct.addendum.originalrequestid addendum.originalRequestID
ct.addendum.originaleventid addendum.originalEventID
ct.tlsdetails.tlsversion tlsDetails.tlsVersion
ct.tlsdetails.ciphersuite tlsDetails.cipherSuite
ct.tlsdetails.clientprovidedhostheader tlsDetails.clientProvidedHostHeader
s3.bucket requestParameters.bucketName
s3.key requestParameters.key
ecr.repository requestParameters.repositoryName
ecr.imagetag requestParameters.imageTag
iam.role requestParameters.roleName
iam.policy requestParameters.policyName
ct.eventversion eventVersion
ct.vpcendpointaccountid vpcEndpointAccountId
ct.tlsdetails.keyexchange tlsDetails.keyExchange
ct.eventcontext eventContext
ct.insightdetails insightDetails
ct.user.accesskeyid userIdentity.accessKeyId
ct.user.invokedby userIdentity.invokedBy
ct.user.credentialid userIdentity.credentialId
ct.user.identityprovider userIdentity.identityProvider
ct.user.onbehalfof.userid userIdentity.onBehalfOf.userId
ct.user.onbehalfof.identitystorearn userIdentity.onBehalfOf.identityStoreArn
ct.user.inscopeof userIdentity.inScopeOf
ct.session.mfaauthenticated userIdentity.sessionContext.attributes.mfaAuthenticated
ct.session.creationdate userIdentity.sessionContext.attributes.creationDate
ct.session.sourceidentity userIdentity.sessionContext.sourceIdentity
ct.session.ec2roledelivery userIdentity.sessionContext.ec2RoleDelivery
ct.session.issuer.type userIdentity.sessionContext.sessionIssuer.type
ct.session.issuer.arn userIdentity.sessionContext.sessionIssuer.arn
ct.session.issuer.accountid userIdentity.sessionContext.sessionIssuer.accountId
ct.session.issuer.principalid userIdentity.sessionContext.sessionIssuer.principalId
ct.session.issuer.username userIdentity.sessionContext.sessionIssuer.userName
ct.mfaused additionalEventData.MFAUsed
ct.consolelogin responseElements.ConsoleLogin
ct.user.invokedbydelegate.accountid userIdentity.invokedByDelegate.accountId
ct.user.inscopeof.sourcearn userIdentity.inScopeOf.sourceArn
ct.user.inscopeof.sourceaccount userIdentity.inScopeOf.sourceAccount
ct.user.inscopeof.issuertype userIdentity.inScopeOf.issuerType
ct.user.inscopeof.credentialsissuedto userIdentity.inScopeOf.credentialsIssuedTo
ct.session.assumedroot userIdentity.sessionContext.assumedRoot
ct.session.federatedprovider userIdentity.sessionContext.webIdFederationData.federatedProvider
ct.timewindow.start timeWindow.windowStart
ct.timewindow.end timeWindow.windowEnd
ct.summary summary
ct.insight.type insightDetails.insightType
ct.insight.state insightDetails.state
ct.request.groupid requestParameters.groupId
ct.request.policyarn requestParameters.policyArn
ct.request.policydocument requestParameters.policyDocument
ct.request.rolename requestParameters.roleName
ct.request.keyid requestParameters.keyId
ct.request.bucketpolicy requestParameters.bucketPolicy
""".strip().splitlines()]

READ_VERBS = """
BatchCheck BatchDescribe BatchGet BatchHead BatchList Calculate Check Compare Count
Describe Detect Discover Download Estimate Filter Get Head List Lookup Preview Query
Read Scan Search Select Simulate TransactGet Validate View
""".split()

WRITE_VERBS = """
Abort Accept Activate Add Allocate Allow Apply Approve Archive Assign Associate Attach
Authorize BatchAdd BatchAssociate BatchCreate BatchDelete BatchDisable
BatchDisassociate BatchEnable BatchImport BatchModify BatchPut BatchStop BatchUpdate
BatchWrite Cancel Change Clear Clone Close Complete Configure Confirm Connect Copy
Create Deactivate Deauthorize Decline Decrease Delete Deny Deploy Deprecate
Deprovision Deregister Detach Disable Disassociate Disconnect Enable Execute Expire
Extend Failover Finalize Grant Import Increase Initiate Insert Install Invite Issue
Join Launch Leave Lock Merge Migrate Modify Move Open Pause Post Promote Provision
Publish Purchase Purge Put Reboot Rebuild Register Reject Release Remove Rename
Replace Replicate Request Reset Resize Restart Restore Resume Retire Revoke Rollback
Rotate Run Save Schedule Send Set Share Split Start Stop Submit Subscribe Suspend Swap
Switchover Tag Terminate TransactWrite Transfer Unarchive Unassign Unlock Unregister
Unshare Unsubscribe Untag Update Upgrade Upload Withdraw Write
""".split()

MANAGEMENT_TYPES = ("AwsApiCall", "AwsConsoleAction", "AwsConsoleSignIn", "AwsServiceEvent")
# What the policies in the sample records say, read by a human: few records have one.
ADMINISTRATOR = {"ct.policy.unlimited": "true", "ct.policy.escalates": "true"}
POLICIES = {
    ("iam.amazonaws.com", "AttachUserPolicy"): ADMINISTRATOR,
    ("iam.amazonaws.com", "PutRolePolicy"): ADMINISTRATOR | {"ct.policy.public": "false"},
    ("s3.amazonaws.com", "PutBucketPolicy"): {"ct.policy.public": "true"},
}
PUBLIC_ACCESS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
U64_MAX = 2**64 - 1


def fields(record):
    """All fields of the Node `record` that have a value, by name, in a fixed order."""
    values = {}
    for field, path in PLAIN:
        values[field] = text(at(record, *path.split(".")))
    values["ct.id"] = first_text(at(record, "eventID"), at(record, "eventId"))
    recipient = at(record, "recipientAccountId")
    values["ct.recipientaccountid"] = first_text(recipient, at(record, "accountId"))
    values["ct.shortsrc"] = short_source(values["ct.src"])
    values["ct.user"] = user(record)
    values["ct.originaluser"] = original_user(record)
    values["ct.user.accountid"] = first_text(at(record, "userIdentity", "accountId"), recipient)
    values["ct.user.oninstance"] = on_instance(record)
    values["ct.managementevent"] = management_event(record)
    values["ct.readonly"] = read_only(record)
    values["ct.resources"] = resources(record)
    values["ct.sessioncredentialfromconsole"] = flag(at(record, "sessionCredentialFromConsole"))
    values["s3.uri"] = s3_uri(record)
    received = byte_count(at(record, "additionalEventData", "bytesTransferredIn"))
    sent = byte_count(at(record, "additionalEventData", "bytesTransferredOut"))
    values["s3.bytes.in"], values["s3.bytes.out"] = received, sent
    if received is not None or sent is not None:
        values["s3.bytes"] = min((received or 0) + (sent or 0), U64_MAX)
    name = values["ct.name"]
    values["s3.cnt.get"] = int(name == "GetObject")
    values["s3.cnt.put"] = int(name == "PutObject")
    values["s3.cnt.other"] = int(name not in ("GetObject", "PutObject"))
    values["ec2.name"] = instance_name(record)
    values["ec2.imageids"] = image_ids(record)
    values["ec2.imageid"] = values["ec2.imageids[0]"] = image_id(record, 0)
    values["ec2.imageids[1]"] = image_id(record, 1)
    for field, keys in (("arn", ("ARN", "arn")), ("type", ("type",)), ("accountid", ("accountId",))):
        members = resource_members(record, keys)
        values[f"ct.resources.{field}"] = [it for it in members if it is not None] or None
        for index in (0, 1):
            if index < len(members):
                values[f"ct.resources.{field}[{index}]"] = members[index]
    values["ct.request.instanceid"] = request_instance(record)
    values["ct.info"] = info(record, values)
    values |= POLICIES.get((values["ct.src"], values["ct.name"]), {})
    return {field: value for field, value in values.items() if value is not None}


def first_text(*nodes):
    """The text of the first node that has one."""
    texts = (text(node) for node in nodes)
    return next((value for value in texts if value is not None), None)


def short_source(source):
    return source.removesuffix(".amazonaws.com") if source is not None else None


def user(record):
    identity = at(record, "userIdentity")
    kind = text(at(identity, "type"))
    user_name = text(at(identity, "userName"))
    if kind == "Root":
        return user_name if user_name is not None else "Root"
    if kind in ("IAMUser", "SAMLUser", "WebIdentityUser"):
        return user_name
    if kind == "AWSService":
        return text(at(identity, "invokedBy"))
    if kind == "AssumedRole":
        issuer = text(at(identity, "sessionContext", "sessionIssuer", "userName"))
        return issuer if issuer is not None else "AssumedRole"
    if kind in ("AWSAccount", "FederatedUser"):
        return kind
    if kind == "IdentityCenterUser":
        return text(at(identity, "onBehalfOf", "userId"))
    return user_name if user_name is not None else text(at(identity, "invokedBy"))


def original_user(record):
    identity = at(record, "userIdentity")
    if text(at(identity, "type")) != "AssumedRole":
        return text(at(identity, "userName"))
    return session_name(identity)


def session_name(identity):
    arn_parts = (text(at(identity, "arn")) or "").split("/")
    if len(arn_parts) == 3:
        return arn_parts[2]
    principal_parts = (text(at(identity, "principalId")) or "").split(":")
    return principal_parts[1] if len(principal_parts) == 2 else None


def on_instance(record):
    identity = at(record, "userIdentity")
    kind = text(at(identity, "type"))
    if kind is None:
        return None
    if kind != "AssumedRole":
        return "false"
    name = session_name(identity)
    if name is None:
        return None
    return "true" if re.fullmatch("i-([0-9a-f]{8}|[0-9a-f]{17})", name) else "false"


def request_instance(record):
    request = at(record, "requestParameters")
    items = at(request, "instancesSet", "items")
    first = items.items[0] if items is not None and items.items else None
    return first_text(at(request, "instanceId"), at(first, "instanceId"))


def resource_members(record, keys):
    """The first member of each resource that has one of these keys and a value; None for resources without."""
    node = at(record, "resources")
    return [first_text(*(item.member(key) for key in keys)) for item in (node.items if node else [])]


def flag(node):
    """The text of a boolean or string; None for any other value."""
    return text(node) if node is not None and node.kind in ("true", "false", "string") else None


def management_event(record):
    declared = flag(at(record, "managementEvent"))
    if declared in ("true", "false"):
        return declared
    category = text(at(record, "eventCategory"))
    if category is not None:
        return "true" if category == "Management" else "false"
    return "true" if text(at(record, "eventType")) in MANAGEMENT_TYPES else "false"


def read_only(record):
    declared = flag(at(record, "readOnly"))
    if declared is not None:
        return declared
    name = text(at(record, "eventName")) or ""
    if any(begins_with_verb(name, verb) for verb in READ_VERBS):
        return "true"
    if any(begins_with_verb(name, verb) for verb in WRITE_VERBS):
        return "false"
    return None


def begins_with_verb(name, verb):
    return name.startswith(verb) and not name[len(verb):len(verb) + 1].encode().islower()


def resources(record):
    node = at(record, "resources")
    if node is None or node.kind != "array" or not node.items:
        return None
    return compact(node)[1:-1].split("\0")[0]


def s3_uri(record):
    bucket = at(record, "requestParameters", "bucketName")
    key = at(record, "requestParameters", "key")
    if bucket is None or key is None or bucket.kind != "string" or key.kind != "string":
        return None
    return f"s3://{text(bucket)}/{text(key)}"


def byte_count(node):
    return number(node.raw().decode()) if node is not None and node.kind == "number" else None


def number(token):
    """The number that `token` is, truncated to 64 bits without a sign; None for any other text."""
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", token):
        return None
    if re.search(r"[.eE]", token):
        value = float(token)
        if value == float("inf"):
            return U64_MAX
        value = Fraction(value)
    else:
        value = Fraction(int(token))
    return min(int(value), U64_MAX) if value >= 0 else None


def instance_name(record):
    specifications = at(record, "requestParameters", "tagSpecificationSet", "items")
    for item in specifications.items if specifications else []:
        if text(item.member("resourceType")) != "instance":
            continue
        tags = item.member("tags")
        for tag in tags.items if tags else []:
            if text(tag.member("key")) == "Name" and text(tag.member("value")):
                return text(tag.member("value"))
    return None


def instance_items(record):
    node = at(record, "responseElements", "instancesSet", "items")
    return node if node is not None and node.kind == "array" else None


def requested_image(record):
    request = at(record, "requestParameters")
    for path in (
        ("imageId",),
        ("DescribeFastLaunchImagesRequest", "ImageId", "content"),
        ("launchSpecification", "imageId"),
    ):
        node = at(request, *path)
        if node is not None and node.kind == "string":
            return text(node)
    return None


def image_ids(record):
    items = instance_items(record)
    if items is None:
        image = requested_image(record)
        return [image] if image is not None else None
    images = [instance_image(item) for item in items.items]
    return [image for image in images if image is not None] or None


def image_id(record, index):
    items = instance_items(record)
    if items is None:
        return requested_image(record) if index == 0 else None
    return instance_image(items.items[index]) if index < len(items.items) else None


def instance_image(item):
    node = item.member("imageId")
    return (text(node) or None) if node is not None and node.kind == "string" else None


def info(record, values):
    user_text = values["ct.user"] or values["ct.user.identitytype"] or "<NA>"
    source = values["ct.srcip"]
    via = f" via {source}" if source and source != user_text else ""
    failed = "!" if values["ct.error"] else ""
    arrow = "→" if values["ct.readonly"] == "false" else "←"
    return f"{user_text}{via} {failed}{arrow} {values['ct.name'] or ''}{info_detail(record, values)}"


def info_detail(record, values):
    if values["ct.name"] == "PutBucketPublicAccessBlock":
        block = at(record, "requestParameters", "PublicAccessBlockConfiguration")
        if block is None or block.kind != "object":
            return ""
        return "".join(f" {key}={text(block.member(key)) or ''}" for key in PUBLIC_ACCESS)
    if values["ct.eventcategory"] == "Aggregated" and text(at(record, "summary")) is not None:
        counts = aggregate(record)
        return counts if values["ct.name"] else counts.lstrip(" ")
    size = f" Size={values['s3.bytes']}" if values.get("s3.bytes") is not None else ""
    for label, field in (
        ("URI", "s3.uri"), ("Bucket", "s3.bucket"), ("Key", "s3.key"), ("Host", "ct.request.host"),
    ):
        if values[field]:
            return f"{size} {label}={values[field]}"
    return size


def aggregate(record):
    primary = at(record, "summary", "primaryDimension")
    dimension = text(at(primary, "dimension"))
    if dimension is None:
        return ""
    statistics = at(primary, "statistics")
    counts = [
        f"{text(at(item, 'name')) or ''}:{text(at(item, 'value')) or ''}"
        for item in (statistics.items if statistics else [])
    ]
    if len(counts) > 10:
        counts = counts[:10] + ["…"]
    return f" {dimension}" + ("=" + ",".join(counts) if counts else "")


def event_to_string(values):
    parts = ("ct.region", "ct.user", "ct.shortsrc", "ct.name", "ct.info")
    return " ".join(values[part] for part in parts if values.get(part))


def pointer(record, path):
    """The value of ct.value at the RFC 6901 pointer `path`."""
    found = nodes(record, path, wildcards=False)
    return text(found[0]) if found else None


def pointer_number(record, path):
    """The value of ct.num at the pointer `path`."""
    found = nodes(record, path, wildcards=False)
    if not found:
        return None
    return number(text(found[0])) if found[0].kind == "string" else byte_count(found[0])


def pointer_list(record, path):
    """The value of ct.values at the pointer `path`."""
    found = [text(node) for node in nodes(record, path, wildcards=True)]
    return [value for value in found if value is not None][:1024] or None


def nodes(record, path, wildcards):
    """The nodes at the pointer `path`, in which `*` may stand for all items and members."""
    found = [record]
    for part in path.split("/")[1:]:
        found = [child for node in found for child in children(node, part, wildcards)]
    return found


def children(node, part, wildcards):
    if wildcards and part == "*":
        first_of_each_name = {}
        for name, member in node.members:
            first_of_each_name.setdefault(name, member)
        return node.items + list(first_of_each_name.values())
    if node.kind == "array":
        exists = re.fullmatch("0|[1-9][0-9]*", part) and int(part) < len(node.items)
        return [node.items[int(part)]] if exists else []
    member = node.member(part.replace("~1", "/").replace("~0", "~"))
    return [member] if member is not None else []


def timestamp(record, file_name):
    """The event's time in nanoseconds since 1970; None if the record has none and is skipped."""
    for path in (("eventTime",), ("timeWindow", "windowEnd"), ("timeWindow", "windowStart")):
        node = at(record, *path)
        if node is not None and node.kind == "string":
            time = nanoseconds(node.string)
            if time is not None:
                return time
    stamp = re.search(r"_(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)Z", file_name)
    return nanoseconds("{}-{}-{}T{}:{}:00Z".format(*stamp.groups())) if stamp else None


def nanoseconds(stamp):
    match = re.fullmatch(
        r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)?", stamp
    )
    if not match:
        return None
    day, clock, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    if zone and zone not in "Zz":
        hours, minutes = zone[1:].split(":")
        shift = timedelta(hours=int(hours), minutes=int(minutes))
        moment += -shift if zone[0] == "+" else shift
    since = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    whole = since.days * 86400 + since.seconds
    return whole * 10**9 + int((fraction or "0")[:9].ljust(9, "0"))
