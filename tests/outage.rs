//! Outages of AWS and of the network, against a server with the semantics of S3 and SQS: they cost time, never a
//! record, and every lost object is named in the log.
//!
//! Most scenarios sleep most of the time, so they run concurrently: see [`harness`]. To run one:
//! `cargo test --test outage sqs_s3_answers_503`.
#![forbid(unsafe_code)]

mod aws;
mod oracle;
mod support;

#[path = "outage/answers.rs"]
mod answers;
#[path = "outage/close.rs"]
mod close;
#[path = "outage/content.rs"]
mod content;
#[path = "outage/duplicates.rs"]
mod duplicates;
#[path = "outage/follow.rs"]
mod follow;
#[path = "outage/follow_failures.rs"]
mod follow_failures;
#[path = "outage/give_up.rs"]
mod give_up;
mod harness;
#[path = "outage/levels.rs"]
mod levels;
#[path = "outage/listing.rs"]
mod listing;
#[path = "outage/mixed.rs"]
mod mixed;
#[path = "outage/naming.rs"]
mod naming;
#[path = "outage/opening.rs"]
mod opening;
#[path = "outage/ordinary.rs"]
mod ordinary;
#[path = "outage/queue_outage.rs"]
mod queue_outage;
#[path = "outage/random_faults.rs"]
mod random_faults;
#[path = "outage/records.rs"]
mod records;
#[path = "outage/selection.rs"]
mod selection;
#[path = "outage/server/mod.rs"]
mod server;
#[path = "outage/setup.rs"]
mod setup;
#[path = "outage/sweep.rs"]
mod sweep;
#[path = "outage/visibility.rs"]
mod visibility;

harness::scenarios! {
    concurrency: 14;
    // The longest ones first: they start in this order.
    sqs_longer_than_all_receives: queue_outage::longer_than_all_receives,
    slow_shared_link_is_used_once: sweep::slow_shared_link_is_used_once,
    sweep_begins_while_s3_is_busy: sweep::begins_while_s3_is_busy,
    sweep_slow_down_at_80_percent: sweep::slow_down_at_80_percent,
    sqs_s3_answers_503: queue_outage::s3_answers_503,
    sqs_s3_resets_connections: queue_outage::s3_resets_connections,
    sqs_s3_answers_expired_token: queue_outage::s3_answers_expired_token,
    sqs_s3_denies_access: queue_outage::s3_denies_access,
    sqs_kms_key_is_disabled: queue_outage::kms_key_is_disabled,
    sqs_captive_portal_in_front_of_s3: queue_outage::captive_portal_in_front_of_s3,
    sqs_captive_portal_in_front_of_everything: queue_outage::captive_portal_in_front_of_everything,
    sqs_credentials_expire_until_the_file_is_rewritten: queue_outage::credentials_expire_until_the_file_is_rewritten,
    sqs_credentials_provider_that_hangs_is_named: queue_outage::credentials_provider_that_hangs_is_named,
    sqs_network_is_down: queue_outage::network_is_down,
    sqs_deletions_fail: queue_outage::deletions_fail,
    sqs_bucket_that_hangs_delays_no_other: queue_outage::bucket_that_hangs_delays_no_other,
    sqs_messages_with_thousands_of_keys_take_bounded_memory: queue_outage::messages_with_thousands_of_keys_take_bounded_memory,
    random_faults_with_sources_closed: random_faults::with_sources_closed,
    random_faults_with_readers_killed: random_faults::with_readers_killed,
    sweep_network_is_down: sweep::network_is_down,
    sweep_s3_answers_503: sweep::s3_answers_503,
    sweep_listings_fail: sweep::listings_fail,
    sweep_names_500_denied_objects: naming::sweep_names_500_denied_objects,
    follow_finds_each_object_once_over_restarts: follow::finds_each_object_once_over_restarts,
    follow_finds_late_files_new_regions_and_other_layouts: follow::finds_late_files_new_regions_and_other_layouts,
    follow_of_servers_without_last_modified: follow::servers_without_last_modified_are_followed,
    follow_lists_as_often_as_the_line_at_open_says: follow::lists_as_often_as_the_line_at_open_says,
    follow_waits_out_failing_listings: follow::waits_out_failing_listings,
    follow_reports_requests_and_closes_promptly: follow::reports_requests_and_closes_promptly,
    follow_sweep_with_a_state_continues_after_sigkill_and_removes_the_file: follow::sweep_with_a_state_continues_after_sigkill_and_removes_the_file,
    follow_check_leaves_the_state_file_alone: follow::check_leaves_the_state_file_alone,
    follow_state_that_does_not_fit_is_refused: follow::state_that_does_not_fit_is_refused,
    follow_object_that_fails_delays_no_other_and_is_named: follow_failures::object_that_fails_delays_no_other_and_is_named,
    follow_account_whose_key_is_disabled_delays_no_other: follow_failures::account_whose_key_is_disabled_delays_no_other,
    follow_unread_objects_survive_a_restart: follow_failures::unread_objects_survive_a_restart,
    follow_sweep_names_the_object_that_it_waits_for: follow_failures::sweep_names_the_object_that_it_waits_for,
    follow_sweep_that_left_something_out_keeps_its_state: follow_failures::sweep_that_left_something_out_keeps_its_state,
    follow_idle_prefixes_are_listed_less_often_from_the_start: follow::idle_prefixes_are_listed_less_often_from_the_start,
    follow_links_and_special_files_are_safe_as_state: follow_failures::links_and_special_files_are_safe_as_state,
    log_files_at_every_level_are_read_once_by_following_over_a_restart: levels::are_read_once_by_following_over_a_restart,
    log_files_at_every_level_are_read_by_a_sweep_without_further_requests: levels::are_read_by_a_sweep_without_further_requests,
    log_files_at_every_level_are_selected_by_the_account_and_the_time_in_their_names: levels::are_selected_by_the_account_and_the_time_in_their_names,
    opening_gives_up_after_half_a_minute: opening::gives_up_after_half_a_minute,
    opening_waits_for_a_busy_queue: opening::waits_for_a_busy_queue,
    listing_empty_pages: listing::some_empty_pages_are_passed_and_an_endless_row_is_named,
    listing_pages_are_damaged_once: listing::pages_are_damaged_once,
    listing_pages_stay_damaged: listing::pages_stay_damaged,
    bad_messages_do_not_delay_good_ones: naming::bad_messages_do_not_delay_good_ones,
    garbage_messages_are_named: naming::garbage_messages_are_named,
    names_that_no_object_can_have_are_shown: naming::names_that_no_object_can_have_are_shown,
    one_denied_key_of_fifty: naming::one_denied_key_of_fifty,
    object_replaced_during_its_download_of_a_sweep: content::object_replaced_during_its_download_of_a_sweep,
    object_replaced_during_its_download_of_a_message: content::object_replaced_during_its_download_of_a_message,
    download_is_resumed_after_a_reset: content::download_is_resumed_after_a_reset,
    redirects_of_a_sweep_are_waited_out: content::redirects_of_a_sweep_are_waited_out,
    redirects_of_a_message_cost_no_receive: content::redirects_of_a_message_cost_no_receive,
    version_is_read_after_a_deletion: content::version_is_read_after_a_deletion,
    version_null_counts_as_none: content::version_null_counts_as_none,
    close_is_quick_under_every_stall: close::is_quick_under_every_stall,
    close_without_a_call_of_next_batch: close::without_a_call_of_next_batch,
    close_returns_messages: close::returns_messages,
    visibility_request_is_stuck: visibility::request_is_stuck,
    visibility_extensions_fail_for_long: visibility::extensions_fail_for_long,
    visibility_extension_is_denied: visibility::extension_is_denied,
    visibility_lapses_in_a_fifo_queue: visibility::lapses_in_a_fifo_queue,
    visibility_of_deleted_messages_is_left_alone: visibility::of_deleted_messages_is_left_alone,
    received_mode_names_what_stays: visibility::received_mode_names_what_stays,
    received_mode_with_slow_deletions: visibility::received_mode_with_slow_deletions,
    deletions_are_refused_in_part: visibility::deletions_are_refused_in_part,
    records_are_delivered_beside_objects: records::are_delivered_beside_objects,
    records_keep_their_order_and_their_bytes: records::keep_their_order_and_their_bytes,
    records_are_deleted_only_after_delivery: records::are_deleted_only_after_delivery,
    records_are_delivered_in_received_mode: records::are_delivered_in_received_mode,
    records_are_unknown_without_sqs_records: records::are_unknown_without_sqs_records,
    records_of_insights_need_the_option: records::of_insights_need_the_option,
    records_wait_for_memory: records::wait_for_memory,
    records_are_not_received_without_room: records::are_not_received_without_room,
    records_are_delivered_while_s3_is_down: records::are_delivered_while_s3_is_down,
    mixed_records_and_files_are_delivered_once_with_a_window: mixed::are_delivered_once_with_a_window,
    mixed_records_and_files_are_delivered_in_every_copy_without_a_window: mixed::are_delivered_in_every_copy_without_a_window,
    mixed_records_and_files_are_not_lost_when_readers_are_killed: mixed::are_not_lost_when_readers_are_killed,
    buckets_that_are_not_allowed_fail_their_messages: selection::buckets_that_are_not_allowed_fail_their_messages,
    objects_of_other_accounts_are_skipped: selection::objects_of_other_accounts_are_skipped,
    objects_that_are_too_old_are_skipped: selection::objects_that_are_too_old_are_skipped,
    received_mode_names_what_is_given_up: visibility::received_mode_names_what_is_given_up,
    delivered_messages_that_are_received_again_are_deleted: visibility::delivered_messages_that_are_received_again_are_deleted,
    received_mode_names_what_is_not_read_at_close: visibility::received_mode_names_what_is_not_read_at_close,
    deletions_fail_in_part: visibility::deletions_fail_in_part,
    messages_without_receipt_handles: visibility::messages_without_receipt_handles,
    answers_with_malformed_messages_cost_no_other: answers::with_malformed_messages_cost_no_other,
    answers_with_malformed_messages_after_a_failed_request: answers::with_malformed_messages_after_a_failed_request,
    answers_that_are_none_are_failures_of_the_queue: answers::that_are_none_are_failures_of_the_queue,
    answers_without_messages_are_no_failure: answers::without_messages_are_no_failure,
    answers_to_deletions_are_incomplete: answers::to_deletions_are_incomplete,
    answers_to_deletions_contradict_themselves: answers::to_deletions_contradict_themselves,
    answers_to_extensions_are_incomplete: answers::to_extensions_are_incomplete,
    not_given_up_with_an_empty_answer_about_attributes: give_up::not_with_an_empty_answer_about_attributes,
    given_up_only_after_15_minutes: give_up::only_after_15_minutes,
    not_given_up_with_a_redrive_policy: give_up::not_with_a_redrive_policy,
    not_given_up_with_unknown_attributes: give_up::not_with_unknown_attributes,
    duplicates_are_delivered_once: duplicates::are_delivered_once,
    duplicates_keep_their_messages_until_the_host_comes_back: duplicates::keep_their_messages_until_the_host_comes_back,
    duplicates_cost_no_event_when_the_source_is_closed: duplicates::cost_no_event_when_the_source_is_closed,
    dropped_events_are_acknowledged: duplicates::dropped_events_are_acknowledged,
    ordinary_sweep: ordinary::sweep,
    ordinary_queue: ordinary::queue,
    ordinary_over_https: ordinary::over_https,
}
