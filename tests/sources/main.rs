//! `s3://` and `sqs://` through the plugin library, against protocol servers and a proxy that injects faults.
//!
//! Most tests wait most of the time, so some run concurrently: see [`harness`]. To run one:
//! `cargo test --test sources s3_prefix_may_end_anywhere`.
#![forbid(unsafe_code)]

#[path = "../aws/mod.rs"]
mod aws;
mod faults;
mod fixture;
#[path = "../fixtures/mod.rs"]
mod fixtures;
#[path = "../harness/mod.rs"]
mod harness;
mod network;
#[path = "../oracle/mod.rs"]
mod oracle;
mod s3;
mod sqs;
#[path = "../support/mod.rs"]
mod support;

harness::scenarios! {
    concurrency: 6;
    // The longest tests first: they start in this order.
    faults_wrong_content_length_is_detected: faults::objects::wrong_content_length_is_detected,
    faults_messages_of_permanent_failures_are_deleted_and_of_transient_ones_kept: faults::messages::messages_of_permanent_failures_are_deleted_and_of_transient_ones_kept,
    faults_unreadable_objects_are_named_and_the_others_read: faults::objects::unreadable_objects_are_named_and_the_others_read,
    faults_message_of_a_thousand_keys_is_deleted_after_its_last_object: faults::messages::message_of_a_thousand_keys_is_deleted_after_its_last_object,
    sqs_visibility_timeout_is_extended_while_the_host_is_busy: sqs::visibility::visibility_timeout_is_extended_while_the_host_is_busy,
    s3_open_fails_within_seconds_with_bucket_code_and_region: s3::open::open_fails_within_seconds_with_bucket_code_and_region,
    sqs_open_fails_within_seconds_with_queue_code_and_region: sqs::open::open_fails_within_seconds_with_queue_code_and_region,
    faults_library_may_be_unloaded_during_a_name_lookup: faults::shutdown::library_may_be_unloaded_during_a_name_lookup,
    s3_short_pages_make_no_difference: s3::listing::short_pages_make_no_difference,
    sqs_deep_queue_is_received_in_batches_of_ten: sqs::receive::deep_queue_is_received_in_batches_of_ten,
    s3_bucket_is_read_in_key_order_without_logs_of_other_services: s3::selection::bucket_is_read_in_key_order_without_logs_of_other_services,
    s3_prefix_may_end_anywhere: s3::selection::prefix_may_end_anywhere,
    s3_every_layout_is_narrowed_by_day_and_account: s3::selection::every_layout_is_narrowed_by_day_and_account,
    s3_interval_lists_only_its_own_days: s3::selection::interval_lists_only_its_own_days,
    s3_interval_includes_both_of_its_ends_to_the_minute: s3::selection::interval_includes_both_of_its_ends_to_the_minute,
    s3_relative_interval_counts_back_from_now: s3::selection::relative_interval_counts_back_from_now,
    s3_account_list_applies_wherever_the_prefix_points: s3::selection::account_list_applies_wherever_the_prefix_points,
    s3_every_kind_of_log_is_read_and_narrowed: s3::kinds::every_kind_of_log_is_read_and_narrowed,
    s3_insights_are_read_on_request: s3::selection::insights_are_read_on_request,
    s3_incomplete_page_is_requested_again: s3::listing::incomplete_page_is_requested_again,
    s3_keys_of_any_characters_are_listed_and_read: s3::listing::keys_of_any_characters_are_listed_and_read,
    s3_reading_starts_with_the_first_page: s3::listing::reading_starts_with_the_first_page,
    s3_only_the_prefix_is_listed: s3::listing::only_the_prefix_is_listed,
    s3_moto_gives_the_same_objects: s3::listing::moto_gives_the_same_objects,
    s3_bucket_in_another_region_is_read_there: s3::open::bucket_in_another_region_is_read_there,
    s3_missing_region_or_credentials_are_named: s3::open::missing_region_or_credentials_are_named,
    s3_slow_instance_metadata_service_is_waited_for_and_a_silent_one_is_named: s3::open::slow_instance_metadata_service_is_waited_for_and_a_silent_one_is_named,
    s3_region_and_credentials_come_from_the_environment_too: s3::open::region_and_credentials_come_from_the_environment_too,
    s3_role_is_assumed_once_with_external_id_and_session_name: s3::open::role_is_assumed_once_with_external_id_and_session_name,
    s3_unknown_profile_is_an_error_for_aws_sources_only: s3::open::unknown_profile_is_an_error_for_aws_sources_only,
    s3_download_concurrency_is_used_and_not_exceeded: s3::download::download_concurrency_is_used_and_not_exceeded,
    s3_close_takes_less_than_a_second_with_stalled_downloads: s3::download::close_takes_less_than_a_second_with_stalled_downloads,
    s3_slow_host_stalls_the_downloads: s3::download::slow_host_stalls_the_downloads,
    sqs_every_shape_of_notification_is_read: sqs::notification::every_shape_of_notification_is_read,
    sqs_notifications_of_the_server_itself_are_read: sqs::notification::notifications_of_the_server_itself_are_read,
    sqs_false_object_sizes_are_harmless: sqs::notification::false_object_sizes_are_harmless,
    sqs_large_objects_of_unknown_size_stay_within_the_memory_budget: sqs::notification::large_objects_of_unknown_size_stay_within_the_memory_budget,
    sqs_moto_gives_the_same_records: sqs::notification::moto_gives_the_same_records,
    sqs_short_polling_receives_once_a_second: sqs::receive::short_polling_receives_once_a_second,
    sqs_messages_in_flight_are_capped: sqs::receive::messages_in_flight_are_capped,
    sqs_idle_queue_costs_one_request_and_no_cpu: sqs::receive::idle_queue_costs_one_request_and_no_cpu,
    sqs_every_record_survives_sigkill: sqs::receive::every_record_survives_sigkill,
    sqs_two_processes_share_a_queue_without_duplicates: sqs::receive::two_processes_share_a_queue_without_duplicates,
    sqs_close_takes_less_than_a_second_with_stalled_downloads_and_deletions: sqs::receive::close_takes_less_than_a_second_with_stalled_downloads_and_deletions,
    sqs_message_whose_extension_is_refused_is_delivered_once: sqs::visibility::message_whose_extension_is_refused_is_delivered_once,
    sqs_configured_visibility_timeout_overrides_the_queues_own: sqs::visibility::configured_visibility_timeout_overrides_the_queues_own,
    sqs_visibility_timeout_of_zero_gives_each_message_once: sqs::visibility::visibility_timeout_of_zero_gives_each_message_once,
    sqs_message_is_deleted_only_after_the_next_call_of_next_batch: sqs::deletion::message_is_deleted_only_after_the_next_call_of_next_batch,
    sqs_close_deletes_no_message_of_the_last_batch: sqs::deletion::close_deletes_no_message_of_the_last_batch,
    sqs_received_mode_deletes_before_any_download: sqs::deletion::received_mode_deletes_before_any_download,
    sqs_nothing_is_deleted_with_sqs_delete_false: sqs::deletion::nothing_is_deleted_with_sqs_delete_false,
    sqs_message_that_always_fails_is_deleted_after_sqs_max_receives: sqs::deletion::message_that_always_fails_is_deleted_after_sqs_max_receives,
    sqs_messages_that_always_fail_go_to_the_dead_letter_queue: sqs::deletion::messages_that_always_fail_go_to_the_dead_letter_queue,
    sqs_deletions_run_concurrently_in_full_batches: sqs::deletion::deletions_run_concurrently_in_full_batches,
    sqs_check_command_leaves_every_message_in_received_mode_too: sqs::deletion::check_command_leaves_every_message_in_received_mode_too,
    sqs_queue_is_named_by_name_url_or_arn: sqs::open::queue_is_named_by_name_url_or_arn,
    sqs_queue_is_looked_up_in_the_owner_account: sqs::open::queue_is_looked_up_in_the_owner_account,
    sqs_missing_token_file_is_named: sqs::open::missing_token_file_is_named,
    sqs_credentials_in_urls_are_redacted: sqs::open::credentials_in_urls_are_redacted,
    faults_transient_faults_cost_no_record_and_keep_the_order: faults::objects::transient_faults_cost_no_record_and_keep_the_order,
    faults_failing_object_ends_the_source_with_s3_on_error_fail: faults::objects::failing_object_ends_the_source_with_s3_on_error_fail,
    faults_listing_survives_a_fault_on_every_page: faults::objects::listing_survives_a_fault_on_every_page,
    faults_prefix_that_cannot_be_listed_is_named_and_the_others_read: faults::objects::prefix_that_cannot_be_listed_is_named_and_the_others_read,
    faults_denied_object_is_retried_until_access_is_granted: faults::messages::denied_object_is_retried_until_access_is_granted,
    faults_receives_for_transient_reasons_do_not_count_as_tries: faults::messages::receives_for_transient_reasons_do_not_count_as_tries,
    faults_object_named_gz_without_gzip_data_is_fetched_again: faults::messages::object_named_gz_without_gzip_data_is_fetched_again,
    faults_failing_queue_is_retried_and_logged_once_per_outage: faults::queue::failing_queue_is_retried_and_logged_once_per_outage,
    faults_retries_of_a_failing_queue_back_off_exponentially: faults::queue::retries_of_a_failing_queue_back_off_exponentially,
    faults_throttled_receives_are_counted_and_retried: faults::queue::throttled_receives_are_counted_and_retried,
    faults_deleted_queue_is_logged_and_followed_again_once_recreated: faults::queue::deleted_queue_is_logged_and_followed_again_once_recreated,
    faults_one_missing_object_of_a_message_is_named_and_the_others_read_once: faults::messages::one_missing_object_of_a_message_is_named_and_the_others_read_once,
    faults_duplicate_and_reordered_messages_lose_nothing: faults::messages::duplicate_and_reordered_messages_lose_nothing,
    faults_object_in_another_region_is_read_there: faults::messages::object_in_another_region_is_read_there,
    faults_bucket_deleted_during_its_listing_gives_the_objects_listed_before: faults::objects::bucket_deleted_during_its_listing_gives_the_objects_listed_before,
    faults_sigterm_ends_an_idle_or_stalled_reader_at_once: faults::shutdown::sigterm_ends_an_idle_or_stalled_reader_at_once,
    network_no_proxy_exempts_hosts_ports_networks_and_everything: network::no_proxy_exempts_hosts_ports_networks_and_everything,
    network_invalid_proxy_url_is_an_error_that_names_the_variable_without_secrets: network::invalid_proxy_url_is_an_error_that_names_the_variable_without_secrets,
    network_proxy_that_requires_authentication_is_named_instead_of_the_queue: network::proxy_that_requires_authentication_is_named_instead_of_the_queue,
    network_certificate_bundle_is_trusted: network::certificate_bundle_is_trusted,
    network_low_open_file_limit_lowers_the_concurrency_and_is_named: network::low_open_file_limit_lowers_the_concurrency_and_is_named,
}
