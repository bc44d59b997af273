"""The attack table: what may be tried, what stands against it, and which tests try it. docs/security.md is written from it.

`python -m tests.integration.isolation.page` writes the table into the page.
"""

from dataclasses import dataclass
from typing import Final

_PODS, _REACH, _RELEASE = "test_pods.py", "test_reach.py", "test_release.py"
_HUB, _FENCE, _HUB_FENCE = "test_hub_tenant.py", "test_fence.py", "test_hub_fence.py"
_LIMITS, _VOLUMES, _OWNERS = "test_limits.py", "test_volumes.py", "test_owners.py"
_PROVIDER, _DRIFT, _SECRETS = "test_provider.py", "test_drift.py", "test_no_secrets.py"
_PATHS, _LIAR, _LEASED_HUB = "test_paths.py", "test_liar.py", "test_leased_on_hub.py"
_BELT, _BOUNDS = "test_belt.py", "test_fence_bounds.py"
_ELSEWHERE, _UNSTAMPED = "test_elsewhere.py", "test_unstamped.py"
_NETWORKS, _SIZE, _RESOURCES = "test_networks.py", "test_size.py", "test_resources.py"
_KUBECONFIG, _SESSION = "tests/unit/fleet/test_kubeconfig.py", "tests/unit/kube/test_session.py"
_HOSTS, _FEEDERS = "tests/unit/fleet/test_hosts.py", "tests/unit/hub/test_feeders.py"
_HOSTILE, _HOLDINGS = "tests/unit/fleet/test_hostile.py", "tests/unit/book/test_holdings.py"
_COST, _INFORMER = "tests/unit/fleet/test_answer_cost.py", "tests/unit/kube/test_informer.py"
_MOVES, _ADOPTION = "tests/e2e/test_moves.py", "tests/unit/hub/test_adoption.py"


@dataclass(frozen=True, slots=True)
class Attack:
    """One line of the table."""

    what: str
    defence: str
    tests: tuple[tuple[str, str], ...]
    """(file, test function); a bare file name is one of this folder's"""


TABLE: Final = (
    Attack(
        "A pod tolerates another claim's taint, or every taint",
        "policy `sublet-claim-pods`: a list of taints, never an empty key; elsewhere `sublet-other-pods`",
        (
            (_PODS, "test_no_pod_tolerates_more_than_its_own_pools_taint"),
            (
                _RESOURCES,
                "test_a_sold_resources_own_taint_is_tolerated_and_none_that_begins_like_it",
            ),
            (_RESOURCES, "test_where_nothing_is_sold_beside_gpus_no_toleration_is_everybodys"),
            (_PODS, "test_no_pod_selects_the_neighbours_nodes"),
            (_FENCE, "test_pods_elsewhere_dont_tolerate_the_pool"),
            (_ELSEWHERE, "test_no_pod_from_elsewhere_tolerates_the_pool"),
            (_UNSTAMPED, "test_a_pod_selects_its_own_claims_nodes"),
        ),
    ),
    Attack(
        "`spec.nodeName`, a scheduler of its own, `pods/binding`",
        "policies `sublet-claim-pods` and `sublet-claim-binding`; the verb isn't granted",
        (
            (_PODS, "test_no_pod_chooses_its_node_its_scheduler_or_how_long_it_stays"),
            (_PODS, "test_a_bad_pod_is_refused_to_controllers_too"),
            (_REACH, "test_a_tenant_binds_no_pod_to_a_node"),
            (_REACH, "test_the_policy_refuses_a_binding_even_to_a_tenant_with_the_right"),
            (_PATHS, "test_no_tenant_binds_a_pod_by_either_path_though_it_had_the_right"),
            (_PATHS, "test_no_tenants_pod_passes_for_a_kubelets_own"),
            (_ELSEWHERE, "test_no_pod_from_elsewhere_chooses_a_node"),
        ),
    ),
    Attack(
        "`NVIDIA_VISIBLE_DEVICES` and the other variables that NVIDIA's toolkit reads (`NVIDIA_IMEX_CHANNELS`, `NVIDIA_MOFED`, …), "
        "annotations that NVIDIA's toolkit, CDI, NRI plugins or CRI-O read, and MIG resources past the device plugin",
        "policies `sublet-claim-pods` and `sublet-claim-env-keys`; `sublet-claim-defaults` sets the variables off over the image's",
        (
            (_PODS, "test_no_pod_asks_for_devices_past_the_device_plugin"),
            (_PODS, "test_no_pod_asks_a_nodes_runtime_or_its_plugins_for_devices"),
            (_PODS, "test_no_config_holds_a_variable_that_opens_devices"),
            (_PATHS, "test_nothing_becomes_by_a_change_what_it_may_not_be_from_the_start"),
            (_PODS, "test_a_container_without_a_gpu_sees_none"),
            (_PODS, "test_a_container_with_a_gpu_has_no_other_device_by_its_image"),
            (_PODS, "test_a_pod_that_runs_gains_nothing_by_a_change"),
            (_UNSTAMPED, "test_a_container_sets_off_what_it_isnt_given"),
            (_UNSTAMPED, "test_a_container_that_is_added_to_a_pod_sets_off_what_it_isnt_given"),
            (_FENCE, "test_a_pod_that_the_policy_didnt_see_grows_by_no_resize"),
            (_PATHS, "test_a_tenant_resizes_no_pod"),
        ),
    ),
    Attack(
        "Privileged containers, hostPath, host namespaces, device mounts, kernel settings",
        "Pod Security of the namespace, and the same rules in `sublet-claim-pods`",
        (
            (_PODS, "test_no_pod_reaches_the_node_beneath_it"),
            (_PODS, "test_where_no_capability_is_sold_pod_security_refuses_too"),
        ),
    ),
    Attack(
        "The landlord's own volumes, taken by name or for having no class; drivers that mount what a pod says; volumes made on others' nodes",
        "policy `sublet-claim-objects`: no `volumeName`, no node, always a storage class; `sublet-claim-pods`: no inline `csi` volumes",
        (
            (_VOLUMES, "test_a_tenant_takes_no_volume_that_is_there"),
            (_VOLUMES, "test_an_old_annotation_names_no_class_over_the_field"),
            (_VOLUMES, "test_a_claim_that_waits_is_bound_by_the_clusters_controller_alone"),
            (_VOLUMES, "test_no_pod_has_a_driver_mount_something_in_its_own_words"),
            (_VOLUMES, "test_no_volume_is_made_on_a_node_that_a_tenant_chooses"),
            (_VOLUMES, "test_a_template_names_no_node_for_its_volumes"),
        ),
    ),
    Attack(
        "Marks on nodes: labels, the node's book, taints; a node that comes back as another",
        "no right on nodes; policies `sublet-node-metadata` and `sublet-node-invariants`; UIDs, not names",
        (
            (_REACH, "test_a_tenant_marks_no_node"),
            (_REACH, "test_a_tenant_sees_and_touches_nothing_outside_its_namespace"),
            (_FENCE, "test_even_an_admin_doesnt_forge_possession_by_mistake"),
            (_PATHS, "test_nobody_forges_possession_through_a_nodes_status"),
            (_HOSTILE, "test_a_node_that_comes_with_another_uid_is_another_node"),
        ),
    ),
    Attack(
        "Quota, network policy, limits, and the labels of the own namespace taken away",
        "none of these rights in `sublet-tenant`; policies `sublet-namespace-metadata` and `sublet-claim-objects`; quotas on GPUs and ways in",
        (
            (_REACH, "test_a_tenant_keeps_the_fence_of_its_own_namespace"),
            (_REACH, "test_a_tenant_runs_no_more_gpus_than_it_claims"),
            (_REACH, "test_a_tenant_opens_no_way_in_from_outside"),
            (_REACH, "test_a_tenant_takes_no_address_that_others_talk_to"),
            (_FENCE, "test_even_an_admin_doesnt_forge_possession_by_mistake"),
            (_PATHS, "test_nobody_loosens_a_claims_namespace_through_its_subresources"),
            (_PATHS, "test_no_namespace_becomes_a_claims_through_its_subresources"),
            (_PATHS, "test_nobody_takes_off_what_a_claims_namespace_is_known_by"),
            (_PATHS, "test_nobody_has_devices_opened_to_a_claims_namespace_as_to_an_admins"),
            (_PATHS, "test_nobody_makes_a_namespace_with_marks_of_ours"),
        ),
    ),
    Attack(
        "A shared cluster's store, addresses and disks filled up",
        "the quota counts every kind of object that a tenant may make, and the storage that it asks for",
        (
            (_LIMITS, "test_a_tenant_fills_no_cluster_that_others_use"),
            (_LIMITS, "test_a_tenant_orders_no_disk_without_end"),
            (_LIMITS, "test_pods_that_ended_are_counted_too"),
        ),
    ),
    Attack(
        "A secondary network, past the NetworkPolicies, or another one in place of the first",
        "policy `sublet-claim-pods`: none but one that onboarding offered, spelt just so",
        (
            (_NETWORKS, "test_no_pod_joins_a_network_that_isnt_offered"),
            (_NETWORKS, "test_no_pod_that_runs_asks_for_another_network"),
        ),
    ),
    Attack(
        "Roles and tokens for itself, impersonation",
        "not granted: roles, bindings, service accounts, `serviceaccounts/token`, `impersonate`; policy `sublet-claim-objects`",
        (
            (_REACH, "test_a_tenant_gives_itself_no_right_and_no_token"),
            (_REACH, "test_a_tenant_has_no_token_made_by_a_secret"),
            (_REACH, "test_a_tenant_impersonates_nobody"),
        ),
    ),
    Attack(
        "Affinity to others' pods: it keeps them from being scheduled, and tells whether they are there",
        "policy `sublet-claim-pods`: no namespace selector, no namespace but the own one",
        (
            (_PODS, "test_no_pod_keeps_others_from_being_scheduled_or_asks_for_them"),
            (_PODS, "test_a_pod_keeps_away_from_its_own_namespaces_pods"),
        ),
    ),
    Attack(
        "Resource claims of other classes, or with admin access",
        "not granted; the quota counts none; `sublet-claim-pods` refuses pods that name one",
        (
            (_REACH, "test_a_tenant_claims_no_device_past_its_claim"),
            (_RESOURCES, "test_no_pod_asks_for_a_class_of_devices_by_its_requests_alone"),
            (_PODS, "test_no_pod_chooses_its_node_its_scheduler_or_how_long_it_stays"),
        ),
    ),
    Attack(
        "A token kept beyond the claim",
        "role binding and account go first: 403 at once, 401 when the server's cache of ten seconds has run out",
        ((_RELEASE, "test_a_stolen_token_opens_nothing_once_its_claim_is_released"),),
    ),
    Attack(
        "A pod that stays beyond the claim, and its node with it: finalizers, other owners for what the job controller tracks, "
        "a deletion that waits for dependents",
        "policies `sublet-claim-pods` and `sublet-claim-owners`; the operator deletes pods so that they wait for nothing",
        (
            (_PODS, "test_no_pod_holds_its_node_or_loosens_its_fence_by_its_metadata"),
            (_PODS, "test_a_finalizer_of_jobs_is_on_no_pod_but_a_jobs_whoever_makes_it"),
            (_OWNERS, "test_a_tenant_changes_no_owner_of_a_tracked_pod"),
            (_OWNERS, "test_no_controller_but_a_jobs_takes_a_tracked_pod_over"),
            (
                _MOVES,
                "test_a_pod_that_waits_for_what_depends_on_it_keeps_no_node_that_its_claim_leaves",
            ),
        ),
    ),
    Attack(
        "A pod or a Job that is filled until its deletion, its last status or the count of its pods has no room in the store",
        "policy `sublet-claim-size`: a third of the room is a tenant's; a pod that can't be deleted all the same is named and holds up no other",
        (
            (_SIZE, "test_no_tenant_pads_a_pod_until_it_cant_be_deleted"),
            (_SIZE, "test_no_tenant_pads_a_job_until_its_pods_cant_be_counted"),
            (_SIZE, "test_no_pod_is_too_large_from_the_start"),
            (_SIZE, "test_no_pod_has_so_many_parts_that_their_status_fills_the_store"),
            (_SIZE, "test_a_pod_grows_too_large_by_no_container_that_is_added"),
            (_SIZE, "test_no_pod_grows_by_what_is_noted_of_ever_more_writers"),
            (_RELEASE, "test_a_pod_that_its_cluster_cant_delete_is_said_and_holds_up_no_other"),
        ),
    ),
    Attack(
        "A claim that names a Secret, a namespace or a lease of others",
        "a claim has no such field; credentials are read from the operator's own namespace alone",
        (
            (_HUB, "test_a_claim_names_no_secret_tenant_price_or_lease"),
            (_HUB, "test_a_kubeconfig_secret_isnt_planted_or_bent"),
        ),
    ),
    Attack(
        "A kubeconfig with programs, files, proxies, or that leads to us, to the hub or to cloud metadata",
        "an allow-list, inline only; hosts in the one spelling that everybody reads alike; addresses looked at again when the "
        "connection is made; no redirect is followed",
        (
            (_KUBECONFIG, "test_what_isnt_on_the_list_is_refused_by_name"),
            (_HOSTS, "test_a_spelling_that_somebody_may_take_for_another_host_is_refused"),
            (_SESSION, "test_a_name_that_leads_to_loopback_is_refused_when_the_connection_is_made"),
            (_SESSION, "test_a_redirect_is_refused_and_not_followed"),
            (_SECRETS, "test_a_refused_credential_is_named_by_its_field_and_never_by_its_content"),
        ),
    ),
    Attack(
        "Texts that break out of names, lines and templates",
        "names are made of UIDs; patterns and lengths in the CRDs; patches and logs are data",
        (
            (_HUB, "test_texts_that_break_out_of_names_and_lines_are_refused"),
            (_HUB, "test_texts_that_are_allowed_reach_no_name_and_break_no_line"),
        ),
    ),
    Attack(
        "Price, lease, tenant or size of a claim changed after it was reserved",
        "no such fields, or fixed by the CRD's rules; the price is in status and ledger",
        (
            (_HUB, "test_what_was_reserved_isnt_changed_afterwards"),
            (_HUB, "test_a_tenant_makes_no_lease_class_or_tenant"),
        ),
    ),
    Attack(
        "A forged status, a finalizer taken off or there from the start, our labels and annotations",
        "`/status` isn't granted; hub policies `sublet-hub-metadata` and `sublet-hub-newborn`; the ledger decides, not the status",
        (
            (_HUB, "test_a_forged_status_is_not_written"),
            (_HUB, "test_what_is_ours_of_a_claim_stays_as_it_is"),
            (_HUB, "test_nothing_of_ours_is_on_a_claim_from_its_creation"),
            (_HUB, "test_a_claim_made_again_from_what_is_stored_loses_nothing_of_ours"),
            (_HUB, "test_who_asked_is_who_asked"),
            (_UNSTAMPED, "test_nobody_says_that_another_asked"),
        ),
    ),
    Attack(
        "Deleted and made again under the same name, to dodge the bill or to inherit",
        "UIDs are the keys everywhere; bills are by UID and instant",
        ((_HUB, "test_a_claim_made_again_under_its_name_is_another"),),
    ),
    Attack(
        "Thousands of tiny claims, objects of any size, edits without end",
        "a quota on `count/gpuclaims.sublet.dev`; limits in the CRDs, of the API server and of hub policy `sublet-hub-size`; the hub is read "
        "page by page; planning waits a second at most for the hub to be quiet",
        (
            (_HUB, "test_what_stands_around_a_claim_is_bounded"),
            (_FEEDERS, "test_a_hub_whose_claims_are_larger_than_any_answer_may_be_is_read"),
            (_HUB, "test_thousands_of_tiny_claims_stop_at_the_namespaces_quota"),
            (_HUB, "test_an_object_larger_than_the_store_takes_is_refused"),
            (_HUB, "test_who_edits_a_claim_without_end_holds_up_nobody"),
        ),
    ),
    Attack(
        "Reading others' claims, usage, prices, and what landlords are paid",
        "rights in the own namespace only; nothing of others, and no secret, is written where a tenant looks",
        (
            (_HUB, "test_a_tenant_reads_nothing_of_others_nor_what_is_paid_for_it"),
            (_SECRETS, "test_no_secret_is_written_anywhere"),
            (
                _SECRETS,
                "test_a_tenant_reaches_no_landlords_name_contract_or_price_and_no_neighbours",
            ),
        ),
    ),
    Attack(
        "A landlord's cluster that lies: wrong kinds, huge or endless answers, redirects, drips, floods, false UIDs; or that is too busy for an hour",
        "limits of time, bytes, pages and turns per cluster; answers checked for what they are; nodes by cluster and UID",
        (
            (_PROVIDER, "test_nonsense_of_one_landlord_is_said_on_its_lease_and_harms_no_other"),
            (_PROVIDER, "test_nodes_that_cant_be_are_said_on_their_lease_and_harm_no_other"),
            (_PROVIDER, "test_a_flood_of_one_landlord_leaves_the_others_their_turn"),
            (_PROVIDER, "test_while_one_landlord_never_answers_another_ones_claims_are_bound"),
            (_PROVIDER, "test_a_server_with_a_certificate_of_another_ca_isnt_spoken_to"),
            (_PROVIDER, "test_after_the_largest_lies_the_operator_lives_and_its_memory_is_bounded"),
            (_HOSTILE, "test_no_answer_raises_anything_but_our_own_errors"),
            (_COST, "test_no_answer_takes_more_memory_than_the_operator_has"),
            (_INFORMER, "test_a_list_leaves_others_their_turns"),
            (_INFORMER, "test_who_has_a_whole_list_read_again_and_again_is_asked_ever_less_often"),
            (_ADOPTION, "test_of_nodes_without_end_a_few_are_begun_and_none_waits_with_a_task"),
            (_HOSTILE, "test_a_node_with_gpus_that_cant_be_is_not_sold"),
            (_HOLDINGS, "test_a_landlord_that_shows_anothers_nodes_takes_nothing_off_sale"),
            (
                _LIAR,
                "test_while_one_landlord_is_too_busy_for_an_hour_another_ones_claims_are_bound",
            ),
        ),
    ),
    Attack(
        "A landlord that lies to the claims it has: locks, quotas and policies that aren't, tokens of any size, pods of others, another's UIDs",
        "a claim is Bound when lock, quota, policies and token were seen, and has left when no pod is listed; what isn't believed is said on it; "
        "nothing is written to a cluster that is another by now",
        (
            (_LIAR, "test_a_lie_to_a_claim_that_is_being_bound_is_said_and_harms_no_other"),
            (_LIAR, "test_a_lock_that_is_feigned_is_taken_anew"),
            (_LIAR, "test_a_lie_about_a_new_token_leaves_the_old_one_to_the_claim"),
            (_LIAR, "test_a_landlord_whose_node_has_the_uid_of_anothers_takes_nothing_from_it"),
            (_LIAR, "test_a_landlord_whose_book_names_anothers_claim_holds_up_nothing_of_it"),
            (_LIAR, "test_a_claim_that_cant_be_believed_to_have_left_is_held_and_harms_no_other"),
            (
                _LIAR,
                "test_what_a_landlord_keeps_of_a_claim_that_left_is_swept_when_it_lies_no_more",
            ),
            (_LIAR, "test_a_cluster_that_becomes_another_is_not_written_to"),
        ),
    ),
    Attack(
        "A node's own credential, taken by who broke out of a pod",
        "policy `sublet-node-metadata`: only the operator changes marks of ours; `sublet-claim-pods`: no pod of a claim names its node",
        (
            (_PATHS, "test_a_nodes_own_credential_forges_nothing_of_ours"),
            (_PATHS, "test_a_nodes_own_credential_takes_no_taint_of_ours_off"),
            (_PATHS, "test_a_nodes_own_credential_brings_no_marks_of_ours_with_a_new_node"),
            (_PATHS, "test_a_nodes_own_credential_puts_no_pod_of_its_own_among_a_claims"),
        ),
    ),
    Attack(
        "The operator's own token in the leased cluster, stolen",
        "policies `sublet-operator-fence`, `sublet-operator-nodes` and `sublet-node-invariants`; no right on Secrets, policies or its own roles",
        (
            (_FENCE, "test_a_thief_of_the_credential_can_write_nothing_else"),
            (_FENCE, "test_a_thief_of_the_credential_can_change_nothing_else"),
            (_FENCE, "test_a_thief_makes_no_token_that_outlives_the_credential_by_more_than_a_day"),
            (_FENCE, "test_the_extra_role_names_nothing_that_the_cluster_doesnt_sell"),
            (_FENCE, "test_a_thief_opens_nobodys_network"),
            (_FENCE, "test_a_thief_makes_no_policy_beside_ours"),
            (_FENCE, "test_the_policy_refuses_to_a_thief_with_more_rights_too"),
            (_BELT, "test_no_book_is_written_into_a_free_node_that_cant_be"),
            (_BELT, "test_no_node_is_taken_from_the_claim_that_has_it"),
            (_BELT, "test_no_lease_takes_anothers_node"),
            (_BELT, "test_no_leased_node_is_opened_to_everybodys_pods"),
            (_BELT, "test_no_claim_has_a_node_that_is_in_no_lease"),
            (_BELT, "test_nothing_of_a_node_is_changed_that_isnt_ours"),
            (_BOUNDS, "test_nothing_of_the_landlords_is_changed_or_deleted"),
            (_BOUNDS, "test_no_namespace_is_made_but_a_claims"),
            (_BOUNDS, "test_no_claims_namespace_is_made_or_becomes_looser_than_what_is_sold"),
            (_BOUNDS, "test_no_claims_namespace_loses_what_it_is_known_by"),
            (_BOUNDS, "test_no_namespace_is_written_through_its_subresources"),
            (_BOUNDS, "test_no_role_is_given_but_a_tenants_to_its_own_account"),
            (_BOUNDS, "test_the_extra_role_holds_no_more_than_is_sold"),
            (_BOUNDS, "test_no_token_is_made_but_an_unbound_one_of_the_tenants"),
        ),
    ),
    Attack(
        "The operator's own token on the hub, stolen",
        "hub policies `sublet-hub-fence` and `sublet-hub-objects`; Secrets are made and replaced, never read, listed or patched",
        (
            (_HUB_FENCE, "test_a_thief_of_the_token_reads_and_deletes_nothing_of_anybody"),
            (_HUB_FENCE, "test_a_patch_would_read_and_there_is_no_right_to_one"),
            (_HUB_FENCE, "test_a_thief_makes_no_secret_but_a_claims_kubeconfig"),
            (_HUB_FENCE, "test_a_thief_overwrites_no_secret_of_a_tenants_own"),
            (_HUB_FENCE, "test_a_thief_leads_no_lease_elsewhere"),
            (_HUB_FENCE, "test_a_thief_rewrites_nothing_that_people_asked_for"),
            (_HUB_FENCE, "test_a_thief_makes_no_right_token_object_or_pod"),
        ),
    ),
    Attack(
        "The token of the second identity, of a hub whose own nodes are leased, stolen",
        "its rights are those in a leased cluster, and `sublet-operator-fence` holds on the hub too: no Secret, claim, lease or tenant is within its reach",
        (
            (_LEASED_HUB, "test_a_thief_reads_and_deletes_nothing_of_the_hubs"),
            (_LEASED_HUB, "test_a_thief_changes_nothing_of_the_hubs"),
            (_LEASED_HUB, "test_a_thief_makes_nothing_on_the_hub"),
            (_LEASED_HUB, "test_a_thief_writes_in_no_namespace_but_a_claims"),
            (_LEASED_HUB, "test_a_thief_makes_deletes_and_takes_over_no_namespace_of_a_tenants"),
            (_LEASED_HUB, "test_a_thief_runs_no_pod_and_deletes_none_of_the_hubs"),
        ),
    ),
    Attack(
        "Policies in a leased cluster taken away, loosened or changed",
        "versions looked at with each probe, everything proven anew; the lease isn't sold, bound claims say so",
        (
            (_DRIFT, "test_a_policy_that_is_deleted_is_seen_and_mended"),
            (_DRIFT, "test_a_binding_that_is_deleted_is_seen_and_mended"),
            (_DRIFT, "test_a_binding_that_only_warns_is_seen_and_mended"),
            (_DRIFT, "test_a_policy_whose_text_is_changed_is_seen_and_mended"),
            (
                _DRIFT,
                "test_while_isolation_fails_nothing_is_sold_and_who_is_bound_is_told_and_stays",
            ),
        ),
    ),
)
