"""The public surface of the seed crate, row by row: what stands for it here, and which tests hold it.

A registry only; the table in docs/raft.md is made of it, and `test_registries` checks that symbols and tests exist.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["SURFACE", "Row"]


class Row(NamedTuple):
    """One row of the seed's surface."""

    seed: str
    symbols: tuple[str, ...]
    """Below `raft_trio`: module, colon, name in it."""
    tests: tuple[str, ...]
    """Below tests/raft_trio."""


SURFACE: tuple[Row, ...] = (
    Row(
        "NodeId, Term, LogIndex",
        ("types:NodeId", "types:Term", "types:LogIndex"),
        (
            "core/test_log.py::test_an_empty_log_starts_before_index_1_in_term_0",
            "core/test_config.py::test_an_impossible_setting_is_refused_with_what_why_and_fix",
        ),
    ),
    Row(
        "RaftNodeConfig",
        ("config:RaftNodeConfig", "config:RaftNodeConfig.paper", "shell.settings:Settings"),
        (
            "core/test_config.py::test_the_defaults_are_those_of_the_seed_crate",
            "shell/test_host.py::test_wrong_settings_are_named_and_exit_with_64",
        ),
    ),
    Row(
        "Command",
        ("messages:Submit", "messages:OpenSession", "types:LogEntry.data"),
        ("test_node.py::test_impossible_commands_are_refused_at_the_door",),
    ),
    Row(
        "CommandResult",
        ("messages:Done", "messages:Refused", "messages:OutcomeUnknown"),
        (
            "test_node.py::test_a_command_is_answered_only_after_commit_and_apply",
            "test_node.py::test_a_retry_gets_the_first_reply_and_position",
        ),
    ),
    Row(
        "RaftNode: new, start, submit_command, current_*",
        (
            "node:Node",
            "node:Node.start",
            "node:Node.request",
            "node:Node.frame",
            "node:Node.status",
            "shell.host:serve",
            "client:RaftClient",
        ),
        (
            "test_node.py::test_a_put_at_the_leader_is_read_at_every_node",
            "test_administration.py::test_a_status_says_how_a_node_is_and_a_leaders_how_the_others_are",
            "shell/test_processes.py::test_three_processes_keep_a_put_through_a_kill_of_all_of_them",
        ),
    ),
    Row(
        "internal messages and their channel",
        ("core.raft:RaftCore.step", "core.raft:RaftCore.wake", "core.raft:RaftCore.take_ready"),
        (
            "core/test_hand_over.py::test_what_was_handed_over_is_not_handed_over_again",
            "shell/test_callers.py::test_a_client_with_too_much_under_way_is_not_read_until_it_was_answered",
            "shell/test_links.py::test_a_peer_that_does_not_read_costs_bounded_memory",
        ),
    ),
    Row(
        "RaftState",
        ("types:Role",),
        (
            "core/test_paper.py::test_a_timeout_starts_an_election_with_a_new_term_and_a_vote_for_oneself",
            "core/test_membership.py::test_a_learner_gets_the_log_and_counts_for_nothing",
        ),
    ),
    Row(
        "PersistentState",
        ("types:HardState", "core.ready:Persist", "core.ready:Recovered", "storage.wal:Wal"),
        (
            "core/test_paper.py::test_one_vote_per_term_first_come_first_served_also_for_a_repeated_request",
            "storage/test_wal.py::test_what_was_synced_survives_power_loss_and_what_survives_is_a_prefix_of_what_was_written",
            "storage/test_crash_points.py::test_every_crash_point_and_every_loss_gives_back_what_was_synced_and_invents_nothing",
        ),
    ),
    Row(
        "VolatileState",
        ("core.raft:RaftCore.commit_index", "node:Node.applied_index", "service:Service.apply"),
        (
            "core/test_paper_commitment.py::test_after_a_restart_the_committed_prefix_is_handed_over_again_from_the_first_entry",
            "test_node.py::test_an_acknowledgement_follows_the_application_of_its_entry_in_the_trace",
        ),
    ),
    Row(
        "LeaderState",
        ("core.progress:Progress",),
        (
            "core/test_snapshots.py::test_progress_goes_back_to_appending_behind_the_snapshot",
            "core/test_paper.py::test_a_lost_append_is_sent_again_after_the_next_heartbeat",
        ),
    ),
    Row(
        "ElectionTimer",
        ("core.state:CoreState.reset_election_timer", "core.raft:RaftCore.deadline_ns"),
        (
            "core/test_paper.py::test_every_timeout_is_drawn_anew_between_the_two_bounds",
            "core/test_paper.py::test_granting_a_vote_resets_the_election_timer_and_refusing_does_not",
        ),
    ),
    Row(
        "VoteTracker",
        ("core.quorum:vote_result", "core.quorum:VoteResult", "core.quorum:majority"),
        (
            "core/test_quorum.py::test_an_election_is_won_lost_or_open_exactly_as_the_missing_votes_allow",
            "core/test_membership.py::test_joint_consensus_needs_a_majority_of_both_sides",
        ),
    ),
    Row(
        "ElectionState",
        ("core.election:campaign", "core.election:step_vote_response"),
        (
            "core/test_paper.py::test_a_candidates_own_vote_counts_only_once_it_is_durable",
            "core/test_paper_commitment.py::test_votes_of_strangers_are_ignored",
        ),
    ),
    Row(
        "VoteValidator",
        ("rules:grant_vote", "rules:log_up_to_date", "rules:leader_is_alive", "rules:grant_pre_vote"),
        (
            "core/test_paper.py::test_votes_go_to_logs_that_are_at_least_as_up_to_date",
            "core/test_rules.py::test_of_two_logs_at_least_one_is_up_to_date_for_the_other",
            "core/test_paper_commitment.py::test_vote_requests_are_ignored_while_a_leader_is_alive_unless_it_asked_for_them",
        ),
    ),
    Row(
        "AppendEntriesRequest",
        ("messages:AppendEntriesRequest",),
        (
            "core/test_paper.py::test_an_append_is_refused_where_the_entry_before_it_is_missing_or_other",
            "core/test_reads.py::test_a_round_rides_on_an_append_that_leaves_anyway",
        ),
    ),
    Row(
        "AppendEntriesResponse",
        ("messages:AppendEntriesResponse",),
        (
            "core/test_seed_faults.py::test_3_an_acknowledgement_names_prev_plus_entries_and_not_the_last_index",
            "core/test_rules.py::test_hints_lead_to_the_last_matching_entry_in_at_most_one_step_per_term",
        ),
    ),
    Row(
        "RequestVoteRequest",
        ("messages:RequestVoteRequest",),
        (
            "core/test_paper_commitment.py::test_a_pre_vote_changes_neither_term_nor_vote_nor_timer_of_anybody",
            "core/test_transfer.py::test_only_a_request_that_the_leader_wanted_breaks_through_stickiness",
        ),
    ),
    Row(
        "RequestVoteResponse",
        ("messages:RequestVoteResponse",),
        ("core/test_paper.py::test_a_vote_leaves_only_after_it_is_durable",),
    ),
    Row(
        "InstallSnapshotRequest",
        ("messages:InstallSnapshotRequest", "core.installation:send_snapshot"),
        (
            "core/test_snapshots.py::test_repeated_overtaking_and_damaged_chunks_change_nothing",
            "core/test_membership.py::test_a_newcomer_learns_the_members_from_a_snapshot",
        ),
    ),
    Row(
        "InstallSnapshotResponse",
        ("messages:InstallSnapshotResponse", "core.installation:step_installed"),
        (
            "core/test_snapshots.py::test_a_transfer_goes_on_where_it_was_under_another_leader",
            "core/test_snapshots.py::test_the_acknowledgement_waits_for_the_disk",
        ),
    ),
    Row(
        "RaftMessage",
        ("messages:Message", "messages:PeerFrame", "wire:encode_peer_frame", "wire:Hello"),
        (
            "test_wire.py::test_peer_frames_arrive_equal_however_the_stream_is_cut",
            "test_wire.py::test_any_bytes_are_values_or_a_frame_error_and_nothing_else",
        ),
    ),
    Row(
        "LogEntry",
        ("types:LogEntry", "types:EntryType"),
        ("core/test_log.py::test_a_digest_tells_any_two_different_payloads_apart",),
    ),
    Row(
        "Snapshot",
        ("types:Snapshot", "storage.snapshots:SnapshotFiles", "snapshots:take_snapshot"),
        (
            "storage/test_snapshots.py::test_any_flipped_bit_and_any_cut_is_noticed",
            "test_node_snapshots.py::test_all_nodes_start_again_from_their_snapshots_with_state_and_sessions",
        ),
    ),
    Row(
        "RaftLog",
        ("core.log:RaftLog",),
        (
            "core/test_log.py::test_a_hole_or_a_term_that_goes_back_is_refused",
            "core/test_log.py::test_what_is_below_the_base_is_compacted_not_silently_skipped",
            "core/test_rules.py::test_merging_yields_the_leaders_prefix_and_removes_nothing_that_matches",
        ),
    ),
    Row(
        "RaftError, RaftResult",
        (
            "errors:RaftError",
            "errors:NotLeader",
            "errors:NoLeader",
            "errors:InvalidTerm",
            "errors:InvalidLogIndex",
            "errors:SerializationEncodeError",
            "errors:SerializationDecodeError",
            "errors:IoError",
            "errors:ElectionTimeout",
            "errors:LogInconsistency",
            "errors:SnapshotFailed",
            "errors:ConfigError",
            "errors:Internal",
        ),
        (
            "core/test_hand_over.py::test_an_error_says_what_why_and_fix_and_whether_it_is_definite",
            "shell/test_host.py::test_a_client_tells_no_leader_from_an_unknown_outcome",
        ),
    ),
)
"""In the order of the seed's own files; errors last. Results that Rust returns are values and exceptions here."""
