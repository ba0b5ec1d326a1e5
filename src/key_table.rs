//! The keys of a CloudTrail record that the decoder and fields read, and their values in one record.
//!
//! The known keys are in groups, one for each JSON object that contains some. One pass over an
//! object finds the values of its group: for the record itself when it is decoded
//! ([`RecordIndex`]), for objects inside it when a field first needs one of them
//! ([`KeyTable`]). Every later look-up is an array access.
//!
//! To add a key, add a line to `known_keys!`. Names are from *CloudTrail record contents* in the
//! AWS CloudTrail user guide.
#![forbid(unsafe_code)]

use crate::json::text::unescaped;
use crate::json::{Tape, Value};

/// Stands in an index for a key that the record does not have.
const MISSING: u32 = u32::MAX;

macro_rules! known_keys {
    (Record { $($record:ident $record_key:literal)* } $($group:ident { $($variant:ident $key:literal)* })*) => {
        /// A key of a record, or of an object inside it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each is named like its path")]
        #[repr(u8)]
        pub enum KnownKey { $($record,)* $($($variant,)*)* }

        impl KnownKey {
            const COUNT: usize = [$($record_key,)* $($($key,)*)*].len();
            const NAMES: [&'static str; Self::COUNT] = [$($record_key,)* $($($key,)*)*];
            const ALL: [KnownKey; Self::COUNT] = [$(KnownKey::$record,)* $($(KnownKey::$variant,)*)*];
            const GROUPS: [KeyGroup; Self::COUNT] = [
                $({ let _ = $record_key; KeyGroup::Record },)*
                $($({ let _ = $key; KeyGroup::$group },)*)*
            ];
        }

        /// The known keys of one JSON object: of the record, or of the value of the key with the group's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        enum KeyGroup { Record, $($group,)* }

        const GROUPS: usize = [KeyGroup::Record, $(KeyGroup::$group,)*].len();

        /// The key whose value is each group's object; `None` for the record itself.
        static PARENTS: [Option<KnownKey>; GROUPS] = [None, $(Some(KnownKey::$group),)*];

        static HASHES: [PerfectHash; GROUPS] =
            [PerfectHash::new(KeyGroup::Record), $(PerfectHash::new(KeyGroup::$group),)*];
    };
}

known_keys! {
    Record {
        EventVersion "eventVersion"
        UserIdentity "userIdentity"
        EventTime "eventTime"
        EventSource "eventSource"
        EventName "eventName"
        AwsRegion "awsRegion"
        SourceIpAddress "sourceIPAddress"
        UserAgent "userAgent"
        ErrorCode "errorCode"
        ErrorMessage "errorMessage"
        RequestParameters "requestParameters"
        ResponseElements "responseElements"
        AdditionalEventData "additionalEventData"
        RequestId "requestID"
        EventId "eventID"
        ReadOnly "readOnly"
        Resources "resources"
        EventType "eventType"
        ApiVersion "apiVersion"
        ManagementEvent "managementEvent"
        RecipientAccountId "recipientAccountId"
        SharedEventId "sharedEventID"
        VpcEndpointId "vpcEndpointId"
        VpcEndpointAccountId "vpcEndpointAccountId"
        EventCategory "eventCategory"
        Addendum "addendum"
        SessionCredentialFromConsole "sessionCredentialFromConsole"
        EdgeDeviceDetails "edgeDeviceDetails"
        TlsDetails "tlsDetails"
        ServiceEventDetails "serviceEventDetails"
        EventContext "eventContext"
        InsightDetails "insightDetails"
        TimeWindow "timeWindow"
        DigestS3Object "digestS3Object"
        Summary "summary"
        AggregatedEventId "eventId"
        AggregatedAccountId "accountId"
    }
    UserIdentity {
        IdentityType "type"
        IdentityUserName "userName"
        InvokedBy "invokedBy"
        AccountId "accountId"
        PrincipalId "principalId"
        Arn "arn"
        AccessKeyId "accessKeyId"
        CredentialId "credentialId"
        IdentityProvider "identityProvider"
        InScopeOf "inScopeOf"
        InvokedByDelegate "invokedByDelegate"
        OnBehalfOf "onBehalfOf"
        SessionContext "sessionContext"
    }
    OnBehalfOf {
        OnBehalfOfUserId "userId"
        OnBehalfOfIdentityStoreArn "identityStoreArn"
    }
    InScopeOf {
        ScopeSourceArn "sourceArn"
        ScopeSourceAccount "sourceAccount"
        ScopeIssuerType "issuerType"
        ScopeCredentialsIssuedTo "credentialsIssuedTo"
    }
    InvokedByDelegate {
        DelegateAccountId "accountId"
    }
    SessionContext {
        SessionAttributes "attributes"
        SessionIssuer "sessionIssuer"
        SourceIdentity "sourceIdentity"
        Ec2RoleDelivery "ec2RoleDelivery"
        AssumedRoot "assumedRoot"
        WebIdFederationData "webIdFederationData"
    }
    SessionAttributes {
        MfaAuthenticated "mfaAuthenticated"
        CreationDate "creationDate"
    }
    SessionIssuer {
        IssuerType "type"
        IssuerArn "arn"
        IssuerAccountId "accountId"
        IssuerPrincipalId "principalId"
        IssuerUserName "userName"
    }
    WebIdFederationData {
        FederatedProvider "federatedProvider"
    }
    RequestParameters {
        RequestAvailabilityZone "availabilityZone"
        RequestCluster "cluster"
        RequestFunctionName "functionName"
        RequestGroupName "groupName"
        RequestHost "Host"
        RequestName "name"
        RequestPolicy "policy"
        RequestReason "reason"
        RequestTarget "target"
        RequestDocumentName "documentName"
        RequestSerialNumber "serialNumber"
        RequestServiceName "serviceName"
        RequestSubnetId "subnetId"
        RequestTaskDefinition "taskDefinition"
        RequestUserName "userName"
        BucketName "bucketName"
        ObjectKey "key"
        RepositoryName "repositoryName"
        ImageTag "imageTag"
        RoleName "roleName"
        PolicyName "policyName"
        RequestImageId "imageId"
        RequestInstanceId "instanceId"
        RequestInstancesSet "instancesSet"
        RequestGroupId "groupId"
        RequestPolicyArn "policyArn"
        RequestPolicyDocument "policyDocument"
        RequestKeyId "keyId"
        RequestBucketPolicy "bucketPolicy"
        DescribeFastLaunchImagesRequest "DescribeFastLaunchImagesRequest"
        LaunchSpecification "launchSpecification"
        TagSpecificationSet "tagSpecificationSet"
        PublicAccessBlockConfiguration "PublicAccessBlockConfiguration"
    }
    ResponseElements {
        ResponseSubnetId "subnetId"
        ReservationId "reservationId"
        InstancesSet "instancesSet"
        ConsoleLogin "ConsoleLogin"
    }
    AdditionalEventData {
        BytesTransferredIn "bytesTransferredIn"
        BytesTransferredOut "bytesTransferredOut"
        MfaUsed "MFAUsed"
    }
    Addendum {
        AddendumReason "reason"
        AddendumUpdatedFields "updatedFields"
        AddendumOriginalRequestId "originalRequestID"
        AddendumOriginalEventId "originalEventID"
    }
    TlsDetails {
        TlsVersion "tlsVersion"
        CipherSuite "cipherSuite"
        ClientProvidedHostHeader "clientProvidedHostHeader"
        KeyExchange "keyExchange"
    }
    TimeWindow {
        WindowStart "windowStart"
        WindowEnd "windowEnd"
    }
    Summary {
        PrimaryDimension "primaryDimension"
    }
    InsightDetails {
        InsightType "insightType"
        InsightState "state"
    }
}

impl KnownKey {
    /// Whether it is a key of the record itself, whose value is found when the record is decoded.
    pub(crate) fn is_of_record(self) -> bool {
        (self as usize) < RECORD_KEYS
    }

    /// The key with this name in the object that is the value of `parent`, or in the record itself.
    pub(crate) fn find(parent: Option<KnownKey>, name: &[u8]) -> Option<KnownKey> {
        let group = PARENTS.iter().position(|&group| group == parent)?;
        let hash = &HASHES[group];
        Self::ALL.get(hash.first + hash.find(name)?).copied()
    }

    /// The key's path, such as `userIdentity.sessionContext.sourceIdentity`.
    #[cfg(test)]
    pub(crate) fn path(self) -> String {
        let name = Self::NAMES[self as usize];
        match PARENTS[Self::GROUPS[self as usize] as usize] {
            Some(parent) => format!("{}.{name}", parent.path()),
            None => name.to_owned(),
        }
    }
}

/// Number of known keys of the record itself.
const RECORD_KEYS: usize = PerfectHash::range(KeyGroup::Record).1;

/// The values of a record's own known keys, without those of objects inside it.
#[derive(Clone, Copy, Debug)]
pub struct RecordIndex([u32; RECORD_KEYS]);

impl RecordIndex {
    /// Finds the values in one pass over the record.
    pub fn of(tape: Tape<'_>) -> Self {
        let mut entries = [MISSING; RECORD_KEYS];
        find_values(tape, Value::ROOT, KeyGroup::Record, &mut entries);
        RecordIndex(entries)
    }

    /// The value of `key`; `None` also for a key of another object than the record.
    pub fn value(&self, key: KnownKey) -> Option<Value> {
        to_value(*self.0.get(key as usize)?)
    }
}

/// The values of all known keys of one record, found group by group when needed.
#[derive(Debug)]
pub struct KeyTable {
    /// The entry of each key's value.
    entries: [u32; KnownKey::COUNT],
    /// One bit for each group whose values were found.
    filled: u32,
}

impl Default for KeyTable {
    #[inline]
    fn default() -> Self {
        KeyTable {
            entries: [MISSING; KnownKey::COUNT],
            filled: 0,
        }
    }
}

impl KeyTable {
    /// Changes to the record that `index` is of.
    #[inline]
    pub(crate) fn reset(&mut self, index: &RecordIndex) {
        self.entries[..RECORD_KEYS].copy_from_slice(&index.0);
        self.filled = 1 << KeyGroup::Record as u32;
    }

    /// The value of `key`, which may be null. `tape` is that of the record last given to
    /// [`KeyTable::reset`].
    #[inline]
    pub(crate) fn value(&mut self, tape: Tape<'_>, key: KnownKey) -> Option<Value> {
        let group = KnownKey::GROUPS[key as usize];
        if self.filled & (1 << group as u32) == 0 {
            self.fill_group(tape, group);
        }
        to_value(self.entries[key as usize])
    }

    #[inline(never)]
    fn fill_group(&mut self, tape: Tape<'_>, group: KeyGroup) {
        let object = match PARENTS[group as usize] {
            Some(parent) => self.value(tape, parent),
            None => Some(Value::ROOT),
        };
        let hash = &HASHES[group as usize];
        let entries = &mut self.entries[hash.first..hash.end];
        entries.fill(MISSING);
        if let Some(object) = object {
            find_values(tape, object, group, entries);
        }
        self.filled |= 1 << group as u32;
    }
}

fn to_value(entry: u32) -> Option<Value> {
    (entry != MISSING).then_some(Value(entry))
}

/// Writes the entries of the values of the group's keys in `object`. Of two members with the same
/// key, the first counts.
#[inline]
fn find_values(tape: Tape<'_>, object: Value, group: KeyGroup, entries: &mut [u32]) {
    let hash = &HASHES[group as usize];
    for (name, value) in tape.members(object) {
        let number = match hash.find(name) {
            Some(number) => number,
            None if !tape.is_plain() && name.contains(&b'\\') => {
                match hash.find(&unescaped(name)) {
                    Some(number) => number,
                    None => continue,
                }
            }
            None => continue,
        };
        if let Some(entry) = entries.get_mut(number)
            && *entry == MISSING
        {
            *entry = value.0;
        }
    }
}

/// A perfect hash over the names of a group's keys, made at compile time.
///
/// Not `phf`: that passes every byte of a name through SipHash; this reads its length and five bytes.
struct PerfectHash {
    multiplier: u32,
    /// For each hash the number of its key within the group, or `EMPTY`.
    numbers: [u8; PerfectHash::SIZE],
    /// The group's first key, and one past its last.
    first: usize,
    end: usize,
}

impl PerfectHash {
    const BITS: u32 = 8;
    const SIZE: usize = 1 << Self::BITS;
    const EMPTY: u8 = u8::MAX;

    /// Tries multipliers until no two keys of the group have the same hash.
    const fn new(group: KeyGroup) -> Self {
        let (first, end) = Self::range(group);
        let mut multiplier = 0x9e37_79b1_u32;
        'multipliers: loop {
            let mut numbers = [Self::EMPTY; Self::SIZE];
            let mut key = first;
            while key < end {
                let hash = Self::hash(KnownKey::NAMES[key].as_bytes(), multiplier);
                if numbers[hash] != Self::EMPTY {
                    // The next of a sequence of odd numbers.
                    multiplier = multiplier.wrapping_mul(0x2c92_77b5).wrapping_add(2);
                    continue 'multipliers;
                }
                numbers[hash] = (key - first) as u8;
                key += 1;
            }
            return PerfectHash {
                multiplier,
                numbers,
                first,
                end,
            };
        }
    }

    /// The group's first key, and one past its last.
    const fn range(group: KeyGroup) -> (usize, usize) {
        let mut first = 0;
        while KnownKey::GROUPS[first] as u8 != group as u8 {
            first += 1;
        }
        let mut end = first;
        while end < KnownKey::COUNT && KnownKey::GROUPS[end] as u8 == group as u8 {
            end += 1;
        }
        (first, end)
    }

    /// Hashes the length, the first byte and the last four: no two keys of a group share all of
    /// these.
    #[inline]
    const fn hash(name: &[u8], multiplier: u32) -> usize {
        let (Some(first), Some(tail)) = (name.first(), name.last_chunk::<4>()) else {
            // Shorter names differ in their first and last bytes.
            return match name {
                [first, .., last] => (*first as usize ^ ((*last as usize) << 1)) % Self::SIZE,
                _ => 0,
            };
        };
        let mixed = u32::from_le_bytes(*tail)
            ^ (name.len() as u32).wrapping_mul(0x9e37_79b1)
            ^ (*first as u32).wrapping_mul(0x85eb_ca6b);
        (mixed.wrapping_mul(multiplier) >> (32 - Self::BITS)) as usize
    }

    /// The number within the group of the key with this name.
    #[inline(always)]
    fn find(&self, name: &[u8]) -> Option<usize> {
        let number = self.numbers[Self::hash(name, self.multiplier)];
        if number == Self::EMPTY {
            return None;
        }
        let expected = KnownKey::NAMES[self.first + usize::from(number)];
        equal(expected.as_bytes(), name).then_some(usize::from(number))
    }
}

/// `a == b` without a call to `memcmp`: two overlapping loads cover a whole name.
#[inline]
fn equal(a: &[u8], b: &[u8]) -> bool {
    #[inline]
    fn ends<const N: usize>(a: &[u8], b: &[u8]) -> bool {
        a.first_chunk::<N>() == b.first_chunk::<N>() && a.last_chunk::<N>() == b.last_chunk::<N>()
    }
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        4..=7 => ends::<4>(a, b),
        8..=16 => ends::<8>(a, b),
        17..=32 => ends::<16>(a, b),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Scan, Scanner, TapeBuffer};

    fn value_of(json: &str, key: KnownKey) -> Option<String> {
        let mut tapes = TapeBuffer::default();
        let Scan::Whole { tape, .. } = Scanner::default().scan(json.as_bytes(), &mut tapes) else {
            panic!("not whole: {json}");
        };
        let tape = tapes.tape(tape, json.as_bytes());
        let mut keys = KeyTable::default();
        keys.reset(&RecordIndex::of(tape));
        let value = keys.value(tape, key)?;
        Some(String::from_utf8_lossy(tape.raw(value)).into_owned())
    }

    #[test]
    fn every_key_is_found_in_its_group_and_similar_names_are_not() {
        for (key, name) in KnownKey::NAMES.iter().enumerate() {
            let hash = &HASHES[KnownKey::GROUPS[key] as usize];
            let found = hash.find(name.as_bytes());
            assert_eq!(found.map(|number| hash.first + number), Some(key));
            let other = format!("{name}x");
            assert_eq!(hash.find(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn nested_keys_are_found_under_their_parent_only() {
        let record = r#"{"type":"x","userIdentity":{"sessionContext":{"attributes":{"type":"no"},
            "sessionIssuer":{"type":"Role"}},"type":"AssumedRole"}}"#;
        assert_eq!(
            value_of(record, KnownKey::IssuerType).as_deref(),
            Some(r#""Role""#)
        );
        assert_eq!(
            value_of(record, KnownKey::IdentityType).as_deref(),
            Some(r#""AssumedRole""#)
        );
        assert_eq!(value_of(record, KnownKey::MfaAuthenticated), None);
    }

    #[test]
    fn the_first_of_two_equal_keys_counts_escaped_or_not() {
        let record = r#"{"event\u004eame":"first","eventName":"second"}"#;
        assert_eq!(
            value_of(record, KnownKey::EventName).as_deref(),
            Some(r#""first""#)
        );
    }

    #[test]
    fn a_path_contains_the_names_of_all_parents() {
        assert_eq!(
            KnownKey::IssuerArn.path(),
            "userIdentity.sessionContext.sessionIssuer.arn"
        );
    }
}
