//! The identities in the synthetic logs: an account with users, roles and their sessions.
#![forbid(unsafe_code)]

use super::random::Random;

/// An account and its resources, shared by the records of a log file.
pub struct Account {
    pub id: String,
    pub region: &'static str,
    pub buckets: Vec<String>,
    pub keys: Vec<String>,
    pub instances: Vec<String>,
    pub identities: Vec<Identity>,
}

/// An identity with a session, source address and user agent.
pub struct Identity {
    pub json: String,
    pub source: String,
    pub user_agent: String,
    pub via_console: bool,
}

const REGIONS: [&str; 6] = [
    "us-east-1",
    "us-west-2",
    "eu-central-1",
    "eu-west-1",
    "ap-southeast-2",
    "us-east-2",
];
const TEAMS: [&str; 8] = [
    "payments",
    "search",
    "platform",
    "billing",
    "identity",
    "ml-training",
    "web",
    "data-lake",
];
const STAGES: [&str; 3] = ["prod", "staging", "dev"];
const PEOPLE: [&str; 10] = [
    "alice.meyer",
    "bob.tan",
    "carla.rossi",
    "deniz.kaya",
    "erik.lund",
    "fatima.noor",
    "grace.okafor",
    "hiro.sato",
    "ines.silva",
    "jonas.weber",
];
const SERVICES: [&str; 6] = [
    "ec2",
    "lambda",
    "autoscaling",
    "ecs-tasks",
    "config",
    "elasticloadbalancing",
];
const USER_AGENTS: [&str; 9] = [
    "aws-cli/2.15.30 Python/3.11.8 Linux/5.10.213-201.855.amzn2.x86_64 exe/x86_64.amzn.2 prompt/off command/s3.cp",
    "Boto3/1.34.69 md/Botocore#1.34.69 ua/2.0 os/linux#6.1.79 md/arch#x86_64 lang/python#3.12.2 md/pyimpl#CPython cfg/retry-mode#standard Botocore/1.34.69",
    "APN/1.0 HashiCorp/1.0 Terraform/1.7.5 (+https://www.terraform.io) terraform-provider-aws/5.42.0 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.26.0 os/linux lang/go#1.21.8",
    "aws-sdk-java/2.25.13 Linux/5.15.0-1055-aws OpenJDK_64-Bit_Server_VM/17.0.10+7 Java/17.0.10 vendor/Eclipse_Adoptium io/sync http/Apache cfg/retry-mode/legacy",
    "aws-sdk-go-v2/1.25.2 os/linux lang/go#1.22.1 md/GOOS#linux md/GOARCH#arm64 api/kms#1.29.1",
    "aws-sdk-js/3.535.0 ua/2.0 os/linux#5.10.210 lang/js md/nodejs#18.19.1 api/dynamodb#3.535.0 exec-env/AWS_Lambda_nodejs18.x",
    "[Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 Safari/537.36]",
    "kubernetes/v1.29.1 (linux/amd64) cluster-autoscaler aws-sdk-go/1.50.9 (go1.21.6; linux; amd64)",
    "Amazon-S3-Sync/3.1 aws-internal/3 aws-sdk-java/1.12.677 Linux/5.10.209 OpenJDK_64-Bit_Server_VM/25.402-b08",
];

impl Account {
    pub fn new(random: &mut Random) -> Self {
        let id = random.digits(12);
        let buckets = (0..12)
            .map(|_| {
                format!(
                    "{}-{}-{}",
                    random.pick(&TEAMS),
                    random.pick(&STAGES),
                    random.digits(6)
                )
            })
            .collect();
        let region = random.pick(&REGIONS);
        Account {
            keys: (0..6)
                .map(|_| format!("arn:aws:kms:{region}:{id}:key/{}", random.uuid()))
                .collect(),
            instances: (0..200).map(|_| format!("i-0{}", random.hex(16))).collect(),
            identities: (0..150).map(|_| Identity::new(random, &id)).collect(),
            region,
            buckets,
            id,
        }
    }
}

impl Identity {
    fn new(random: &mut Random, account: &str) -> Self {
        let source = format!(
            "{}.{}.{}.{}",
            random.pick(&["10", "52", "3", "54", "203"]),
            random.below(256),
            random.below(256),
            random.below(256)
        );
        let agent = (random.below(3) * 3 + random.below(3)) as usize;
        let user_agent = USER_AGENTS[agent].to_owned();
        let via_console = user_agent.starts_with('[');
        let json = match random.below(100) {
            0..62 => assumed_role(random, account),
            62..76 => iam_user(random, account, via_console),
            76..78 => format!(
                r#"{{"type":"Root","principalId":"{account}","arn":"arn:aws:iam::{account}:root","accountId":"{account}","accessKeyId":"ASIA{}"}}"#,
                random.upper(16)
            ),
            78..82 => format!(
                r#"{{"type":"AWSAccount","principalId":"AIDA{}","accountId":"{}"}}"#,
                random.upper(17),
                random.digits(12)
            ),
            _ => {
                let service = format!("{}.amazonaws.com", random.pick(&SERVICES));
                return Identity {
                    json: format!(r#"{{"type":"AWSService","invokedBy":"{service}"}}"#),
                    source: service.clone(),
                    user_agent: service,
                    via_console: false,
                };
            }
        };
        Identity {
            json,
            source,
            user_agent,
            via_console,
        }
    }
}

fn assumed_role(random: &mut Random, account: &str) -> String {
    let role_id = format!("AROA{}", random.upper(17));
    let role = format!("{}-{}-role", random.pick(&TEAMS), random.pick(&STAGES));
    let session = match random.below(3) {
        0 => format!("i-0{}", random.hex(16)),
        1 => random.pick(&PEOPLE).to_owned(),
        _ => format!("{}-{}", random.pick(&TEAMS), random.digits(10)),
    };
    let mfa = random.chance(15);
    let web = match random.chance(20) {
        true => r#""webIdFederationData":{},"#,
        false => "",
    };
    format!(
        r#"{{"type":"AssumedRole","principalId":"{role_id}:{session}","arn":"arn:aws:sts::{account}:assumed-role/{role}/{session}","accountId":"{account}","accessKeyId":"ASIA{}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"{role_id}","arn":"arn:aws:iam::{account}:role/{role}","accountId":"{account}","userName":"{role}"}},{web}"attributes":{{"creationDate":"2024-03-{:02}T{:02}:{:02}:{:02}Z","mfaAuthenticated":"{mfa}"}}}}}}"#,
        random.upper(16),
        random.below(28) + 1,
        random.below(24),
        random.below(60),
        random.below(60),
    )
}

fn iam_user(random: &mut Random, account: &str, via_console: bool) -> String {
    let person = random.pick(&PEOPLE);
    let session = match via_console {
        true => format!(
            r#","sessionContext":{{"attributes":{{"creationDate":"2024-03-{:02}T07:{:02}:{:02}Z","mfaAuthenticated":"true"}}}}"#,
            random.below(28) + 1,
            random.below(60),
            random.below(60)
        ),
        false => String::new(),
    };
    format!(
        r#"{{"type":"IAMUser","principalId":"AIDA{}","arn":"arn:aws:iam::{account}:user/{person}","accountId":"{account}","accessKeyId":"AKIA{}","userName":"{person}"{session}}}"#,
        random.upper(17),
        random.upper(16),
    )
}
