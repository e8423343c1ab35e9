"""The 24 faults of the seed crate, by number: what each was, and which tests hold the opposite here.

A registry only; the table in docs/raft.md is made of it, and `test_registries` checks that the tests exist.
"""

from __future__ import annotations

__all__ = ["SEED_FAULTS"]

SEED_FAULTS: dict[int, tuple[str, tuple[str, ...]]] = {
    1: (
        "a client was told of success after the append to the leader's own log",
        (
            "core/test_seed_faults.py::test_1_nothing_is_committed_before_a_quorum_has_it_on_disk",
            "test_node.py::test_a_command_is_answered_only_after_commit_and_apply",
        ),
    ),
    2: (
        "heartbeats matched any log, and were answered with the follower's own last index",
        ("core/test_seed_faults.py::test_2_a_heartbeat_to_a_divergent_follower_proves_nothing",),
    ),
    3: (
        "appends were acknowledged up to the follower's own last index",
        ("core/test_seed_faults.py::test_3_an_acknowledgement_names_prev_plus_entries_and_not_the_last_index",),
    ),
    4: (
        "acknowledgements in another order lowered the match; those of an earlier term counted",
        (
            "core/test_seed_faults.py::test_4_acknowledgements_that_overtake_each_other_do_not_lower_the_match",
            "core/test_directed.py::test_a_planted_mistake_is_noticed_in_its_directed_schedule",
        ),
    ),
    5: (
        "term, vote and log were never on disk",
        (
            "core/test_paper.py::test_a_node_starts_as_a_follower_with_what_its_disk_gave_back",
            "core/test_paper.py::test_a_vote_leaves_only_after_it_is_durable",
            "test_node.py::test_acknowledged_commands_survive_the_power_loss_of_every_node",
        ),
    ),
    6: (
        "a snapshot was acknowledged and thrown away",
        (
            "core/test_snapshots.py::test_chunks_in_order_become_the_whole_and_replace_a_log_that_is_too_short",
            "core/test_snapshots.py::test_the_acknowledgement_waits_for_the_disk",
            "core/test_snapshots.py::test_a_candidate_follows_the_leader_that_sends_a_snapshot",
        ),
    ),
    7: (
        "an old snapshot moved the log back; a suffix that conflicts with one stayed",
        (
            "core/test_snapshots.py::test_an_older_snapshot_changes_nothing_and_is_acknowledged",
            "core/test_snapshots.py::test_a_log_with_another_entry_there_is_discarded_as_a_whole",
            "core/test_snapshots.py::test_a_repeated_snapshot_does_not_bring_the_state_back",
        ),
    ),
    8: (
        "snapshots covered entries that were not applied, and left none behind for others",
        (
            "core/test_seed_faults.py::test_8_a_snapshot_covers_what_is_applied_and_trailing_entries_stay",
            "core/test_log.py::test_what_storage_was_not_given_cannot_be_compacted",
        ),
    ),
    9: (
        "snapshots travelled without the membership",
        (
            "core/test_membership.py::test_a_newcomer_learns_the_members_from_a_snapshot",
            "test_node_snapshots.py::test_planted_snapshot_without_configuration_is_visible_in_the_trace",
        ),
    ),
    10: (
        "half of an even cluster was a quorum, and a single node never committed",
        (
            "core/test_quorum.py::test_the_quorum_value_is_the_largest_number_that_a_quorum_has_reached",
            "core/test_quorum.py::test_any_two_majorities_of_a_cluster_meet",
            "core/test_paper_commitment.py::test_a_single_node_elects_itself_and_commits",
        ),
    ),
    11: (
        "a candidate stayed one under the leader of its term; a second leader of a term was taken for good",
        (
            "core/test_paper.py::test_a_candidate_that_hears_the_leader_of_its_term_follows_it",
            "core/test_paper.py::test_two_leaders_in_one_term_are_a_broken_invariant",
        ),
    ),
    12: (
        "entries sent again were refused for ever; what was committed could be removed",
        (
            "core/test_seed_faults.py::test_12_a_retransmission_is_accepted_and_a_partly_known_batch_extends_the_log",
            "core/test_paper.py::test_a_committed_entry_is_never_removed",
        ),
    ),
    13: (
        "refusals named the refused place instead of where the logs part",
        ("core/test_rules.py::test_hints_lead_to_the_last_matching_entry_in_at_most_one_step_per_term",),
    ),
    14: (
        "the leader ignored those hints, went back by one, also for stale refusals, and sent nothing again",
        (
            "core/test_seed_faults.py::test_14_a_stale_or_repeated_refusal_does_not_move_the_leader_back",
            "core/test_paper.py::test_a_leader_brings_every_log_of_figure_7_in_line_with_its_own",
        ),
    ),
    15: (
        "asking for compacted entries gave later ones; a place below the base was refused",
        (
            "core/test_log.py::test_what_is_below_the_base_is_compacted_not_silently_skipped",
            "core/test_snapshots.py::test_entries_that_the_snapshot_covers_are_skipped_and_match",
            "core/test_snapshots.py::test_a_leader_sends_no_entry_that_it_has_forgotten",
        ),
    ),
    16: (
        "followers never learned the commit index from heartbeats",
        ("core/test_seed_faults.py::test_16_followers_learn_the_commit_index_from_heartbeats",),
    ),
    17: (
        "no message was ever sent, nor could one be handed in",
        (
            "core/test_paper.py::test_a_candidate_wins_with_a_majority_and_tells_everybody_at_once",
            "core/test_paper.py::test_a_batch_of_proposals_travels_in_one_message_within_the_limits",
            "shell/test_processes.py::test_three_processes_keep_a_put_through_a_kill_of_all_of_them",
        ),
    ),
    18: (
        "a single node stayed a candidate for ever",
        ("core/test_paper_commitment.py::test_a_single_node_elects_itself_and_commits",),
    ),
    19: (
        "a deposed leader campaigned at once and left its clients waiting",
        (
            "core/test_paper_commitment.py::test_a_leader_that_no_quorum_answers_steps_down_and_waits_a_full_timeout",
            "test_node.py::test_a_leader_that_is_deposed_leaves_what_is_in_flight_unknown",
        ),
    ),
    20: (
        "polling every 50 ms made timeouts coincide and filled an unbounded queue",
        (
            "core/test_paper.py::test_every_timeout_is_drawn_anew_between_the_two_bounds",
            "core/test_paper.py::test_nothing_is_done_before_the_deadline",
            "shell/test_callers.py::test_a_client_with_too_much_under_way_is_not_read_until_it_was_answered",
        ),
    ),
    21: (
        "a new leader appended nothing, so earlier terms' entries did not commit",
        ("core/test_paper_commitment.py::test_a_new_leader_commits_earlier_terms_with_its_no_op",),
    ),
    22: (
        "no application, reads, check-quorum, pre-vote, membership, transfer, sessions, leader hint or stop",
        (
            "core/test_seed_faults.py::test_22_an_isolated_leader_refuses_its_reads_and_says_that_it_lost_leadership",
            "core/test_paper_commitment.py::test_a_pre_vote_changes_neither_term_nor_vote_nor_timer_of_anybody",
            "core/test_membership.py::test_voters_change_through_a_joint_configuration_that_is_left_by_itself",
            "core/test_transfer.py::test_leadership_moves_at_once_although_the_leader_is_alive",
            "test_sessions.py::test_each_command_is_applied_at_most_once_and_each_copy_gets_the_reply_of_the_first",
            "test_administration.py::test_refusals_name_the_reason_and_the_leader",
            "shell/test_host.py::test_a_node_told_to_stop_answers_what_it_was_asked_and_takes_nothing_new",
        ),
    ),
    23: (
        "locks were held while waiting, and the state was read in pieces",
        ("core/test_seed_faults.py::test_23_nothing_that_decides_can_be_interrupted_and_nothing_takes_a_lock",),
    ),
    24: (
        "strangers' votes counted, and impossible settings were taken",
        (
            "core/test_paper_commitment.py::test_votes_of_strangers_are_ignored",
            "core/test_config.py::test_an_impossible_setting_is_refused_with_what_why_and_fix",
        ),
    ),
}
"""Number -> (what it was, tests that hold the opposite, as paths below tests/raft_trio)."""
