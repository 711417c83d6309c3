//! Views of the catalog: those of `information_schema`, which PostgreSQL makes of `pg_catalog` in
//! the same way, and those of `pg_catalog` itself.

mod others;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{Query, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// Schema, name and query of each.
const VIEWS: [(&str, &str, &str); 36] = [
    (
        "pg_catalog",
        "pg_views",
        "SELECT n.nspname AS schemaname, c.relname AS viewname,
                pg_get_userbyid(c.relowner) AS viewowner, pg_get_viewdef(c.oid) AS definition
         FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind = 'v'",
    ),
    (
        "information_schema",
        "tables",
        "SELECT current_database() AS table_catalog, n.nspname AS table_schema,
                c.relname AS table_name,
                CASE WHEN n.oid = pg_my_temp_schema() THEN 'LOCAL TEMPORARY'
                     WHEN c.relkind = 'v' THEN 'VIEW' ELSE 'BASE TABLE' END AS table_type,
                NULL::text AS self_referencing_column_name, NULL::text AS reference_generation,
                NULL::text AS user_defined_type_catalog, NULL::text AS user_defined_type_schema,
                NULL::text AS user_defined_type_name, 'NO' AS is_insertable_into,
                'NO' AS is_typed, NULL::text AS commit_action
         FROM pg_namespace n JOIN pg_class c ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p')",
    ),
    (
        "information_schema",
        "columns",
        "SELECT current_database() AS table_catalog, n.nspname AS table_schema,
                c.relname AS table_name, a.attname AS column_name,
                a.attnum::int AS ordinal_position, NULL::text AS column_default,
                CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable,
                CASE WHEN t.typname LIKE '\\_%' THEN 'ARRAY'
                     WHEN t.typname = 'vector' THEN 'USER-DEFINED'
                     ELSE format_type(a.atttypid, NULL) END AS data_type,
                NULL::int AS character_maximum_length, NULL::int AS character_octet_length,
                CASE t.typname WHEN 'int2' THEN 16 WHEN 'int4' THEN 32 WHEN 'int8' THEN 64
                     WHEN 'float4' THEN 24 WHEN 'float8' THEN 53 END AS numeric_precision,
                CASE WHEN t.typname LIKE 'int_' OR t.typname LIKE 'float_' THEN 2 END
                    AS numeric_precision_radix,
                CASE WHEN t.typname LIKE 'int_' THEN 0 END AS numeric_scale,
                CASE WHEN t.typname LIKE 'timestamp%' THEN 6 END AS datetime_precision,
                NULL::text AS interval_type, NULL::int AS interval_precision,
                NULL::text AS character_set_catalog, NULL::text AS character_set_schema,
                NULL::text AS character_set_name, NULL::text AS collation_catalog,
                NULL::text AS collation_schema, NULL::text AS collation_name,
                NULL::text AS domain_catalog, NULL::text AS domain_schema,
                NULL::text AS domain_name, current_database() AS udt_catalog,
                'pg_catalog' AS udt_schema, t.typname AS udt_name,
                NULL::text AS scope_catalog, NULL::text AS scope_schema,
                NULL::text AS scope_name, NULL::int AS maximum_cardinality,
                a.attnum::text AS dtd_identifier, 'NO' AS is_self_referencing,
                'NO' AS is_identity, NULL::text AS identity_generation,
                NULL::text AS identity_start, NULL::text AS identity_increment,
                NULL::text AS identity_maximum, NULL::text AS identity_minimum,
                'NO' AS identity_cycle, 'NEVER' AS is_generated,
                NULL::text AS generation_expression, 'NO' AS is_updatable
         FROM pg_attribute a
         JOIN pg_class c ON a.attrelid = c.oid
         JOIN pg_namespace n ON c.relnamespace = n.oid
         LEFT JOIN pg_type t ON a.atttypid = t.oid
         WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'm', 'f', 'p')",
    ),
    (
        "information_schema",
        "schemata",
        "SELECT current_database() AS catalog_name, nspname AS schema_name,
                pg_get_userbyid(nspowner) AS schema_owner, NULL::text AS default_character_set_catalog,
                NULL::text AS default_character_set_schema,
                NULL::text AS default_character_set_name, NULL::text AS sql_path
         FROM pg_namespace",
    ),
    (
        "information_schema",
        "table_constraints",
        "SELECT current_database() AS constraint_catalog, n.nspname AS constraint_schema,
                k.conname AS constraint_name, current_database() AS table_catalog,
                n.nspname AS table_schema, c.relname AS table_name,
                CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'f' THEN 'FOREIGN KEY'
                     WHEN 'u' THEN 'UNIQUE' ELSE 'CHECK' END AS constraint_type,
                'NO' AS is_deferrable, 'NO' AS initially_deferred, 'YES' AS enforced,
                NULL::text AS nulls_distinct
         FROM pg_constraint k JOIN pg_class c ON k.conrelid = c.oid
         JOIN pg_namespace n ON c.relnamespace = n.oid",
    ),
    (
        "information_schema",
        "key_column_usage",
        "SELECT current_database() AS constraint_catalog, n.nspname AS constraint_schema,
                k.conname AS constraint_name, current_database() AS table_catalog,
                n.nspname AS table_schema, c.relname AS table_name, a.attname AS column_name,
                k.place AS ordinal_position,
                CASE WHEN k.contype = 'f' THEN k.place END AS position_in_unique_constraint
         FROM (SELECT conname, contype, conrelid, unnest(conkey) AS attnum,
                      generate_subscripts(conkey, 1) AS place FROM pg_constraint) k
         JOIN pg_class c ON k.conrelid = c.oid
         JOIN pg_namespace n ON c.relnamespace = n.oid
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum",
    ),
    (
        "information_schema",
        "constraint_column_usage",
        "SELECT current_database() AS table_catalog, n.nspname AS table_schema,
                c.relname AS table_name, a.attname AS column_name,
                current_database() AS constraint_catalog, n.nspname AS constraint_schema,
                k.conname AS constraint_name
         FROM (SELECT conname, CASE WHEN contype = 'f' THEN confrelid ELSE conrelid END AS rel,
                      unnest(CASE WHEN contype = 'f' THEN confkey ELSE conkey END) AS attnum
               FROM pg_constraint) k
         JOIN pg_class c ON k.rel = c.oid
         JOIN pg_namespace n ON c.relnamespace = n.oid
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum",
    ),
    (
        "information_schema",
        "referential_constraints",
        "SELECT current_database() AS constraint_catalog, n.nspname AS constraint_schema,
                k.conname AS constraint_name, current_database() AS unique_constraint_catalog,
                n.nspname AS unique_constraint_schema, p.conname AS unique_constraint_name,
                'NONE' AS match_option, 'NO ACTION' AS update_rule, 'CASCADE' AS delete_rule
         FROM pg_constraint k JOIN pg_namespace n ON k.connamespace = n.oid
         LEFT JOIN pg_constraint p ON p.conrelid = k.confrelid AND p.contype = 'p'
         WHERE k.contype = 'f'",
    ),
    (
        "information_schema",
        "views",
        "SELECT current_database() AS table_catalog, n.nspname AS table_schema,
                c.relname AS table_name, pg_get_viewdef(c.oid) AS view_definition, 'NONE' AS check_option,
                'NO' AS is_updatable, 'NO' AS is_insertable_into
         FROM pg_class c JOIN pg_namespace n ON c.relnamespace = n.oid WHERE c.relkind = 'v'",
    ),
    (
        "information_schema",
        "sequences",
        "SELECT NULL::text AS sequence_catalog, NULL::text AS sequence_schema,
                NULL::text AS sequence_name, NULL::text AS data_type WHERE false",
    ),
    (
        "information_schema",
        "triggers",
        "SELECT NULL::text AS trigger_catalog, NULL::text AS trigger_schema,
                NULL::text AS trigger_name, NULL::text AS event_object_schema,
                NULL::text AS event_object_table WHERE false",
    ),
    (
        "information_schema",
        "table_privileges",
        "SELECT trim('\"' FROM split_part(a.acl, '/', 2)) AS grantor,
                CASE WHEN a.acl LIKE '=%' THEN 'PUBLIC'
                     ELSE trim('\"' FROM split_part(a.acl, '=', 1)) END AS grantee,
                current_database() AS table_catalog, n.nspname AS table_schema,
                c.relname AS table_name, 'SELECT' AS privilege_type, 'NO' AS is_grantable,
                'YES' AS with_hierarchy
         FROM pg_namespace n JOIN pg_class c ON n.oid = c.relnamespace
         CROSS JOIN LATERAL unnest(c.relacl) AS a(acl)
         WHERE c.relkind IN ('r', 'v')
         UNION ALL
         SELECT session_user, session_user, current_database(), n.nspname, c.relname, 'SELECT', 'NO', 'YES'
         FROM pg_namespace n JOIN pg_class c ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'v') AND current_setting('is_superuser') = 'on'",

    ),
    (
        "information_schema",
        "role_table_grants",
        "SELECT * FROM information_schema.table_privileges WHERE grantee <> 'PUBLIC'",
    ),
    (
        "pg_catalog",
        "pg_tables",
        "SELECT n.nspname AS schemaname, c.relname AS tablename, pg_get_userbyid(c.relowner) AS tableowner,
                NULL::text AS tablespace, c.relhasindex AS hasindexes, false AS hasrules,
                false AS hastriggers, false AS rowsecurity
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p')",
    ),
    (
        "pg_catalog",
        "pg_indexes",
        "SELECT n.nspname AS schemaname, c.relname AS tablename, i.relname AS indexname,
                NULL::text AS tablespace, pg_get_indexdef(i.oid) AS indexdef
         FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid
         JOIN pg_class i ON i.oid = x.indexrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace",
    ),
    (
        "pg_catalog",
        "pg_user",
        "SELECT rolname AS usename, oid AS usesysid, rolcreatedb AS usecreatedb,
                rolsuper AS usesuper, rolreplication AS userepl, rolbypassrls AS usebypassrls,
                '********' AS passwd, rolvaliduntil AS valuntil, rolconfig AS useconfig
         FROM pg_roles WHERE rolcanlogin OR oid = 10",
    ),
    (
        "pg_catalog",
        "pg_group",
        "SELECT rolname AS groname, oid AS grosysid, NULL::int[] AS grolist
         FROM pg_roles WHERE NOT rolcanlogin",
    ),
    (
        "pg_catalog",
        "pg_rules",
        "SELECT NULL::text AS schemaname, NULL::text AS tablename, NULL::text AS rulename,
                NULL::text AS definition WHERE false",
    ),
    (
        "pg_catalog",
        "pg_sequences",
        "SELECT NULL::text AS schemaname, NULL::text AS sequencename,
                NULL::text AS sequenceowner WHERE false",
    ),
    (
        "pg_catalog",
        "pg_policies",
        "SELECT NULL::text AS schemaname, NULL::text AS tablename, NULL::text AS policyname
         WHERE false",
    ),
    (
        "pg_catalog",
        "pg_locks",
        "SELECT NULL::text AS locktype, NULL::int AS database, NULL::int AS relation,
                NULL::int AS page, NULL::int2 AS tuple, NULL::text AS virtualxid,
                NULL::int AS transactionid, NULL::int AS classid, NULL::int AS objid,
                NULL::int2 AS objsubid, NULL::text AS virtualtransaction, NULL::int AS pid,
                NULL::text AS mode, NULL::bool AS granted, NULL::bool AS fastpath,
                NULL::timestamptz AS waitstart WHERE false",
    ),
    // What Vigil has none of, as a PostgreSQL without them says it.
    (
        "pg_catalog",
        "pg_seclabels",
        "SELECT NULL::int AS objoid, NULL::int AS classoid, NULL::int AS objsubid,
                NULL::text AS objtype, NULL::int AS objnamespace, NULL::text AS objname,
                NULL::text AS provider, NULL::text AS label WHERE false",
    ),
    (
        "pg_catalog",
        "pg_user_mappings",
        "SELECT NULL::int AS umid, NULL::int AS srvid, NULL::text AS srvname,
                NULL::int AS umuser, NULL::text AS usename, NULL::text[] AS umoptions
         WHERE false",
    ),
    (
        "pg_catalog",
        "pg_prepared_xacts",
        "SELECT NULL::int AS transaction, NULL::text AS gid, NULL::timestamptz AS prepared,
                NULL::text AS owner, NULL::text AS database WHERE false",
    ),
    (
        "pg_catalog",
        "pg_stat_replication",
        "SELECT NULL::int AS pid, NULL::int AS usesysid, NULL::text AS usename,
                NULL::text AS application_name, NULL::text AS client_addr,
                NULL::text AS client_hostname, NULL::int AS client_port,
                NULL::timestamptz AS backend_start, NULL::int AS backend_xmin,
                NULL::text AS state, NULL::text AS sent_lsn, NULL::text AS write_lsn,
                NULL::text AS flush_lsn, NULL::text AS replay_lsn, NULL::text AS write_lag,
                NULL::text AS flush_lag, NULL::text AS replay_lag,
                NULL::int AS sync_priority, NULL::text AS sync_state,
                NULL::timestamptz AS reply_time WHERE false",
    ),
    (
        "pg_catalog",
        "pg_stat_subscription",
        "SELECT NULL::int AS subid, NULL::text AS subname, NULL::int AS pid,
                NULL::int AS relid, NULL::text AS received_lsn,
                NULL::timestamptz AS last_msg_send_time,
                NULL::timestamptz AS last_msg_receipt_time, NULL::text AS latest_end_lsn,
                NULL::timestamptz AS latest_end_time WHERE false",
    ),
    (
        "pg_catalog",
        "pg_statio_all_sequences",
        "SELECT NULL::int AS relid, NULL::text AS schemaname, NULL::text AS relname,
                NULL::bigint AS blks_read, NULL::bigint AS blks_hit WHERE false",
    ),
    (
        "pg_catalog",
        "pg_stat_user_functions",
        "SELECT NULL::int AS funcid, NULL::text AS schemaname, NULL::text AS funcname,
                NULL::bigint AS calls, NULL::float8 AS total_time, NULL::float8 AS self_time
         WHERE false",
    ),
    (
        "pg_catalog",
        "pg_stats",
        "SELECT NULL::text AS schemaname, NULL::text AS tablename, NULL::text AS attname,
                NULL::bool AS inherited, NULL::float4 AS null_frac, NULL::int AS avg_width,
                NULL::float4 AS n_distinct, NULL::text AS most_common_vals,
                NULL::text AS most_common_freqs, NULL::text AS histogram_bounds,
                NULL::float4 AS correlation, NULL::text AS most_common_elems,
                NULL::text AS most_common_elem_freqs, NULL::text AS elem_count_histogram
         WHERE false",
    ),
    (
        "pg_catalog",
        "pg_stat_database",
        "SELECT d.oid AS datid, d.datname AS datname,
                (SELECT count(*) FROM pg_stat_activity a WHERE a.datname = d.datname)::int
                    AS numbackends,
                NULL::bigint AS xact_commit, NULL::bigint AS xact_rollback,
                NULL::bigint AS blks_read, NULL::bigint AS blks_hit, NULL::bigint AS tup_returned,
                NULL::bigint AS tup_fetched, NULL::bigint AS tup_inserted,
                NULL::bigint AS tup_updated, NULL::bigint AS tup_deleted,
                NULL::bigint AS conflicts, NULL::bigint AS temp_files, NULL::bigint AS temp_bytes,
                NULL::bigint AS deadlocks, NULL::timestamptz AS stats_reset
         FROM pg_database d",
    ),
    (
        "pg_catalog",
        "pg_stat_all_indexes",
        "SELECT t.oid AS relid, i.oid AS indexrelid, n.nspname AS schemaname,
                t.relname AS relname, i.relname AS indexrelname, NULL::bigint AS idx_scan,
                NULL::timestamptz AS last_idx_scan, NULL::bigint AS idx_tup_read,
                NULL::bigint AS idx_tup_fetch
         FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid
         JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace n ON n.oid = t.relnamespace",
    ),
    (
        "pg_catalog",
        "pg_stat_user_indexes",
        "SELECT t.oid AS relid, i.oid AS indexrelid, n.nspname AS schemaname,
                t.relname AS relname, i.relname AS indexrelname, NULL::bigint AS idx_scan,
                NULL::timestamptz AS last_idx_scan, NULL::bigint AS idx_tup_read,
                NULL::bigint AS idx_tup_fetch
         FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid
         JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace n ON n.oid = t.relnamespace
         WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')",
    ),
    (
        "information_schema",
        "enabled_roles",
        "SELECT r.rolname AS role_name FROM pg_roles r
         WHERE r.rolname = session_user
            OR r.oid IN (SELECT m.roleid FROM pg_auth_members m JOIN pg_roles o ON o.oid = m.member
                         WHERE o.rolname = session_user)",
    ),
    (
        "information_schema",
        "applicable_roles",
        "SELECT o.rolname AS grantee, r.rolname AS role_name,
                CASE WHEN m.admin_option THEN 'YES' ELSE 'NO' END AS is_grantable
         FROM pg_auth_members m JOIN pg_roles o ON o.oid = m.member
         JOIN pg_roles r ON r.oid = m.roleid WHERE o.rolname = session_user",
    ),
    (
        "pg_catalog",
        "pg_timezone_names",
        "SELECT NULL::text AS name, NULL::text AS abbrev, NULL::text AS utc_offset,
                NULL::bool AS is_dst WHERE false",
    ),
    (
        "pg_catalog",
        "pg_available_extensions",
        "SELECT NULL::text AS name, NULL::text AS default_version,
                NULL::text AS installed_version, NULL::text AS comment WHERE false",
    ),
];

static PARSED: LazyLock<BTreeMap<(&str, &str), Query>> = LazyLock::new(|| {
    let mut all = BTreeMap::new();
    for (schema, name, sql) in VIEWS.iter().chain(&others::VIEWS) {
        all.extend(parsed(sql).map(|query| ((*schema, *name), query)));
    }
    for (schema, name, sql) in others::empty() {
        all.extend(parsed(&sql).map(|query| ((schema, name), query)));
    }
    all
});

fn parsed(sql: &str) -> Option<Query> {
    match Parser::parse_sql(&PostgreSqlDialect {}, sql).ok()?.pop() {
        Some(Statement::Query(query)) => Some(*query),
        _ => None,
    }
}

/// The query of a view.
pub(super) fn find(schema: &str, name: &str) -> Option<&'static Query> {
    let mut views = PARSED.iter();
    views.find(|((s, n), _)| *s == schema && *n == name).map(|(_, query)| query)
}

/// All views: schema, name and query.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static Query)> {
    PARSED.iter().map(|((schema, name), query)| (*schema, *name, query))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_is_a_query() {
        for (schema, name, _) in VIEWS.iter().chain(&others::VIEWS) {
            assert!(find(schema, name).is_some(), "{schema}.{name}");
        }
        for (schema, name, _) in others::empty() {
            assert!(find(schema, name).is_some(), "{schema}.{name}");
        }
        let empty = include_str!("views/empty.txt").lines().count();
        assert_eq!(PARSED.len(), VIEWS.len() + others::VIEWS.len() + empty);
    }
}
