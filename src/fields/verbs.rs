//! Classification of event names as read-only or changing, by the verb that they start with.
//!
//! The lists are from the names of the operations of AWS's services. A verb that services use
//! for both (`Verify`, `Generate`, `Assume`, …) is in neither list.

/// Verbs of operations that change nothing.
const READ_ONLY: &[&str] = &[
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

/// Verbs of operations that change something.
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

/// Whether an event of this name is read-only; `None` if its verb is in neither list.
pub(super) fn read_only(event_name: &[u8]) -> Option<bool> {
    let starts_with_one_of =
        |verbs: &[&str]| verbs.iter().any(|verb| starts_with(event_name, verb));
    if starts_with_one_of(READ_ONLY) {
        return Some(true);
    }
    starts_with_one_of(CHANGING).then_some(false)
}

/// Whether `event_name` starts with `verb` as a whole word: `Settle` does not start with `Set`.
fn starts_with(event_name: &[u8], verb: &str) -> bool {
    event_name
        .strip_prefix(verb.as_bytes())
        .is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_lowercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_matches_as_a_whole_word_only() {
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
            assert_eq!(read_only(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn no_event_name_matches_both_lists() {
        for verb in READ_ONLY {
            assert!(
                CHANGING
                    .iter()
                    .all(|changing| !starts_with(verb.as_bytes(), changing))
            );
        }
    }
}
