/*
 * Who may do what in a project: Harbor's roles, resources and actions as one matrix, and the
 * rights that anyone has in a public project. Pure.
 */
#ifndef RULE_RBAC_H
#define RULE_RBAC_H

#include "base/str.h"

#define ROLE_LIST(X)                                                                               \
    X(PROJECT_ADMIN, 1, "projectAdmin")                                                            \
    X(DEVELOPER, 2, "developer")                                                                   \
    X(GUEST, 3, "guest")                                                                           \
    X(MAINTAINER, 4, "maintainer")                                                                 \
    X(LIMITED_GUEST, 5, "limitedGuest")

enum role {
    ROLE_NONE,
#define X(name, id, text) ROLE_##name = (id),
    ROLE_LIST(X)
#undef X
        ROLE_COUNT
};

/* clang-format off */
/* Harbor's resources; "project" is the project itself (Harbor's empty self resource). */
#define RESOURCE_LIST(X)                                                                           \
    X(PROJECT, "project")                                                                          \
    X(MEMBER, "member") X(METADATA, "metadata") X(LOG, "log") X(LABEL, "label") X(QUOTA, "quota")  \
        X(REPOSITORY, "repository") X(TAG_RETENTION, "tag-retention") X(                           \
            IMMUTABLE_TAG, "immutable-tag") X(CONFIGURATION, "configuration") X(ROBOT, "robot")    \
            X(NOTIFICATION_POLICY, "notification-policy") X(SCAN, "scan") X(SBOM, "sbom") X(       \
                SCANNER, "scanner") X(ARTIFACT, "artifact")                                        \
                X(ARTIFACT_ADDITION, "artifact-addition") X(TAG, "tag") X(ACCESSORY, "accessory")  \
                    X(ARTIFACT_LABEL, "artifact-label") X(PREHEAT_POLICY, "preheat-policy") X(     \
                        EXPORT_CVE, "export-cve") X(AUDIT_LOG, "audit-log") X(PREHEAT_INSTANCE,    \
                                                                              "preheat-instance")  \
                        X(REPLICATION_POLICY, "replication-policy") X(REPLICATION, "replication")  \
                            X(REPLICATION_ADAPTER, "replication-adapter") X(REGISTRY, "registry")  \
                                X(SCAN_ALL, "scan-all") X(SYSTEM_VOLUMES, "system-volumes")        \
                                    X(GARBAGE_COLLECTION, "garbage-collection")                    \
                                        X(PURGE_AUDIT, "purge-audit")                              \
                                            X(JOBSERVICE_MONITOR, "jobservice-monitor")            \
                                                X(SECURITY_HUB, "security-hub")                    \
                                                    X(CATALOG, "catalog") X(USER, "user")          \
                                                        X(LDAP_USER, "ldap-user")                  \
                                                            X(USER_GROUP, "user-group")

/* clang-format on */

enum resource {
    RES_NONE,
#define X(name, text) RES_##name,
    RESOURCE_LIST(X)
#undef X
        RES_COUNT
};

/* clang-format off */
#define ACTION_LIST(X)                                                                             \
    X(CREATE, "create")                                                                            \
    X(READ, "read") X(UPDATE, "update") X(DELETE, "delete") X(LIST, "list") X(PULL, "pull")        \
        X(PUSH, "push") X(OPERATE, "operate") X(STOP, "stop") X(SCANNER_PULL, "scanner-pull")

/* clang-format on */

enum action {
    ACT_NONE,
#define X(name, text) ACT_##name,
    ACTION_LIST(X)
#undef X
        ACT_COUNT
};

bool rbac_role_may(enum role role, enum resource res, enum action act);
bool rbac_public_may(enum resource res, enum action act);
/* May a robot be given this pair at all (Harbor keeps two lists, system and project)? */
bool rbac_robot_pair(bool system, enum resource res, enum action act);
enum resource rbac_resource(struct str name); /* RES_NONE when unknown */
enum action rbac_action(struct str name);     /* "*" is ACT_NONE's caller's business */
const char *rbac_resource_name(enum resource res);
const char *rbac_action_name(enum action act);
const char *rbac_role_name(enum role role);

#endif
