//! Computes every field from a record's bytes in the slow, obvious way, without any code of the engine, so that the two
//! can be compared.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "each test binary uses its own part")]

mod computed;
pub mod json;
mod pattern;
mod policy;
mod time;

use json::Json;
use policy::Policies;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A string field's value.
    Text(String),
    /// A uint64 field's value.
    Number(u64),
    /// A list field's values, never empty.
    List(Vec<String>),
}

/// A parsed record that computes any field.
pub struct Record<'a> {
    root: Json<'a>,
}

impl<'a> Record<'a> {
    /// None if `payload` is not one object with balanced brackets.
    pub fn read(payload: &'a [u8]) -> Option<Record<'a>> {
        let root = Json::read(payload, 0)?;
        (root.end == payload.len() && payload.first() == Some(&b'{')).then_some(Record { root })
    }

    /// The value of `field`, with the index or pointer `arg` if it takes one.
    pub fn value(&self, field: &str, arg: Option<&str>) -> Option<Expected> {
        use Expected::{Number, Text};
        let record = &self.root;
        if let Some(path) = plain_path(field) {
            return record.at(path)?.text().map(Text);
        }
        match field {
            "ct.value" => pointed(record, arg?)?.text().map(Text),
            "ct.num" => computed::number(pointed(record, arg?)?).map(Number),
            "ct.values" => list(&pattern::values(record, arg?)),
            "ct.id" | "ct.recipientaccountid" | "ct.request.instanceid" => {
                computed::fallback(record, field)?.text().map(Text)
            }
            "ct.resources.arn" | "ct.resources.type" | "ct.resources.accountid" => {
                list(&resources(record, field, arg))
            }
            "ct.user.oninstance" => computed::on_instance(record).map(|it| Text(it.to_string())),
            "ct.shortsrc" => computed::short_source(record).map(Text),
            "ct.user" => computed::user(record)?.text().map(Text),
            "ct.originaluser" => computed::original_user(record).map(Text),
            "ct.user.accountid" => computed::account(record)?.text().map(Text),
            "ct.managementevent" => Some(Text(computed::is_management(record).to_string())),
            "ct.readonly" => computed::read_only(record).map(Text),
            "ct.resources" => computed::resources(record).map(Text),
            "ct.sessioncredentialfromconsole" => {
                let flag = computed::flag(record, "sessionCredentialFromConsole")?;
                flag.text().map(Text)
            }
            "ct.info" => Some(Text(computed::info(record))),
            "s3.uri" => computed::s3_uri(record).map(Text),
            "s3.bytes" => computed::bytes(record).map(Number),
            "s3.bytes.in" => computed::bytes_in(record).map(Number),
            "s3.bytes.out" => computed::bytes_out(record).map(Number),
            "s3.cnt.get" => Some(Number(u64::from(is_named(record, "GetObject")))),
            "s3.cnt.put" => Some(Number(u64::from(is_named(record, "PutObject")))),
            "s3.cnt.other" => Some(Number(u64::from(
                !is_named(record, "GetObject") && !is_named(record, "PutObject"),
            ))),
            "ec2.name" => computed::instance_name(record)?.text().map(Text),
            "ec2.imageid" => computed::image_id(record, 0)?.text().map(Text),
            "ec2.imageids" => {
                let images = match arg {
                    Some(index) => Vec::from_iter(computed::image_id(record, index.parse().ok()?)),
                    None => computed::image_ids(record),
                };
                list(&images)
            }
            "ct.policy.public" => flag(Policies::of(record).public),
            "ct.policy.unlimited" => flag(Policies::of(record).unlimited),
            "ct.policy.escalates" => flag(Policies::of(record).escalates),
            "ct.policy.accounts" => {
                let accounts = Policies::of(record).accounts;
                (!accounts.is_empty()).then_some(Expected::List(accounts))
            }
            _ => panic!("unknown field {field}"),
        }
    }

    /// The offset range of each value's JSON text in the payload; none for computed values.
    pub fn extents(&self, field: &str, arg: Option<&str>) -> Vec<Range<usize>> {
        let record = &self.root;
        let value = match plain_path(field) {
            Some(path) => record.at(path),
            None => match field {
                "ct.value" => arg.and_then(|pointer| pointed(record, pointer)),
                "ct.num" => arg
                    .and_then(|pointer| pointed(record, pointer))
                    .filter(|value| computed::number(value).is_some()),
                "ct.values" => {
                    return extents(&arg.map_or(Vec::new(), |it| pattern::values(record, it)));
                }
                "ct.id" | "ct.recipientaccountid" | "ct.request.instanceid" => {
                    computed::fallback(record, field)
                }
                "ct.resources.arn" | "ct.resources.type" | "ct.resources.accountid" => {
                    return extents(&resources(record, field, arg));
                }
                "ct.user" => computed::user(record),
                "ct.originaluser" => computed::named_user(record),
                "ct.user.accountid" => computed::account(record),
                "ct.managementevent" => computed::management_flag(record),
                "ct.readonly" => computed::flag(record, "readOnly"),
                "ct.sessioncredentialfromconsole" => {
                    computed::flag(record, "sessionCredentialFromConsole")
                }
                "s3.bytes.in" => record.at(computed::BYTES_IN),
                "s3.bytes.out" => record.at(computed::BYTES_OUT),
                "ec2.name" => computed::instance_name(record),
                "ec2.imageid" => computed::image_id(record, 0),
                "ec2.imageids" => match arg.map(str::parse) {
                    Some(index) => index.ok().and_then(|at| computed::image_id(record, at)),
                    None => return extents(&computed::image_ids(record)),
                },
                _ => None,
            },
        };
        extents(&Vec::from_iter(
            value.filter(|value| value.text().is_some()),
        ))
    }

    /// The event's time in ns since 1970; None if neither the record nor its file's name has one.
    pub fn timestamp(&self, file_name: &str) -> Option<u64> {
        time::timestamp(&self.root, file_name)
    }

    /// The text of event_to_string.
    pub fn line(&self) -> String {
        let parts = ["ct.region", "ct.user", "ct.shortsrc", "ct.name", "ct.info"]
            .into_iter()
            .filter_map(|field| self.value(field, None))
            .map(|value| match value {
                Expected::Text(text) => text,
                other => panic!("{other:?} is not a text"),
            })
            .collect::<Vec<_>>();
        parts.join(" ")
    }
}

/// A list of these values' texts.
fn list(values: &[&Json]) -> Option<Expected> {
    let texts: Vec<_> = values.iter().filter_map(|value| value.text()).collect();
    (!texts.is_empty()).then_some(Expected::List(texts))
}

/// The values of a field of resources, or that of the resource at an index.
fn resources<'j, 'a>(record: &'j Json<'a>, field: &str, arg: Option<&str>) -> Vec<&'j Json<'a>> {
    let members = computed::resource_members(record, field);
    match arg.map(str::parse) {
        None => members.into_iter().flatten().collect(),
        Some(index) => {
            let member = index.ok().and_then(|at: usize| *members.get(at)?);
            member.into_iter().collect()
        }
    }
}

fn flag(value: Option<bool>) -> Option<Expected> {
    value.map(|value| Expected::Text(value.to_string()))
}

fn extents(values: &[&Json]) -> Vec<Range<usize>> {
    let extent = |value: &&Json| value.start..value.end;
    values.iter().map(extent).collect()
}

/// Names of all fields, in no particular order.
pub fn fields() -> impl Iterator<Item = &'static str> {
    let computed = "ct.value ct.values ct.num ct.id ct.recipientaccountid ct.request.instanceid \
        ct.resources.arn ct.resources.type ct.resources.accountid ct.user.oninstance ct.shortsrc ct.user ct.originaluser ct.user.accountid \
        ct.managementevent ct.readonly ct.resources ct.sessioncredentialfromconsole ct.info \
        s3.uri s3.bytes s3.bytes.in s3.bytes.out s3.cnt.get s3.cnt.put s3.cnt.other ec2.name \
        ec2.imageid ec2.imageids ct.policy.public ct.policy.accounts ct.policy.unlimited \
        ct.policy.escalates";
    plain_pairs()
        .map(|(field, _)| field)
        .chain(computed.split_whitespace())
}

/// Whether a field has values only with a pointer.
pub fn needs_pointer(field: &str) -> bool {
    ["ct.value", "ct.values", "ct.num"].contains(&field)
}

fn plain_path(field: &str) -> Option<&'static str> {
    static PATHS: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| plain_pairs().collect());
    PATHS.get(field).copied()
}

fn plain_pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    PLAIN.lines().filter_map(|line| line.trim().split_once(' '))
}

fn is_named(record: &Json, name: &str) -> bool {
    computed::text(record, "eventName").as_deref() == Some(name)
}

/// The value at an RFC 6901 pointer.
fn pointed<'j, 'a>(record: &'j Json<'a>, pointer: &str) -> Option<&'j Json<'a>> {
    let mut parts = pointer.split('/');
    if parts.next() != Some("") {
        return None;
    }
    parts.try_fold(record, child)
}

/// The child that one part of a pointer refers to.
fn child<'j, 'a>(value: &'j Json<'a>, part: &str) -> Option<&'j Json<'a>> {
    match value.elements() {
        Some(_) if part.len() > 1 && part.starts_with('0') => None,
        Some(_) if !part.bytes().all(|byte| byte.is_ascii_digit()) => None,
        Some(elements) => elements.get(part.parse::<usize>().ok()?),
        None => value.member(&part.replace("~1", "/").replace("~0", "~")),
    }
}

const PLAIN: &str = "
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
";
