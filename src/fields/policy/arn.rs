//! ARNs and account IDs.
#![forbid(unsafe_code)]

/// The 12 digits of an account's ID.
pub(crate) type AccountId = [u8; 12];

/// `text` as an account ID, if it is one.
pub(super) fn account_id(text: &[u8]) -> Option<AccountId> {
    let id = AccountId::try_from(text).ok()?;
    id.iter().all(u8::is_ascii_digit).then_some(id)
}

/// The account that a principal names: by its bare ID, or by an ARN of IAM or STS.
pub(super) fn account_of(principal: &[u8]) -> Option<AccountId> {
    match arn_parts(principal) {
        Some([_, b"iam" | b"sts", _, account, _]) => account_id(account),
        Some(_) => None,
        None => account_id(principal),
    }
}

/// Partition, service, region, account and resource of an ARN.
pub(super) fn arn_parts(text: &[u8]) -> Option<[&[u8]; 5]> {
    let mut parts = text.splitn(6, |&byte| byte == b':');
    if parts.next()? != b"arn" {
        return None;
    }
    let mut next = || parts.next();
    Some([next()?, next()?, next()?, next()?, next()?])
}
