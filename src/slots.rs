//! The keys of a CloudTrail record that fields are made of, and where a record has them.
//!
//! The keys fall into groups, one for each object that holds some. A group's slots are filled by
//! one walk over its object, the outermost when the record is read from its file, the others when
//! a field first asks for one of them. A later look-up is an array access.
//!
//! Field names: *CloudTrail record contents* in the AWS CloudTrail user guide.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use crate::tape::{Tape, Value};
use crate::text;

/// The record has no such key.
const MISSING: u32 = u32::MAX;

macro_rules! groups {
    ($($group:ident in $parent:expr => { $($slot:ident $key:literal)* })*) => {
        /// A key of a record, by its path.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // Each is named as its path.
        #[repr(u8)]
        pub enum Slot { $($($slot,)*)* }

        impl Slot {
            const COUNT: usize = [$($($key,)*)*].len();
            const KEYS: [&'static str; Self::COUNT] = [$($($key,)*)*];
            const GROUPS: [Group; Self::COUNT] = [$($({ let _ = $key; Group::$group },)*)*];
        }

        static ALL: [Slot; Slot::COUNT] = [$($(Slot::$slot,)*)*];

        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        enum Group { $($group,)* }

        const GROUPS: usize = [$(Group::$group,)*].len();

        /// In which slot each group's object stands; the record itself for the first.
        static PARENTS: [Option<Slot>; GROUPS] = [$($parent,)*];

        static KEYS: [KeyTable; GROUPS] = [$(KeyTable::new(Group::$group),)*];
    };
}

groups! {
    Record in None => {
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
    }
    UserIdentity in Some(Slot::UserIdentity) => {
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
        OnBehalfOf "onBehalfOf"
        SessionContext "sessionContext"
    }
    OnBehalfOf in Some(Slot::OnBehalfOf) => {
        OnBehalfOfUserId "userId"
        OnBehalfOfIdentityStoreArn "identityStoreArn"
    }
    SessionContext in Some(Slot::SessionContext) => {
        SessionAttributes "attributes"
        SessionIssuer "sessionIssuer"
        SourceIdentity "sourceIdentity"
        Ec2RoleDelivery "ec2RoleDelivery"
    }
    SessionAttributes in Some(Slot::SessionAttributes) => {
        MfaAuthenticated "mfaAuthenticated"
        CreationDate "creationDate"
    }
    SessionIssuer in Some(Slot::SessionIssuer) => {
        IssuerType "type"
        IssuerArn "arn"
        IssuerAccountId "accountId"
        IssuerPrincipalId "principalId"
        IssuerUserName "userName"
    }
    RequestParameters in Some(Slot::RequestParameters) => {
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
        DescribeFastLaunchImagesRequest "DescribeFastLaunchImagesRequest"
        LaunchSpecification "launchSpecification"
        TagSpecificationSet "tagSpecificationSet"
        PublicAccessBlockConfiguration "PublicAccessBlockConfiguration"
    }
    ResponseElements in Some(Slot::ResponseElements) => {
        ResponseSubnetId "subnetId"
        ReservationId "reservationId"
        InstancesSet "instancesSet"
        ConsoleLogin "ConsoleLogin"
    }
    AdditionalEventData in Some(Slot::AdditionalEventData) => {
        BytesTransferredIn "bytesTransferredIn"
        BytesTransferredOut "bytesTransferredOut"
        MfaUsed "MFAUsed"
    }
    Addendum in Some(Slot::Addendum) => {
        AddendumReason "reason"
        AddendumUpdatedFields "updatedFields"
        AddendumOriginalRequestId "originalRequestID"
        AddendumOriginalEventId "originalEventID"
    }
    TlsDetails in Some(Slot::TlsDetails) => {
        TlsVersion "tlsVersion"
        CipherSuite "cipherSuite"
        ClientProvidedHostHeader "clientProvidedHostHeader"
        KeyExchange "keyExchange"
    }
    TimeWindow in Some(Slot::TimeWindow) => {
        WindowStart "windowStart"
        WindowEnd "windowEnd"
    }
}

impl Slot {
    /// The slot of a key of the record itself, or of the object at the slot `parent`.
    pub fn find(parent: Option<Slot>, key: &[u8]) -> Option<Slot> {
        let group = PARENTS.iter().position(|&group| group == parent)?;
        let table = &KEYS[group];
        let slot = table.first + table.find(key)?;
        ALL.get(slot).copied()
    }

    /// The path that the slot stands for, as in `userIdentity.sessionContext.sourceIdentity`.
    pub fn path(self) -> String {
        let key = Self::KEYS[self as usize];
        match PARENTS[Self::GROUPS[self as usize] as usize] {
            Some(parent) => format!("{}.{key}", parent.path()),
            None => key.to_owned(),
        }
    }
}

/// Number of slots of the record itself.
const RECORD_SLOTS: usize = KeyTable::range(Group::Record).1;

/// Where a record has its outermost keys.
#[derive(Clone, Copy, Debug)]
pub struct RecordSlots([u32; RECORD_SLOTS]);

impl RecordSlots {
    /// Walks over the record once.
    pub fn of(tape: Tape<'_>) -> Self {
        let mut slots = [MISSING; RECORD_SLOTS];
        fill(tape, Value::ROOT, Group::Record, &mut slots);
        RecordSlots(slots)
    }

    /// The value of one of the record's own keys; `None` for every other slot.
    pub fn value(&self, slot: Slot) -> Option<Value> {
        found(*self.0.get(slot as usize)?)
    }
}

/// Where one record has all of its keys, found out group by group.
#[derive(Debug)]
pub struct Slots {
    values: [u32; Slot::COUNT],
    /// One bit for each group that has been walked.
    filled: u32,
}

impl Default for Slots {
    fn default() -> Self {
        Slots {
            values: [MISSING; Slot::COUNT],
            filled: 0,
        }
    }
}

impl Slots {
    /// Starts on another record.
    pub fn reset(&mut self, record: &RecordSlots) {
        self.values[..RECORD_SLOTS].copy_from_slice(&record.0);
        self.filled = 1 << Group::Record as u32;
    }

    /// The value at `slot` of the record that `tape` is of.
    #[inline]
    pub fn value(&mut self, tape: Tape<'_>, slot: Slot) -> Option<Value> {
        let group = Slot::GROUPS[slot as usize];
        if self.filled & (1 << group as u32) == 0 {
            self.fill_group(tape, group);
        }
        found(self.values[slot as usize])
    }

    #[inline(never)]
    fn fill_group(&mut self, tape: Tape<'_>, group: Group) {
        let object = match PARENTS[group as usize] {
            Some(parent) => self.value(tape, parent),
            None => Some(Value::ROOT),
        };
        let table = &KEYS[group as usize];
        let slots = &mut self.values[table.first..table.end];
        slots.fill(MISSING);
        if let Some(object) = object {
            fill(tape, object, group, slots);
        }
        self.filled |= 1 << group as u32;
    }
}

fn found(slot: u32) -> Option<Value> {
    (slot != MISSING).then_some(Value(slot))
}

/// One walk over `object`; of keys that occur twice the first counts.
#[inline]
fn fill(tape: Tape<'_>, object: Value, group: Group, slots: &mut [u32]) {
    let table = &KEYS[group as usize];
    for (key, value) in tape.members(object) {
        let place = match table.find(key) {
            Some(place) => place,
            None if !tape.is_plain() && key.contains(&b'\\') => match table.find(&unescaped(key)) {
                Some(place) => place,
                None => continue,
            },
            None => continue,
        };
        if let Some(slot) = slots.get_mut(place)
            && *slot == MISSING
        {
            *slot = value.0;
        }
    }
}

fn unescaped(key: &[u8]) -> Cow<'_, [u8]> {
    let mut text = Vec::new();
    text::unescape(key, &mut text);
    Cow::Owned(text)
}

/// Finds a group's keys by a hash without collisions, worked out at compile time.
struct KeyTable {
    multiplier: u32,
    /// For each hash the number of its key's slot within the group.
    places: [u8; KeyTable::SIZE],
    /// The group's first slot, and one behind its last.
    first: usize,
    end: usize,
}

impl KeyTable {
    const BITS: u32 = 8;
    const SIZE: usize = 1 << Self::BITS;
    const EMPTY: u8 = u8::MAX;

    const fn new(group: Group) -> Self {
        let (first, end) = Self::range(group);
        let mut multiplier = 0x9e37_79b1_u32;
        'next: loop {
            let mut places = [Self::EMPTY; Self::SIZE];
            let mut slot = first;
            while slot < end {
                let hash = Self::hash(Slot::KEYS[slot].as_bytes(), multiplier);
                if places[hash] != Self::EMPTY {
                    // Another odd number, as good as random.
                    multiplier = multiplier.wrapping_mul(0x2c92_77b5).wrapping_add(2);
                    continue 'next;
                }
                places[hash] = (slot - first) as u8;
                slot += 1;
            }
            return KeyTable {
                multiplier,
                places,
                first,
                end,
            };
        }
    }

    /// The slots of a group: first, and one behind the last.
    const fn range(group: Group) -> (usize, usize) {
        let mut first = 0;
        while Slot::GROUPS[first] as u8 != group as u8 {
            first += 1;
        }
        let mut end = first;
        while end < Slot::COUNT && Slot::GROUPS[end] as u8 == group as u8 {
            end += 1;
        }
        (first, end)
    }

    /// Of the length, the first byte and the last four: no two keys of a group share them all.
    #[inline]
    const fn hash(key: &[u8], multiplier: u32) -> usize {
        let (Some(first), Some(tail)) = (key.first(), key.last_chunk::<4>()) else {
            // Shorter keys: told apart by their ends.
            return match key {
                [first, .., last] => (*first as usize ^ ((*last as usize) << 1)) % Self::SIZE,
                _ => 0,
            };
        };
        let mixed = u32::from_le_bytes(*tail)
            ^ (key.len() as u32).wrapping_mul(0x9e37_79b1)
            ^ (*first as u32).wrapping_mul(0x85eb_ca6b);
        (mixed.wrapping_mul(multiplier) >> (32 - Self::BITS)) as usize
    }

    #[inline(always)]
    fn find(&self, key: &[u8]) -> Option<usize> {
        let place = self.places[Self::hash(key, self.multiplier)];
        if place == Self::EMPTY {
            return None;
        }
        let expected = Slot::KEYS[self.first + usize::from(place)];
        same(expected.as_bytes(), key).then_some(usize::from(place))
    }
}

/// `a == b` without a call: two loads that overlap cover a whole key.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
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
    use crate::tape::{Scan, Scanner, Tapes};

    fn value_of(json: &str, slot: Slot) -> Option<String> {
        let mut tapes = Tapes::default();
        let Scan::Whole { tape, .. } = Scanner::default().scan(json.as_bytes(), &mut tapes) else {
            panic!("not whole: {json}");
        };
        let tape = tapes.tape(tape, json.as_bytes());
        let mut slots = Slots::default();
        slots.reset(&RecordSlots::of(tape));
        let value = slots.value(tape, slot)?;
        Some(String::from_utf8_lossy(tape.raw(value)).into_owned())
    }

    #[test]
    fn every_key_is_found_in_its_group_and_nothing_else_is() {
        for (slot, key) in Slot::KEYS.iter().enumerate() {
            let table = &KEYS[Slot::GROUPS[slot] as usize];
            assert_eq!(
                table.find(key.as_bytes()).map(|p| p + table.first),
                Some(slot)
            );
            let other = format!("{key}x");
            assert_eq!(table.find(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn nested_keys_are_found_under_their_parent_only() {
        let record = r#"{"type":"x","userIdentity":{"sessionContext":{"attributes":{"type":"no"},
            "sessionIssuer":{"type":"Role"}},"type":"AssumedRole"}}"#;
        assert_eq!(
            value_of(record, Slot::IssuerType).as_deref(),
            Some(r#""Role""#)
        );
        assert_eq!(
            value_of(record, Slot::IdentityType).as_deref(),
            Some(r#""AssumedRole""#)
        );
        assert_eq!(value_of(record, Slot::MfaAuthenticated), None);
    }

    #[test]
    fn the_first_of_equal_keys_counts_however_it_is_written() {
        let record = r#"{"event\u004eame":"first","eventName":"second"}"#;
        assert_eq!(
            value_of(record, Slot::EventName).as_deref(),
            Some(r#""first""#)
        );
    }

    #[test]
    fn a_path_names_all_keys() {
        assert_eq!(
            Slot::IssuerArn.path(),
            "userIdentity.sessionContext.sessionIssuer.arn"
        );
    }
}
