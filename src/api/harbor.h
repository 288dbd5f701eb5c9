/*
 * Harbor's REST API v2.0: the handlers of the operations that are real in this release, the models
 * they read and write, and what several of them share. The rows are in harbor.c.
 */
#ifndef API_HARBOR_H
#define API_HARBOR_H

#include "api/call.h"
#include "meta/repository.h"
#include "meta/tag.h"
#include "meta/user.h"

#define API_BASE "/api/v2.0"

/* ---- models: the struct of a body or reply, and its tables -------------------------------- */

struct resource_list { /* Harbor's map of resources; storage is the only one */
    int64_t storage;   /* bytes; -1 = unlimited */
};
extern const struct field resource_list_fields[];

struct user_req {
    struct str username, email, realname, comment, password;
};
struct password_req {
    struct str old_password, new_password;
};
struct user_query {
    struct str username;
};
struct permission_query {
    struct str scope;
    bool relative;
};
struct permission {
    struct str resource, action;
};
extern const struct field user_resp_fields[], user_found_fields[], user_req_fields[],
    user_profile_fields[], sysadmin_flag_fields[], password_req_fields[], user_query_fields[],
    permission_query_fields[], permission_fields[], permissions_fields[];

struct metadata { /* all texts; one without a pointer is unset */
    struct str public;
#define X(name) struct str name;
    PROJECT_METADATA(X)
#undef X
};
struct cve_item {
    struct str cve_id;
};
struct cve_allowlist {
    int64_t id, project_id, expires_at;
    struct list items; /* of cve_item */
    struct timestamp creation_time, update_time;
};
struct project_req {
    struct str project_name;
    bool public;
    struct metadata metadata;
    struct cve_allowlist *cve_allowlist;
    int64_t storage_limit, registry_id;
};
struct project_query {
    struct str name, owner, project_name;
    bool public, with_detail;
};
struct project_view {
    int64_t project_id, owner_id, registry_id, repo_count, current_user_role_id;
    struct str name, owner_name;
    bool deleted, togglable;
    struct i64s current_user_role_ids;
    struct metadata metadata;
    struct cve_allowlist cve_allowlist;
    struct timestamp creation_time, update_time;
};
extern const struct field metadata_fields[], cve_item_fields[], cve_allowlist_fields[],
    project_req_fields[], project_query_fields[], project_head_fields[], project_view_fields[],
    project_deletable_fields[], project_summary_fields[], summary_quota_fields[];

struct user_entity {
    int64_t user_id;
    struct str username;
};
struct group_entity {
    int64_t id, group_type;
    struct str group_name, ldap_group_dn;
};
struct member_req {
    int64_t role_id;
    struct user_entity *member_user;
    struct group_entity *member_group;
};
struct member_query {
    struct str entityname;
};
extern const struct field member_view_fields[], member_req_fields[], role_req_fields[],
    member_query_fields[], user_entity_fields[], group_entity_fields[];

struct robot_access {
    struct str resource, action, effect;
};
struct robot_permission {
    struct str kind, namespace;
    struct list access; /* of robot_access */
};
struct robot_req {
    struct str name, description, secret, level;
    int64_t duration;
    bool disable;
    struct list permissions; /* of robot_permission */
};
extern const struct field robot_view_fields[], robot_create_fields[], robot_update_fields[],
    robot_sec_fields[], robot_created_fields[], robot_permission_fields[], robot_access_fields[];

struct registry_credential {
    struct str type, access_key, access_secret;
};
struct registry_req { /* of Registry, RegistryUpdate, RegistryPing */
    int64_t id;
    struct str name, description, type, url, ca_certificate;
    struct registry_credential credential; /* Registry nests it, the others do not */
    bool insecure;
};
struct registry_query {
    struct str name;
};
/* The endpoint that a body of registry_ping_fields means: a stored one by its id, with another
   credential where one is given, or one that is not saved. *stored: exactly as it is stored. */
enum err registry_of_ping(struct call *r, struct endpoint *out, bool *stored);
struct registry_view {
    int64_t id;
    struct str name, description, type, url, ca_certificate, status;
    struct registry_credential *credential;
    bool insecure;
    struct timestamp creation_time, update_time;
};
extern const struct field registry_view_fields[], registry_create_fields[],
    registry_update_fields[], registry_ping_fields[], registry_query_fields[],
    registry_credential_fields[], registry_info_fields[], filter_style_fields[],
    provider_info_fields[], provider_endpoint_fields[], provider_credential_fields[],
    registry_endpoint_fields[];

struct repository_view {
    int64_t id, project_id, artifact_count, pull_count;
    struct str name, description;
    struct timestamp creation_time, update_time;
};
extern const struct field repository_view_fields[], repository_req_fields[];

struct artifact_query {
    bool with_tag, with_label, with_scan_overview, with_sbom_overview, with_immutable_status,
        with_accessory, with_inherited_accessory, with_signature, latest_in_repository;
};
extern const struct field artifact_view_fields[], reference_fields[], tag_view_fields[],
    new_tag_fields[], accessory_fields[], artifact_query_fields[], artifact_get_query_fields[],
    project_artifact_query_fields[], tag_query_fields[];

/* Keys of Harbor's /configurations that Cove has something behind; times in minutes. */
struct configurations_req {
    struct str auth_mode, project_creation_restriction, robot_name_prefix;
    bool notification_enable, primary_auth_mode, quota_per_project_enable, read_only,
        self_registration;
    int64_t session_timeout, storage_per_project, token_expiration;
};
extern const struct field configurations_fields[], configurations_req_fields[], bool_item_fields[],
    int_item_fields[], str_item_fields[];
handler get_configurations, update_configurations;

struct quota_req {
    struct resource_list *hard;
};
struct quota_query {
    struct str reference, reference_id, sort;
};
struct search_query {
    struct str q;
};
extern const struct field quota_fields[], quota_req_fields[], quota_query_fields[],
    search_query_fields[], search_fields[], search_repository_fields[], statistic_fields[],
    health_fields[], component_fields[], general_info_fields[], system_info_fields[],
    storage_fields[];

struct scope_req {
    struct str level;
    int64_t ref;
};
struct place_req { /* the part of a body that says which project it belongs to */
    struct str scope_name;
    int64_t project_id;
    struct scope_req *scope;
    struct i64s projects;
};
extern const struct field label_place_fields[], retention_place_fields[], export_place_fields[];

/* ---- handlers ------------------------------------------------------------------------------ */

handler get_health, search, get_statistic, list_projects, head_project, create_project, get_project,
    update_project, delete_project, get_project_deletable, get_project_summary,
    list_project_members, create_project_member, get_project_member, update_project_member,
    delete_project_member, list_project_metadatas, add_project_metadatas, get_project_metadata,
    update_project_metadata, delete_project_metadata, list_all_repositories, list_repositories,
    get_repository, update_repository, delete_repository_by_api, list_artifacts, get_artifact,
    delete_artifact, create_tag, list_tags, delete_tag_by_api, list_accessories,
    list_artifacts_of_project, list_robots, create_robot, list_quotas, get_quota, update_quota,
    get_robot, update_robot, refresh_robot_secret, delete_robot, list_registry_provider_types,
    list_registry_provider_infos, create_registry, list_registries, ping_registry, get_registry,
    delete_registry, update_registry, get_registry_info, get_system_info, get_volumes, get_cert,
    get_ping, get_retention_metadata, get_retention, list_users, create_user, get_current_user,
    search_users, get_user, update_user_profile, delete_user, set_user_sysadmin,
    update_user_password, get_current_permissions, get_permissions;
/* Outside of /api/v2.0. */
handler session_login, session_logout, user_exists;

project_finder robot_of_query, robot_of_body, robot_of_path, label_of_body, label_of_path,
    retention_of_body, retention_of_path, export_of_body;

/* ---- shared -------------------------------------------------------------------------------- */

/* Fills out (defaults set by the caller) from the row's query table. E_UNPROCESSABLE: a missing or
   malformed value, as Harbor's generated validation has it. */
enum err query_decode(struct call *r, void *out);
/* The term of q with this key, whatever its case; it stays in the query. NULL when absent. */
const struct query_term *query_peek(const struct list_query *q, const char *key);
/* Adds k=v or k=~v; false when the query is full. */
bool query_add(struct call *r, const char *key, enum query_op op, struct str value);
/* 201 with Location API_BASE + the formatted path, without a body. */
enum err reply_located(struct call *r, const char *fmt, ...) PRINTF(2, 3);
/* The first field of that name in an application/x-www-form-urlencoded text (WHATWG URL, section
   5.1), decoded into a. False when absent or when its value does not decode. */
bool form_field(struct arena *a, struct str form, struct str name, struct str *out);
/* Of a header that carries a boolean. */
bool header_true(const struct call *r, const char *name);
/* The id of a project that a body or query names. An unknown one is E_NOT_FOUND for system
   admins and E_FORBIDDEN for everybody else, so that nobody can probe for names. */
enum err project_id_named(struct call *r, struct str name, int64_t *id_out);
/* A text as it stands in the metadata; NULL for a key that does not exist. */
struct str *metadata_slot(struct metadata *m, struct str key);
/* Checks values, and writes what is set into the project. Keys that do not fit the kind of project
   are dropped, as Harbor does. Declared fields of a declared project: E_CONFLICT. */
enum err metadata_apply(struct call *r, const struct metadata *m, struct project *p);
void metadata_of(const struct project *p, struct metadata *out);
/* The call's repository, and an artifact of it by tag or digest; E_NOT_FOUND in words, also while
   its manifest is not here. Inside a transaction. */
struct artifact;
enum err repository_here(struct call *r, struct repository *out);
enum err artifact_here(struct call *r, struct str ref, struct repository *repository,
                       struct artifact *out);
/* Harbor's kinds of accessory, from what the manifest says it is. */
struct str accessory_kind(struct str artifact_type);
void registry_view_of(struct arena *a, const struct endpoint *e, struct registry_view *out);
void repository_view_of(struct arena *a, const struct repository *row, struct repository_view *out);
void project_view_of(struct call *r, const struct project *p, const struct i64s *roles,
                     struct project_view *out);
/* "robot$" and the stored name. */
struct str robot_full_name(struct call *r, struct str stored);

#endif
