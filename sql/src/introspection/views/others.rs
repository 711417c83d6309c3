//! More views that PostgreSQL has. Those that are always empty here are in `empty.txt`, with PostgreSQL's columns:
//! there is nothing of what they would list.

/// Schema, name and query of each.
pub(super) const VIEWS: [(&str, &str, &str); 23] = [
    (
        "information_schema",
        "information_schema_catalog_name",
        "SELECT current_database() AS catalog_name",
    ),
    (
        "information_schema",
        "character_sets",
        "SELECT NULL::text AS character_set_catalog, NULL::text AS character_set_schema,
                'UTF8' AS character_set_name, 'UCS' AS character_repertoire,
                'UTF8' AS form_of_use, NULL::text AS default_collate_catalog,
                NULL::text AS default_collate_schema, NULL::text AS default_collate_name",
    ),
    (
        "information_schema",
        "administrable_role_authorizations",
        "SELECT * FROM information_schema.applicable_roles WHERE is_grantable = 'YES'",
    ),
    (
        "information_schema",
        "constraint_table_usage",
        "SELECT DISTINCT table_catalog, table_schema, table_name, constraint_catalog,
                constraint_schema, constraint_name
         FROM information_schema.constraint_column_usage",
    ),
    (
        "information_schema",
        "column_privileges",
        "SELECT p.grantor, p.grantee, p.table_catalog, p.table_schema, p.table_name,
                c.column_name, p.privilege_type, p.is_grantable
         FROM information_schema.table_privileges p
         JOIN information_schema.columns c
           ON c.table_schema = p.table_schema AND c.table_name = p.table_name",
    ),
    (
        "information_schema",
        "role_column_grants",
        "SELECT * FROM information_schema.column_privileges WHERE grantee <> 'PUBLIC'",
    ),
    (
        "information_schema",
        "view_table_usage",
        "SELECT DISTINCT current_database() AS view_catalog, vn.nspname AS view_schema,
                v.relname AS view_name, current_database() AS table_catalog,
                tn.nspname AS table_schema, t.relname AS table_name
         FROM pg_rewrite w
         JOIN pg_class v ON v.oid = w.ev_class
         JOIN pg_namespace vn ON vn.oid = v.relnamespace
         JOIN pg_depend d ON d.objid = w.oid
         JOIN pg_class t ON t.oid = d.refobjid
         JOIN pg_namespace tn ON tn.oid = t.relnamespace
         WHERE d.deptype = 'n'",
    ),
    (
        "pg_catalog",
        "pg_shadow",
        "SELECT rolname AS usename, oid AS usesysid, rolcreatedb AS usecreatedb,
                rolsuper AS usesuper, rolreplication AS userepl, rolbypassrls AS usebypassrls,
                rolpassword AS passwd, rolvaliduntil AS valuntil, NULL::text[] AS useconfig
         FROM pg_authid WHERE rolcanlogin",
    ),
    (
        "pg_catalog",
        "pg_stat_all_tables",
        "SELECT c.oid AS relid, n.nspname AS schemaname, c.relname AS relname,
                NULL::int8 AS seq_scan, NULL::int8 AS seq_tup_read, NULL::int8 AS idx_scan,
                NULL::int8 AS idx_tup_fetch, NULL::int8 AS n_tup_ins, NULL::int8 AS n_tup_upd,
                NULL::int8 AS n_tup_del, NULL::int8 AS n_tup_hot_upd, NULL::int8 AS n_live_tup,
                NULL::int8 AS n_dead_tup, NULL::int8 AS n_mod_since_analyze,
                NULL::int8 AS n_ins_since_vacuum, NULL::timestamptz AS last_vacuum,
                NULL::timestamptz AS last_autovacuum, NULL::timestamptz AS last_analyze,
                NULL::timestamptz AS last_autoanalyze, NULL::int8 AS vacuum_count,
                NULL::int8 AS autovacuum_count, NULL::int8 AS analyze_count,
                NULL::int8 AS autoanalyze_count
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 't', 'm')",
    ),
    (
        "pg_catalog",
        "pg_stat_sys_tables",
        "SELECT * FROM pg_stat_all_tables WHERE schemaname IN ('pg_catalog', 'information_schema')",
    ),
    (
        "pg_catalog",
        "pg_stat_xact_all_tables",
        "SELECT relid, schemaname, relname, seq_scan, seq_tup_read, idx_scan, idx_tup_fetch,
                n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd
         FROM pg_stat_all_tables",
    ),
    (
        "pg_catalog",
        "pg_stat_xact_sys_tables",
        "SELECT * FROM pg_stat_xact_all_tables
         WHERE schemaname IN ('pg_catalog', 'information_schema')",
    ),
    (
        "pg_catalog",
        "pg_stat_xact_user_tables",
        "SELECT * FROM pg_stat_xact_all_tables
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    ),
    (
        "pg_catalog",
        "pg_statio_all_tables",
        "SELECT relid, schemaname, relname, NULL::int8 AS heap_blks_read,
                NULL::int8 AS heap_blks_hit, NULL::int8 AS idx_blks_read,
                NULL::int8 AS idx_blks_hit, NULL::int8 AS toast_blks_read,
                NULL::int8 AS toast_blks_hit, NULL::int8 AS tidx_blks_read,
                NULL::int8 AS tidx_blks_hit
         FROM pg_stat_all_tables",
    ),
    (
        "pg_catalog",
        "pg_statio_sys_tables",
        "SELECT * FROM pg_statio_all_tables
         WHERE schemaname IN ('pg_catalog', 'information_schema')",
    ),
    (
        "pg_catalog",
        "pg_statio_user_tables",
        "SELECT * FROM pg_statio_all_tables
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    ),
    (
        "pg_catalog",
        "pg_stat_sys_indexes",
        "SELECT * FROM pg_stat_all_indexes
         WHERE schemaname IN ('pg_catalog', 'information_schema')",
    ),
    (
        "pg_catalog",
        "pg_statio_all_indexes",
        "SELECT relid, indexrelid, schemaname, relname, indexrelname,
                NULL::int8 AS idx_blks_read, NULL::int8 AS idx_blks_hit
         FROM pg_stat_all_indexes",
    ),
    (
        "pg_catalog",
        "pg_statio_sys_indexes",
        "SELECT * FROM pg_statio_all_indexes
         WHERE schemaname IN ('pg_catalog', 'information_schema')",
    ),
    (
        "pg_catalog",
        "pg_statio_user_indexes",
        "SELECT * FROM pg_statio_all_indexes
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    ),
    // Nothing is written ahead, kept or thrown out of buffers, and each has one row.
    (
        "pg_catalog",
        "pg_stat_archiver",
        "SELECT 0::int8 AS archived_count, NULL::text AS last_archived_wal,
                NULL::timestamptz AS last_archived_time, 0::int8 AS failed_count,
                NULL::text AS last_failed_wal, NULL::timestamptz AS last_failed_time,
                NULL::timestamptz AS stats_reset",
    ),
    (
        "pg_catalog",
        "pg_stat_bgwriter",
        "SELECT 0::int8 AS checkpoints_timed, 0::int8 AS checkpoints_req,
                0::float8 AS checkpoint_write_time, 0::float8 AS checkpoint_sync_time,
                0::int8 AS buffers_checkpoint, 0::int8 AS buffers_clean,
                0::int8 AS maxwritten_clean, 0::int8 AS buffers_backend,
                0::int8 AS buffers_backend_fsync, 0::int8 AS buffers_alloc,
                NULL::timestamptz AS stats_reset",
    ),
    (
        "pg_catalog",
        "pg_stat_wal",
        "SELECT 0::int8 AS wal_records, 0::int8 AS wal_fpi, 0::float8 AS wal_bytes,
                0::int8 AS wal_buffers_full, 0::int8 AS wal_write, 0::int8 AS wal_sync,
                0::float8 AS wal_write_time, 0::float8 AS wal_sync_time,
                NULL::timestamptz AS stats_reset",
    ),
];

/// What is always empty: `schema.name(column type, …)`, one a line.
const EMPTY: &str = include_str!("empty.txt");

/// Schema, name and query of each view that is always empty.
pub(super) fn empty() -> impl Iterator<Item = (&'static str, &'static str, String)> {
    EMPTY.lines().filter_map(|line| {
        let (name, columns) = line.strip_suffix(')')?.split_once('(')?;
        let (schema, name) = name.split_once('.')?;
        let columns = columns.split(", ").filter_map(|column| {
            let (name, kind) = column.split_once(' ')?;
            Some(format!("NULL::{kind} AS {name}"))
        });
        let columns: Vec<String> = columns.collect();
        Some((schema, name, format!("SELECT {} WHERE false", columns.join(", "))))
    })
}
