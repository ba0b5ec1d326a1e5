//! Whether an event only reads, told from the verb that its name starts with.
//!
//! From the names of the operations of AWS's services. A verb that services use both ways
//! (`Verify`, `Generate`, `Assume`, …) is in neither list: no answer is better than a wrong one.

const READING: &[&str] = &[
    "BatchCheck",
    "BatchDescribe",
    "BatchGet",
    "BatchHead",
    "BatchList",
    "Calculate",
    "Check",
    "Compare",
    "Count",
    "Describe",
    "Detect",
    "Discover",
    "Download",
    "Estimate",
    "Filter",
    "Get",
    "Head",
    "List",
    "Lookup",
    "Preview",
    "Query",
    "Read",
    "Scan",
    "Search",
    "Select",
    "Simulate",
    "TransactGet",
    "Validate",
    "View",
];

const CHANGING: &[&str] = &[
    "Abort",
    "Accept",
    "Activate",
    "Add",
    "Allocate",
    "Allow",
    "Apply",
    "Approve",
    "Archive",
    "Assign",
    "Associate",
    "Attach",
    "Authorize",
    "BatchAdd",
    "BatchAssociate",
    "BatchCreate",
    "BatchDelete",
    "BatchDisable",
    "BatchDisassociate",
    "BatchEnable",
    "BatchImport",
    "BatchModify",
    "BatchPut",
    "BatchStop",
    "BatchUpdate",
    "BatchWrite",
    "Cancel",
    "Change",
    "Clear",
    "Clone",
    "Close",
    "Complete",
    "Configure",
    "Confirm",
    "Connect",
    "Copy",
    "Create",
    "Deactivate",
    "Deauthorize",
    "Decline",
    "Decrease",
    "Delete",
    "Deny",
    "Deploy",
    "Deprecate",
    "Deprovision",
    "Deregister",
    "Detach",
    "Disable",
    "Disassociate",
    "Disconnect",
    "Enable",
    "Execute",
    "Expire",
    "Extend",
    "Failover",
    "Finalize",
    "Grant",
    "Import",
    "Increase",
    "Initiate",
    "Insert",
    "Install",
    "Invite",
    "Issue",
    "Join",
    "Launch",
    "Leave",
    "Lock",
    "Merge",
    "Migrate",
    "Modify",
    "Move",
    "Open",
    "Pause",
    "Post",
    "Promote",
    "Provision",
    "Publish",
    "Purchase",
    "Purge",
    "Put",
    "Reboot",
    "Rebuild",
    "Register",
    "Reject",
    "Release",
    "Remove",
    "Rename",
    "Replace",
    "Replicate",
    "Request",
    "Reset",
    "Resize",
    "Restart",
    "Restore",
    "Resume",
    "Retire",
    "Revoke",
    "Rollback",
    "Rotate",
    "Run",
    "Save",
    "Schedule",
    "Send",
    "Set",
    "Share",
    "Split",
    "Start",
    "Stop",
    "Submit",
    "Subscribe",
    "Suspend",
    "Swap",
    "Switchover",
    "Tag",
    "Terminate",
    "TransactWrite",
    "Transfer",
    "Unarchive",
    "Unassign",
    "Unlock",
    "Unregister",
    "Unshare",
    "Unsubscribe",
    "Untag",
    "Update",
    "Upgrade",
    "Upload",
    "Withdraw",
    "Write",
];

/// `None` where the name's verb does not say.
pub(super) fn reads_only(event_name: &[u8]) -> Option<bool> {
    let starts_with_one_of =
        |verbs: &[&str]| verbs.iter().any(|verb| starts_with(event_name, verb));
    if starts_with_one_of(READING) {
        return Some(true);
    }
    starts_with_one_of(CHANGING).then_some(false)
}

/// As a whole word: `Settle` does not start with `Set`.
fn starts_with(event_name: &[u8], verb: &str) -> bool {
    event_name
        .strip_prefix(verb.as_bytes())
        .is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_lowercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_whole_words() {
        for (name, expected) in [
            ("GetObject", Some(true)),
            ("ListBuckets", Some(true)),
            ("BatchGetItem", Some(true)),
            ("Lookup", Some(true)),
            ("RunInstances", Some(false)),
            ("PutObject", Some(false)),
            ("SettleDebt", None),
            ("Getaway", None),
            ("AssumeRole", None),
            ("", None),
        ] {
            assert_eq!(reads_only(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn no_name_can_match_both_lists() {
        for reading in READING {
            assert!(
                CHANGING
                    .iter()
                    .all(|verb| !starts_with(reading.as_bytes(), verb))
            );
        }
    }
}
