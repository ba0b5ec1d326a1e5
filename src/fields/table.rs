//! The table of all fields. The host refers to a field by its row number, so new rows go at the end.

use super::extractors;
use super::policy::PolicyField;
use super::value::RecordView;
use super::{FieldValue, summary};
use crate::json::Value;
use crate::key_table::KnownKey;

/// A field's declaration.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name in rules.
    pub name: &'static str,
    /// Short title, as for a column.
    pub display: &'static str,
    /// Meaning, in one sentence.
    pub description: &'static str,
    /// Type of the values.
    pub field_type: FieldType,
    /// Argument in brackets after the name.
    pub arg: Arg,
    /// Whether the field can have several values.
    pub list: bool,
    /// How the host presents the field.
    pub property: Option<Property>,
    /// How the value is found in a record.
    pub(crate) extractor: FieldExtractor,
}

/// Type of a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// Text.
    String,
    /// Unsigned number of 64 bits.
    Uint64,
}

/// Argument that a field accepts in brackets after its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// None.
    None,
    /// A list index, which may be omitted.
    OptionalIndex,
    /// A key, which may not be omitted.
    RequiredKey,
}

/// How the host presents a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// Left out of lists of fields.
    Hidden,
    /// One side of a conversation, such as a source or destination.
    Conversation,
    /// The event's information column.
    Info,
}

/// Appends a field's text; returns whether there is a value.
pub(super) type TextExtractor = fn(&mut RecordView<'_>, &mut Vec<u8>) -> bool;

/// How a field's value is found in a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FieldExtractor {
    /// It is the value of a key.
    Key(KnownKey),
    /// It is the value of a key, as a number of bytes.
    ByteCount(KnownKey),
    /// It is one of the record's values, chosen by a function.
    Value(fn(&mut RecordView<'_>) -> Option<Value>),
    /// It is one of the record's values in some records, and computed in others.
    Mixed(fn(&mut RecordView<'_>, &mut Vec<u8>) -> FieldValue),
    /// It is a text made of several values.
    Text(TextExtractor),
    /// It is a computed number.
    Number(fn(&mut RecordView<'_>) -> Option<u64>),
    /// It is the value that the argument, a JSON pointer, refers to.
    Pointer,
    /// It is the list of images, or the one at the index that the argument gives.
    ImageIds,
    /// It is what the policies in the request say.
    Policy(PolicyField),
}

const fn text(
    name: &'static str,
    extractor: FieldExtractor,
    display: &'static str,
    description: &'static str,
) -> Field {
    Field {
        name,
        display,
        description,
        field_type: FieldType::String,
        arg: match extractor {
            FieldExtractor::Pointer => Arg::RequiredKey,
            FieldExtractor::ImageIds => Arg::OptionalIndex,
            _ => Arg::None,
        },
        list: matches!(
            extractor,
            FieldExtractor::ImageIds | FieldExtractor::Policy(PolicyField::Accounts)
        ),
        property: None,
        extractor,
    }
}

const fn number(
    name: &'static str,
    extractor: FieldExtractor,
    display: &'static str,
    description: &'static str,
) -> Field {
    Field {
        field_type: FieldType::Uint64,
        ..text(name, extractor, display, description)
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

/// All fields. A field's number is its index.
#[rustfmt::skip] // One row a field.
pub static FIELDS: &[Field] = &[
    text("ct.id", FieldExtractor::Key(KnownKey::EventId), "Event ID", "ID that CloudTrail gives to each event (eventID)"),
    text("ct.error", FieldExtractor::Key(KnownKey::ErrorCode), "Error Code", "error code of the response (errorCode); no value if the request succeeded"),
    text("ct.errormessage", FieldExtractor::Key(KnownKey::ErrorMessage), "Error Message", "error message of the response (errorMessage); no value if the request succeeded"),
    text("ct.time", FieldExtractor::Key(KnownKey::EventTime), "Timestamp", "time of the request, as in the record (eventTime)").with(Property::Hidden),
    text("ct.src", FieldExtractor::Key(KnownKey::EventSource), "AWS Service", "service that received the request, as a domain name (eventSource)"),
    text("ct.shortsrc", FieldExtractor::Text(extractors::short_source), "AWS Service Short Name", "service that received the request, without the trailing .amazonaws.com"),
    text("ct.name", FieldExtractor::Key(KnownKey::EventName), "Event Name", "operation that was requested (eventName)"),
    text("ct.user", FieldExtractor::Value(extractors::user), "User Name", "name of the identity that made the request, from the key that its type uses").with(Property::Conversation),
    text("ct.originaluser", FieldExtractor::Mixed(extractors::original_user), "Original User Name", "session name of an assumed role, which identifies its user; the user name for other identities"),
    text("ct.user.accountid", FieldExtractor::Value(extractors::account_id), "User Account ID", "account of the identity that made the request, else the account that received the event"),
    text("ct.user.identitytype", FieldExtractor::Key(KnownKey::IdentityType), "Identity Type", "identity type: Root, IAMUser, AssumedRole, AWSService and so on (userIdentity.type)"),
    text("ct.user.principalid", FieldExtractor::Key(KnownKey::PrincipalId), "Principal ID", "unique ID of the identity that made the request (userIdentity.principalId)"),
    text("ct.user.arn", FieldExtractor::Key(KnownKey::Arn), "User ARN", "ARN of the identity that made the request (userIdentity.arn)"),
    text("ct.region", FieldExtractor::Key(KnownKey::AwsRegion), "Region", "region that the request was made to (awsRegion)"),
    text("ct.response.subnetid", FieldExtractor::Key(KnownKey::ResponseSubnetId), "Response Subnet ID", "subnet in the response (responseElements.subnetId)"),
    text("ct.response.reservationid", FieldExtractor::Key(KnownKey::ReservationId), "Response Reservation ID", "reservation in the response (responseElements.reservationId)"),
    text("ct.response", FieldExtractor::Key(KnownKey::ResponseElements), "Response Elements", "whole response, as JSON (responseElements)"),
    text("ct.request.availabilityzone", FieldExtractor::Key(KnownKey::RequestAvailabilityZone), "Request Availability Zone", "availability zone in the request (requestParameters.availabilityZone)"),
    text("ct.request.cluster", FieldExtractor::Key(KnownKey::RequestCluster), "Request Cluster", "cluster in the request (requestParameters.cluster)"),
    text("ct.request.functionname", FieldExtractor::Key(KnownKey::RequestFunctionName), "Request Function Name", "function in the request (requestParameters.functionName)"),
    text("ct.request.groupname", FieldExtractor::Key(KnownKey::RequestGroupName), "Request Group Name", "group in the request (requestParameters.groupName)"),
    text("ct.request.host", FieldExtractor::Key(KnownKey::RequestHost), "Request Host", "host name in the request (requestParameters.Host)"),
    text("ct.request.name", FieldExtractor::Key(KnownKey::RequestName), "Request Entity Name", "name of the entity in the request (requestParameters.name)"),
    text("ct.request.policy", FieldExtractor::Key(KnownKey::RequestPolicy), "Request Policy", "policy in the request (requestParameters.policy)"),
    text("ct.request.reason", FieldExtractor::Key(KnownKey::RequestReason), "Request Reason", "reason in the request (requestParameters.reason)"),
    text("ct.request.target", FieldExtractor::Key(KnownKey::RequestTarget), "Request Target", "target in the request (requestParameters.target)"),
    text("ct.request.documentname", FieldExtractor::Key(KnownKey::RequestDocumentName), "Request Document Name", "Systems Manager document in the request (requestParameters.documentName)"),
    text("ct.request.serialnumber", FieldExtractor::Key(KnownKey::RequestSerialNumber), "Request Serial Number", "serial number, mostly of an MFA device in the request (requestParameters.serialNumber)"),
    text("ct.request.servicename", FieldExtractor::Key(KnownKey::RequestServiceName), "Request Service Name", "service in the request (requestParameters.serviceName)"),
    text("ct.request.subnetid", FieldExtractor::Key(KnownKey::RequestSubnetId), "Request Subnet ID", "subnet in the request (requestParameters.subnetId)"),
    text("ct.request.taskdefinition", FieldExtractor::Key(KnownKey::RequestTaskDefinition), "Request Task Definition", "task definition in the request (requestParameters.taskDefinition)"),
    text("ct.request.username", FieldExtractor::Key(KnownKey::RequestUserName), "Request User Name", "user in the request (requestParameters.userName)"),
    text("ct.request", FieldExtractor::Key(KnownKey::RequestParameters), "Request Parameters", "whole request, as JSON (requestParameters)"),
    text("ct.srcip", FieldExtractor::Key(KnownKey::SourceIpAddress), "Source IP Address", "IP address that the request came from, or the service that made it (sourceIPAddress)").with(Property::Conversation),
    text("ct.useragent", FieldExtractor::Key(KnownKey::UserAgent), "User Agent", "user agent that the client sent (userAgent)"),
    text("ct.info", FieldExtractor::Text(summary::info), "Summary", "user, address, event name and object in one line, with ← for a read, → for a change, ! for an error").with(Property::Info),
    text("ct.managementevent", FieldExtractor::Mixed(extractors::management_event), "Management Event", "true for an operation on resources, false for one on the data in them"),
    text("ct.readonly", FieldExtractor::Mixed(extractors::read_only), "Read Only", "true for an operation that changes nothing; derived from the event name if the record has no readOnly"),
    text("ct.requestid", FieldExtractor::Key(KnownKey::RequestId), "Request ID", "ID that the service gave to the request (requestID)"),
    text("ct.eventtype", FieldExtractor::Key(KnownKey::EventType), "Event Type", "what produced the event: AwsApiCall, AwsConsoleSignIn and so on (eventType)"),
    text("ct.apiversion", FieldExtractor::Key(KnownKey::ApiVersion), "API Version", "version of the service's API (apiVersion)"),
    text("ct.resources", FieldExtractor::Text(extractors::resources), "Resources", "resources that the request accessed, as JSON texts separated by commas"),
    text("ct.recipientaccountid", FieldExtractor::Key(KnownKey::RecipientAccountId), "Recipient Account ID", "account that received the event (recipientAccountId)"),
    text("ct.serviceeventdetails", FieldExtractor::Key(KnownKey::ServiceEventDetails), "Service Event Details", "details of an event that a service triggered itself, as JSON (serviceEventDetails)"),
    text("ct.sharedeventid", FieldExtractor::Key(KnownKey::SharedEventId), "Shared Event ID", "ID that the events of one action in several accounts have in common (sharedEventID)"),
    text("ct.vpcendpointid", FieldExtractor::Key(KnownKey::VpcEndpointId), "VPC Endpoint ID", "VPC endpoint that the request went through (vpcEndpointId)"),
    text("ct.eventcategory", FieldExtractor::Key(KnownKey::EventCategory), "Event Category", "Management, Data, NetworkActivity or Insight (eventCategory)"),
    text("ct.addendum.reason", FieldExtractor::Key(KnownKey::AddendumReason), "Addendum Reason", "reason why an earlier event was late or incomplete (addendum.reason)"),
    text("ct.addendum.updatedfields", FieldExtractor::Key(KnownKey::AddendumUpdatedFields), "Addendum Updated Fields", "keys of the earlier event that this one corrects (addendum.updatedFields)"),
    text("ct.addendum.originalrequestid", FieldExtractor::Key(KnownKey::AddendumOriginalRequestId), "Addendum Original Request ID", "request ID of the earlier event (addendum.originalRequestID)"),
    text("ct.addendum.originaleventid", FieldExtractor::Key(KnownKey::AddendumOriginalEventId), "Addendum Original Event ID", "event ID of the earlier event (addendum.originalEventID)"),
    text("ct.sessioncredentialfromconsole", FieldExtractor::Value(|view| extractors::flag(view, KnownKey::SessionCredentialFromConsole)), "Session Credential From Console", "true if the request came from a session of the management console (sessionCredentialFromConsole)"),
    text("ct.edgedevicedetails", FieldExtractor::Key(KnownKey::EdgeDeviceDetails), "Edge Device Details", "edge devices that the request was for, as JSON (edgeDeviceDetails)"),
    text("ct.tlsdetails.tlsversion", FieldExtractor::Key(KnownKey::TlsVersion), "TLS Version", "version of TLS (tlsDetails.tlsVersion)"),
    text("ct.tlsdetails.ciphersuite", FieldExtractor::Key(KnownKey::CipherSuite), "TLS Cipher Suite", "TLS cipher suite (tlsDetails.cipherSuite)"),
    text("ct.tlsdetails.clientprovidedhostheader", FieldExtractor::Key(KnownKey::ClientProvidedHostHeader), "TLS Client-Provided Host", "host name that the client requested (tlsDetails.clientProvidedHostHeader)"),
    text("ct.additionaleventdata", FieldExtractor::Key(KnownKey::AdditionalEventData), "Additional Event Data", "what the service adds beyond request and response, as JSON (additionalEventData)"),
    text("s3.uri", FieldExtractor::Text(extractors::s3_uri), "Object URI", "s3://<bucket>/<key> of the request").with(Property::Conversation),
    text("s3.bucket", FieldExtractor::Key(KnownKey::BucketName), "Bucket Name", "bucket in the request (requestParameters.bucketName)").with(Property::Conversation),
    text("s3.key", FieldExtractor::Key(KnownKey::ObjectKey), "Key Name", "object key in the request (requestParameters.key)"),
    number("s3.bytes", FieldExtractor::Number(extractors::s3_bytes), "Total Bytes", "bytes moved in both directions"),
    number("s3.bytes.in", FieldExtractor::ByteCount(KnownKey::BytesTransferredIn), "Bytes In", "bytes sent to S3 (additionalEventData.bytesTransferredIn)").with(Property::Hidden),
    number("s3.bytes.out", FieldExtractor::ByteCount(KnownKey::BytesTransferredOut), "Bytes Out", "bytes received from S3 (additionalEventData.bytesTransferredOut)").with(Property::Hidden),
    number("s3.cnt.get", FieldExtractor::Number(extractors::s3_gets), "GetObject Count", "1 for GetObject, else 0").with(Property::Hidden),
    number("s3.cnt.put", FieldExtractor::Number(extractors::s3_puts), "PutObject Count", "1 for PutObject, else 0").with(Property::Hidden),
    number("s3.cnt.other", FieldExtractor::Number(extractors::s3_others), "Other Operations Count", "0 for GetObject and PutObject, else 1").with(Property::Hidden),
    text("ec2.name", FieldExtractor::Value(extractors::ec2_name), "Instance Name", "Name tag of the instances that the request starts"),
    text("ec2.imageids", FieldExtractor::ImageIds, "Image IDs", "images of the instances in the response; with an index, that of one instance"),
    text("ec2.imageid", FieldExtractor::Value(extractors::ec2_image_id), "Image ID", "image of the first instance; deprecated, use ec2.imageids[0]"),
    text("ecr.repository", FieldExtractor::Key(KnownKey::RepositoryName), "ECR Repository", "repository in the request (requestParameters.repositoryName)"),
    text("ecr.imagetag", FieldExtractor::Key(KnownKey::ImageTag), "ECR Image Tag", "image tag in the request (requestParameters.imageTag)"),
    text("iam.role", FieldExtractor::Key(KnownKey::RoleName), "IAM Role", "role in the request (requestParameters.roleName)"),
    text("iam.policy", FieldExtractor::Key(KnownKey::PolicyName), "IAM Policy", "policy in the request (requestParameters.policyName)"),
    text("ct.value", FieldExtractor::Pointer, "Value by JSON Pointer", "any value of the record by its JSON pointer (RFC 6901), as in ct.value[/responseElements/ConsoleLogin]"),
    text("ct.eventversion", FieldExtractor::Key(KnownKey::EventVersion), "Event Version", "version of the record's format (eventVersion)"),
    text("ct.vpcendpointaccountid", FieldExtractor::Key(KnownKey::VpcEndpointAccountId), "VPC Endpoint Account ID", "account that owns the VPC endpoint (vpcEndpointAccountId)"),
    text("ct.tlsdetails.keyexchange", FieldExtractor::Key(KnownKey::KeyExchange), "TLS Key Exchange", "TLS key exchange (tlsDetails.keyExchange)"),
    text("ct.eventcontext", FieldExtractor::Key(KnownKey::EventContext), "Event Context", "resource tags and global condition keys that an event data store adds, as JSON (eventContext)"),
    text("ct.insightdetails", FieldExtractor::Key(KnownKey::InsightDetails), "Insight Details", "unusual activity that an Insights event reports, as JSON (insightDetails)"),
    text("ct.user.accesskeyid", FieldExtractor::Key(KnownKey::AccessKeyId), "User Access Key ID", "access key that signed the request (userIdentity.accessKeyId)"),
    text("ct.user.invokedby", FieldExtractor::Key(KnownKey::InvokedBy), "Invoked By", "service that made the request for the user (userIdentity.invokedBy)"),
    text("ct.user.credentialid", FieldExtractor::Key(KnownKey::CredentialId), "User Credential ID", "credential of an IAM Identity Center user (userIdentity.credentialId)"),
    text("ct.user.identityprovider", FieldExtractor::Key(KnownKey::IdentityProvider), "User Identity Provider", "identity provider of a federated user (userIdentity.identityProvider)"),
    text("ct.user.onbehalfof.userid", FieldExtractor::Key(KnownKey::OnBehalfOfUserId), "On Behalf Of User ID", "IAM Identity Center user that the request was made for (userIdentity.onBehalfOf.userId)"),
    text("ct.user.onbehalfof.identitystorearn", FieldExtractor::Key(KnownKey::OnBehalfOfIdentityStoreArn), "On Behalf Of Identity Store ARN", "identity store of that user (userIdentity.onBehalfOf.identityStoreArn)"),
    text("ct.user.inscopeof", FieldExtractor::Key(KnownKey::InScopeOf), "In Scope Of", "resource that the credentials were issued to, as JSON (userIdentity.inScopeOf)"),
    text("ct.session.mfaauthenticated", FieldExtractor::Key(KnownKey::MfaAuthenticated), "Session MFA Authenticated", "true if the session began with multi-factor authentication (sessionContext.attributes.mfaAuthenticated)"),
    text("ct.session.creationdate", FieldExtractor::Key(KnownKey::CreationDate), "Session Creation Date", "time at which the session's credentials were issued (sessionContext.attributes.creationDate)"),
    text("ct.session.sourceidentity", FieldExtractor::Key(KnownKey::SourceIdentity), "Session Source Identity", "original identity, kept through chains of assumed roles (sessionContext.sourceIdentity)"),
    text("ct.session.ec2roledelivery", FieldExtractor::Key(KnownKey::Ec2RoleDelivery), "Session EC2 Role Delivery", "version of the instance metadata service that delivered the credentials (sessionContext.ec2RoleDelivery)"),
    text("ct.session.issuer.type", FieldExtractor::Key(KnownKey::IssuerType), "Session Issuer Type", "type of the session's issuer (sessionContext.sessionIssuer.type)"),
    text("ct.session.issuer.arn", FieldExtractor::Key(KnownKey::IssuerArn), "Session Issuer ARN", "ARN of the session's issuer (sessionContext.sessionIssuer.arn)"),
    text("ct.session.issuer.accountid", FieldExtractor::Key(KnownKey::IssuerAccountId), "Session Issuer Account ID", "account of the session's issuer (sessionContext.sessionIssuer.accountId)"),
    text("ct.session.issuer.principalid", FieldExtractor::Key(KnownKey::IssuerPrincipalId), "Session Issuer Principal ID", "unique ID of the session's issuer (sessionContext.sessionIssuer.principalId)"),
    text("ct.session.issuer.username", FieldExtractor::Key(KnownKey::IssuerUserName), "Session Issuer User Name", "name of the session's issuer (sessionContext.sessionIssuer.userName)"),
    text("ct.mfaused", FieldExtractor::Key(KnownKey::MfaUsed), "MFA Used", "Yes or No, at a console sign-in (additionalEventData.MFAUsed)"),
    text("ct.consolelogin", FieldExtractor::Key(KnownKey::ConsoleLogin), "Console Login", "Success or Failure, at a console sign-in (responseElements.ConsoleLogin)"),
    text("ct.policy.public", FieldExtractor::Policy(PolicyField::Public), "Policy Is Public", "true if a policy in the request allows everybody, false if none does; no value without a policy"),
    text("ct.policy.accounts", FieldExtractor::Policy(PolicyField::Accounts), "Policy Accounts", "accounts that policies in the request allow, other than the account that received the event"),
    text("ct.policy.unlimited", FieldExtractor::Policy(PolicyField::Unlimited), "Policy Is Unlimited", "true if an identity policy in the request allows nearly everything; no value without one"),
    text("ct.policy.escalates", FieldExtractor::Policy(PolicyField::Escalates), "Policy Escalates", "true if an identity policy in the request allows a known way to more rights; no value without one"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_unique_name_a_title_and_a_description() {
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
    fn a_path_in_a_description_is_that_of_the_field() {
        for field in FIELDS {
            if let (FieldExtractor::Key(key), Some((_, path))) =
                (field.extractor, field.description.rsplit_once('('))
                && let Some(path) = path.strip_suffix(')')
            {
                assert!(key.path().ends_with(path), "{}: {path}", field.name);
            }
        }
    }
}
