//! Keys and texts of real records, and similar ones.
#![forbid(unsafe_code)]

pub const TOP: &str = "
    userIdentity userIdentity userIdentity requestParameters requestParameters
    responseElements responseElements additionalEventData additionalEventData addendum
    tlsDetails timeWindow eventID errorCode errorMessage eventSource eventName eventName
    awsRegion sourceIPAddress userAgent requestID eventType apiVersion recipientAccountId
    sharedEventID vpcEndpointId eventCategory serviceEventDetails edgeDeviceDetails
    managementEvent readOnly resources sessionCredentialFromConsole eventVersion
    vpcEndpointAccountId eventContext insightDetails eventId accountId summary summary
    eventCategory resources
";

pub const IDENTITY: &str = "
    type type type type userName principalId arn accountId accessKeyId invokedBy credentialId
    identityProvider inScopeOf invokedByDelegate onBehalfOf sessionContext sessionContext
";

pub const REQUEST: &str = "
    availabilityZone cluster functionName groupName Host name policy reason target
    documentName serialNumber serviceName subnetId taskDefinition userName bucketName
    bucketName key repositoryName imageTag roleName policyName tagSpecificationSet
    tagSpecificationSet imageId launchSpecification DescribeFastLaunchImagesRequest
    PublicAccessBlockConfiguration groupId policyArn policyDocument keyId bucketPolicy
    instanceId instancesSet
";

pub const OTHER_KEYS: &[&str] = &[
    "",
    "x",
    "a/b~c",
    "ключ",
    "Eventname",
    "eventNam",
    "eventNames",
    "userName",
    "type",
    "items",
];

pub const TYPES: &[&str] = &[
    "Root",
    "IAMUser",
    "SAMLUser",
    "WebIdentityUser",
    "AWSService",
    "AssumedRole",
    "AssumedRole",
    "AWSAccount",
    "FederatedUser",
    "IdentityCenterUser",
    "Directory",
    "Unknown",
    "",
    "Assumed\\u0052ole",
    "root",
];

pub const NAMES: &[&str] = &[
    "GetObject",
    "PutObject",
    "PutBucketPublicAccessBlock",
    "PutBucketPublicAccessBlock",
    "RunInstances",
    "DescribeInstances",
    "ConsoleLogin",
    "AssumeRole",
    "Getaway",
    "Get",
    "Put",
    "ListBuckets",
    "BatchGetItem",
    "Batch",
    "BatchWriteItem",
    "Settle",
    "SetX",
    "CheckoutLicense",
    "Get\\u004fbject",
    "DeleteX",
    "get_object",
    "",
    "Stop2",
    "Tagé",
];

pub const SOURCES: &[&str] = &[
    "s3.amazonaws.com",
    "ec2.amazonaws.com",
    "iam.amazonaws.com",
    ".amazonaws.com",
    "amazonaws.com",
    "x.amazonaws.com.amazonaws.com",
    "partner.example",
    "",
    "s3.amazonaws.com\\u0000",
    "s3.amazonaws\\u002ecom",
    "x.AMAZONAWS.COM",
];

pub const EVENT_TYPES: &[&str] = &[
    "AwsApiCall",
    "AwsConsoleAction",
    "AwsConsoleSignIn",
    "AwsServiceEvent",
    "AwsVpceEvent",
    "AwsCloudTrailInsight",
    "",
    "AwsApiCall2",
];

pub const ARNS: &[&str] = &[
    "arn:aws:sts::111122223333:assumed-role/Admin/alice",
    "arn:aws:sts::111122223333:assumed-role/web/i-0123456789abcdef0",
    "role/web/i-0123456789abcdef",
    "role/web/i-0123456789ABCDEF0",
    "role\\/web/i-\\u0030a1b2c3d",
    "a/b",
    "a/b/c/d",
    "a/b/",
    "//",
    "/",
    "",
    "a\\/b\\/c",
];

pub const PRINCIPALS: &[&str] = &[
    "AROAEXAMPLE:alice",
    "AROAEXAMPLE:i-0a1b2c3d",
    "AROAEXAMPLE:mi-0a1b2c3d",
    "a:b:c",
    ":",
    "a:",
    "",
    "alone",
    "a:b\\u0000:c",
];

/// Policies as records have them: JSON in a string, sometimes URL-encoded.
pub const POLICIES: &[&str] = &[
    r#"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}"#,
    r#"{\n  \"Statement\" : {\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::444455556666:root\"}}}"#,
    "%7B%22Statement%22%3A%5B%5D%7D",
    r#"{\"Statement\":[{\u0022Effect\u0022:\"Deny\"}]}\u0000"#,
    "",
];

pub const TIMES: &[&str] = &[
    "2026-01-14T12:00:00Z",
    "2026-01-14T12:00:00.5Z",
    "2026-01-14T12:00:00.123456789Z",
    "2026-01-14T12:00:00.1234567899Z",
    "2026-01-14T12:00:00+05:30",
    "2026-01-14T12:00:00.25-01:00",
    "2026-01-14 12:00:00",
    "2026-01-14 12:00:00.75",
    "2024-02-29T23:59:59Z",
    "2023-02-29T00:00:00Z",
    "1970-01-01T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "yesterday",
    "",
    "2026-01-14",
    "2026\\u002d01-14T12:00:00Z",
    "2026-01-14T12:00:00",
];
