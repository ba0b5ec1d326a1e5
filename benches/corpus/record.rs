//! Synthetic records, with their keys in the order in which AWS writes them.
#![forbid(unsafe_code)]

use std::fmt::Write;

use super::account::{Account, Identity};
use super::random::Random;

/// The parts of a record that depend on the service and action.
struct Call {
    source: &'static str,
    name: &'static str,
    request: String,
    response: String,
    additional: Option<String>,
    resources: Option<String>,
    read_only: bool,
    data_event: bool,
}

impl Call {
    fn new(source: &'static str, name: &'static str, request: String) -> Self {
        Call {
            source,
            name,
            request,
            response: "null".to_owned(),
            additional: None,
            resources: None,
            read_only: true,
            data_event: false,
        }
    }
}

/// Appends a record at `second` of the day.
pub fn push(out: &mut String, random: &mut Random, account: &Account, second: u64) {
    let identity = random.pick_skewed(&account.identities);
    let mut call = match random.below(100) {
        0..34 => s3_object(random, account),
        34..50 => assume_role(random, account),
        50..66 => describe(random, account),
        66..77 => decrypt(random, account),
        77..82 => log_stream(random, account),
        82..87 => table_item(random, account),
        87..91 => container_image(random, account),
        91..94 => run_instances(random, account),
        94..96 => console_login(random, identity),
        96..98 => policy(random, account),
        _ => public_access_block(random, account),
    };
    let error = random.chance(6) && call.name != "ConsoleLogin";
    if error {
        call.response = "null".to_owned();
    }
    let host = call.source;
    write!(
        out,
        r#"{{"eventVersion":"1.09","userIdentity":{},"eventTime":"2024-03-15T{:02}:{:02}:{:02}Z","eventSource":"{host}","eventName":"{}","awsRegion":"{}","sourceIPAddress":"{}","userAgent":"{}","#,
        identity.json,
        second / 3600,
        second / 60 % 60,
        second % 60,
        call.name,
        account.region,
        identity.source,
        identity.user_agent,
    )
    .expect("to memory");
    if error {
        write!(
            out,
            r#""errorCode":"AccessDenied","errorMessage":"User is not authorized to perform: {}:{} because no identity-based policy allows the \"{}\" action","#,
            host.split('.').next().unwrap_or_default(),
            call.name,
            call.name,
        )
        .expect("to memory");
    }
    write!(
        out,
        r#""requestParameters":{},"responseElements":{},"#,
        call.request, call.response
    )
    .expect("to memory");
    if let Some(additional) = &call.additional {
        write!(out, r#""additionalEventData":{additional},"#).expect("to memory");
    }
    write!(
        out,
        r#""requestID":"{}","eventID":"{}","readOnly":{},"#,
        random.uuid(),
        random.uuid(),
        call.read_only
    )
    .expect("to memory");
    if let Some(resources) = &call.resources {
        write!(out, r#""resources":{resources},"#).expect("to memory");
    }
    let (kind, category) = match (call.name, call.data_event) {
        ("ConsoleLogin", _) => ("AwsConsoleSignIn", "Management"),
        (_, true) => ("AwsApiCall", "Data"),
        (_, false) => ("AwsApiCall", "Management"),
    };
    write!(
        out,
        r#""eventType":"{kind}","managementEvent":{},"recipientAccountId":"{}","#,
        !call.data_event, account.id
    )
    .expect("to memory");
    if random.chance(15) {
        write!(
            out,
            r#""sharedEventID":"{}","vpcEndpointId":"vpce-0{}","#,
            random.uuid(),
            random.hex(16)
        )
        .expect("to memory");
    }
    write!(
        out,
        r#""eventCategory":"{category}","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{}.{}.amazonaws.com"}}"#,
        host.split('.').next().unwrap_or_default(),
        account.region
    )
    .expect("to memory");
    if identity.via_console {
        out.push_str(r#","sessionCredentialFromConsole":"true""#);
    }
    out.push('}');
}

fn s3_object(random: &mut Random, account: &Account) -> Call {
    let bucket = random.pick_skewed(&account.buckets);
    let key = format!(
        "events/year=2024/month=03/day=15/hour={:02}/part-{:05}-{}.c000.snappy.parquet",
        random.below(24),
        random.below(400),
        random.uuid()
    );
    let (name, bytes_in, bytes_out) = match random.below(10) {
        0..6 => ("GetObject", 0, random.below(8_000_000)),
        6..9 => ("PutObject", random.below(8_000_000), 0),
        _ => ("HeadObject", 0, 0),
    };
    let encryption = match name {
        "PutObject" => r#","x-amz-server-side-encryption":"aws:kms""#,
        _ => "",
    };
    Call {
        additional: Some(format!(
            r#"{{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":{bytes_in}.0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"{}=","bytesTransferredOut":{bytes_out}.0}}"#,
            random.base64(75)
        )),
        resources: Some(format!(
            r#"[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::{bucket}/{key}"}},{{"accountId":"{}","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::{bucket}"}}]"#,
            account.id
        )),
        read_only: name != "PutObject",
        data_event: true,
        ..Call::new(
            "s3.amazonaws.com",
            name,
            format!(
                r#"{{"bucketName":"{bucket}","Host":"{bucket}.s3.{}.amazonaws.com","key":"{key}"{encryption}}}"#,
                account.region
            ),
        )
    }
}

fn assume_role(random: &mut Random, account: &Account) -> Call {
    let role = random.pick(&[
        "payments-prod-role",
        "search-prod-role",
        "data-lake-dev-role",
        "web-staging-role",
    ]);
    let session = random.digits(19);
    let role_id = format!("AROA{}", random.upper(17));
    Call {
        response: format!(
            r#"{{"credentials":{{"accessKeyId":"ASIA{}","sessionToken":"IQoJb3JpZ2luX2Vj{}","expiration":"Mar 15, 2024, {}:{:02}:{:02} PM"}},"assumedRoleUser":{{"assumedRoleId":"{role_id}:{session}","arn":"arn:aws:sts::{}:assumed-role/{role}/{session}"}}}}"#,
            random.upper(16),
            random.base64(400),
            random.below(12) + 1,
            random.below(60),
            random.below(60),
            account.id,
        ),
        resources: Some(format!(
            r#"[{{"accountId":"{}","type":"AWS::IAM::Role","ARN":"arn:aws:iam::{}:role/{role}"}}]"#,
            account.id, account.id
        )),
        ..Call::new(
            "sts.amazonaws.com",
            "AssumeRole",
            format!(
                r#"{{"roleArn":"arn:aws:iam::{}:role/{role}","roleSessionName":"{session}","externalId":"{}","durationSeconds":3600}}"#,
                account.id,
                random.uuid()
            ),
        )
    }
}

fn describe(random: &mut Random, account: &Account) -> Call {
    let name = random.pick(&[
        "DescribeInstances",
        "DescribeVolumes",
        "DescribeSecurityGroups",
        "DescribeNetworkInterfaces",
        "DescribeTags",
    ]);
    let items: Vec<String> = (0..random.below(4) + 1)
        .map(|_| {
            format!(
                r#"{{"instanceId":"{}"}}"#,
                random.pick_skewed(&account.instances)
            )
        })
        .collect();
    Call::new(
        "ec2.amazonaws.com",
        name,
        format!(
            r#"{{"maxResults":1000,"instancesSet":{{"items":[{}]}},"filterSet":{{"items":[{{"name":"vpc-id","valueSet":{{"items":[{{"value":"vpc-0{}"}}]}}}}]}}}}"#,
            items.join(","),
            random.hex(16)
        ),
    )
}

fn decrypt(random: &mut Random, account: &Account) -> Call {
    let key = random.pick_skewed(&account.keys);
    let bucket = random.pick_skewed(&account.buckets);
    Call {
        resources: Some(format!(
            r#"[{{"accountId":"{}","type":"AWS::KMS::Key","ARN":"{key}"}}]"#,
            account.id
        )),
        ..Call::new(
            "kms.amazonaws.com",
            random.pick(&["Decrypt", "GenerateDataKey"]),
            format!(
                r#"{{"keyId":"{key}","encryptionAlgorithm":"SYMMETRIC_DEFAULT","encryptionContext":{{"aws:s3:arn":"arn:aws:s3:::{bucket}","table":"{}"}}}}"#,
                random.base64(48)
            ),
        )
    }
}

fn log_stream(random: &mut Random, _: &Account) -> Call {
    Call {
        read_only: false,
        ..Call::new(
            "logs.amazonaws.com",
            "CreateLogStream",
            format!(
                r#"{{"logGroupName":"/aws/lambda/resize-{}","logStreamName":"2024/03/15/[$LATEST]{}"}}"#,
                random.below(30),
                random.hex(32)
            ),
        )
    }
}

fn table_item(random: &mut Random, account: &Account) -> Call {
    let table = random.pick(&["orders", "sessions", "inventory", "feature-flags"]);
    Call {
        resources: Some(format!(
            r#"[{{"accountId":"{}","type":"AWS::DynamoDB::Table","ARN":"arn:aws:dynamodb:{}:{}:table/{table}"}}]"#,
            account.id, account.region, account.id
        )),
        read_only: false,
        data_event: true,
        ..Call::new(
            "dynamodb.amazonaws.com",
            random.pick(&["PutItem", "UpdateItem", "DeleteItem"]),
            format!(
                r#"{{"tableName":"{table}","key":{{"id":"{}","range":{}}},"returnConsumedCapacity":"TOTAL","conditionExpression":"attribute_exists(id) AND #v < :next"}}"#,
                random.uuid(),
                random.below(1_000_000)
            ),
        )
    }
}

fn container_image(random: &mut Random, account: &Account) -> Call {
    let (repository, tag) = (
        random.pick(&["web/frontend", "payments/api", "base/python"]),
        random.hex(12),
    );
    Call {
        response: format!(
            r#"{{"image":{{"registryId":"{}","repositoryName":"{repository}","imageId":{{"imageDigest":"sha256:{}","imageTag":"{tag}"}},"imageManifestMediaType":"application/vnd.docker.distribution.manifest.v2+json"}}}}"#,
            account.id,
            random.hex(64)
        ),
        read_only: false,
        ..Call::new(
            "ecr.amazonaws.com",
            "PutImage",
            format!(
                r#"{{"registryId":"{}","repositoryName":"{repository}","imageTag":"{tag}"}}"#,
                account.id
            ),
        )
    }
}

fn run_instances(random: &mut Random, account: &Account) -> Call {
    let (image, subnet) = (
        format!("ami-0{}", random.hex(16)),
        format!("subnet-0{}", random.hex(16)),
    );
    let name = format!("worker-{}", random.below(500));
    let tags = format!(
        r#"{{"items":[{{"key":"Name","value":"{name}"}},{{"key":"cost-center","value":"{}"}}]}}"#,
        random.digits(4)
    );
    let instances: Vec<String> = (0..random.below(3) + 1)
        .map(|number| {
            format!(
                r#"{{"instanceId":"i-0{}","imageId":"{image}","instanceState":{{"code":0,"name":"pending"}},"privateDnsName":"ip-10-0-{}-{}.ec2.internal","amiLaunchIndex":{number},"productCodes":{{}},"instanceType":"m6i.large","launchTime":1710500000000,"placement":{{"availabilityZone":"{}a","tenancy":"default"}},"monitoring":{{"state":"disabled"}},"subnetId":"{subnet}","architecture":"x86_64","rootDeviceType":"ebs","blockDeviceMapping":{{}},"virtualizationType":"hvm","hypervisor":"xen","tagSet":{tags},"groupSet":{{"items":[{{"groupId":"sg-0{}","groupName":"workers"}}]}},"ebsOptimized":true,"cpuOptions":{{"coreCount":1,"threadsPerCore":2}}}}"#,
                random.hex(16),
                random.below(256),
                random.below(256),
                account.region,
                random.hex(16),
            )
        })
        .collect();
    Call {
        response: format!(
            r#"{{"requestId":"{}","reservationId":"r-0{}","ownerId":"{}","groupSet":{{}},"instancesSet":{{"items":[{}]}}}}"#,
            random.uuid(),
            random.hex(16),
            account.id,
            instances.join(",")
        ),
        read_only: false,
        ..Call::new(
            "ec2.amazonaws.com",
            "RunInstances",
            format!(
                r#"{{"instancesSet":{{"items":[{{"imageId":"{image}","minCount":1,"maxCount":{}}}]}},"userData":"<sensitiveDataRemoved>","instanceType":"m6i.large","blockDeviceMapping":{{}},"subnetId":"{subnet}","monitoring":{{"enabled":false}},"disableApiTermination":false,"ebsOptimized":true,"tagSpecificationSet":{{"items":[{{"resourceType":"instance","tags":[{{"key":"Name","value":"{name}"}}]}}]}}}}"#,
                instances.len()
            ),
        )
    }
}

fn console_login(random: &mut Random, identity: &Identity) -> Call {
    let outcome = if random.chance(90) {
        "Success"
    } else {
        "Failure"
    };
    Call {
        response: format!(r#"{{"ConsoleLogin":"{outcome}"}}"#),
        additional: Some(format!(
            r#"{{"LoginTo":"https://console.aws.amazon.com/console/home?state=hashArgs%23&isauthcode=true","MobileVersion":"No","MFAUsed":"{}"}}"#,
            if identity.via_console { "Yes" } else { "No" }
        )),
        read_only: false,
        ..Call::new("signin.amazonaws.com", "ConsoleLogin", "null".to_owned())
    }
}

fn policy(random: &mut Random, account: &Account) -> Call {
    let bucket = random.pick_skewed(&account.buckets);
    Call {
        read_only: false,
        ..Call::new(
            "iam.amazonaws.com",
            "PutRolePolicy",
            format!(
                r#"{{"roleName":"web-prod-role","policyName":"inline-{}","policyDocument":"{{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {{\n      \"Effect\": \"Allow\",\n      \"Action\": [\"s3:GetObject\", \"s3:PutObject\"],\n      \"Resource\": \"arn:aws:s3:::{bucket}/*\"\n    }}\n  ]\n}}"}}"#,
                random.digits(6)
            ),
        )
    }
}

fn public_access_block(random: &mut Random, account: &Account) -> Call {
    let bucket = random.pick_skewed(&account.buckets);
    Call {
        read_only: false,
        ..Call::new(
            "s3.amazonaws.com",
            "PutBucketPublicAccessBlock",
            format!(
                r#"{{"publicAccessBlock":"","bucketName":"{bucket}","PublicAccessBlockConfiguration":{{"xmlns":"http://s3.amazonaws.com/doc/2006-03-01/","RestrictPublicBuckets":{},"BlockPublicPolicy":true,"BlockPublicAcls":true,"IgnorePublicAcls":true}},"Host":"s3.{}.amazonaws.com"}}"#,
                random.chance(70),
                account.region
            ),
        )
    }
}
