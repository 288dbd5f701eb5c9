/*
 * Harbor's REST API v2.0 as one table: all of its operations, each with who may call it. A row that
 * is LATER authorises and then answers 501. Paths and operationIds are those of the contract
 * (tests/contract), which compares them.
 */
#include "api/harbor.h"

const struct route harbor_routes[] = {
    /* health */
    {HTTP_GET, "/health", "getHealth", ANYONE, NO_BODY, get_health},

    /* search */
    {HTTP_GET, "/search", "search", ANYONE, NO_BODY, search, 0,
     QUERY(struct search_query, search_query_fields)},

    /* statistic */
    {HTTP_GET, "/statistics", "getStatistic", LOGIN, NO_BODY, get_statistic},

    /* Ldap */
    {HTTP_POST, "/ldap/ping", "pingLdap", SYSTEM(CONFIGURATION, READ), NO_BODY, LATER},
    {HTTP_GET, "/ldap/users/search", "searchLdapUser", SYSTEM(LDAP_USER, LIST), NO_BODY, LATER},
    {HTTP_POST, "/ldap/users/import", "importLdapUser", SYSTEM(LDAP_USER, CREATE), NO_BODY, LATER},
    {HTTP_GET, "/ldap/groups/search", "searchLdapGroup", SYSTEM(LDAP_USER, LIST), NO_BODY, LATER},

    /* configure */
    {HTTP_GET, "/internalconfig", "getInternalconfig", SYSTEM(CONFIGURATION, READ), NO_BODY, LATER},
    {HTTP_GET, "/configurations", "getConfigurations", SYSTEM(CONFIGURATION, READ), NO_BODY,
     get_configurations},
    {HTTP_PUT, "/configurations", "updateConfigurations", SYSTEM(CONFIGURATION, UPDATE),
     BODY(struct configurations_req, configurations_req_fields), update_configurations,
     ROUTE_ANYTIME},

    /* project */
    {HTTP_GET, "/projects", "listProjects", ANYONE, NO_BODY, list_projects, ROUTE_LIST,
     QUERY(struct project_query, project_query_fields)},
    {HTTP_HEAD, "/projects", "headProject", LOGIN, NO_BODY, head_project, 0,
     QUERY(struct project_query, project_head_fields)},
    {HTTP_POST, "/projects", "createProject", LOGIN, BODY(struct project_req, project_req_fields),
     create_project, ROUTE_NAMED_LOCATION},
    {HTTP_GET, "/projects/{project_name_or_id}", "getProject", IN_PROJECT(PROJECT, READ), NO_BODY,
     get_project},
    {HTTP_PUT, "/projects/{project_name_or_id}", "updateProject", IN_PROJECT(PROJECT, UPDATE),
     BODY(struct project_req, project_req_fields), update_project},
    {HTTP_DELETE, "/projects/{project_name_or_id}", "deleteProject", IN_PROJECT(PROJECT, DELETE),
     NO_BODY, delete_project},
    {HTTP_GET, "/projects/{project_name_or_id}/_deletable", "getProjectDeletable",
     IN_PROJECT(PROJECT, DELETE), NO_BODY, get_project_deletable},
    {HTTP_GET, "/projects/{project_name_or_id}/summary", "getProjectSummary",
     IN_PROJECT(PROJECT, READ), NO_BODY, get_project_summary},

    /* member */
    {HTTP_GET, "/projects/{project_name_or_id}/members", "listProjectMembers",
     IN_PROJECT(MEMBER, LIST), NO_BODY, list_project_members, ROUTE_PAGES,
     QUERY(struct member_query, member_query_fields)},
    {HTTP_POST, "/projects/{project_name_or_id}/members", "createProjectMember",
     IN_PROJECT(MEMBER, CREATE), BODY(struct member_req, member_req_fields), create_project_member},
    {HTTP_GET, "/projects/{project_name_or_id}/members/{mid}", "getProjectMember",
     IN_PROJECT(MEMBER, READ), NO_BODY, get_project_member},
    {HTTP_PUT, "/projects/{project_name_or_id}/members/{mid}", "updateProjectMember",
     IN_PROJECT(MEMBER, UPDATE), BODY(struct member_req, role_req_fields), update_project_member},
    {HTTP_DELETE, "/projects/{project_name_or_id}/members/{mid}", "deleteProjectMember",
     IN_PROJECT(MEMBER, DELETE), NO_BODY, delete_project_member},

    /* projectMetadata */
    {HTTP_GET, "/projects/{project_name_or_id}/metadatas/", "listProjectMetadatas",
     IN_PROJECT(METADATA, LIST), NO_BODY, list_project_metadatas},
    {HTTP_POST, "/projects/{project_name_or_id}/metadatas/", "addProjectMetadatas",
     IN_PROJECT(METADATA, CREATE), BODY(struct metadata, metadata_fields), add_project_metadatas},
    {HTTP_GET, "/projects/{project_name_or_id}/metadatas/{meta_name}", "getProjectMetadata",
     IN_PROJECT(METADATA, READ), NO_BODY, get_project_metadata},
    {HTTP_PUT, "/projects/{project_name_or_id}/metadatas/{meta_name}", "updateProjectMetadata",
     IN_PROJECT(METADATA, UPDATE), BODY(struct metadata, metadata_fields), update_project_metadata},
    {HTTP_DELETE, "/projects/{project_name_or_id}/metadatas/{meta_name}", "deleteProjectMetadata",
     IN_PROJECT(METADATA, DELETE), NO_BODY, delete_project_metadata},

    /* repository */
    {HTTP_GET, "/repositories", "listAllRepositories", ANYONE, NO_BODY, list_all_repositories,
     ROUTE_LIST},
    {HTTP_GET, "/projects/{project_name}/repositories", "listRepositories",
     IN_PROJECT(REPOSITORY, LIST), NO_BODY, list_repositories, ROUTE_LIST},
    {HTTP_GET, "/projects/{project_name}/repositories/{repository_name}", "getRepository",
     IN_PROJECT(REPOSITORY, READ), NO_BODY, get_repository},
    {HTTP_PUT, "/projects/{project_name}/repositories/{repository_name}", "updateRepository",
     IN_PROJECT(REPOSITORY, UPDATE), BODY(struct repository_view, repository_req_fields),
     update_repository},
    {HTTP_DELETE, "/projects/{project_name}/repositories/{repository_name}", "deleteRepository",
     IN_PROJECT(REPOSITORY, DELETE), NO_BODY, delete_repository_by_api},

    /* artifact */
    {HTTP_GET, "/projects/{project_name}/repositories/{repository_name}/artifacts", "listArtifacts",
     IN_PROJECT(ARTIFACT, LIST), NO_BODY, list_artifacts, ROUTE_LIST,
     QUERY(struct artifact_query, artifact_query_fields)},
    {HTTP_POST, "/projects/{project_name}/repositories/{repository_name}/artifacts", "CopyArtifact",
     IN_PROJECT(ARTIFACT, CREATE), NO_BODY, LATER},
    {HTTP_GET, "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}",
     "getArtifact", IN_PROJECT(ARTIFACT, READ), NO_BODY, get_artifact, ROUTE_PAGES,
     QUERY(struct artifact_query, artifact_get_query_fields)},
    {HTTP_DELETE, "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}",
     "deleteArtifact", IN_PROJECT(ARTIFACT, DELETE), NO_BODY, delete_artifact},

    /* scan */
    {HTTP_POST,
     "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/scan",
     "scanArtifact", IN_PROJECT(SCAN, CREATE), NO_BODY, LATER},
    {HTTP_POST,
     "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/scan/stop",
     "stopScanArtifact", IN_PROJECT(SCAN, STOP), NO_BODY, LATER},
    {HTTP_GET,
     "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/scan/"
     "{report_id}/log",
     "getReportLog", IN_PROJECT(SCAN, READ), NO_BODY, LATER},

    /* artifact */
    {HTTP_POST,
     "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/tags",
     "createTag", IN_PROJECT(TAG, CREATE), BODY(struct tag, new_tag_fields), create_tag},
    {HTTP_GET, "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/tags",
     "listTags", IN_PROJECT(TAG, LIST), NO_BODY, list_tags, ROUTE_LIST,
     QUERY(struct artifact_query, tag_query_fields)},
    {HTTP_DELETE,
     "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/tags/"
     "{tag_name}",
     "deleteTag", IN_PROJECT(TAG, DELETE), NO_BODY, delete_tag_by_api},
    {HTTP_GET,
     "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/accessories",
     "listAccessories", IN_PROJECT(ACCESSORY, LIST), NO_BODY, list_accessories, ROUTE_LIST},
    {HTTP_GET,
     "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/additions/"
     "vulnerabilities",
     "getVulnerabilitiesAddition", IN_PROJECT(ARTIFACT_ADDITION, READ), NO_BODY, LATER},
    {HTTP_GET,
     "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/additions/"
     "{addition}",
     "getAddition", IN_PROJECT(ARTIFACT_ADDITION, READ), NO_BODY, LATER},
    {HTTP_POST,
     "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/labels",
     "addLabel", IN_PROJECT(ARTIFACT_LABEL, CREATE), NO_BODY, LATER},
    {HTTP_DELETE,
     "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/labels/"
     "{label_id}",
     "removeLabel", IN_PROJECT(ARTIFACT_LABEL, DELETE), NO_BODY, LATER},

    /* project */
    {HTTP_GET, "/projects/{project_name_or_id}/artifacts", "listArtifactsOfProject",
     IN_PROJECT(ARTIFACT, LIST), NO_BODY, list_artifacts_of_project, ROUTE_LIST,
     QUERY(struct artifact_query, project_artifact_query_fields)},
    {HTTP_GET, "/projects/{project_name_or_id}/scanner", "getScannerOfProject",
     IN_PROJECT(SCANNER, READ), NO_BODY, LATER},
    {HTTP_PUT, "/projects/{project_name_or_id}/scanner", "setScannerOfProject",
     IN_PROJECT(SCANNER, CREATE), NO_BODY, LATER},
    {HTTP_GET, "/projects/{project_name_or_id}/scanner/candidates",
     "listScannerCandidatesOfProject", IN_PROJECT(SCANNER, CREATE), NO_BODY, LATER, ROUTE_LIST},

    /* auditlog */
    {HTTP_GET, "/audit-logs", "listAuditLogs", SYSTEM(AUDIT_LOG, LIST), NO_BODY, LATER, ROUTE_LIST},
    {HTTP_GET, "/auditlog-exts", "listAuditLogExts", SYSTEM(AUDIT_LOG, LIST), NO_BODY, LATER,
     ROUTE_LIST},
    {HTTP_GET, "/auditlog-exts/events", "listAuditLogEventTypes", SYSTEM(AUDIT_LOG, LIST), NO_BODY,
     LATER},

    /* project */
    {HTTP_GET, "/projects/{project_name}/logs", "getLogs", IN_PROJECT(LOG, LIST), NO_BODY, LATER,
     ROUTE_LIST},
    {HTTP_GET, "/projects/{project_name}/auditlog-exts", "getLogExts", IN_PROJECT(LOG, LIST),
     NO_BODY, LATER, ROUTE_LIST},

    /* preheat */
    {HTTP_GET, "/p2p/preheat/providers", "ListProviders", SYSTEM(PREHEAT_INSTANCE, LIST), NO_BODY,
     LATER},
    {HTTP_POST, "/p2p/preheat/instances/ping", "PingInstances", SYSTEM(PREHEAT_INSTANCE, READ),
     NO_BODY, LATER},
    {HTTP_GET, "/p2p/preheat/instances", "ListInstances", SYSTEM(PREHEAT_INSTANCE, LIST), NO_BODY,
     LATER, ROUTE_LIST},
    {HTTP_POST, "/p2p/preheat/instances", "CreateInstance", SYSTEM(PREHEAT_INSTANCE, CREATE),
     NO_BODY, LATER},
    {HTTP_GET, "/p2p/preheat/instances/{preheat_instance_name}", "GetInstance",
     SYSTEM(PREHEAT_INSTANCE, READ), NO_BODY, LATER},
    {HTTP_DELETE, "/p2p/preheat/instances/{preheat_instance_name}", "DeleteInstance",
     SYSTEM(PREHEAT_INSTANCE, DELETE), NO_BODY, LATER},
    {HTTP_PUT, "/p2p/preheat/instances/{preheat_instance_name}", "UpdateInstance",
     SYSTEM(PREHEAT_INSTANCE, UPDATE), NO_BODY, LATER},
    {HTTP_POST, "/projects/{project_name}/preheat/policies", "CreatePolicy",
     IN_PROJECT(PREHEAT_POLICY, CREATE), NO_BODY, LATER},
    {HTTP_GET, "/projects/{project_name}/preheat/policies", "ListPolicies",
     IN_PROJECT(PREHEAT_POLICY, LIST), NO_BODY, LATER, ROUTE_LIST},
    {HTTP_GET, "/projects/{project_name}/preheat/policies/{preheat_policy_name}", "GetPolicy",
     IN_PROJECT(PREHEAT_POLICY, READ), NO_BODY, LATER},
    {HTTP_PUT, "/projects/{project_name}/preheat/policies/{preheat_policy_name}", "UpdatePolicy",
     IN_PROJECT(PREHEAT_POLICY, UPDATE), NO_BODY, LATER},
    {HTTP_POST, "/projects/{project_name}/preheat/policies/{preheat_policy_name}", "ManualPreheat",
     IN_PROJECT(PREHEAT_POLICY, READ), NO_BODY, LATER},
    {HTTP_DELETE, "/projects/{project_name}/preheat/policies/{preheat_policy_name}", "DeletePolicy",
     IN_PROJECT(PREHEAT_POLICY, DELETE), NO_BODY, LATER},
    {HTTP_GET, "/projects/{project_name}/preheat/policies/{preheat_policy_name}/executions",
     "ListExecutions", IN_PROJECT(PREHEAT_POLICY, LIST), NO_BODY, LATER, ROUTE_LIST},
    {HTTP_GET,
     "/projects/{project_name}/preheat/policies/{preheat_policy_name}/executions/{execution_id}",
     "GetExecution", IN_PROJECT(PREHEAT_POLICY, READ), NO_BODY, LATER},
    {HTTP_PATCH,
     "/projects/{project_name}/preheat/policies/{preheat_policy_name}/executions/{execution_id}",
     "StopExecution", IN_PROJECT(PREHEAT_POLICY, UPDATE), NO_BODY, LATER},
    {HTTP_GET,
     "/projects/{project_name}/preheat/policies/{preheat_policy_name}/executions/{execution_id}/"
     "tasks",
     "ListTasks", IN_PROJECT(PREHEAT_POLICY, LIST), NO_BODY, LATER, ROUTE_LIST},
    {HTTP_GET,
     "/projects/{project_name}/preheat/policies/{preheat_policy_name}/executions/{execution_id}/"
     "tasks/{task_id}/logs",
     "GetPreheatLog", IN_PROJECT(PREHEAT_POLICY, READ), NO_BODY, LATER},
    {HTTP_GET, "/projects/{project_name}/preheat/providers", "ListProvidersUnderProject",
     IN_PROJECT(PREHEAT_POLICY, LIST), NO_BODY, LATER},

    /* immutable */
    {HTTP_GET, "/projects/{project_name_or_id}/immutabletagrules", "ListImmuRules",
     IN_PROJECT(IMMUTABLE_TAG, LIST), NO_BODY, LATER, ROUTE_LIST},
    {HTTP_POST, "/projects/{project_name_or_id}/immutabletagrules", "CreateImmuRule",
     IN_PROJECT(IMMUTABLE_TAG, CREATE), NO_BODY, LATER},
    {HTTP_PUT, "/projects/{project_name_or_id}/immutabletagrules/{immutable_rule_id}",
     "UpdateImmuRule", IN_PROJECT(IMMUTABLE_TAG, UPDATE), NO_BODY, LATER},
    {HTTP_DELETE, "/projects/{project_name_or_id}/immutabletagrules/{immutable_rule_id}",
     "DeleteImmuRule", IN_PROJECT(IMMUTABLE_TAG, DELETE), NO_BODY, LATER},

    /* webhook */
    {HTTP_GET, "/projects/{project_name_or_id}/webhook/policies", "ListWebhookPoliciesOfProject",
     IN_PROJECT(NOTIFICATION_POLICY, LIST), NO_BODY, LATER, ROUTE_LIST},
    {HTTP_POST, "/projects/{project_name_or_id}/webhook/policies", "CreateWebhookPolicyOfProject",
     IN_PROJECT(NOTIFICATION_POLICY, CREATE), NO_BODY, LATER},
    {HTTP_GET, "/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}",
     "GetWebhookPolicyOfProject", IN_PROJECT(NOTIFICATION_POLICY, READ), NO_BODY, LATER},
    {HTTP_PUT, "/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}",
     "UpdateWebhookPolicyOfProject", IN_PROJECT(NOTIFICATION_POLICY, UPDATE), NO_BODY, LATER},
    {HTTP_DELETE, "/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}",
     "DeleteWebhookPolicyOfProject", IN_PROJECT(NOTIFICATION_POLICY, DELETE), NO_BODY, LATER},
    {HTTP_GET, "/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}/executions",
     "ListExecutionsOfWebhookPolicy", IN_PROJECT(NOTIFICATION_POLICY, READ), NO_BODY, LATER,
     ROUTE_LIST},
    {HTTP_GET,
     "/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}/executions/"
     "{execution_id}/tasks",
     "ListTasksOfWebhookExecution", IN_PROJECT(NOTIFICATION_POLICY, READ), NO_BODY, LATER,
     ROUTE_LIST},
    {HTTP_GET,
     "/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}/executions/"
     "{execution_id}/tasks/{task_id}/log",
     "GetLogsOfWebhookTask", IN_PROJECT(NOTIFICATION_POLICY, READ), NO_BODY, LATER},
    {HTTP_GET, "/projects/{project_name_or_id}/webhook/lasttrigger", "LastTrigger",
     IN_PROJECT(NOTIFICATION_POLICY, READ), NO_BODY, LATER},

    /* webhookjob */
    {HTTP_GET, "/projects/{project_name_or_id}/webhook/jobs", "ListWebhookJobs",
     IN_PROJECT(NOTIFICATION_POLICY, LIST), NO_BODY, LATER, ROUTE_LIST},

    /* webhook */
    {HTTP_GET, "/projects/{project_name_or_id}/webhook/events", "GetSupportedEventTypes",
     IN_PROJECT(NOTIFICATION_POLICY, READ), NO_BODY, LATER},

    /* usergroup */
    {HTTP_GET, "/usergroups", "listUserGroups", SYSTEM(USER_GROUP, LIST), NO_BODY, LATER,
     ROUTE_PAGES},
    {HTTP_POST, "/usergroups", "createUserGroup", SYSTEM(USER_GROUP, CREATE), NO_BODY, LATER},
    {HTTP_GET, "/usergroups/search", "searchUserGroups", LOGIN, NO_BODY, LATER, ROUTE_PAGES},
    {HTTP_GET, "/usergroups/{group_id}", "getUserGroup", SYSTEM(USER_GROUP, READ), NO_BODY, LATER},
    {HTTP_PUT, "/usergroups/{group_id}", "updateUserGroup", SYSTEM(USER_GROUP, UPDATE), NO_BODY,
     LATER},
    {HTTP_DELETE, "/usergroups/{group_id}", "deleteUserGroup", SYSTEM(USER_GROUP, DELETE), NO_BODY,
     LATER},

    /* icon */
    {HTTP_GET, "/icons/{digest}", "getIcon", LOGIN, NO_BODY, LATER},

    /* robot */
    {HTTP_GET, "/robots", "ListRobot", FOUND(ROBOT, READ, robot_of_query), NO_BODY, list_robots,
     ROUTE_LIST},
    {HTTP_POST, "/robots", "CreateRobot", FOUND(ROBOT, CREATE, robot_of_body),
     BODY(struct robot_req, robot_create_fields), create_robot},

    /* quota */
    {HTTP_GET, "/quotas", "listQuotas", SYSTEM(QUOTA, LIST), NO_BODY, list_quotas, ROUTE_PAGES,
     QUERY(struct quota_query, quota_query_fields)},
    {HTTP_GET, "/quotas/{id}", "getQuota", SYSTEM(QUOTA, READ), NO_BODY, get_quota},
    {HTTP_PUT, "/quotas/{id}", "updateQuota", SYSTEM(QUOTA, UPDATE),
     BODY(struct quota_req, quota_req_fields), update_quota},

    /* robot */
    {HTTP_GET, "/robots/{robot_id}", "GetRobotByID", FOUND(ROBOT, READ, robot_of_path), NO_BODY,
     get_robot},
    {HTTP_PUT, "/robots/{robot_id}", "UpdateRobot", FOUND(ROBOT, UPDATE, robot_of_path),
     BODY(struct robot_req, robot_update_fields), update_robot},
    {HTTP_PATCH, "/robots/{robot_id}", "RefreshSec", FOUND(ROBOT, UPDATE, robot_of_path),
     BODY(struct robot_req, robot_sec_fields), refresh_robot_secret},
    {HTTP_DELETE, "/robots/{robot_id}", "DeleteRobot", FOUND(ROBOT, DELETE, robot_of_path), NO_BODY,
     delete_robot},

    /* replication */
    {HTTP_GET, "/replication/policies", "listReplicationPolicies", SYSTEM(REPLICATION_POLICY, LIST),
     NO_BODY, LATER, ROUTE_LIST},
    {HTTP_POST, "/replication/policies", "createReplicationPolicy",
     SYSTEM(REPLICATION_POLICY, CREATE), NO_BODY, LATER},
    {HTTP_GET, "/replication/policies/{id}", "getReplicationPolicy",
     SYSTEM(REPLICATION_POLICY, READ), NO_BODY, LATER},
    {HTTP_DELETE, "/replication/policies/{id}", "deleteReplicationPolicy",
     SYSTEM(REPLICATION_POLICY, DELETE), NO_BODY, LATER},
    {HTTP_PUT, "/replication/policies/{id}", "updateReplicationPolicy",
     SYSTEM(REPLICATION_POLICY, UPDATE), NO_BODY, LATER},
    {HTTP_GET, "/replication/executions", "listReplicationExecutions", SYSTEM(REPLICATION, LIST),
     NO_BODY, LATER, ROUTE_PAGES},
    {HTTP_POST, "/replication/executions", "startReplication", SYSTEM(REPLICATION, CREATE), NO_BODY,
     LATER},
    {HTTP_GET, "/replication/executions/{id}", "getReplicationExecution", SYSTEM(REPLICATION, READ),
     NO_BODY, LATER},
    {HTTP_PUT, "/replication/executions/{id}", "stopReplication", SYSTEM(REPLICATION, CREATE),
     NO_BODY, LATER},
    {HTTP_GET, "/replication/executions/{id}/tasks", "listReplicationTasks",
     SYSTEM(REPLICATION, LIST), NO_BODY, LATER, ROUTE_PAGES},
    {HTTP_GET, "/replication/executions/{id}/tasks/{task_id}/log", "getReplicationLog",
     SYSTEM(REPLICATION, READ), NO_BODY, LATER},

    /* registry */
    {HTTP_GET, "/replication/adapters", "listRegistryProviderTypes",
     SYSTEM(REPLICATION_ADAPTER, LIST), NO_BODY, list_registry_provider_types},
    {HTTP_GET, "/replication/adapterinfos", "listRegistryProviderInfos",
     SYSTEM(REPLICATION_ADAPTER, LIST), NO_BODY, list_registry_provider_infos},
    {HTTP_POST, "/registries", "createRegistry", SYSTEM(REGISTRY, CREATE),
     BODY(struct registry_req, registry_create_fields), create_registry},
    {HTTP_GET, "/registries", "listRegistries", SYSTEM(REGISTRY, LIST), NO_BODY, list_registries,
     ROUTE_LIST, QUERY(struct registry_query, registry_query_fields)},
    {HTTP_POST, "/registries/ping", "pingRegistry", SYSTEM(REGISTRY, READ),
     BODY(struct registry_req, registry_ping_fields), ping_registry, ROUTE_ANYTIME},
    {HTTP_GET, "/registries/{id}", "getRegistry", SYSTEM(REGISTRY, READ), NO_BODY, get_registry},
    {HTTP_DELETE, "/registries/{id}", "deleteRegistry", SYSTEM(REGISTRY, DELETE), NO_BODY,
     delete_registry},
    {HTTP_PUT, "/registries/{id}", "updateRegistry", SYSTEM(REGISTRY, UPDATE),
     BODY(struct registry_req, registry_update_fields), update_registry},
    {HTTP_GET, "/registries/{id}/info", "getRegistryInfo", SYSTEM(REGISTRY, READ), NO_BODY,
     get_registry_info},

    /* scanAll */
    {HTTP_GET, "/scans/all/metrics", "getLatestScanAllMetrics", SYSTEM(SCAN_ALL, READ), NO_BODY,
     LATER},
    {HTTP_GET, "/scans/schedule/metrics", "getLatestScheduledScanAllMetrics",
     SYSTEM(SCAN_ALL, READ), NO_BODY, LATER},

    /* systeminfo */
    {HTTP_GET, "/systeminfo", "getSystemInfo", ANYONE, NO_BODY, get_system_info},
    {HTTP_GET, "/systeminfo/volumes", "getVolumes", SYSTEM(SYSTEM_VOLUMES, READ), NO_BODY,
     get_volumes},
    {HTTP_GET, "/systeminfo/getcert", "getCert", ANYONE, NO_BODY, get_cert},

    /* oidc */
    {HTTP_POST, "/system/oidc/ping", "pingOIDC", SYSTEM(CONFIGURATION, UPDATE), NO_BODY, LATER},

    /* gc */
    {HTTP_GET, "/system/gc", "getGCHistory", SYSTEM(GARBAGE_COLLECTION, LIST), NO_BODY, LATER,
     ROUTE_LIST},
    {HTTP_GET, "/system/gc/{gc_id}", "getGC", SYSTEM(GARBAGE_COLLECTION, READ), NO_BODY, LATER},
    {HTTP_PUT, "/system/gc/{gc_id}", "stopGC", SYSTEM(GARBAGE_COLLECTION, STOP), NO_BODY, LATER},
    {HTTP_GET, "/system/gc/{gc_id}/log", "getGCLog", SYSTEM(GARBAGE_COLLECTION, READ), NO_BODY,
     LATER},
    {HTTP_GET, "/system/gc/schedule", "getGCSchedule", SYSTEM(GARBAGE_COLLECTION, READ), NO_BODY,
     LATER},
    {HTTP_POST, "/system/gc/schedule", "createGCSchedule", SYSTEM(GARBAGE_COLLECTION, CREATE),
     NO_BODY, LATER},
    {HTTP_PUT, "/system/gc/schedule", "updateGCSchedule", SYSTEM(GARBAGE_COLLECTION, UPDATE),
     NO_BODY, LATER},

    /* purge */
    {HTTP_GET, "/system/purgeaudit", "getPurgeHistory", SYSTEM(PURGE_AUDIT, LIST), NO_BODY, LATER,
     ROUTE_LIST},
    {HTTP_GET, "/system/purgeaudit/{purge_id}", "getPurgeJob", SYSTEM(PURGE_AUDIT, READ), NO_BODY,
     LATER},
    {HTTP_PUT, "/system/purgeaudit/{purge_id}", "stopPurge", SYSTEM(PURGE_AUDIT, STOP), NO_BODY,
     LATER},
    {HTTP_GET, "/system/purgeaudit/{purge_id}/log", "getPurgeJobLog", SYSTEM(PURGE_AUDIT, READ),
     NO_BODY, LATER},
    {HTTP_GET, "/system/purgeaudit/schedule", "getPurgeSchedule", SYSTEM(PURGE_AUDIT, READ),
     NO_BODY, LATER},
    {HTTP_POST, "/system/purgeaudit/schedule", "createPurgeSchedule", SYSTEM(PURGE_AUDIT, CREATE),
     NO_BODY, LATER},
    {HTTP_PUT, "/system/purgeaudit/schedule", "updatePurgeSchedule", SYSTEM(PURGE_AUDIT, UPDATE),
     NO_BODY, LATER},

    /* SystemCVEAllowlist */
    {HTTP_GET, "/system/CVEAllowlist", "getSystemCVEAllowlist", LOGIN, NO_BODY, LATER},
    {HTTP_PUT, "/system/CVEAllowlist", "putSystemCVEAllowlist", SYSTEM(CONFIGURATION, UPDATE),
     NO_BODY, LATER},

    /* scanAll */
    {HTTP_GET, "/system/scanAll/schedule", "getScanAllSchedule", SYSTEM(SCAN_ALL, READ), NO_BODY,
     LATER},
    {HTTP_PUT, "/system/scanAll/schedule", "updateScanAllSchedule", SYSTEM(SCAN_ALL, UPDATE),
     NO_BODY, LATER},
    {HTTP_POST, "/system/scanAll/schedule", "createScanAllSchedule", SYSTEM(SCAN_ALL, CREATE),
     NO_BODY, LATER},
    {HTTP_POST, "/system/scanAll/stop", "stopScanAll", SYSTEM(SCAN_ALL, CREATE), NO_BODY, LATER},

    /* jobservice */
    {HTTP_GET, "/jobservice/pools", "getWorkerPools", SYSTEM(JOBSERVICE_MONITOR, LIST), NO_BODY,
     LATER},
    {HTTP_GET, "/jobservice/pools/{pool_id}/workers", "getWorkers",
     SYSTEM(JOBSERVICE_MONITOR, LIST), NO_BODY, LATER},
    {HTTP_PUT, "/jobservice/jobs/{job_id}", "stopRunningJob", SYSTEM(JOBSERVICE_MONITOR, STOP),
     NO_BODY, LATER},
    {HTTP_GET, "/jobservice/jobs/{job_id}/log", "actionGetJobLog", SYSTEM(JOBSERVICE_MONITOR, LIST),
     NO_BODY, LATER},
    {HTTP_GET, "/jobservice/queues", "listJobQueues", SYSTEM(JOBSERVICE_MONITOR, LIST), NO_BODY,
     LATER},
    {HTTP_PUT, "/jobservice/queues/{job_type}", "actionPendingJobs",
     SYSTEM(JOBSERVICE_MONITOR, STOP), NO_BODY, LATER},

    /* schedule */
    {HTTP_GET, "/schedules", "listSchedules", SYSTEM(JOBSERVICE_MONITOR, LIST), NO_BODY, LATER,
     ROUTE_PAGES},
    {HTTP_GET, "/schedules/{job_type}/paused", "getSchedulePaused", LOGIN, NO_BODY, LATER},

    /* ping */
    {HTTP_GET, "/ping", "getPing", ANYONE, NO_BODY, get_ping},

    /* Retention */
    {HTTP_GET, "/retentions/metadatas", "getRentenitionMetadata", ANYONE, NO_BODY,
     get_retention_metadata},
    {HTTP_POST, "/retentions", "createRetention", FOUND(TAG_RETENTION, CREATE, retention_of_body),
     BODY(struct place_req, retention_place_fields), LATER},
    {HTTP_GET, "/retentions/{id}", "getRetention", FOUND(TAG_RETENTION, READ, retention_of_path),
     NO_BODY, get_retention},
    {HTTP_PUT, "/retentions/{id}", "updateRetention",
     FOUND(TAG_RETENTION, UPDATE, retention_of_path), NO_BODY, LATER},
    {HTTP_DELETE, "/retentions/{id}", "deleteRetention",
     FOUND(TAG_RETENTION, DELETE, retention_of_path), NO_BODY, LATER},
    {HTTP_POST, "/retentions/{id}/executions", "triggerRetentionExecution",
     FOUND(TAG_RETENTION, CREATE, retention_of_path), NO_BODY, LATER},
    {HTTP_GET, "/retentions/{id}/executions", "listRetentionExecutions",
     FOUND(TAG_RETENTION, READ, retention_of_path), NO_BODY, LATER, ROUTE_PAGES},
    {HTTP_PATCH, "/retentions/{id}/executions/{eid}", "operateRetentionExecution",
     FOUND(TAG_RETENTION, UPDATE, retention_of_path), NO_BODY, LATER},
    {HTTP_GET, "/retentions/{id}/executions/{eid}/tasks", "listRetentionTasks",
     FOUND(TAG_RETENTION, READ, retention_of_path), NO_BODY, LATER, ROUTE_PAGES},
    {HTTP_GET, "/retentions/{id}/executions/{eid}/tasks/{tid}", "getRetentionTaskLog",
     FOUND(TAG_RETENTION, READ, retention_of_path), NO_BODY, LATER},

    /* scanner */
    {HTTP_GET, "/scanners", "listScanners", SYSTEM(SCANNER, LIST), NO_BODY, LATER, ROUTE_LIST},
    {HTTP_POST, "/scanners", "createScanner", SYSTEM(SCANNER, CREATE), NO_BODY, LATER},
    {HTTP_POST, "/scanners/ping", "pingScanner", SYSTEM(SCANNER, READ), NO_BODY, LATER},
    {HTTP_GET, "/scanners/{registration_id}", "getScanner", SYSTEM(SCANNER, READ), NO_BODY, LATER},
    {HTTP_PUT, "/scanners/{registration_id}", "updateScanner", SYSTEM(SCANNER, UPDATE), NO_BODY,
     LATER},
    {HTTP_DELETE, "/scanners/{registration_id}", "deleteScanner", SYSTEM(SCANNER, DELETE), NO_BODY,
     LATER},
    {HTTP_PATCH, "/scanners/{registration_id}", "setScannerAsDefault", SYSTEM(SCANNER, UPDATE),
     NO_BODY, LATER},
    {HTTP_GET, "/scanners/{registration_id}/metadata", "getScannerMetadata", SYSTEM(SCANNER, READ),
     NO_BODY, LATER},

    /* user */
    {HTTP_GET, "/users", "listUsers", SYSTEM(USER, LIST), NO_BODY, list_users, ROUTE_LIST},
    {HTTP_POST, "/users", "createUser", SYSTEM(USER, CREATE),
     BODY(struct user_req, user_req_fields), create_user, ROUTE_SIGN_UP},
    {HTTP_GET, "/users/current", "getCurrentUserInfo", LOGIN, NO_BODY, get_current_user},
    {HTTP_GET, "/users/search", "searchUsers", LOGIN, NO_BODY, search_users, ROUTE_PAGES,
     QUERY(struct user_query, user_query_fields)},
    {HTTP_GET, "/users/{user_id}", "getUser", SELF(USER, READ), NO_BODY, get_user},
    {HTTP_PUT, "/users/{user_id}", "updateUserProfile", SELF(USER, UPDATE),
     BODY(struct user_req, user_profile_fields), update_user_profile},
    {HTTP_DELETE, "/users/{user_id}", "deleteUser", SYSTEM(USER, DELETE), NO_BODY, delete_user},
    {HTTP_PUT, "/users/{user_id}/sysadmin", "setUserSysAdmin", SYSTEM(USER, UPDATE),
     BODY(struct user, sysadmin_flag_fields), set_user_sysadmin},
    {HTTP_PUT, "/users/{user_id}/password", "updateUserPassword", SELF(USER, UPDATE),
     BODY(struct password_req, password_req_fields), update_user_password},
    {HTTP_GET, "/users/current/permissions", "getCurrentUserPermissions", LOGIN, NO_BODY,
     get_current_permissions, 0, QUERY(struct permission_query, permission_query_fields)},
    {HTTP_PUT, "/users/{user_id}/cli_secret", "setCliSecret", SELF(USER, UPDATE), NO_BODY, LATER},

    /* label */
    {HTTP_GET, "/labels", "ListLabels", ANYONE, NO_BODY, LATER, ROUTE_LIST},
    {HTTP_POST, "/labels", "CreateLabel", FOUND(LABEL, CREATE, label_of_body),
     BODY(struct place_req, label_place_fields), LATER},
    {HTTP_GET, "/labels/{label_id}", "GetLabelByID", FOUND(LABEL, READ, label_of_path), NO_BODY,
     LATER},
    {HTTP_PUT, "/labels/{label_id}", "UpdateLabel", FOUND(LABEL, UPDATE, label_of_path), NO_BODY,
     LATER},
    {HTTP_DELETE, "/labels/{label_id}", "DeleteLabel", FOUND(LABEL, DELETE, label_of_path), NO_BODY,
     LATER},

    /* scan data export */
    {HTTP_POST, "/export/cve", "exportScanData", FOUND(EXPORT_CVE, CREATE, export_of_body),
     BODY(struct place_req, export_place_fields), LATER},
    {HTTP_GET, "/export/cve/execution/{execution_id}", "getScanDataExportExecution", LOGIN, NO_BODY,
     LATER},
    {HTTP_GET, "/export/cve/executions", "getScanDataExportExecutionList", LOGIN, NO_BODY, LATER},
    {HTTP_GET, "/export/cve/download/{execution_id}", "downloadScanData", LOGIN, NO_BODY, LATER},

    /* securityhub */
    {HTTP_GET, "/security/summary", "getSecuritySummary", SYSTEM(SECURITY_HUB, READ), NO_BODY,
     LATER},
    {HTTP_GET, "/security/vul", "ListVulnerabilities", SYSTEM(SECURITY_HUB, LIST), NO_BODY, LATER,
     ROUTE_LIST},

    /* permissions */
    {HTTP_GET, "/permissions", "getPermissions", LOGIN, NO_BODY, get_permissions},

    {.path = NULL},
};
