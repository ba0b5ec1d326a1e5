//! The table of all fields. The host refers to a field by its row number, so new rows go at the end.

use FieldExtractor::*;
use KnownKey::*;

use super::field_extractor::FieldExtractor;
use super::policy::PolicyField;
use super::{extractors, lists, summary};
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
            Pointer | PointerNumber | PointerList => Arg::RequiredKey,
            List(_) => Arg::OptionalIndex,
            _ => Arg::None,
        },
        list: matches!(
            extractor,
            List(_) | PointerList | Policy(PolicyField::Accounts)
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
    text("ct.id", Value(|record| record.either(EventId, AggregatedEventId)), "Event ID", "ID that CloudTrail gives to each event (eventID; eventId of an aggregated one)"),
    text("ct.error", Key(ErrorCode), "Error Code", "error code of the response (errorCode); no value if the request succeeded"),
    text("ct.errormessage", Key(ErrorMessage), "Error Message", "error message of the response (errorMessage); no value if the request succeeded"),
    text("ct.time", Key(EventTime), "Timestamp", "time of the request, as in the record (eventTime)").with(Property::Hidden),
    text("ct.src", Key(EventSource), "AWS Service", "service that received the request, as a domain name (eventSource)"),
    text("ct.shortsrc", Text(extractors::short_source), "AWS Service Short Name", "service that received the request, without the trailing .amazonaws.com"),
    text("ct.name", Key(EventName), "Event Name", "operation that was requested (eventName)"),
    text("ct.user", Value(extractors::user), "User Name", "name of the identity that made the request, from the key that its type uses").with(Property::Conversation),
    text("ct.originaluser", Mixed(extractors::original_user), "Original User Name", "session name of an assumed role, which identifies its user; the user name for other identities"),
    text("ct.user.accountid", Value(extractors::account_id), "User Account ID", "account of the identity that made the request, else the account that received the event"),
    text("ct.user.identitytype", Key(IdentityType), "Identity Type", "identity type: Root, IAMUser, AssumedRole, AWSService and so on (userIdentity.type)"),
    text("ct.user.principalid", Key(PrincipalId), "Principal ID", "unique ID of the identity that made the request (userIdentity.principalId)"),
    text("ct.user.arn", Key(Arn), "User ARN", "ARN of the identity that made the request (userIdentity.arn)"),
    text("ct.region", Key(AwsRegion), "Region", "region that the request was made to (awsRegion)"),
    text("ct.response.subnetid", Key(ResponseSubnetId), "Response Subnet ID", "subnet in the response (responseElements.subnetId)"),
    text("ct.response.reservationid", Key(ReservationId), "Response Reservation ID", "reservation in the response (responseElements.reservationId)"),
    text("ct.response", Key(ResponseElements), "Response Elements", "whole response, as JSON (responseElements)"),
    text("ct.request.availabilityzone", Key(RequestAvailabilityZone), "Request Availability Zone", "availability zone in the request (requestParameters.availabilityZone)"),
    text("ct.request.cluster", Key(RequestCluster), "Request Cluster", "cluster in the request (requestParameters.cluster)"),
    text("ct.request.functionname", Key(RequestFunctionName), "Request Function Name", "function in the request (requestParameters.functionName)"),
    text("ct.request.groupname", Key(RequestGroupName), "Request Group Name", "group in the request (requestParameters.groupName)"),
    text("ct.request.host", Key(RequestHost), "Request Host", "host name in the request (requestParameters.Host)"),
    text("ct.request.name", Key(RequestName), "Request Entity Name", "name of the entity in the request (requestParameters.name)"),
    text("ct.request.policy", Key(RequestPolicy), "Request Policy", "policy in the request (requestParameters.policy)"),
    text("ct.request.reason", Key(RequestReason), "Request Reason", "reason in the request (requestParameters.reason)"),
    text("ct.request.target", Key(RequestTarget), "Request Target", "target in the request (requestParameters.target)"),
    text("ct.request.documentname", Key(RequestDocumentName), "Request Document Name", "Systems Manager document in the request (requestParameters.documentName)"),
    text("ct.request.serialnumber", Key(RequestSerialNumber), "Request Serial Number", "serial number, mostly of an MFA device in the request (requestParameters.serialNumber)"),
    text("ct.request.servicename", Key(RequestServiceName), "Request Service Name", "service in the request (requestParameters.serviceName)"),
    text("ct.request.subnetid", Key(RequestSubnetId), "Request Subnet ID", "subnet in the request (requestParameters.subnetId)"),
    text("ct.request.taskdefinition", Key(RequestTaskDefinition), "Request Task Definition", "task definition in the request (requestParameters.taskDefinition)"),
    text("ct.request.username", Key(RequestUserName), "Request User Name", "user in the request (requestParameters.userName)"),
    text("ct.request", Key(RequestParameters), "Request Parameters", "whole request, as JSON (requestParameters)"),
    text("ct.srcip", Key(SourceIpAddress), "Source IP Address", "IP address that the request came from, or the service that made it (sourceIPAddress)").with(Property::Conversation),
    text("ct.useragent", Key(UserAgent), "User Agent", "user agent that the client sent (userAgent)"),
    text("ct.info", Text(summary::info), "Summary", "user, address, event name and object in one line, with ← for a read, → for a change, ! for an error").with(Property::Info),
    text("ct.managementevent", Mixed(extractors::management_event), "Management Event", "true for an operation on resources, false for one on the data in them"),
    text("ct.readonly", Mixed(extractors::read_only), "Read Only", "true for an operation that changes nothing; derived from the event name if the record has no readOnly"),
    text("ct.requestid", Key(RequestId), "Request ID", "ID that the service gave to the request (requestID)"),
    text("ct.eventtype", Key(EventType), "Event Type", "what produced the event: AwsApiCall, AwsConsoleSignIn and so on (eventType)"),
    text("ct.apiversion", Key(ApiVersion), "API Version", "version of the service's API (apiVersion)"),
    text("ct.resources", Text(extractors::resources), "Resources", "resources that the request accessed, as JSON texts separated by commas"),
    text("ct.recipientaccountid", Value(|record| record.either(RecipientAccountId, AggregatedAccountId)), "Recipient Account ID", "account that received the event (recipientAccountId; accountId of an aggregated one)"),
    text("ct.serviceeventdetails", Key(ServiceEventDetails), "Service Event Details", "details of an event that a service triggered itself, as JSON (serviceEventDetails)"),
    text("ct.sharedeventid", Key(SharedEventId), "Shared Event ID", "ID that the events of one action in several accounts have in common (sharedEventID)"),
    text("ct.vpcendpointid", Key(VpcEndpointId), "VPC Endpoint ID", "VPC endpoint that the request went through (vpcEndpointId)"),
    text("ct.eventcategory", Key(EventCategory), "Event Category", "Management, Data, NetworkActivity, Insight or Aggregated (eventCategory)"),
    text("ct.addendum.reason", Key(AddendumReason), "Addendum Reason", "reason why an earlier event was late or incomplete (addendum.reason)"),
    text("ct.addendum.updatedfields", Key(AddendumUpdatedFields), "Addendum Updated Fields", "keys of the earlier event that this one corrects (addendum.updatedFields)"),
    text("ct.addendum.originalrequestid", Key(AddendumOriginalRequestId), "Addendum Original Request ID", "request ID of the earlier event (addendum.originalRequestID)"),
    text("ct.addendum.originaleventid", Key(AddendumOriginalEventId), "Addendum Original Event ID", "event ID of the earlier event (addendum.originalEventID)"),
    text("ct.sessioncredentialfromconsole", Value(|view| extractors::flag(view, SessionCredentialFromConsole)), "Session Credential From Console", "true if the request came from a session of the management console (sessionCredentialFromConsole)"),
    text("ct.edgedevicedetails", Key(EdgeDeviceDetails), "Edge Device Details", "edge devices that the request was for, as JSON (edgeDeviceDetails)"),
    text("ct.tlsdetails.tlsversion", Key(TlsVersion), "TLS Version", "version of TLS (tlsDetails.tlsVersion)"),
    text("ct.tlsdetails.ciphersuite", Key(CipherSuite), "TLS Cipher Suite", "TLS cipher suite (tlsDetails.cipherSuite)"),
    text("ct.tlsdetails.clientprovidedhostheader", Key(ClientProvidedHostHeader), "TLS Client-Provided Host", "host name that the client requested (tlsDetails.clientProvidedHostHeader)"),
    text("ct.additionaleventdata", Key(AdditionalEventData), "Additional Event Data", "what the service adds beyond request and response, as JSON (additionalEventData)"),
    text("s3.uri", Text(extractors::s3_uri), "Object URI", "s3://<bucket>/<key> of the request").with(Property::Conversation),
    text("s3.bucket", Key(BucketName), "Bucket Name", "bucket in the request (requestParameters.bucketName)").with(Property::Conversation),
    text("s3.key", Key(ObjectKey), "Key Name", "object key in the request (requestParameters.key)"),
    number("s3.bytes", Number(extractors::s3_bytes), "Total Bytes", "bytes moved in both directions"),
    number("s3.bytes.in", ByteCount(BytesTransferredIn), "Bytes In", "bytes sent to S3 (additionalEventData.bytesTransferredIn)").with(Property::Hidden),
    number("s3.bytes.out", ByteCount(BytesTransferredOut), "Bytes Out", "bytes received from S3 (additionalEventData.bytesTransferredOut)").with(Property::Hidden),
    number("s3.cnt.get", Number(extractors::s3_gets), "GetObject Count", "1 for GetObject, else 0").with(Property::Hidden),
    number("s3.cnt.put", Number(extractors::s3_puts), "PutObject Count", "1 for PutObject, else 0").with(Property::Hidden),
    number("s3.cnt.other", Number(extractors::s3_others), "Other Operations Count", "0 for GetObject and PutObject, else 1").with(Property::Hidden),
    text("ec2.name", Value(extractors::ec2_name), "Instance Name", "Name tag of the instances that the request starts"),
    text("ec2.imageids", List(lists::IMAGE_IDS), "Image IDs", "images of the instances in the response; with an index, that of one instance"),
    text("ec2.imageid", Value(lists::first_image_id), "Image ID", "image of the first instance; deprecated, use ec2.imageids[0]"),
    text("ecr.repository", Key(RepositoryName), "ECR Repository", "repository in the request (requestParameters.repositoryName)"),
    text("ecr.imagetag", Key(ImageTag), "ECR Image Tag", "image tag in the request (requestParameters.imageTag)"),
    text("iam.role", Key(RoleName), "IAM Role", "role in the request (requestParameters.roleName)"),
    text("iam.policy", Key(PolicyName), "IAM Policy", "policy in the request (requestParameters.policyName)"),
    text("ct.value", Pointer, "Value by JSON Pointer", "any value of the record by its JSON pointer (RFC 6901), as in ct.value[/responseElements/ConsoleLogin]"),
    text("ct.eventversion", Key(EventVersion), "Event Version", "version of the record's format (eventVersion)"),
    text("ct.vpcendpointaccountid", Key(VpcEndpointAccountId), "VPC Endpoint Account ID", "account that owns the VPC endpoint (vpcEndpointAccountId)"),
    text("ct.tlsdetails.keyexchange", Key(KeyExchange), "TLS Key Exchange", "TLS key exchange (tlsDetails.keyExchange)"),
    text("ct.eventcontext", Key(EventContext), "Event Context", "resource tags and global condition keys that an event data store adds, as JSON (eventContext)"),
    text("ct.insightdetails", Key(InsightDetails), "Insight Details", "unusual activity that an Insights event reports, as JSON (insightDetails)"),
    text("ct.user.accesskeyid", Key(AccessKeyId), "User Access Key ID", "access key that signed the request (userIdentity.accessKeyId)"),
    text("ct.user.invokedby", Key(InvokedBy), "Invoked By", "service that made the request for the user (userIdentity.invokedBy)"),
    text("ct.user.credentialid", Key(CredentialId), "User Credential ID", "credential of an IAM Identity Center user (userIdentity.credentialId)"),
    text("ct.user.identityprovider", Key(IdentityProvider), "User Identity Provider", "identity provider of a federated user (userIdentity.identityProvider)"),
    text("ct.user.onbehalfof.userid", Key(OnBehalfOfUserId), "On Behalf Of User ID", "IAM Identity Center user that the request was made for (userIdentity.onBehalfOf.userId)"),
    text("ct.user.onbehalfof.identitystorearn", Key(OnBehalfOfIdentityStoreArn), "On Behalf Of Identity Store ARN", "identity store of that user (userIdentity.onBehalfOf.identityStoreArn)"),
    text("ct.user.inscopeof", Key(InScopeOf), "In Scope Of", "resource that the credentials were issued to, as JSON (userIdentity.inScopeOf)"),
    text("ct.session.mfaauthenticated", Key(MfaAuthenticated), "Session MFA Authenticated", "true if the session began with multi-factor authentication (sessionContext.attributes.mfaAuthenticated)"),
    text("ct.session.creationdate", Key(CreationDate), "Session Creation Date", "time at which the session's credentials were issued (sessionContext.attributes.creationDate)"),
    text("ct.session.sourceidentity", Key(SourceIdentity), "Session Source Identity", "original identity, kept through chains of assumed roles (sessionContext.sourceIdentity)"),
    text("ct.session.ec2roledelivery", Key(Ec2RoleDelivery), "Session EC2 Role Delivery", "version of the instance metadata service that delivered the credentials (sessionContext.ec2RoleDelivery)"),
    text("ct.session.issuer.type", Key(IssuerType), "Session Issuer Type", "type of the session's issuer (sessionContext.sessionIssuer.type)"),
    text("ct.session.issuer.arn", Key(IssuerArn), "Session Issuer ARN", "ARN of the session's issuer (sessionContext.sessionIssuer.arn)"),
    text("ct.session.issuer.accountid", Key(IssuerAccountId), "Session Issuer Account ID", "account of the session's issuer (sessionContext.sessionIssuer.accountId)"),
    text("ct.session.issuer.principalid", Key(IssuerPrincipalId), "Session Issuer Principal ID", "unique ID of the session's issuer (sessionContext.sessionIssuer.principalId)"),
    text("ct.session.issuer.username", Key(IssuerUserName), "Session Issuer User Name", "name of the session's issuer (sessionContext.sessionIssuer.userName)"),
    text("ct.mfaused", Key(MfaUsed), "MFA Used", "Yes or No, at a console sign-in (additionalEventData.MFAUsed)"),
    text("ct.consolelogin", Key(ConsoleLogin), "Console Login", "Success or Failure, at a console sign-in (responseElements.ConsoleLogin)"),
    text("ct.values", PointerList, "Values by JSON Pointer", "all values at a JSON pointer in which * stands for every element or member, as in ct.values[/resources/*/ARN]; at most 1024"),
    number("ct.num", PointerNumber, "Number by JSON Pointer", "the number at a JSON pointer, without its fraction, as in ct.num[/requestParameters/maxCount]; no value if it is negative or no number"),
    text("ct.resources.arn", List(lists::RESOURCE_ARNS), "Resource ARNs", "ARNs of the resources that the request accessed; with an index, that of one resource"),
    text("ct.resources.type", List(lists::RESOURCE_TYPES), "Resource Types", "types of the resources that the request accessed; with an index, that of one resource"),
    text("ct.resources.accountid", List(lists::RESOURCE_ACCOUNTS), "Resource Account IDs", "accounts of the resources that the request accessed; with an index, that of one resource"),
    text("ct.user.invokedbydelegate.accountid", Key(DelegateAccountId), "Delegate Account ID", "account of the delegate that made the request for the user (userIdentity.invokedByDelegate.accountId)"),
    text("ct.user.inscopeof.sourcearn", Key(ScopeSourceArn), "In Scope Of Source ARN", "resource that the credentials were issued to (userIdentity.inScopeOf.sourceArn)"),
    text("ct.user.inscopeof.sourceaccount", Key(ScopeSourceAccount), "In Scope Of Source Account", "account of that resource (userIdentity.inScopeOf.sourceAccount)"),
    text("ct.user.inscopeof.issuertype", Key(ScopeIssuerType), "In Scope Of Issuer Type", "type of service that issued the credentials (userIdentity.inScopeOf.issuerType)"),
    text("ct.user.inscopeof.credentialsissuedto", Key(ScopeCredentialsIssuedTo), "In Scope Of Credentials Issued To", "where the credentials are used (userIdentity.inScopeOf.credentialsIssuedTo)"),
    text("ct.session.assumedroot", Key(AssumedRoot), "Session Assumed Root", "true for a session of AssumeRoot, with rights of a member account's root user (sessionContext.assumedRoot)"),
    text("ct.session.federatedprovider", Key(FederatedProvider), "Session Federated Provider", "identity provider of a web identity session (sessionContext.webIdFederationData.federatedProvider)"),
    text("ct.timewindow.start", Key(WindowStart), "Time Window Start", "start of the time that an aggregated event covers (timeWindow.windowStart)"),
    text("ct.timewindow.end", Key(WindowEnd), "Time Window End", "end of the time that an aggregated event covers (timeWindow.windowEnd)"),
    text("ct.summary", Key(Summary), "Aggregated Summary", "what an aggregated event counted, as JSON (summary)"),
    text("ct.insight.type", Key(InsightType), "Insight Type", "kind of unusual activity: ApiCallRateInsight or ApiErrorRateInsight (insightDetails.insightType)"),
    text("ct.insight.state", Key(InsightState), "Insight State", "Start or End of the unusual activity (insightDetails.state)"),
    text("ct.request.instanceid", Value(extractors::request_instance_id), "Request Instance ID", "instance in the request (requestParameters.instanceId), or the first one of its list"),
    text("ct.request.groupid", Key(RequestGroupId), "Request Group ID", "security group in the request (requestParameters.groupId)"),
    text("ct.request.policyarn", Key(RequestPolicyArn), "Request Policy ARN", "managed policy in the request (requestParameters.policyArn)"),
    text("ct.request.policydocument", Key(RequestPolicyDocument), "Request Policy Document", "text of the policy in the request (requestParameters.policyDocument)"),
    text("ct.request.rolename", Key(RoleName), "Request Role Name", "role in the request (requestParameters.roleName)"),
    text("ct.request.keyid", Key(RequestKeyId), "Request Key ID", "KMS key in the request (requestParameters.keyId)"),
    text("ct.request.bucketpolicy", Key(RequestBucketPolicy), "Request Bucket Policy", "bucket policy in the request, as JSON (requestParameters.bucketPolicy)"),
    text("ct.user.oninstance", Mixed(extractors::on_instance), "User On Instance", "true if the identity is an EC2 instance: an assumed role's session that has an instance ID as its name"),
    text("ct.policy.public", Policy(PolicyField::Public), "Policy Is Public", "true if a policy in the request allows everybody, false if none does; no value without a policy"),
    text("ct.policy.accounts", Policy(PolicyField::Accounts), "Policy Accounts", "accounts that policies in the request allow, other than the account that received the event"),
    text("ct.policy.unlimited", Policy(PolicyField::Unlimited), "Policy Is Unlimited", "true if an identity policy in the request allows nearly everything; no value without one"),
    text("ct.policy.escalates", Policy(PolicyField::Escalates), "Policy Escalates", "true if an identity policy in the request allows a known way to more rights; no value without one"),
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
            if let (Key(key), Some((_, path))) =
                (field.extractor, field.description.rsplit_once('('))
                && let Some(path) = path.strip_suffix(')')
            {
                assert!(key.path().ends_with(path), "{}: {path}", field.name);
            }
        }
    }
}
