//! All fields, in the order of their numbers: hosts ask by number, so rows are only ever appended.

use super::value::View;
use super::{Shown, rules};
use crate::slots::Slot;
use crate::tape::Value;

/// A field as it is declared to the host.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// As rules write it.
    pub name: &'static str,
    /// As a table's heading.
    pub display: &'static str,
    /// What it means.
    pub description: &'static str,
    /// Type of its values.
    pub kind: Kind,
    /// What may stand in brackets behind it.
    pub arg: Arg,
    /// Whether it can have several values.
    pub list: bool,
    /// How a host shows it.
    pub property: Option<Property>,
    /// How its value is found.
    pub rule: Rule,
}

/// Type of a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    String,
    /// An unsigned number.
    Uint64,
}

/// What may stand in brackets behind a field's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// Nothing.
    None,
    /// A place in the list, or nothing.
    OptionalIndex,
    /// A key.
    RequiredKey,
}

/// How a host shows a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// Not in lists for people.
    Hidden,
    /// One end of what passes between two.
    Conversation,
    /// The event in one line.
    Info,
}

/// A rule that appends text and says whether there is a value.
pub(super) type TextRule = fn(&mut View<'_>, &mut Vec<u8>) -> bool;

/// How a field's value is found in a record.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// It is what stands at one path.
    Path(Slot),
    /// The same, for a number of bytes.
    Amount(Slot),
    /// It is one of the record's values.
    Choice(fn(&mut View<'_>) -> Option<Value>),
    /// It is one of the record's values, or told from others.
    Told(fn(&mut View<'_>, &mut Vec<u8>) -> Shown),
    /// It is what stands at the path that the argument names.
    Pointer,
    /// Text that is made of several parts of the record.
    Text(TextRule),
    /// A number.
    Number(fn(&mut View<'_>) -> Option<u64>),
    /// A list of images, or the one at the place that the argument names.
    ImageIds,
}

const fn text(
    name: &'static str,
    rule: Rule,
    display: &'static str,
    description: &'static str,
) -> Field {
    Field {
        name,
        display,
        description,
        kind: Kind::String,
        arg: match rule {
            Rule::Pointer => Arg::RequiredKey,
            Rule::ImageIds => Arg::OptionalIndex,
            _ => Arg::None,
        },
        list: matches!(rule, Rule::ImageIds),
        property: None,
        rule,
    }
}

const fn number(
    name: &'static str,
    rule: Rule,
    display: &'static str,
    description: &'static str,
) -> Field {
    Field {
        kind: Kind::Uint64,
        ..text(name, rule, display, description)
    }
}

impl Field {
    const fn with(self, property: Property) -> Field {
        Field {
            property: Some(property),
            ..self
        }
    }
}

/// The fields; a field's number is its place here.
#[rustfmt::skip] // One row a field.
pub static FIELDS: &[Field] = &[
    text("ct.id", Rule::Path(Slot::EventId), "Event ID", "ID that CloudTrail gives to each event (eventID)"),
    text("ct.error", Rule::Path(Slot::ErrorCode), "Error Code", "code of the error that the request ended with (errorCode); no value if it succeeded"),
    text("ct.errormessage", Rule::Path(Slot::ErrorMessage), "Error Message", "what the service says about the error (errorMessage); no value if the request succeeded"),
    text("ct.time", Rule::Path(Slot::EventTime), "Timestamp", "when the request was made, as the record writes it (eventTime)").with(Property::Hidden),
    text("ct.src", Rule::Path(Slot::EventSource), "AWS Service", "service that got the request, as a domain name (eventSource)"),
    text("ct.shortsrc", Rule::Text(rules::short_source), "AWS Service Short Name", "service that got the request, without the trailing .amazonaws.com"),
    text("ct.name", Rule::Path(Slot::EventName), "Event Name", "operation that was requested (eventName)"),
    text("ct.user", Rule::Choice(rules::user), "User Name", "readable name of who made the request, found where the identity type keeps it").with(Property::Conversation),
    text("ct.originaluser", Rule::Told(rules::original_user), "Original User Name", "who assumed the role, from the session name; the user name for other identities"),
    text("ct.user.accountid", Rule::Choice(rules::account_id), "User Account ID", "account of who made the request, else the account that the event was delivered to"),
    text("ct.user.identitytype", Rule::Path(Slot::IdentityType), "Identity Type", "kind of identity: Root, IAMUser, AssumedRole, AWSService and so on (userIdentity.type)"),
    text("ct.user.principalid", Rule::Path(Slot::PrincipalId), "Principal ID", "unique ID of who made the request (userIdentity.principalId)"),
    text("ct.user.arn", Rule::Path(Slot::Arn), "User ARN", "ARN of who made the request (userIdentity.arn)"),
    text("ct.region", Rule::Path(Slot::AwsRegion), "Region", "region that the request was made to (awsRegion)"),
    text("ct.response.subnetid", Rule::Path(Slot::ResponseSubnetId), "Response Subnet ID", "subnet in the response (responseElements.subnetId)"),
    text("ct.response.reservationid", Rule::Path(Slot::ReservationId), "Response Reservation ID", "reservation in the response (responseElements.reservationId)"),
    text("ct.response", Rule::Path(Slot::ResponseElements), "Response Elements", "whole response, as JSON (responseElements)"),
    text("ct.request.availabilityzone", Rule::Path(Slot::RequestAvailabilityZone), "Request Availability Zone", "availability zone in the request (requestParameters.availabilityZone)"),
    text("ct.request.cluster", Rule::Path(Slot::RequestCluster), "Request Cluster", "cluster in the request (requestParameters.cluster)"),
    text("ct.request.functionname", Rule::Path(Slot::RequestFunctionName), "Request Function Name", "function in the request (requestParameters.functionName)"),
    text("ct.request.groupname", Rule::Path(Slot::RequestGroupName), "Request Group Name", "group in the request (requestParameters.groupName)"),
    text("ct.request.host", Rule::Path(Slot::RequestHost), "Request Host", "host name in the request (requestParameters.Host)"),
    text("ct.request.name", Rule::Path(Slot::RequestName), "Request Entity Name", "name of the thing that is acted on in the request (requestParameters.name)"),
    text("ct.request.policy", Rule::Path(Slot::RequestPolicy), "Request Policy", "policy in the request (requestParameters.policy)"),
    text("ct.request.reason", Rule::Path(Slot::RequestReason), "Request Reason", "reason in the request (requestParameters.reason)"),
    text("ct.request.target", Rule::Path(Slot::RequestTarget), "Request Target", "target in the request (requestParameters.target)"),
    text("ct.request.documentname", Rule::Path(Slot::RequestDocumentName), "Request Document Name", "Systems Manager document in the request (requestParameters.documentName)"),
    text("ct.request.serialnumber", Rule::Path(Slot::RequestSerialNumber), "Request Serial Number", "serial number, mostly of an MFA device in the request (requestParameters.serialNumber)"),
    text("ct.request.servicename", Rule::Path(Slot::RequestServiceName), "Request Service Name", "service in the request (requestParameters.serviceName)"),
    text("ct.request.subnetid", Rule::Path(Slot::RequestSubnetId), "Request Subnet ID", "subnet in the request (requestParameters.subnetId)"),
    text("ct.request.taskdefinition", Rule::Path(Slot::RequestTaskDefinition), "Request Task Definition", "task definition in the request (requestParameters.taskDefinition)"),
    text("ct.request.username", Rule::Path(Slot::RequestUserName), "Request User Name", "user in the request (requestParameters.userName)"),
    text("ct.request", Rule::Path(Slot::RequestParameters), "Request Parameters", "whole request, as JSON (requestParameters)"),
    text("ct.srcip", Rule::Path(Slot::SourceIpAddress), "Source IP Address", "address that the request came from, or the service that made it (sourceIPAddress)").with(Property::Conversation),
    text("ct.useragent", Rule::Path(Slot::UserAgent), "User Agent", "program that made the request, in its own words (userAgent)"),
    text("ct.info", Rule::Text(super::info::info), "Summary", "who, from where, read (←) or changed (→) what, with an exclamation mark if it failed").with(Property::Info),
    text("ct.managementevent", Rule::Told(rules::management_event), "Management Event", "true for an operation on resources, false for one on the data in them"),
    text("ct.readonly", Rule::Told(rules::read_only), "Read Only", "true for an operation that changes nothing; told from its name if the record does not say"),
    text("ct.requestid", Rule::Path(Slot::RequestId), "Request ID", "ID that the service gave to the request (requestID)"),
    text("ct.eventtype", Rule::Path(Slot::EventType), "Event Type", "what produced the event: AwsApiCall, AwsConsoleSignIn and so on (eventType)"),
    text("ct.apiversion", Rule::Path(Slot::ApiVersion), "API Version", "version of the service's API (apiVersion)"),
    text("ct.resources", Rule::Text(rules::resources), "Resources", "resources that the request touched, as JSON texts separated by commas"),
    text("ct.recipientaccountid", Rule::Path(Slot::RecipientAccountId), "Recipient Account ID", "account that the event was delivered to (recipientAccountId)"),
    text("ct.serviceeventdetails", Rule::Path(Slot::ServiceEventDetails), "Service Event Details", "what a service did by itself, as JSON (serviceEventDetails)"),
    text("ct.sharedeventid", Rule::Path(Slot::SharedEventId), "Shared Event ID", "ID that the events of one action in several accounts have in common (sharedEventID)"),
    text("ct.vpcendpointid", Rule::Path(Slot::VpcEndpointId), "VPC Endpoint ID", "VPC endpoint that the request went through (vpcEndpointId)"),
    text("ct.eventcategory", Rule::Path(Slot::EventCategory), "Event Category", "Management, Data, NetworkActivity or Insight (eventCategory)"),
    text("ct.addendum.reason", Rule::Path(Slot::AddendumReason), "Addendum Reason", "why an earlier event was late or incomplete (addendum.reason)"),
    text("ct.addendum.updatedfields", Rule::Path(Slot::AddendumUpdatedFields), "Addendum Updated Fields", "which parts of the earlier event this one corrects (addendum.updatedFields)"),
    text("ct.addendum.originalrequestid", Rule::Path(Slot::AddendumOriginalRequestId), "Addendum Original Request ID", "request ID of the earlier event (addendum.originalRequestID)"),
    text("ct.addendum.originaleventid", Rule::Path(Slot::AddendumOriginalEventId), "Addendum Original Event ID", "event ID of the earlier event (addendum.originalEventID)"),
    text("ct.sessioncredentialfromconsole", Rule::Choice(|view| rules::flag(view, Slot::SessionCredentialFromConsole)), "Session Credential From Console", "true if the request came from a session of the management console (sessionCredentialFromConsole)"),
    text("ct.edgedevicedetails", Rule::Path(Slot::EdgeDeviceDetails), "Edge Device Details", "edge devices that the request was for, as JSON (edgeDeviceDetails)"),
    text("ct.tlsdetails.tlsversion", Rule::Path(Slot::TlsVersion), "TLS Version", "version of TLS (tlsDetails.tlsVersion)"),
    text("ct.tlsdetails.ciphersuite", Rule::Path(Slot::CipherSuite), "TLS Cipher Suite", "TLS cipher suite (tlsDetails.cipherSuite)"),
    text("ct.tlsdetails.clientprovidedhostheader", Rule::Path(Slot::ClientProvidedHostHeader), "TLS Client-Provided Host", "host name that the client asked for (tlsDetails.clientProvidedHostHeader)"),
    text("ct.additionaleventdata", Rule::Path(Slot::AdditionalEventData), "Additional Event Data", "what the service adds beyond request and response, as JSON (additionalEventData)"),
    text("s3.uri", Rule::Text(rules::s3_uri), "Object URI", "s3://<bucket>/<key> of the request").with(Property::Conversation),
    text("s3.bucket", Rule::Path(Slot::BucketName), "Bucket Name", "bucket in the request (requestParameters.bucketName)").with(Property::Conversation),
    text("s3.key", Rule::Path(Slot::ObjectKey), "Key Name", "object key in the request (requestParameters.key)"),
    number("s3.bytes", Rule::Number(rules::s3_bytes), "Total Bytes", "bytes moved in both directions"),
    number("s3.bytes.in", Rule::Amount(Slot::BytesTransferredIn), "Bytes In", "bytes sent to S3 (additionalEventData.bytesTransferredIn)").with(Property::Hidden),
    number("s3.bytes.out", Rule::Amount(Slot::BytesTransferredOut), "Bytes Out", "bytes got from S3 (additionalEventData.bytesTransferredOut)").with(Property::Hidden),
    number("s3.cnt.get", Rule::Number(rules::s3_gets), "GetObject Count", "1 for GetObject, else 0").with(Property::Hidden),
    number("s3.cnt.put", Rule::Number(rules::s3_puts), "PutObject Count", "1 for PutObject, else 0").with(Property::Hidden),
    number("s3.cnt.other", Rule::Number(rules::s3_others), "Other Operations Count", "0 for GetObject and PutObject, else 1").with(Property::Hidden),
    text("ec2.name", Rule::Choice(rules::ec2_name), "Instance Name", "Name tag of the instances that the request starts"),
    text("ec2.imageids", Rule::ImageIds, "Image IDs", "images of the instances in the response; with an index, that of the instance at this place"),
    text("ec2.imageid", Rule::Choice(rules::ec2_image_id), "Image ID", "image of the first instance; deprecated in favour of ec2.imageids[0]"),
    text("ecr.repository", Rule::Path(Slot::RepositoryName), "ECR Repository", "repository in the request (requestParameters.repositoryName)"),
    text("ecr.imagetag", Rule::Path(Slot::ImageTag), "ECR Image Tag", "image tag in the request (requestParameters.imageTag)"),
    text("iam.role", Rule::Path(Slot::RoleName), "IAM Role", "role in the request (requestParameters.roleName)"),
    text("iam.policy", Rule::Path(Slot::PolicyName), "IAM Policy", "policy in the request (requestParameters.policyName)"),
    text("ct.value", Rule::Pointer, "Value by JSON Pointer", "any value of the record by its JSON pointer (RFC 6901), as in ct.value[/responseElements/ConsoleLogin]"),
    text("ct.eventversion", Rule::Path(Slot::EventVersion), "Event Version", "version of the record's format (eventVersion)"),
    text("ct.vpcendpointaccountid", Rule::Path(Slot::VpcEndpointAccountId), "VPC Endpoint Account ID", "account that owns the VPC endpoint (vpcEndpointAccountId)"),
    text("ct.tlsdetails.keyexchange", Rule::Path(Slot::KeyExchange), "TLS Key Exchange", "TLS key exchange (tlsDetails.keyExchange)"),
    text("ct.eventcontext", Rule::Path(Slot::EventContext), "Event Context", "tags and other context that a trail adds, as JSON (eventContext)"),
    text("ct.insightdetails", Rule::Path(Slot::InsightDetails), "Insight Details", "what is unusual, as JSON, in insight events (insightDetails)"),
    text("ct.user.accesskeyid", Rule::Path(Slot::AccessKeyId), "User Access Key ID", "access key that signed the request (userIdentity.accessKeyId)"),
    text("ct.user.invokedby", Rule::Path(Slot::InvokedBy), "Invoked By", "service that made the request for the user (userIdentity.invokedBy)"),
    text("ct.user.credentialid", Rule::Path(Slot::CredentialId), "User Credential ID", "credential of an IAM Identity Center user (userIdentity.credentialId)"),
    text("ct.user.identityprovider", Rule::Path(Slot::IdentityProvider), "User Identity Provider", "who vouches for a federated user (userIdentity.identityProvider)"),
    text("ct.user.onbehalfof.userid", Rule::Path(Slot::OnBehalfOfUserId), "On Behalf Of User ID", "IAM Identity Center user that the request was made for (userIdentity.onBehalfOf.userId)"),
    text("ct.user.onbehalfof.identitystorearn", Rule::Path(Slot::OnBehalfOfIdentityStoreArn), "On Behalf Of Identity Store ARN", "identity store of that user (userIdentity.onBehalfOf.identityStoreArn)"),
    text("ct.user.inscopeof", Rule::Path(Slot::InScopeOf), "In Scope Of", "resource that the credentials were issued to, as JSON (userIdentity.inScopeOf)"),
    text("ct.session.mfaauthenticated", Rule::Path(Slot::MfaAuthenticated), "Session MFA Authenticated", "true if the session began with multi-factor authentication (sessionContext.attributes.mfaAuthenticated)"),
    text("ct.session.creationdate", Rule::Path(Slot::CreationDate), "Session Creation Date", "when the session's credentials were issued (sessionContext.attributes.creationDate)"),
    text("ct.session.sourceidentity", Rule::Path(Slot::SourceIdentity), "Session Source Identity", "original identity that is carried through chains of roles (sessionContext.sourceIdentity)"),
    text("ct.session.ec2roledelivery", Rule::Path(Slot::Ec2RoleDelivery), "Session EC2 Role Delivery", "version of the instance metadata service that delivered the credentials (sessionContext.ec2RoleDelivery)"),
    text("ct.session.issuer.type", Rule::Path(Slot::IssuerType), "Session Issuer Type", "kind of what issued the session (sessionContext.sessionIssuer.type)"),
    text("ct.session.issuer.arn", Rule::Path(Slot::IssuerArn), "Session Issuer ARN", "ARN of what issued the session (sessionContext.sessionIssuer.arn)"),
    text("ct.session.issuer.accountid", Rule::Path(Slot::IssuerAccountId), "Session Issuer Account ID", "account of what issued the session (sessionContext.sessionIssuer.accountId)"),
    text("ct.session.issuer.principalid", Rule::Path(Slot::IssuerPrincipalId), "Session Issuer Principal ID", "unique ID of what issued the session (sessionContext.sessionIssuer.principalId)"),
    text("ct.session.issuer.username", Rule::Path(Slot::IssuerUserName), "Session Issuer User Name", "name of what issued the session (sessionContext.sessionIssuer.userName)"),
    text("ct.mfaused", Rule::Path(Slot::MfaUsed), "MFA Used", "Yes or No, at a console sign-in (additionalEventData.MFAUsed)"),
    text("ct.consolelogin", Rule::Path(Slot::ConsoleLogin), "Console Login", "Success or Failure, at a console sign-in (responseElements.ConsoleLogin)"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_described() {
        for (number, field) in FIELDS.iter().enumerate() {
            assert!(
                FIELDS[..number]
                    .iter()
                    .all(|other| other.name != field.name),
                "{}",
                field.name
            );
            assert!(
                !field.display.is_empty() && !field.description.is_empty(),
                "{}",
                field.name
            );
        }
    }

    #[test]
    fn a_description_that_names_a_path_names_the_field_s_own() {
        for field in FIELDS {
            if let (Rule::Path(slot), Some((_, path))) =
                (field.rule, field.description.rsplit_once('('))
                && let Some(path) = path.strip_suffix(')')
            {
                assert!(slot.path().ends_with(path), "{}: {path}", field.name);
            }
        }
    }
}
